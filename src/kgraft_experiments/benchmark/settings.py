"""What a benchmark compares, and by which settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args

from pydantic import ValidationError

from kgraft.errors import SettingsError
from kgraft.model.evidence import By
from kgraft.settings import (
    DistillationSettings,
    ModelSettings,
    RetrainSettings,
    Settings,
    TrainingSettings,
    TrainSettings,
    explain,
    for_narrower,
)

Trained = Literal["target-only", "joint", "teacher", "student"]
"""What is trained: ``target-only`` on the target's own facts; ``joint`` on all sources and the
target from scratch; ``teacher`` on all other sources, asked about the target as it is; ``student``
is that teacher, locally re-trained."""

System = Trained | Literal["rules", "student+rules"]
"""What is compared: a model by its vectors; ``rules`` and ``student+rules`` are the student, asked
to answer by its rules and by both."""

SYSTEMS: tuple[System, ...] = (*get_args(Trained), "rules", "student+rules")

STUDENT_BY: Mapping[By, System] = {"vectors": "student", "rules": "rules", "both": "student+rules"}
"""The system that a student is, by what it answers by."""

LEVEL_WEIGHTS: Mapping[str, float] = {
    level: getattr(DistillationSettings(), level) for level in ("feature", "network", "prediction")
}
"""The levels of distillation, and the weight of a level that an ablation tries on its own though
the settings have it switched off."""

S = TypeVar("S", bound=TrainSettings)


class BenchmarkSettings(Settings):
    """The settings of each system; seeds and threads are the benchmark's own.

    Args:
        alone: For ``target-only``.
        joint: For ``joint``: larger than the defaults, as joint training from scratch is best then.
        pretrain: For ``teacher``.
        retrain: For ``student``.
    """

    alone: TrainSettings = TrainSettings()
    joint: TrainSettings = TrainSettings(
        model=ModelSettings(width=400),
        training=TrainingSettings(negatives=1024),
    )
    pretrain: TrainSettings = TrainSettings()
    retrain: RetrainSettings = RetrainSettings()

    def seeded(self, seed: int) -> BenchmarkSettings:
        """Return the same settings with one seed for all systems."""
        return BenchmarkSettings(
            **{name: changed(part, training={"seed": seed}) for name, part in self}
        )


def changed(settings: S, **parts: Mapping[str, Any]) -> S:
    """Return settings with some values changed, given by part and name, and checked again.

    Raises:
        SettingsError: If a value is not allowed.
    """
    values = settings.model_dump()
    for part, changes in parts.items():
        values[part] |= changes
    try:
        return type(settings).model_validate(values)
    except ValidationError as error:
        raise SettingsError(explain(error)) from error


def of_width(settings: RetrainSettings, width: int) -> RetrainSettings:
    """Return a student's settings for another width, trained ``for_narrower`` if it is.

    Raises:
        SettingsError: If its encoder does not allow the width.
    """
    narrower = for_narrower(settings.training, max(1.0, settings.model.width / width))
    return changed(settings, model={"width": width}, training=narrower.model_dump())


def student_variants(settings: RetrainSettings, *, budget: int) -> dict[str, RetrainSettings]:
    """Return what an ablation compares: the student's settings by the variant's name.

    ``all`` is the settings as they are and ``none`` a student that learns nothing from its teacher
    but which facts are linked. ``warm-start``, ``feature``, ``network`` and ``prediction`` add one
    thing to that, ``without-...`` takes one away from ``all``, be it a part of distillation, the
    rules' teaching, what is usual or agreement. ``induced`` is ``all`` with rules that go by linked
    entities only; ``incident`` and ``k-hop`` are ``all`` with vectors of all entities of such
    subgraphs.

    Args:
        settings: The student's settings.
        budget: The most background facts of ``k-hop``.
    """
    own = settings.distillation
    weights = {level: getattr(own, level) or fallback for level, fallback in LEVEL_WEIGHTS.items()}
    nothing: dict[str, Any] = {"warm_start": False, **dict.fromkeys(LEVEL_WEIGHTS, 0.0)}
    taught: dict[str, dict[str, Any]] = {
        "none": nothing,
        "warm-start": {**nothing, "warm_start": True},
        **{level: {**nothing, level: weight} for level, weight in weights.items()},
        "without-warm-start": {"warm_start": False},
        **{f"without-{level}": {level: 0.0} for level in LEVEL_WEIGHTS},
    }
    return {
        "all": settings,
        **{name: changed(settings, distillation=changes) for name, changes in taught.items()},
        "without-rules": changed(settings, rules={"pseudo_fact_rate": 0.0}),
        "without-prior": changed(settings, prior={"rank": 0}),
        "without-reliability": changed(settings, subgraph={"reliability": 0.0}),
        "induced": changed(settings, subgraph={"mode": "induced"}),
        "incident": changed(settings, subgraph={"mode": "incident", "vectors": "all"}),
        "k-hop": changed(
            settings,
            subgraph={"mode": "k_hop", "hops": 2, "budget": budget, "vectors": "all"},
        ),
    }
