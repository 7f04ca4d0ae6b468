"""Facts from files become one honest graph: no repeats, and nothing measured that was learned."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.errors import KgraftWarning, describe
from kgraft.graph.grouped_index import Ints, changes, row_keys
from kgraft.graph.knowledge_graph import SPLITS, KnowledgeGraph, Triples, no_triples
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
    given = {split: splits.get(split, ()) for split in SPLITS}
    facts = np.concatenate([no_triples(), *(x.triples for rows in given.values() for x in rows)])
    sizes = [sum(len(x.triples) for x in rows) for rows in given.values()]
    ends = np.cumsum(sizes)[:-1]
    triples = dict(zip(SPLITS, np.split(facts, ends), strict=True))
    number = dict(zip(SPLITS, np.split(row_keys(*facts.T), ends), strict=True))
    kept = {split: _first_of_each(number[split]) for split in SPLITS}
    duplicates = sum(len(first) - int(first.sum()) for first in kept.values())
    held_out = {"valid": number["test"], "train": np.append(number["valid"], number["test"])}
    for split, measured in held_out.items():
        repeats = pl.Series(number[split]).is_in(pl.Series(measured).implode()).to_numpy()
        repeats = repeats & kept[split]
        if repeats.any():
            place = int(repeats.argmax())
            head, relation, tail = triples[split][place]
            first = (entities.name(head), relations.name(relation), entities.name(tail))
            _warn_of_repeats(name, split, int(repeats.sum()), first, place, given[split])
            kept[split] &= ~repeats
    return KnowledgeGraph(
        name,
        entities,
        relations,
        **{split: x if kept[split].all() else x[kept[split]] for split, x in triples.items()},
        labels=labels,
        attributes=attributes,
        duplicates=duplicates,
    )


def _first_of_each(numbers: Ints) -> NDArray[np.bool_]:
    """Say which numbers have not stood before."""
    first = changes(np.sort(numbers))
    if not first.all():
        # Only now, as most files repeat nothing, and this takes ten times as long.
        first[:] = False
        first[pl.Series(numbers).arg_unique().to_numpy()] = True
    return first


def _warn_of_repeats(
    name: str,
    split: str,
    count: int,
    first: tuple[str, str, str],
    place: int,
    pieces: Sequence[FactRows],
) -> None:
    for piece in pieces:
        if place < len(piece.triples):
            break
        place -= len(piece.triples)
    elsewhere = "valid or test" if split == "train" else "test"
    warnings.warn(
        describe(
            f"{split} of {name!r} repeats {count} facts of {elsewhere}, first {first}",
            remedy=f"They are left out of {split}; make the splits disjoint to silence this",
            path=piece.path,
            line=None if piece.lines is None else int(piece.lines[place]),
        ),
        KgraftWarning,
        stacklevel=3,
    )
