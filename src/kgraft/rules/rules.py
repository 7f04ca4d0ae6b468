"""Rules as columns of a data frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.vocabulary import Rows

BODY = ("first", "second", "third")
"""Columns of a body's relations, in the order of its path."""

SCHEMA = {
    "relation": pl.Int32,
    **dict.fromkeys(BODY, pl.Int32),
    "entity": pl.Int32,
    "answer": pl.Int32,
    "support": pl.Int32,
    "confidence": pl.Float32,
    "weight": pl.Float32,
}


@dataclass(frozen=True, eq=False)
class Rules:
    """Mined rules, by falling confidence.

    A path rule is ``relation(x, y) <= first(x, a), second(a, b), third(b, y)``; a shorter one has
    nulls at the end. A rule with constants has an ``answer``: ``relation(x, answer) <=
    first(x, entity)``, or with a null ``entity`` ``relation(x, answer) <= first(x, _)``.

    Args:
        frame: A row for each rule, with the columns of ``SCHEMA``. Relations from ``n_relations``
            on are inverses; the head relation of a path rule is none. ``weight`` is added to the
            log odds of a rule's answers; it is 0 before ``kgraft.rules.rule_weights``.
        n_relations: Number of relations, inverses not counted.
    """

    frame: pl.DataFrame
    n_relations: int

    @classmethod
    def none(cls, n_relations: int) -> Self:
        """Return no rules."""
        return cls(pl.DataFrame(schema=SCHEMA), n_relations)

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def paths(self) -> pl.DataFrame:
        """The path rules, with the row of each as ``rule``."""
        return self._rows(pl.col("answer").is_null())

    @property
    def constants(self) -> pl.DataFrame:
        """The rules with constants, with the row of each as ``rule``."""
        return self._rows(pl.col("answer").is_not_null())

    def with_weights(self, weights: NDArray[np.floating]) -> Rules:
        """Return the rules with weights ``(n,)``."""
        weight = pl.Series(weights, dtype=pl.Float32)
        return replace(self, frame=self.frame.with_columns(weight=weight))

    def with_weights_of(self, earlier: Rules, entities: Rows, relations: Rows) -> Rules:
        """Return the rules with the weights of equal earlier rules, 0 for new ones.

        Args:
            earlier: Rules of an earlier graph.
            entities: Row of each entity in the earlier graph, or -1, int64 ``(n,)``.
            relations: Row of each relation in the earlier graph, or -1, int64 ``(n_relations,)``.
        """
        there = self._in_rows(entities, relations, earlier.n_relations)
        names = there.columns
        known = earlier.frame.select(*names, "weight")
        found = there.join(known, on=names, how="left", nulls_equal=True, maintain_order="left")
        return replace(self, frame=self.frame.with_columns(found["weight"].fill_null(0.0)))

    def in_rows(self, entities: Rows, relations: Rows, n_relations: int) -> Rules:
        """Return the rules, with their weights, in the rows of another graph.

        Rules about what it lacks are left out.

        Args:
            entities: Row of each entity in the other graph, or -1, int64 ``(n,)``.
            relations: Row of each relation in the other graph, or -1, int64 ``(n_relations,)``.
            n_relations: Number of relations of the other graph.
        """
        there = self._in_rows(entities, relations, n_relations)
        known = pl.all_horizontal((pl.col(name) >= 0).fill_null(True) for name in there.columns)
        frame = self.frame.with_columns(there).filter(there.select(known).to_series())
        return Rules(frame, n_relations)

    def _in_rows(self, entities: Rows, relations: Rows, n_relations: int) -> pl.DataFrame:
        """Return the columns of relations and entities in the rows of another graph, or -1."""
        back = np.where(relations >= 0, relations + n_relations, -1)
        rows = {
            **dict.fromkeys(("relation", *BODY), np.concatenate([relations, back])),
            **dict.fromkeys(("entity", "answer"), entities),
        }
        return self.frame.select(
            pl.Series(name, of, dtype=SCHEMA[name]).gather(self.frame[name])
            for name, of in rows.items()
        )

    def with_min_confidence(self, confidence: float) -> Rules:
        """Return the rules of at least this confidence."""
        return Rules(self.frame.filter(pl.col("confidence") >= confidence), self.n_relations)

    def _rows(self, condition: pl.Expr) -> pl.DataFrame:
        return self.frame.with_row_index("rule").filter(condition)


def rules_from(parts: list[pl.DataFrame], n_relations: int) -> Rules:
    """Return sorted rules from frames that may lack columns of ``SCHEMA``."""
    whole = [
        part.select(
            (pl.col(name) if name in part.columns else pl.lit(0 if name == "weight" else None))
            .cast(kind)
            .alias(name)
            for name, kind in SCHEMA.items()
        )
        for part in parts
    ]
    order = ["confidence", "support", *list(SCHEMA)[:6]]
    frame = pl.concat([pl.DataFrame(schema=SCHEMA), *whole]).sort(
        order, descending=[True, True, *[False] * 6], nulls_last=True
    )
    return Rules(frame, n_relations)
