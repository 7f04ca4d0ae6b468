"""Graphs of batches of facts: repeats and statements of sameness taken out."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.errors import DataError, KgraftWarning, counted, describe
from kgraft.graph.grouped_index import Ints, changes, row_keys
from kgraft.graph.identities import SameNames, TakenOut, Treatment, take_out
from kgraft.graph.knowledge_graph import SPLITS, Floats, KnowledgeGraph, Triples, no_triples
from kgraft.graph.vocabulary import Rows, Vocabulary


@dataclass(frozen=True, eq=False)
class FactRows:
    """Facts of one file, or of a batch of it.

    Args:
        triples: int64 ``(n, 3)``.
        path: The file; None for facts from memory.
        lines: The line of each fact, Int64 ``(n,)``; None for files without lines.
        confidence: Confidence of each fact, ``(n,)``; None: all are 1.
        stated_as_text: Statements of sameness found among literals.
    """

    triples: Triples
    path: Path | None = None
    lines: pl.Series | None = None
    confidence: Floats | None = None
    stated_as_text: bool = False

    def renumber(self, entities: Rows, relations: Rows) -> None:
        """Replace the rows of the facts, in place, by the new one of each entity and relation."""
        self.triples[:, [0, 2]] = entities[self.triples[:, [0, 2]]]
        self.triples[:, 1] = relations[self.triples[:, 1]]


def assemble(
    name: str,
    entities: Vocabulary,
    relations: Vocabulary,
    splits: Mapping[str, Sequence[FactRows]],
    *,
    known_false: Sequence[FactRows] = (),
    labels: pl.Series | None = None,
    attributes: pl.DataFrame | None = None,
    identities: Treatment | None = None,
    further: SameNames | None = None,
    fixed: bool = False,
) -> KnowledgeGraph:
    """Make a graph of batches of facts.

    The facts of a split come in the order of their rows. A repeated one is kept once, with its
    highest confidence, and counted in ``duplicates``. A fact of train that valid or test has, and a
    fact of valid that test has, is removed from the former with a ``KgraftWarning``, so that test
    facts are unseen. Statements of sameness are no facts, and entities that they make one are
    merged (``take_out``).

    Args:
        name: The graph's name.
        entities: Entity names, the range of heads and tails.
        relations: Relation names.
        splits: ``train``, ``valid``, ``test`` -> batches in order; a split may be missing.
        known_false: Batches of facts known to be false.
        labels: See ``KnowledgeGraph``.
        attributes: See ``KnowledgeGraph``.
        identities: Treatment of statements of sameness; None: ``links``, with a warning.
        further: Further pairs of names that mean the same.
        fixed: Keep all names and rows, which someone else has numbered.

    Raises:
        DataError: If all facts are statements of sameness, or a fact is both stated and known to be
            false.
    """
    given = {split: splits.get(split, ()) for split in SPLITS}
    facts, false = _stacked(chain.from_iterable(given.values())), _stacked(known_false)
    ends = np.cumsum([sum(len(x.triples) for x in rows) for rows in given.values()])[:-1]
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
        is_fact, facts, false = taken.is_fact, taken.moved(facts), taken.moved(false)
        labels = _moved_labels(labels, entities, taken)
        attributes = _moved_attributes(attributes, taken)
        entities, relations = taken.entities, taken.relations
    masks = np.split(is_fact, ends)
    ends, facts = np.cumsum([x.sum() for x in masks])[:-1], _masked(facts, is_fact)
    keys, false_keys, false = _keys(facts, false[(false >= 0).all(axis=1)])
    if (both := _is_in(false_keys, keys)).any():
        raise _contradiction(false[both.argmax()], (entities, relations), known_false, given, taken)
    triples, number = (dict(zip(SPLITS, np.split(x, ends), strict=True)) for x in (facts, keys))
    once = {split: _first_of_each(number[split]) for split in SPLITS}
    repeated = _repeats(number, once)
    for split, repeats in repeated.items():
        if repeats.any():
            fact = _named(triples[split][repeats.argmax()], entities, relations)
            _warn(name, split, repeats, fact, masks[SPLITS.index(split)], given[split])
    chosen = {x: _in_order(number[x], once[x] & ~repeated[x]) for x in SPLITS}
    train, valid, test = (triples[split][chosen[split]] for split in SPLITS)
    return KnowledgeGraph(
        name,
        entities,
        relations,
        train,
        valid,
        test,
        labels=labels,
        attributes=attributes,
        duplicates=sum(len(mask) - int(mask.sum()) for mask in once.values()),
        identities=None if taken is None else taken.identities,
        known_false=false,
        confidence=_confidence(given, masks, number, chosen),
    )


def _stacked(pieces: Iterable[FactRows]) -> Triples:
    return np.concatenate([no_triples(), *(x.triples for x in pieces)])


def _in_order(numbers: Ints, kept: NDArray[np.bool_]) -> Ints | slice:
    """Return the places of the facts that are kept, in the order of their numbers."""
    if kept.all() and (numbers[1:] > numbers[:-1]).all():
        return slice(None)
    places = np.flatnonzero(kept)
    return places[np.argsort(numbers[places])]


def _masked(facts: Triples, mask: NDArray[np.bool_]) -> Triples:
    """Return the masked facts, without a copy where all are."""
    return facts if mask.all() else facts[mask]


def _repeats(
    number: Mapping[str, Ints], kept: Mapping[str, NDArray[np.bool_]]
) -> dict[str, NDArray[np.bool_]]:
    """Mask the facts of each split that a later one has too."""
    found = {
        "valid": _is_in(number["valid"], number["test"]) & kept["valid"],
        "train": _is_in(number["train"], np.append(number["valid"], number["test"])),
    }
    found["train"] &= kept["train"]
    found["test"] = np.zeros(len(number["test"]), dtype=np.bool_)
    return found


def _keys(facts: Triples, false: Triples) -> tuple[Ints, Ints, Triples]:
    """Return one number for each fact and each false one, and the false ones, each once.

    The numbers are in the order of the facts' rows, and so are the false ones.
    """
    every = np.concatenate([facts, false]) if len(false) else facts
    keys, false_keys = np.split(row_keys(*every.T), [len(facts)])
    false_keys, first = np.unique(false_keys, return_index=True)
    return keys, false_keys, false[first]


def _is_in(numbers: Ints, others: Ints) -> NDArray[np.bool_]:
    """Mask the numbers that are among others."""
    found: NDArray[np.bool_] = pl.Series(numbers).is_in(pl.Series(others).implode()).to_numpy()
    return found


def _named(
    fact: NDArray[np.int64], entities: Vocabulary, relations: Vocabulary
) -> tuple[str, str, str]:
    head, relation, tail = fact
    return entities.name(head), relations.name(relation), entities.name(tail)


def _confidence(
    given: Mapping[str, Sequence[FactRows]],
    masks: Sequence[NDArray[np.bool_]],
    number: Mapping[str, Ints],
    chosen: Mapping[str, Ints | slice],
) -> dict[str, Floats]:
    """Return the highest confidence of each chosen fact, where a split has some."""
    found = {}
    for (split, pieces), is_fact in zip(given.items(), masks, strict=True):
        if any(x.confidence is not None for x in pieces):
            every = [
                np.ones(len(x.triples)) if x.confidence is None else x.confidence for x in pieces
            ]
            frame = pl.DataFrame(
                {"number": number[split], "confidence": np.concatenate(every)[is_fact]}
            )
            best = frame.select(pl.col("confidence").max().over("number")).to_series()
            found[split] = best.to_numpy()[chosen[split]]
    return found


def _contradiction(
    fact: NDArray[np.int64],
    names: tuple[Vocabulary, Vocabulary],
    known_false: Sequence[FactRows],
    given: Mapping[str, Sequence[FactRows]],
    taken: TakenOut | None,
) -> DataError:
    """Return the error for a fact that is both stated and known to be false."""
    places = []
    for pieces in (known_false, [x for rows in given.values() for x in rows]):
        facts = np.concatenate([x.triples for x in pieces])
        facts = facts if taken is None else taken.moved(facts)
        places.append(_origin(pieces, int((facts == fact).all(axis=1).argmax())))
    (path, line), (stated, stated_line) = places
    where = "too" if stated is None else f"in {stated}"
    where += "" if stated_line is None else f", line {stated_line}"
    return DataError(
        f"the fact {' '.join(_named(fact, *names))} is known to be false, and stated {where}",
        remedy="Take it out of one of the two",
        path=path,
        line=line,
    )


def _origin(pieces: Sequence[FactRows], place: int) -> tuple[Path | None, int | None]:
    """Return file and line of the fact at a place of all pieces together."""
    for piece in pieces:
        if place < len(piece.triples):
            return piece.path, None if piece.lines is None else int(piece.lines[place])
        place -= len(piece.triples)
    raise IndexError(place)


def _warn(
    name: str,
    split: str,
    repeats: NDArray[np.bool_],
    first: tuple[str, str, str],
    is_fact: NDArray[np.bool_],
    pieces: Sequence[FactRows],
) -> None:
    """Warn of the repeats, a mask over the facts of a split, the first of which is given."""
    where = _origin(pieces, int(np.flatnonzero(is_fact)[repeats.argmax()]))
    warn_of_repeats(name, split, int(repeats.sum()), first, *where)


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


def warn_of_repeats(
    name: str,
    split: str,
    count: int,
    first: tuple[str, str, str],
    path: Path | None,
    line: int | None,
) -> None:
    """Warn that facts of a split were left out, since a later split has them.

    Args:
        name: The graph's name.
        split: ``train`` or ``valid``.
        count: Number of the facts.
        first: The first one.
        path: Its file.
        line: Its line.
    """
    elsewhere = "valid or test" if split == "train" else "test"
    warnings.warn(
        describe(
            f"{split} of {name!r} repeats {counted(count, 'fact')} of {elsewhere}, first {first}",
            remedy=f"They are left out of {split}; make the splits disjoint to silence this",
            path=path,
            line=line,
        ),
        KgraftWarning,
        stacklevel=3,
    )
