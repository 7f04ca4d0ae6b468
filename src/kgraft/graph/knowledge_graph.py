"""Knowledge graphs in memory: facts as rows of two vocabularies, in splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from kgraft.errors import counted
from kgraft.graph.identities import Identities, Kind
from kgraft.graph.spelling import Spelling
from kgraft.graph.vocabulary import Rows, Vocabulary
from kgraft.system.arrays import is_mapped
from kgraft.system.tables import html_table
from kgraft.system.terminal import visible

Triples = NDArray[np.int64]
"""int64 ``(n, 3)``: head row, relation row, tail row, always in this order."""

Floats = NDArray[np.float64]

Selection: TypeAlias = NDArray[np.bool_] | NDArray[np.int64] | slice

SPLITS = ("train", "valid", "test")

ATTRIBUTE_SCHEMA = {
    "entity": pl.Int64,
    "attribute": pl.String,
    "value": pl.String,
    "datatype": pl.String,
    "language": pl.String,
}
"""Columns of attribute triples: entity row, attribute name, literal, its datatype and language."""


def no_triples() -> Triples:
    """Return an empty ``(0, 3)`` array of facts."""
    return np.empty((0, 3), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class KnowledgeGraph:
    """One knowledge graph.

    Args:
        name: Name of the graph for links.
        entities: Entity names; row ``i`` is entity ``i`` of the facts.
        relations: Relation names.
        train: Training facts, int64 ``(n, 3)``: head, relation, tail.
        valid: Validation facts, ``(n, 3)``.
        test: Test facts, ``(n, 3)``.
        labels: A readable label for each entity, null where there is none.
        attributes: Literals, in the columns of ``ATTRIBUTE_SCHEMA``.
        duplicates: Number of repeated facts that were dropped on reading.
        identities: Statements of sameness that were taken out of the facts on reading, and
            further names of entities and relations that they give.
        known_false: Facts known to be false, ``(n, 3)``; no split has one of them.
        confidence: Confidence of each fact of a split, in (0, 1], float64 ``(n,)``, for the splits
            that have one below 1.
        license: The licence of its data, where it is known.

    Raises:
        ValueError: If an array has the wrong shape or a row is out of range, or a confidence is.
    """

    name: str
    entities: Vocabulary
    relations: Vocabulary
    train: Triples
    valid: Triples = field(default_factory=no_triples)
    test: Triples = field(default_factory=no_triples)
    labels: pl.Series | None = None
    attributes: pl.DataFrame | None = None
    duplicates: int = 0
    identities: Identities | None = None
    known_false: Triples = field(default_factory=no_triples)
    confidence: Mapping[str, Floats] = field(default_factory=dict)
    license: str = ""

    def __post_init__(self) -> None:
        for split in (*SPLITS, "known_false"):
            triples = getattr(self, split)
            if is_mapped(triples):
                continue  # As it was written, by what has checked it.
            triples = as_triples(triples)
            self._check_range(split, triples)
            triples.setflags(write=False)
            object.__setattr__(self, split, triples)
        for split, given in self.confidence.items():
            size = len(getattr(self, split))
            if given.shape != (size,) or not ((given > 0) & (given <= 1)).all():
                raise ValueError(f"{self.name}: {split} needs a confidence in (0, 1] for each fact")
        below = {split: x for split, x in self.confidence.items() if (x < 1).any()}
        object.__setattr__(self, "confidence", below)
        if self.labels is not None and len(self.labels) != len(self.entities):
            raise ValueError(f"{len(self.labels)} labels for {len(self.entities)} entities")

    def __repr__(self) -> str:
        facts = ", ".join(f"{len(getattr(self, split)):,} {split}" for split in SPLITS)
        return visible(
            f"<KnowledgeGraph {self.name}: {counted(len(self.entities), 'entity')}, "
            f"{counted(len(self.relations), 'relation')}, facts: {facts}>"
        )

    def _repr_html_(self) -> str:
        few = self.select(train=slice(5), valid=slice(0), test=slice(0))
        return html_table(few.to_frame(), repr(self))

    def to_frame(self) -> pl.DataFrame:
        """Return all facts by name, with the columns head, relation, tail and split.

        Where a fact has a confidence below 1 there is a column of confidences.
        """
        heads, relations, tails = self.triples.T
        frame = pl.DataFrame(
            {
                "head": self.entities.names.gather(heads),
                "relation": self.relations.names.gather(relations),
                "tail": self.entities.names.gather(tails),
                "split": np.repeat(SPLITS, [len(getattr(self, split)) for split in SPLITS]),
            }
        )
        if not self.confidence:
            return frame
        every = np.concatenate([self.confidence_of(split) for split in SPLITS])
        return frame.with_columns(confidence=pl.Series(every))

    def confidence_of(self, split: str) -> Floats:
        """Return the confidence of each fact of a split, float64 ``(n,)``, 1 by default."""
        given = self.confidence.get(split)
        return np.ones(len(getattr(self, split))) if given is None else given

    def select(self, **rows: Selection) -> KnowledgeGraph:
        """Return the graph with some facts of the named splits, and all of the others.

        Args:
            rows: A split -> a mask, positions, or a slice of its facts.
        """
        facts = {split: getattr(self, split)[chosen] for split, chosen in rows.items()}
        confidence = {
            split: x[rows[split]] if split in rows else x for split, x in self.confidence.items()
        }
        return replace(self, **facts, confidence=confidence)

    def _check_range(self, split: str, triples: Triples) -> None:
        limits = (len(self.entities), len(self.relations), len(self.entities))
        for column, limit, role in zip(
            triples.T, limits, ("head", "relation", "tail"), strict=True
        ):
            if column.size and (column.min() < 0 or column.max() >= limit):
                raise ValueError(f"{self.name}: a {role} in {split} is outside 0..{limit - 1}")

    @property
    def triples(self) -> Triples:
        """All facts of all splits, ``(n, 3)``."""
        return np.concatenate([self.train, self.valid, self.test])

    def rows(self, names: pl.Series, kind: Kind = "entity", spelling: Spelling = "exact") -> Rows:
        """Return the row of each entity, or relation, by any of its names, or -1, ``(n,)``."""
        known = self.entities if kind == "entity" else self.relations
        stated = self.identities
        rows = known.rows(names if stated is None else stated.meant(names, kind))
        if spelling == "exact":
            return rows
        rows = np.where(rows < 0, known.rows_by_form(names), rows)
        if stated is None:
            return rows
        return np.where(rows < 0, known.rows(stated.meant(names, kind, spelling)), rows)

    def label(self, entity: int) -> str:
        """Return the entity's readable label, or its name where it has none."""
        label = self.labels[int(entity)] if self.labels is not None else None
        return str(label) if label is not None else self.entities.name(entity)


def as_triples(values: ArrayLike) -> Triples:
    """Return ``values`` as a contiguous int64 ``(n, 3)`` array.

    Raises:
        ValueError: If the shape is not ``(n, 3)``, or a value is not a whole number or too large.
    """
    array = np.asarray(values)
    if array.size == 0:
        return no_triples()
    if array.ndim != 2 or array.shape[1] != 3:
        raise ValueError(f"facts have shape (n, 3), not {array.shape}")
    if array.dtype.kind == "f":
        if not np.isfinite(array).all() or (array != np.floor(array)).any():
            raise ValueError("entity and relation ids are whole numbers")
        if (np.abs(array) > 2.0**53).any():
            raise ValueError("a number is too large for an id")
    elif array.dtype.kind not in "iu":
        raise ValueError(f"entity and relation ids are whole numbers, not {array.dtype}")
    return np.array(array, dtype=np.int64, order="C")
