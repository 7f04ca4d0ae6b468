"""Which facts of a graph another source states too: those can be copied, the others not."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.knowledge_graph import Triples
from kgraft.linking.joint_graph import JointGraph


def covered(joint: JointGraph, source: str, triples: Triples) -> NDArray[np.bool_]:
    """Say of each fact whether a source other than its own states it.

    A fact is covered when the training facts of another source hold the same relation between the
    linked entities; relations are the same by name or by a relation link.

    Args:
        joint: The graph that joins ``source`` with the others.
        source: The source that the facts belong to.
        triples: Facts in the source's own rows, int64 ``(n, 3)``.

    Returns:
        bool ``(n,)``.

    Raises:
        UnknownNameError: If the joint graph has no such source.
    """
    asked = joint.part(source).joint(triples)
    others = joint.facts_of([name for name in joint.sources if name != source])
    return is_among(asked, others)


def is_among(triples: Triples, facts: Triples) -> NDArray[np.bool_]:
    """Say of each of ``triples`` ``(n, 3)`` whether it stands in ``facts`` ``(m, 3)``."""
    columns = ["head", "relation", "tail"]
    asked = pl.DataFrame(np.asarray(triples), schema=columns)
    known = pl.DataFrame(np.asarray(facts), schema=columns).unique()
    found = asked.join(
        known.with_columns(known=True), on=columns, how="left", maintain_order="left"
    )
    return found["known"].fill_null(False).to_numpy().astype(np.bool_)
