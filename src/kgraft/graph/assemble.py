"""Facts from files become one honest graph: no repeats, and nothing measured that was learned."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from kgraft.errors import KgraftWarning, describe
from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples
from kgraft.graph.labelled import ROLES
from kgraft.graph.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class FactRows:
    """Facts of one file, or of one piece of it.

    Args:
        triples: int64 ``(n, 3)``.
        path: The file; None for facts from memory.
        lines: The line of each fact, Int64 ``(n,)``; None where lines mean nothing.
    """

    triples: Triples
    path: Path | None = None
    lines: pl.Series | None = None


def assemble(
    name: str,
    entities: Vocabulary,
    relations: Vocabulary,
    splits: Mapping[str, Sequence[FactRows]],
    *,
    labels: pl.Series | None = None,
    attributes: pl.DataFrame | None = None,
) -> KnowledgeGraph:
    """Return the graph of all pieces.

    A fact that a split states twice is kept once and counted in ``duplicates``. A fact of train
    that valid or test states, and a fact of valid that test states, is taken out of the former
    with a ``KgraftWarning``: what is measured has to be unseen.

    Args:
        name: The graph's name.
        entities: Entity names, the range of heads and tails.
        relations: Relation names.
        splits: ``train``, ``valid``, ``test`` -> pieces in order; a split may be missing.
        labels: See ``KnowledgeGraph``.
        attributes: See ``KnowledgeGraph``.
    """
    tables = {split: _table(splits.get(split, ())) for split in ("train", "valid", "test")}
    unique = {
        split: table.unique(ROLES, keep="first", maintain_order=True)
        for split, table in tables.items()
    }
    duplicates = sum(len(tables[split]) - len(unique[split]) for split in tables)
    held_out = {"valid": unique["test"], "train": pl.concat([unique["valid"], unique["test"]])}
    for split, measured in held_out.items():
        repeated = unique[split].join(measured, on=ROLES, how="semi", maintain_order="left")
        if len(repeated):
            _warn_of_repeats(name, split, repeated, splits[split], entities, relations)
            unique[split] = unique[split].join(
                measured, on=ROLES, how="anti", maintain_order="left"
            )
    return KnowledgeGraph(
        name,
        entities,
        relations,
        **{split: table.select(ROLES).to_numpy() for split, table in unique.items()},
        labels=labels,
        attributes=attributes,
        duplicates=duplicates,
    )


def _table(pieces: Sequence[FactRows]) -> pl.DataFrame:
    """Return all facts with the piece and the place in it that each comes from."""
    triples = [piece.triples for piece in pieces]
    stacked = np.concatenate([np.empty((0, 3), dtype=np.int64), *triples])
    return pl.DataFrame(
        dict(zip(ROLES, np.ascontiguousarray(stacked.T), strict=True)),
    ).with_row_index("place")


def _warn_of_repeats(
    name: str,
    split: str,
    repeated: pl.DataFrame,
    pieces: Sequence[FactRows],
    entities: Vocabulary,
    relations: Vocabulary,
) -> None:
    place, head, relation, tail = repeated.row(0)
    for piece in pieces:
        if place < len(piece.triples):
            break
        place -= len(piece.triples)
    elsewhere = "valid or test" if split == "train" else "test"
    fact = (entities.name(head), relations.name(relation), entities.name(tail))
    warnings.warn(
        describe(
            f"{split} of {name!r} repeats {len(repeated)} facts of {elsewhere}, first {fact}",
            remedy=f"They are left out of {split}; make the splits disjoint to silence this",
            path=piece.path,
            line=None if piece.lines is None else int(piece.lines[place]),
        ),
        KgraftWarning,
        stacklevel=3,
    )
