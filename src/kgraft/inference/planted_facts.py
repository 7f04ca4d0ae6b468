"""Wrong facts made from stated ones, by which a check learns what errors look like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.grouped_index import GroupedIndex, Ints
from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.known_facts import KnownFacts
from kgraft.graph.vocabulary import Rows

WAYS = ("tail", "head", "tail of the range", "head of the domain", "relation", "direction")
"""The part that is replaced: an end by any entity, an end by one that the relation has been seen
with, the relation by another one, or both ends by each other."""

TRIES = 8

ADDED = 0.15
"""Share of planted facts with another end that stand beside the stated fact, not for it."""

MAX_SHARED = 0.1
"""Share of a relation's pairs that another relation may join too, to be a wrong one for them."""


@dataclass(frozen=True, eq=False)
class PlantedFacts:
    """Wrong facts.

    Args:
        facts: int64 ``(p, 3)``; no source states one.
        base: Position of the stated fact that each is made from, ``(p,)``.
        replaces: True where it stands for that fact, false where beside it, ``(p,)``.
        way: Position in ``WAYS``, ``(p,)``.
    """

    facts: Triples
    base: Ints
    replaces: NDArray[np.bool_]
    way: Ints


def plant_facts(
    own: Triples,
    others: Triples,
    entities: Rows,
    n_relations: int,
    known: KnownFacts,
    draw: np.random.Generator,
    n: int,
) -> PlantedFacts:
    """Make wrong facts, evenly in each of ``WAYS`` as far as they can be made.

    Args:
        own: The target's distinct facts, int64 ``(m, 3)``.
        others: The facts of other sources.
        entities: The target's entities.
        n_relations: Number of relations.
        known: Facts that are not wrong.
        draw: Random generator.
        n: Number of facts to make; fewer are made where random ones are mostly stated.
    """
    base = draw.permutation(np.resize(draw.permutation(len(own)), n))
    way = draw.integers(len(WAYS), size=n)
    facts, made = own[base].copy(), np.zeros(n, dtype=np.bool_)
    shared = _shared_pairs(np.concatenate([own, others]), n_relations)
    by_relation = GroupedIndex.of(own[:, 1])
    _, group = by_relation.groups(own[base, 1])
    for _ in range(TRIES):
        todo = np.flatnonzero(~made)
        tried, kind = own[base[todo]].copy(), way[todo]
        first, size = by_relation.starts[group[todo]], np.diff(by_relation.starts)[group[todo]]
        like = own[by_relation.members[first + draw.integers(size)]]
        for number, (place, given) in enumerate(
            [(2, None), (0, None), (2, like[:, 2]), (0, like[:, 0])]
        ):
            chosen = draw.choice(entities, size=len(todo)) if given is None else given
            tried[kind == number, place] = chosen[kind == number]
        relation, turned = kind == 4, kind == 5
        other = np.where(
            draw.random(len(todo)) < 0.5,
            draw.choice(own[:, 1], size=len(todo)),
            draw.integers(n_relations, size=len(todo)),
        )
        tried[relation, 1] = other[relation]
        tried[turned] = tried[turned][:, ::-1]
        # The pairs of some relations have others too, and those of symmetric ones the way back.
        along = tried[:, 1] + n_relations * turned
        fits = ~known.contains(tried) & ~(
            (relation | turned) & (shared[own[base[todo], 1], along] > MAX_SHARED)
        )
        facts[todo[fits]] = tried[fits]
        made[todo[fits]] = True
        again = todo[~fits & (draw.random(len(todo)) < 0.5)]
        way[again] = draw.integers(len(WAYS), size=len(again))
    replaces = (way >= 4) | (draw.random(n) >= ADDED)
    return PlantedFacts(facts[made], base[made], replaces[made], way[made])


def _shared_pairs(facts: Triples, n_relations: int) -> NDArray[np.float64]:
    """Return the share of each relation's pairs that another joins, there or back, ``(m, 2 m)``."""
    there = pl.DataFrame(facts, schema=["x", "r", "y"]).unique()
    back = there.select(x="y", r=pl.col("r") + n_relations, y="x")
    joined = there.join(pl.concat([there, back]), on=["x", "y"])
    counts = np.zeros((n_relations, 2 * n_relations))
    np.add.at(counts, (joined["r"].to_numpy(), joined["r_right"].to_numpy()), 1.0)
    of_all = np.bincount(there["r"].to_numpy(), minlength=n_relations)
    return counts / np.maximum(of_all, 1)[:, None]
