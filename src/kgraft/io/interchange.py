"""Graphs from arrays, frames and PyKEEN factories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from kgraft.errors import DataError
from kgraft.graph.assemble import FactRows, assemble
from kgraft.graph.identities import Treatment
from kgraft.graph.knowledge_graph import SPLITS, KnowledgeGraph, Triples, as_triples
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.columnar import UNREADABLE, facts_of
from kgraft.io.fact_confidence import CONFIDENCE
from kgraft.io.known_false import known_false_facts
from kgraft.io.named_facts import FactNames
from kgraft.system.forks import require_threads

if TYPE_CHECKING:
    import pandas as pd
    from pykeen.triples import TriplesFactory

    Frame: TypeAlias = pl.DataFrame | pd.DataFrame | pa.Table


FACTORY: Final = ("entity_to_id", "relation_to_id", "mapped_triples")
"""Parts of a PyKEEN factory with labels."""

SPARSE, UNSUSPECTED = 100, 1_000_000
"""Limits of the largest id where names are made of ids: a multiple of the ids, and in any case."""


def from_arrays(
    name: str,
    train: ArrayLike,
    *,
    valid: ArrayLike = (),
    test: ArrayLike = (),
    known_false: ArrayLike = (),
    entities: Iterable[str] | Vocabulary | None = None,
    relations: Iterable[str] | Vocabulary | None = None,
    identities: Treatment | None = None,
) -> KnowledgeGraph:
    """Make a graph from whole numbers.

    Args:
        name: The graph's name.
        train: ``(n, 3)``: head, relation, tail.
        valid: ``(n, 3)``.
        test: ``(n, 3)``.
        known_false: Facts known to be false, ``(n, 3)``.
        entities: The name of each entity; None: ``"0"``, ``"1"``, … up to the largest id.
        relations: The name of each relation; None: likewise.
        identities: Treatment of statements of sameness; None: ``links``, with a warning.

    Raises:
        DataError: If a shape is not ``(n, 3)``, a number is not whole, an id is out of range,
            a name is repeated, or a fact is both stated and known to be false; or if all facts are
            statements of sameness.

    Warns:
        KgraftWarning: When train repeats held-out facts, and of statements of sameness.
    """
    require_threads()
    try:
        splits = {
            split: as_triples(values)
            for split, values in zip(SPLITS, (train, valid, test), strict=True)
        }
        false = as_triples(known_false)
        every = np.concatenate([*splits.values(), false])
        entity_names = _vocabulary(entities, every[:, [0, 2]])
        relation_names = _vocabulary(relations, every[:, [1]])
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise DataError(
            f"{name}: {error}",
            remedy="Give facts of shape (n, 3) with whole numbers from 0, and names as text",
        ) from error
    for role, column, limit in (
        ("head", 0, len(entity_names)),
        ("relation", 1, len(relation_names)),
        ("tail", 2, len(entity_names)),
    ):
        if every.size and not (0 <= every[:, column].min() <= every[:, column].max() < limit):
            raise DataError(
                f"{name}: a {role} lies outside 0 to {limit - 1}",
                remedy="Give a name for each id, and ids that count from 0",
            )
    pieces = {split: [FactRows(triples)] for split, triples in splits.items()}
    return assemble(
        name,
        entity_names,
        relation_names,
        pieces,
        known_false=[FactRows(false)],
        identities=identities,
        fixed=True,
    )


def from_frame(
    name: str,
    train: Frame,
    *,
    valid: Frame | None = None,
    test: Frame | None = None,
    known_false: Frame | None = None,
    identities: Treatment | None = None,
) -> KnowledgeGraph:
    """Make a graph from polars or pandas frames, or Arrow tables, of names (or whole numbers).

    Args:
        name: The graph's name.
        train: Columns head, relation and tail, also by another common name in any case and order;
            columns without names go by position. A column called confidence, probability, weight or
            score holds each fact's confidence, in (0, 1].
        valid: Likewise.
        test: Likewise.
        known_false: Facts known to be false, likewise; their confidences play no part.
        identities: Treatment of statements of sameness; None: ``links``, with a warning.

    Raises:
        DataError: If it is no such frame, columns are missing or their names do not tell their
            roles, a column is neither text nor whole numbers, a cell is empty, a confidence is not
            in (0, 1], or a fact is both stated and known to be false.

    Warns:
        KgraftWarning: When train repeats held-out facts, of statements of sameness, or when facts
            known to be false have names that no fact has; these are left out.
    """
    require_threads()
    names, own = FactNames(), FactNames()
    pieces = {
        split: [_rows_of(names, frame, f"{name}, {split}")]
        for split, frame in zip(SPLITS, (train, valid, test), strict=True)
        if frame is not None or split == "train"
    }
    new_rows = names.in_order()
    for rows in chain.from_iterable(pieces.values()):
        rows.renumber(*new_rows)
    vocabularies = names.entities.vocabulary(), names.relations.vocabulary()
    false = []
    if known_false is not None:
        stated = [_rows_of(own, known_false, f"{name}, known_false")]
        owned = own.entities.vocabulary(), own.relations.vocabulary()
        false = known_false_facts(name, vocabularies, stated, owned)
    return assemble(name, *vocabularies, pieces, known_false=false, identities=identities)


def _rows_of(names: FactNames, frame: Frame | None, what: str) -> FactRows:
    facts = facts_of(_as_polars(frame, what))
    given = facts[CONFIDENCE].to_numpy() if CONFIDENCE in facts.columns else None
    return FactRows(names.triples(facts), confidence=given)


def from_pykeen(
    name: str,
    train: TriplesFactory,
    *,
    valid: TriplesFactory | None = None,
    test: TriplesFactory | None = None,
    identities: Treatment | None = None,
) -> KnowledgeGraph:
    """Make a graph from PyKEEN triples factories, which keep their ids as rows.

    Args:
        name: The graph's name.
        train: A factory with labels.
        valid: A factory over the same ids.
        test: A factory over the same ids.
        identities: Treatment of statements of sameness; None: ``links``, with a warning.

    Raises:
        DataError: If one is no factory or has no labels, ids do not count from 0 without gaps, or
            the factories number entities or relations differently.

    Warns:
        KgraftWarning: When train repeats held-out facts, and of statements of sameness.
    """
    require_threads()
    splits = {}
    for split, factory in zip(SPLITS, (train, valid, test), strict=True):
        if factory is None and split != "train":
            continue
        if factory is None or not all(hasattr(factory, part) for part in FACTORY):
            raise DataError(
                f"{name}: the {split} facts are a {type(factory).__name__}, no factory with labels",
                remedy="Give a pykeen.triples.TriplesFactory, or use from_arrays",
            )
        same = (
            factory.entity_to_id == train.entity_to_id
            and factory.relation_to_id == train.relation_to_id
        )
        if not same:
            raise DataError(
                f"{name}: the {split} factory numbers its names differently from train",
                remedy="Make it with train's entity_to_id and relation_to_id",
            )
        splits[split] = np.asarray(factory.mapped_triples)
    return from_arrays(
        name,
        entities=_names_by_id(train.entity_to_id),
        relations=_names_by_id(train.relation_to_id),
        identities=identities,
        **splits,
    )


def _vocabulary(names: Iterable[str] | Vocabulary | None, used: Triples) -> Vocabulary:
    if isinstance(names, Vocabulary):
        return names
    if isinstance(names, str):
        raise TypeError("names are given as one text, not as a list")
    if names is not None:
        return Vocabulary.of(names)
    return numbered_vocabulary([used])


def numbered_vocabulary(ids: Sequence[NDArray[np.int64]], prefix: str = "") -> Vocabulary:
    """Return the names ``prefix0``, ``prefix1``, … up to the largest of some ids.

    Raises:
        DataError: If that is far more names than there are ids.
    """
    largest = max((int(column.max()) for column in ids if column.size), default=-1)
    given = sum(column.size for column in ids)
    if largest > SPARSE * given + UNSUSPECTED:
        raise DataError(
            f"the largest id is {largest:,}, where there are {given:,} in all",
            remedy="Number from 0 without gaps, or give names",
        )
    numbers = pl.int_range(largest + 1, eager=True).cast(pl.String)
    return Vocabulary(prefix + numbers)


def _names_by_id(row_of: Mapping[str, int]) -> list[str]:
    names = sorted(row_of, key=lambda name: row_of[name])
    if [row_of[name] for name in names] != list(range(len(names))):
        raise DataError(
            "the factory's ids do not count from 0 without gaps",
            remedy="Make the factory anew from its labeled triples",
        )
    return names


def _as_polars(frame: Frame | None, what: str) -> pl.DataFrame:
    """Return a frame of any kind as one of polars.

    Raises:
        DataError: If it is no frame, two columns have one name, or a column mixes types.
    """
    if isinstance(frame, pl.DataFrame):
        return frame
    given = type(frame).__name__
    try:
        if isinstance(frame, pa.Table):
            made = pl.from_arrow(frame)
        elif hasattr(frame, "iloc"):
            made = pl.from_pandas(frame, include_index=False)
        else:
            made = None
    except (*UNREADABLE, TypeError, pa.ArrowException, pl.exceptions.PolarsError) as error:
        problem = (str(error).splitlines() or [type(error).__name__])[0].removesuffix(".")
        raise DataError(
            f"{what}: the {given}{_column_of_types(frame)} cannot be read ({problem})",
            remedy="Give columns of different names, each all text or all whole numbers",
        ) from error
    if not isinstance(made, pl.DataFrame):
        raise DataError(
            f"{what}: this is a {given}, no data frame",
            remedy="Give a polars or pandas frame, or an Arrow table; collect a LazyFrame first",
        )
    return made


def _column_of_types(frame: Any) -> str:
    """Return the words for the first column of a pandas frame that mixes types, if there is one."""
    for place, name in enumerate(frame.columns if hasattr(frame, "iloc") else ()):
        kinds = {type(value).__name__ for value in frame.iloc[:, place].dropna()}
        if len(kinds) > 1:
            return f"'s column {name!r} of {' and '.join(sorted(kinds))}"
    return ""
