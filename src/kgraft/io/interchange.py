"""Graphs from arrays, frames and PyKEEN factories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from kgraft.errors import DataError
from kgraft.graph.knowledge_graph import (
    SPLITS,
    FactRows,
    KnowledgeGraph,
    Triples,
    as_triples,
    assemble,
)
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.columnar import facts_of
from kgraft.io.named_facts import FactNames

if TYPE_CHECKING:
    import pandas as pd
    from pykeen.triples import TriplesFactory

    Frame: TypeAlias = pl.DataFrame | pd.DataFrame


SPARSE, UNSUSPECTED = 100, 1_000_000
"""Limits of the largest id where names are made of ids: a multiple of the ids, and in any case."""


def from_arrays(
    name: str,
    train: ArrayLike,
    *,
    valid: ArrayLike = (),
    test: ArrayLike = (),
    entities: Iterable[str] | Vocabulary | None = None,
    relations: Iterable[str] | Vocabulary | None = None,
) -> KnowledgeGraph:
    """Make a graph from whole numbers.

    Args:
        name: The graph's name.
        train: ``(n, 3)``: head, relation, tail.
        valid: ``(n, 3)``.
        test: ``(n, 3)``.
        entities: The name of each entity; None: ``"0"``, ``"1"``, … up to the largest id.
        relations: The name of each relation; None: likewise.

    Raises:
        DataError: If a shape is not ``(n, 3)``, a number is not whole, an id is out of range, or
            a name is repeated.

    Warns:
        KgraftWarning: When train repeats held-out facts.
    """
    try:
        splits = {
            split: as_triples(values)
            for split, values in zip(SPLITS, (train, valid, test), strict=True)
        }
        every = np.concatenate(list(splits.values()))
        entity_names = _vocabulary(entities, every[:, [0, 2]])
        relation_names = _vocabulary(relations, every[:, [1]])
    except ValueError as error:
        raise DataError(
            f"{name}: {error}", remedy="Give facts of shape (n, 3) with whole numbers from 0"
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
    return _assembled(name, entity_names, relation_names, splits)


def from_frame(
    name: str, train: Frame, *, valid: Frame | None = None, test: Frame | None = None
) -> KnowledgeGraph:
    """Make a graph from polars or pandas frames of names (numbers are taken as names).

    Args:
        name: The graph's name.
        train: Columns head, relation and tail, or else its first three columns in that order.
        valid: Likewise.
        test: Likewise.

    Raises:
        DataError: If columns are missing or a cell is empty.

    Warns:
        KgraftWarning: When train repeats held-out facts.
    """
    names = FactNames()
    splits = {
        split: names.triples(facts_of(_as_polars(frame)))
        for split, frame in zip(SPLITS, (train, valid, test), strict=True)
        if frame is not None
    }
    return _assembled(name, names.entities.vocabulary(), names.relations.vocabulary(), splits)


def from_pykeen(
    name: str,
    train: TriplesFactory,
    *,
    valid: TriplesFactory | None = None,
    test: TriplesFactory | None = None,
) -> KnowledgeGraph:
    """Make a graph from PyKEEN triples factories, which keep their ids as rows.

    Args:
        name: The graph's name.
        train: A factory with labels.
        valid: A factory over the same ids.
        test: A factory over the same ids.

    Raises:
        DataError: If the factories number entities or relations differently.

    Warns:
        KgraftWarning: When train repeats held-out facts.
    """
    splits = {}
    for split, factory in zip(SPLITS, (train, valid, test), strict=True):
        if factory is None:
            continue
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
        **splits,
    )


def _assembled(
    name: str, entities: Vocabulary, relations: Vocabulary, splits: dict[str, Triples]
) -> KnowledgeGraph:
    pieces = {split: [FactRows(triples)] for split, triples in splits.items()}
    return assemble(name, entities, relations, pieces)


def _vocabulary(names: Iterable[str] | Vocabulary | None, used: Triples) -> Vocabulary:
    if isinstance(names, Vocabulary):
        return names
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
    return sorted(row_of, key=lambda name: row_of[name])


def _as_polars(frame: Frame) -> pl.DataFrame:
    if isinstance(frame, pl.DataFrame):
        return frame
    return pl.from_pandas(frame, include_index=False)
