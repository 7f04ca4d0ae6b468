"""The gain of a student over the same machinery without links, by part of the validation facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

GAIN_METRIC = "gain_over_alone"
"""The metric of a student that holds its gains, each by the name of its part."""

RELATION_GAIN_METRIC = "gain_over_alone_by_relation"
"""The same by relation."""

GAIN_COLUMNS = ("facts", "queries", "alone", "student", "gain")


@dataclass(frozen=True)
class Gain:
    """Validation MRR of a student, and of the same machinery trained without links.

    Args:
        queries: Number of queries, two for each fact.
        alone: MRR without links.
        student: MRR of the student.
        low: Lower end of the gain's 95 % interval; None for few facts.
        high: Its upper end.
    """

    queries: int
    alone: float
    student: float
    low: float | None = None
    high: float | None = None

    @property
    def gain(self) -> float:
        """The difference."""
        return self.student - self.alone


def gains_of(metrics: Mapping[str, Any], name: str = GAIN_METRIC) -> dict[str, Gain]:
    """Return the gains among a model's metrics by part of the facts; none if not measured."""
    return {part: Gain(**found) for part, found in metrics.get(name, {}).items()}


def gain_metric(gains: Mapping[str, Gain], name: str = GAIN_METRIC) -> dict[str, Any]:
    """Return gains as a metric that JSON can hold."""
    return {name: {part: asdict(found) for part, found in gains.items()}}


def gain_rows(metrics: Mapping[str, Any]) -> list[list[str]]:
    """Return the gains among a model's metrics as rows of ``GAIN_COLUMNS``, in percent."""
    return [
        [
            part,
            f"{x.queries:,}",
            f"{100 * x.alone:.1f}",
            f"{100 * x.student:.1f}",
            f"{100 * x.gain:+.1f}",
        ]
        for part, x in gains_of(metrics).items()
    ]
