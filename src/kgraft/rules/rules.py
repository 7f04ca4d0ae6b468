"""Rules as columns of a data frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

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

    A path rule says ``relation(x, y) <= first(x, a), second(a, b), third(b, y)``; a shorter one has
    nulls at the end. A rule with constants has an ``answer``: ``relation(x, answer) <=
    first(x, entity)``, or with a null ``entity`` ``relation(x, answer) <= first(x, anything)``.

    Args:
        frame: A row for each rule, with the columns of ``SCHEMA``. Relations from ``n_relations``
            on are inverses. The head relation of a path rule is never one: read backwards, the
            rule answers the other side. ``weight`` adds to the log odds of a rule's
            answers; it is 0 until ``kgraft.rules.rule_weights`` has learned it.
        n_relations: Number of relations, inverses not counted.
    """

    frame: pl.DataFrame
    n_relations: int

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
        """Return the rules with other weights, ``(n,)``."""
        weight = pl.Series(weights, dtype=pl.Float32)
        return replace(self, frame=self.frame.with_columns(weight=weight))

    def with_weights_of(self, earlier: Rules, entities: Rows, relations: Rows) -> Rules:
        """Return these rules, each with its weight among earlier ones, 0 if it is new.

        Args:
            earlier: Rules about another state of the graph.
            entities: The row there of each entity, or -1, int64 ``(n,)``.
            relations: That of each relation, inverses not among them, int64 ``(n_relations,)``.
        """
        back = np.where(relations >= 0, relations + earlier.n_relations, -1)
        rows = {
            **dict.fromkeys(("relation", *BODY), np.concatenate([relations, back])),
            **dict.fromkeys(("entity", "answer"), entities),
        }
        there = self.frame.select(
            pl.Series(name, of, dtype=SCHEMA[name]).gather(self.frame[name])
            for name, of in rows.items()
        )
        known = earlier.frame.select(*rows, "weight")
        found = there.join(
            known, on=list(rows), how="left", nulls_equal=True, maintain_order="left"
        )
        return replace(self, frame=self.frame.with_columns(found["weight"].fill_null(0.0)))

    def with_min_confidence(self, confidence: float) -> Rules:
        """Return the rules with at least a confidence."""
        return Rules(self.frame.filter(pl.col("confidence") >= confidence), self.n_relations)

    def _rows(self, kept: pl.Expr) -> pl.DataFrame:
        return self.frame.with_row_index("rule").filter(kept)


def rules_from(parts: list[pl.DataFrame], n_relations: int) -> Rules:
    """Return rules from frames that lack some columns of ``SCHEMA``, in a fixed order."""
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
