"""What a benchmark compares, and by which settings."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

from kgraft.config import RetrainSettings, TrainSettings

System = Literal["target-only", "joint", "teacher", "student"]
"""``target-only``: the target's own facts; ``joint``: all sources and the target from scratch;
``teacher``: pre-trained on all other sources, asked about the target as it is; ``student``: that
teacher, locally re-trained."""

SYSTEMS: tuple[System, ...] = get_args(System)


class BenchmarkSettings(BaseModel):
    """The settings of each system; the seed and the threads are the same for all.

    Args:
        alone: For ``target-only``.
        joint: For ``joint``.
        pretrain: For ``teacher``.
        retrain: For ``student``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    alone: TrainSettings = TrainSettings()
    joint: TrainSettings = TrainSettings()
    pretrain: TrainSettings = TrainSettings()
    retrain: RetrainSettings = RetrainSettings()

    def of(self, system: System) -> tuple[BaseModel, ...]:
        """Return the settings that a system's result depends on."""
        match system:
            case "target-only":
                return (self.alone,)
            case "joint":
                return (self.joint,)
            case "teacher":
                return (self.pretrain,)
            case "student":
                return self.pretrain, self.retrain

    def seeded(self, seed: int) -> BenchmarkSettings:
        """Return the same settings with one seed for all systems."""
        return BenchmarkSettings(
            **{
                name: part.model_copy(
                    update={"training": part.training.model_copy(update={"seed": seed})}
                )
                for name, part in self
            }
        )
