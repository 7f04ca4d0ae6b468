"""Graphs of batches of facts: repeats and statements of sameness taken out."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.errors import DataError, KgraftWarning, counted, describe
from kgraft.graph.grouped_index import Ints, changes, row_keys
from kgraft.graph.identities import SameNames, TakenOut, Treatment, take_out
from kgraft.graph.knowledge_graph import SPLITS, KnowledgeGraph, Triples, no_triples
from kgraft.graph.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class FactRows:
    """Facts of one file, or of a batch of it.

    Args:
        triples: int64 ``(n, 3)``.
        path: The file; None for facts from memory.
        lines: The line of each fact, Int64 ``(n,)``; None for files without lines.
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
    identities: Treatment | None = None,
    further: SameNames | None = None,
    fixed: bool = False,
) -> KnowledgeGraph:
    """Make a graph of batches of facts.

    A repeated fact of a split is kept once and counted in ``duplicates``. A fact of train that
    valid or test has, and a fact of valid that test has, is removed from the former with a
    ``KgraftWarning``, so that test facts are unseen. Statements of sameness are no facts, and
    entities that they make one are merged (``take_out``).

    Args:
        name: The graph's name.
        entities: Entity names, the range of heads and tails.
        relations: Relation names.
        splits: ``train``, ``valid``, ``test`` -> batches in order; a split may be missing.
        labels: See ``KnowledgeGraph``.
        attributes: See ``KnowledgeGraph``.
        identities: Treatment of statements of sameness; None: ``links``, with a warning.
        further: Further pairs of names that mean the same.
        fixed: Keep all names and rows, which someone else has numbered.

    Raises:
        DataError: If all facts are statements of sameness.
    """
    given = {split: splits.get(split, ()) for split in SPLITS}
    facts = np.concatenate([no_triples(), *(x.triples for rows in given.values() for x in rows)])
    sizes = [sum(len(x.triples) for x in rows) for rows in given.values()]
    ends = np.cumsum(sizes)[:-1]
    taken = take_out(
        entities,
        relations,
        facts,
        treatment=identities or "links",
        described=None if attributes is None else attributes["entity"].unique().to_numpy(),
        further=further,
        fixed=fixed,
    )
    is_fact = np.ones(len(facts), dtype=np.bool_)
    if taken is not None:
        _check_taken(name, taken, given, attributes, announced=identities is not None)
        is_fact, facts = taken.is_fact, taken.moved(facts)
        labels = _moved_labels(labels, entities, taken)
        attributes = _moved_attributes(attributes, taken)
        entities, relations = taken.entities, taken.relations
    masks = np.split(is_fact, ends)
    facts = facts if is_fact.all() else facts[is_fact]
    ends = np.cumsum([mask.sum() for mask in masks])[:-1]
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
            place = int(np.flatnonzero(masks[SPLITS.index(split)])[place])
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
        identities=None if taken is None else taken.identities,
    )


def _check_taken(
    name: str,
    taken: TakenOut,
    given: Mapping[str, Sequence[FactRows]],
    attributes: pl.DataFrame | None,
    *,
    announced: bool,
) -> None:
    """Warn of statements of sameness, unless announced.

    Raises:
        DataError: If there is nothing else.
    """
    predicates = ", ".join(taken.predicates)
    path = next((rows.path for pieces in given.values() for rows in pieces), None)
    if attributes is None and not taken.is_fact.any():
        raise DataError(
            f"all facts of {name!r} are statements of sameness ({predicates})",
            remedy='Name the file as path of [[links]] instead, or set identities = "facts"',
            path=path,
        )
    if taken.predicates and not announced:
        warnings.warn(
            describe(
                f"{taken.identities.stated} statements of sameness of {name!r} ({predicates}) are "
                "no facts, but join names of one entity",
                remedy='Set identities = "facts" to keep them as facts, or "links" to silence this',
            ),
            KgraftWarning,
            stacklevel=3,
        )


def _moved_labels(
    labels: pl.Series | None, former: Vocabulary, taken: TakenOut
) -> pl.Series | None:
    """Return the label of each entity that is left, its own one before those of merged ones."""
    if labels is None:
        return None
    rows = taken.entity_rows
    own = taken.entities.rows(former.names)
    frame = pl.DataFrame({"row": rows, "is_other": own != rows, "label": labels})
    best = (
        frame.filter(pl.col("row") >= 0)
        .drop_nulls("label")
        .sort("is_other", maintain_order=True)
        .unique("row", keep="first", maintain_order=True)
    )
    found: list[str | None] = [None] * len(taken.entities)
    for row, label in best.select("row", "label").iter_rows():
        found[row] = label
    return pl.Series("label", found, dtype=pl.String)


def _moved_attributes(attributes: pl.DataFrame | None, taken: TakenOut) -> pl.DataFrame | None:
    if attributes is None:
        return None
    rows = pl.Series("entity", taken.entity_rows)
    return attributes.with_columns(rows.gather(attributes["entity"]))


def _first_of_each(numbers: Ints) -> NDArray[np.bool_]:
    """Mask the first occurrence of each number."""
    first = changes(np.sort(numbers))
    if not first.all():
        # Most files repeat nothing, and this takes ten times as long.
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
            f"{split} of {name!r} repeats {counted(count, 'fact')} of {elsewhere}, first {first}",
            remedy=f"They are left out of {split}; make the splits disjoint to silence this",
            path=piece.path,
            line=None if piece.lines is None else int(piece.lines[place]),
        ),
        KgraftWarning,
        stacklevel=3,
    )
