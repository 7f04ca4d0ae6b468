"""Answers to a query: bindings, their probability, and the facts that they rest on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import polars as pl

from kgraft.inference.results import Results

Basis = Literal["stated", "inferred", "predicted"]
"""A source states it; a rule infers it; or similar facts make it probable."""


@dataclass(frozen=True)
class Hop:
    """A fact that an answer rests on.

    Args:
        head: Name of the head.
        relation: Name of the relation.
        tail: Name of the tail.
        labels: Readable labels of the three.
        probability: Of being true, 1 where the source that is asked states it.
        basis: Whether it is stated, inferred or predicted.
        stated_by: The sources that state it.
        rule: The most confident rule that infers it, where no source states it; else empty.
    """

    head: str
    relation: str
    tail: str
    labels: tuple[str, str, str]
    probability: float
    basis: Basis
    stated_by: tuple[str, ...] = ()
    rule: str = ""

    def __str__(self) -> str:
        return f"{self.fact}: {self.reason}"

    @property
    def fact(self) -> str:
        """The fact in readable labels."""
        head, relation, tail = self.labels
        return f"{relation}({head}, {tail})"

    @property
    def reason(self) -> str:
        """The basis in words, with the sources or the rule."""
        if self.basis == "stated":
            found = f"stated by {', '.join(self.stated_by)}"
            return found if self.probability == 1 else f"{found}, {self.probability:.3f}"
        if self.basis == "inferred":
            return f"inferred, {self.probability:.3f}, since {self.rule}"
        return f"predicted, {self.probability:.3f}"


@dataclass(frozen=True)
class Answer:
    """One answer.

    Args:
        bindings: Name of the entity of each variable that is asked for; a count by its name.
        probability: Of the best assignment of all variables; None for a count.
        labels: Readable labels of the same variables.
        others: Names of the other variables' entities in the best assignment.
        hops: The facts of the pattern in that assignment, but for negated ones.
        stated: Of a count, the number by stated facts alone.
    """

    bindings: Mapping[str, str | float]
    probability: float | None
    labels: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)
    hops: tuple[Hop, ...] = ()
    stated: int | None = None

    COLUMNS: ClassVar = {"bindings": pl.Object, "probability": pl.Float64}

    def __str__(self) -> str:
        if self.probability is None:
            counts = ", ".join(f"{name} {value:.1f}" for name, value in self.bindings.items())
            return f"{counts} expected, {self.stated} stated"
        shown = ", ".join(self.labels.values()) or "yes"
        return f"{shown}: probability {self.probability:.3f}"


class Answers(Results[Answer]):
    """Answers, the most probable first.

    Args:
        variables: What is asked for.
        records: The answers.
        cut: The largest probability that an assignment which was not looked at may have.
    """

    def __init__(
        self, variables: Iterable[str], records: Iterable[Answer] = (), *, cut: float = 0.0
    ) -> None:
        super().__init__(Answer, records)
        self.variables, self.cut = tuple(variables), cut

    @property
    def bounded(self) -> bool:
        """Whether an answer that was not looked at may be more probable than the last of these."""
        last = min((x.probability for x in self if x.probability is not None), default=0.0)
        return self.cut > last

    def to_frame(self) -> pl.DataFrame:
        """Return a data frame with a column for each variable, and the probability."""
        counts = any(x.probability is None for x in self)
        schema: dict[str, Any] = dict.fromkeys(self.variables, pl.Float64 if counts else pl.String)
        rows = [[*(x.bindings[name] for name in self.variables), x.probability] for x in self]
        return pl.DataFrame(rows, schema={**schema, "probability": pl.Float64}, orient="row")
