"""Coverage: which facts and entities of a source other sources have too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.known_facts import KnownFacts
from kgraft.linking.joint_graph import JointGraph, positions_of


def covered(joint: JointGraph, source: str, triples: Triples) -> NDArray[np.bool_]:
    """Mask the facts of a source, ``(n, 3)`` in its own rows, that other sources state too.

    These are training facts of the same relation, by name or by a link, between linked entities.

    Raises:
        UnknownNameError: If the joint graph has no such source.
    """
    return KnownFacts(stated_by_others(joint, source)).contains(triples)


def stated_by_others(joint: JointGraph, source: str) -> Triples:
    """Return the training facts of other sources between a source's entities, along its relations.

    Returns:
        int64 ``(n, 3)``, in the source's own rows.
    """
    part = joint.part(source)
    facts = joint.facts_of([name for name in joint.sources if name != source])
    entities = positions_of(part.entity_rows, joint.n_entities)
    relations = positions_of(part.relation_rows, joint.n_relations)
    own = np.stack([entities[facts[:, 0]], relations[facts[:, 1]], entities[facts[:, 2]]], axis=1)
    return own[(own >= 0).all(axis=1)]


def linked_entities(joint: JointGraph, source: str) -> NDArray[np.bool_]:
    """Mask the rows of entities that a source and another one have, ``(n_entities,)``."""
    own, others = np.zeros((2, joint.n_entities), dtype=np.bool_)
    for name, part in joint.parts.items():
        (own if name == source else others)[part.entity_rows] = True
    found: NDArray[np.bool_] = own & others
    return found
