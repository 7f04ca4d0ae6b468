"""Systems that a benchmark compares, and their settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args

from pydantic import ValidationError

from kgraft.errors import SettingsError
from kgraft.settings import (
    DistillationSettings,
    ModelSettings,
    RetrainSettings,
    TrainingSettings,
    TrainSettings,
)
from kgraft.toml_settings import Settings, explain

System = Literal["plain", "alone", "joint", "teacher", "student"]
"""Compared systems: ``plain`` is an embedding of the target's own facts, ``alone`` the student's
whole machinery without links (rules, pseudo-facts, frequency prior, ensemble, calibration);
``joint`` is trained on all sources and the target from scratch; ``teacher`` on all other sources,
and evaluated on the target as it is; ``student`` is re-trained locally from that teacher."""

SYSTEMS: tuple[System, ...] = get_args(System)

OF_TARGET: tuple[System, ...] = ("plain", "alone")
"""Systems that see the target's own facts only."""

LEVEL_WEIGHTS: Mapping[str, float] = {
    level: getattr(DistillationSettings(), level) for level in ("feature", "network", "prediction")
}
"""Levels of distillation, with the weight of one that is tried alone though it is off."""

S = TypeVar("S", bound=TrainSettings)


class BenchmarkSettings(Settings):
    """The settings of ``benchmark``, for each system; seeds and threads are the benchmark's own."""

    plain: TrainSettings = TrainSettings()
    """Settings of plain."""
    alone: TrainSettings = RetrainSettings().for_alone()
    """Settings of alone: a student's by default, as far as they need no links."""
    # Joint training from scratch is best when it is larger than the defaults.
    joint: TrainSettings = TrainSettings(
        model=ModelSettings(width=400), training=TrainingSettings(negatives=1024)
    )
    """Settings of joint."""
    pretrain: TrainSettings = TrainSettings()
    """Settings of the teacher."""
    retrain: RetrainSettings = RetrainSettings()
    """Settings of the student."""

    def seeded(self, seed: int) -> BenchmarkSettings:
        """Return the same settings with one seed for all systems."""
        return BenchmarkSettings(
            **{name: changed(part, training={"seed": seed}) for name, part in self}
        )


def changed(settings: S, **parts: Mapping[str, Any]) -> S:
    """Return validated settings with some values changed, given by part and name.

    Raises:
        SettingsError: If a value is not allowed.
    """
    try:
        return settings.model_copy(update=parts)
    except ValidationError as error:
        raise SettingsError(explain(error, type(settings))) from error


def with_width(settings: RetrainSettings, width: int) -> RetrainSettings:
    """Return a student's settings for another width, which a narrower one's training follows.

    Raises:
        SettingsError: If its encoder does not allow the width.
    """
    return changed(settings, model={"width": width})


def student_variants(settings: RetrainSettings, *, budget: int) -> dict[str, RetrainSettings]:
    """Return the student's settings for each variant of an ablation, by name.

    ``all`` is the settings as they are, ``none`` a student without distillation, which still learns
    the facts of the linked subgraph. ``warm-start``, ``feature``, ``network`` and ``prediction``
    add one part to ``none``; ``without-...`` removes one from ``all``: a part of distillation, the
    pseudo-facts, the frequency prior or the source reliability. ``induced`` is ``all`` on the
    induced subgraph; ``incident`` and ``k-hop`` are ``all`` with vectors of all entities of such
    subgraphs.

    Args:
        settings: The student's settings.
        budget: The most background facts of ``k-hop``.
    """
    own = settings.distillation
    weights = {level: getattr(own, level) or fallback for level, fallback in LEVEL_WEIGHTS.items()}
    none: dict[str, Any] = {"warm_start": False, **dict.fromkeys(LEVEL_WEIGHTS, 0.0)}
    distillation: dict[str, dict[str, Any]] = {
        "none": none,
        "warm-start": {**none, "warm_start": True},
        **{level: {**none, level: weight} for level, weight in weights.items()},
        "without-warm-start": {"warm_start": False},
        **{f"without-{level}": {level: 0.0} for level in LEVEL_WEIGHTS},
    }
    return {
        "all": settings,
        **{name: changed(settings, distillation=changes) for name, changes in distillation.items()},
        "without-rules": changed(settings, rules={"pseudo_fact_rate": 0.0}),
        "without-prior": changed(settings, prior={"rank": 0}),
        "without-reliability": changed(settings, subgraph={"reliability": 0.0}),
        "induced": changed(settings, subgraph={"mode": "induced"}),
        "incident": changed(settings, subgraph={"mode": "incident", "vectors": "all"}),
        "k-hop": changed(
            settings, subgraph={"mode": "k_hop", "hops": 2, "budget": budget, "vectors": "all"}
        ),
    }
