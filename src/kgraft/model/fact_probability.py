"""Probability of facts: that a fact which the target does not state is true.

Held-out facts are a random sample of the facts that the target states. Over all queries of a
relation, those without a held-out answer too, they say how often a further answer is stated; the
target's completeness says how many true facts are stated at all. So the probability is learned
from positive and unlabelled examples whose rate of labelling is known (Elkan and Noto, KDD 2008).

Shapes: N facts, F features, m relations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from kgraft.linking.completeness import SHARES, Completeness, SplitSizes
from kgraft.model.calibration import MAX_PROBABILITY
from kgraft.model.fact_scores import FEATURES, Described

Floats = NDArray[np.float64]

CLIP = 6.0
"""Largest standardised feature."""

LIKELY = 0.1
"""Probability from which on candidates are counted in the check of labels."""

DEGREES = (1, 2, 3, 4, 6, 8, 12, 16)
"""Numbers of facts at which a new bin of entities begins."""


@dataclass(frozen=True)
class LabelCheck:
    """Validation facts among the likely candidates, expected and found.

    Where both are alike, probabilities hold for what the target states; how many more facts are
    true rests on its completeness.

    Args:
        kind: What other sources say of the candidates, a name of
            ``kgraft.linking.completeness.SHARES``.
        candidates: Number of candidates that are true with a probability of ``LIKELY`` or more.
        true: Expected number of true ones.
        expected: Expected number of validation facts.
        found: Number of validation facts.
    """

    kind: str
    candidates: float
    true: float
    expected: float
    found: float

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        """All numbers, in order."""
        return self.candidates, self.true, self.expected, self.found


@dataclass(frozen=True, eq=False)
class FactProbability:
    """A fitted judge of facts: a logistic regression, and a curve over its log odds.

    Args:
        mean: Mean of each feature, ``(F,)``.
        std: Standard deviation of each, ``(F,)``.
        coefficients: Of 1 and the standardised features, ``(F + 1,)``.
        of_relation: Added for each relation, ``(m,)``.
        curve: Pairs of log odds by the regression, ascending, and calibrated log odds; linear
            between them and beyond.
        asks_heads: The relations whose facts are judged as answers to a query for heads, ``(m,)``.
        completeness: Of the target.
        sizes: Numbers of the target's facts.
        validation_share: Share of the facts that are validation facts, by the ``DEGREES`` of the
            rarer entity, ``(len(DEGREES) + 1,)``. An entity's only fact often stays in training.
        checks: A check by what other sources say; empty where too few labels are known.
    """

    mean: Floats
    std: Floats
    coefficients: Floats
    of_relation: Floats
    curve: tuple[tuple[float, float], ...]
    asks_heads: NDArray[np.bool_]
    completeness: Completeness
    sizes: SplitSizes
    validation_share: Floats
    checks: tuple[LabelCheck, ...] = ()

    def probability(self, facts: Described) -> Floats:
        """Return the probability that facts which the target states in no split are true, ``(N,)``.

        Args:
            facts: The facts.
        """
        odds = self.coefficients[0] + self.standardised(facts.features) @ self.coefficients[1:]
        true = expit(along_curve(odds + self.of_relation[facts.relations], self.curve))
        # Of the true facts that training lacks, some are held out, and those are stated.
        held_out = self.label_rate(facts) * self._held_out_per_validation
        unstated = true * (1 - held_out) / (1 - true * held_out)
        probability: Floats = np.minimum(unstated, MAX_PROBABILITY)
        return probability

    def label_rate(self, facts: Described) -> Floats:
        """Return the probability that a true fact which training lacks is a validation fact."""
        of_kind = np.stack([getattr(self.completeness, name) for name in SHARES])
        stated = of_kind[facts.kinds, facts.relations]
        valid = self.validation_share[np.searchsorted(DEGREES, facts.seen, side="right")]
        train = 1 - valid * self._held_out_per_validation
        rate: Floats = stated * valid / (1 - stated * train)
        return rate

    @property
    def _held_out_per_validation(self) -> float:
        return (self.sizes.valid + self.sizes.test) / max(self.sizes.valid, 1)

    def standardised(self, features: NDArray[np.float32]) -> Floats:
        """Return features with mean 0 and standard deviation 1, within bounds."""
        rows: Floats = np.clip((features - self.mean) / self.std, -CLIP, CLIP)
        return rows

    def as_dict(self) -> dict[str, Any]:
        """Return a description that JSON can hold."""
        known = self.completeness
        arrays = {name: getattr(self, name).tolist() for name in _ARRAYS}
        shares = {name: getattr(known, name).tolist() for name in SHARES}
        about = {"basis": list(known.basis), "accuracy": known.accuracy}
        return {
            "features": list(FEATURES),
            **arrays,
            "curve": [list(point) for point in self.curve],
            "completeness": {**shares, **about},
            "facts": vars(self.sizes),
            "checks": [asdict(check) for check in self.checks],
        }

    @classmethod
    def from_dict(cls, about: Mapping[str, Any], n_relations: int) -> Self:
        """Return what ``as_dict`` has described.

        Raises:
            ValueError: If the description does not fit.
        """
        if tuple(about["features"]) != FEATURES:
            raise ValueError("the probability of facts goes by other features")
        known = dict(about["completeness"])
        shares: dict[str, Any] = {name: np.array(known.pop(name)) for name in SHARES}
        about_shares = {**known, "basis": tuple(known["basis"])}
        arrays: dict[str, Any] = {
            name: np.array(about[name], dtype=kind) for name, kind in _ARRAYS.items()
        }
        f, m = len(FEATURES), n_relations
        sizes = {"mean": f, "std": f, "coefficients": f + 1, "validation_share": len(DEGREES) + 1}
        for name, value in {**arrays, **shares}.items():
            if value.shape != (sizes.get(name, m),) or not np.isfinite(value).all():
                raise ValueError(f"the probability of facts has a wrong {name}")
        checks = tuple(LabelCheck(**check) for check in about["checks"])
        if not all(x.kind in SHARES and all(0 <= y < np.inf for y in x.numbers) for x in checks):
            raise ValueError("the check of the probability of facts holds what is no count")
        curve = tuple((float(x), float(y)) for x, y in about["curve"])
        if len(curve) < 2 or not np.isfinite(curve).all() or (np.diff(curve, axis=0) <= 0).any():
            raise ValueError("the curve of the probability of facts does not rise")
        return cls(
            **arrays,
            curve=curve,
            completeness=Completeness(**shares, **about_shares),
            sizes=SplitSizes(**about["facts"]),
            checks=checks,
        )


_ARRAYS = {
    "mean": np.float64,
    "std": np.float64,
    "coefficients": np.float64,
    "of_relation": np.float64,
    "asks_heads": np.bool_,
    "validation_share": np.float64,
}


def along_curve(x: Floats, curve: Sequence[tuple[float, float]]) -> Floats:
    """Return a piecewise linear function, continued with slope 1 beyond its ends."""
    places, values = np.array(curve, dtype=np.float64).reshape(-1, 2).T
    inside = np.interp(x, places, values)
    found: Floats = inside + np.minimum(x - places[0], 0) + np.maximum(x - places[-1], 0)
    return found
