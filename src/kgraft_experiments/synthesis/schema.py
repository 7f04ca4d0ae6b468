"""Relations of a hidden world: domains, cardinalities, frequencies, and the rules among them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kgraft_experiments.synthesis.rules import Rule
from kgraft_experiments.synthesis.settings import WorldSettings

CONFIDENCES = (0.6, 0.95)
"""Least and largest confidence of planted rules."""

FREQUENCY_EXPONENT = 0.6
"""Exponent of relation frequencies: the k-th relation has ``k ** -0.6`` times the facts of the
first."""

Flags = NDArray[np.bool_]
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Schema:
    """Relations of a world: ``len(weight)`` drawn ones, then those derived by rules.

    Drawn relation ``i`` leads from type ``i % types``. By default the first ``types`` of them are
    functional; the next ``types`` are many-to-many.

    Args:
        types: Number of types.
        domain: Type of the heads of each relation, int64 ``(relations,)``.
        range: Type of the tails, int64 ``(relations,)``.
        functional: Of each drawn relation, whether a head has one tail.
        inverse_functional: Whether a tail has one head.
        categorical: Whether all heads share a few tails; the bodies of constant rules do.
        weight: Frequency of each, adding up to 1.
        shift: Offset from a head's place in its cluster to its tail's, int64.
        rules: Rules in the order in which they are applied.
    """

    types: int
    domain: Rows
    range: Rows
    functional: Flags
    inverse_functional: Flags
    categorical: Flags
    weight: NDArray[np.float64]
    shift: Rows
    rules: tuple[Rule, ...]

    def __len__(self) -> int:
        return len(self.domain)


def make_schema(settings: WorldSettings, draw: np.random.Generator) -> Schema:
    """Draw relations and the rules among them, without constants."""
    types = settings.types
    n_derived = settings.relations // 4 if settings.rules else 1
    n_drawn = settings.relations - n_derived
    drawn = np.arange(n_drawn)
    later, odd = drawn >= 2 * types, drawn % 2 == 1
    domain, range_ = drawn % types, draw.integers(types, size=n_drawn)
    single = _single_valued(settings, n_drawn)
    symmetric = later & ~odd & ~(False if single is None else single)
    range_[symmetric] = domain[symmetric]
    rank = draw.permutation(n_drawn) + 1.0
    weight = rank**-FREQUENCY_EXPONENT
    plan = _Plan(types, domain.tolist(), range_.tolist(), draw)
    for relation in np.flatnonzero(symmetric).tolist():
        plan.add(Rule("symmetric", relation, (relation,), 1.0))
    if settings.rules:
        plan.plant_constants()
    plan.derive(n_derived, [int(x) for x in draw.permutation(np.flatnonzero(~symmetric))])
    by_default = (drawn < types) | (later & odd & (draw.random(n_drawn) < 0.5))
    return Schema(
        types,
        domain=np.array(plan.domain),
        range=np.array(plan.range),
        functional=by_default if single is None else single,
        inverse_functional=later & odd,
        categorical=np.isin(drawn, [x.body[0] for x in plan.rules if x.kind == "constant"]),
        weight=weight / weight.sum(),
        shift=draw.integers(1, max(2, settings.cluster_size), size=n_drawn),
        rules=tuple(plan.rules),
    )


def _single_valued(settings: WorldSettings, n_drawn: int) -> Flags | None:
    """Return which drawn relations are functional, ``None`` where the settings do not say.

    One relation of each type stays many-to-many, since an entity needs one that has room.
    """
    if settings.functional is None:
        return None
    types = settings.types
    possible = np.concatenate([np.arange(types), np.arange(2 * types, n_drawn)])
    chosen = np.zeros(n_drawn, dtype=bool)
    chosen[possible[: round(settings.functional * n_drawn)]] = True
    return chosen


@dataclass
class _Plan:
    """Rules as they are added, and the types of the relations that they derive."""

    types: int
    domain: list[int]
    range: list[int]
    draw: np.random.Generator
    rules: list[Rule] = field(default_factory=list)

    def add(self, rule: Rule) -> None:
        self.rules.append(rule)

    def plant_constants(self) -> None:
        """Add constant rules from functional to many-to-many relations, for half of the types."""
        chosen = self.draw.permutation(self.types)[: max(1, self.types // 2)]
        for type_ in chosen.tolist():
            self.add(Rule("constant", self.types + type_, (type_,), self._confidence()))

    def derive(self, count: int, bodies: list[int]) -> None:
        """Derive relations from others: first an exact inverse, then by planted rules."""
        firsts = self.draw.permutation(self.types).tolist()
        for number in range(count):
            head, body = len(self.domain), bodies[number % len(bodies)]
            kind = ("inverse", "composition", "subrelation")[number % 3]
            confidence = self._confidence() if number else 1.0
            if kind == "composition":
                # Functional relation i has domain i: the second begins where the first ends.
                first = firsts[number // 3 % self.types]
                second = self.range[first]
                self.add(Rule("composition", head, (first, second), confidence))
                ends = self.domain[first], self.range[second]
            elif kind == "inverse":
                self.add(Rule("inverse", head, (body,), confidence))
                ends = self.range[body], self.domain[body]
            else:
                self.add(Rule("subrelation", head, (body,), confidence))
                ends = self.domain[body], self.range[body]
            self.domain.append(ends[0])
            self.range.append(ends[1])

    def _confidence(self) -> float:
        return round(float(self.draw.uniform(*CONFIDENCES)), 2)
