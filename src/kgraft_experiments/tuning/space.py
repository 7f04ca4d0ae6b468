"""The search space of tuning: which settings are tried, and between what bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from kgraft.errors import SettingsError
from kgraft.settings import TrainSettings
from kgraft.system.files import read_text
from kgraft.toml_settings import Settings, explain, fields, parse_toml

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

BELOW, ABOVE = 0.25, 4.0
"""Bounds of a number of the basic space, as factors of its default."""

WIDTHS = (0.5, 0.75, 1.0, 1.5)
"""Widths of the basic space, as factors of the default."""

BATCHES = (128, 256, 512, 1024)
"""Batch sizes of the basic space."""


class Range(BaseModel):
    """Values of a setting: some choices, or all between two bounds.

    Args:
        choices: The values.
        low: Least value.
        high: Largest value.
        log: Whether to draw on a logarithmic scale.
        step: Distance of values; by default 1 for whole bounds, else none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    choices: tuple[bool | int | float | str, ...] | None = None
    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    step: int | float | None = None

    @model_validator(mode="after")
    def _check(self) -> Range:
        bounds = (self.low, self.high)
        if (self.choices is None) == (None in bounds):
            raise ValueError("give either choices, or low and high")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low = {self.low} is above high = {self.high}")
        if self.log and (self.low is None or self.low <= 0 or self.step is not None):
            raise ValueError("log needs a low above 0, and no step")
        return self

    def draw(self, trial: BaseTrial, name: str) -> Any:
        """Let a trial choose a value."""
        if self.choices is not None:
            return trial.suggest_categorical(name, self.choices)
        assert self.low is not None  # noqa: S101 - as checked
        assert self.high is not None  # noqa: S101
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(
                name, self.low, self.high, step=int(self.step or 1), log=self.log
            )
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)

    def holds(self, value: Any) -> bool:
        """Check that a value is one of these."""
        if self.choices is not None:
            return value in self.choices
        return self.low is not None and self.high is not None and self.low <= value <= self.high


@dataclass(frozen=True)
class Space:
    """A search space.

    Args:
        ranges: The values of each setting, by its dotted key.
    """

    ranges: Mapping[str, Range]

    def draw(self, trial: BaseTrial) -> dict[str, Any]:
        """Let a trial choose a value for each setting."""
        return {name: x.draw(trial, name) for name, x in self.ranges.items()}

    def defaults(self, settings: Settings) -> dict[str, Any]:
        """Return the values that settings have, of those that the space holds."""
        found = {name: value_of(settings, name) for name in self.ranges}
        return {name: x for name, x in found.items() if self.ranges[name].holds(x)}

    def as_dict(self) -> dict[str, Any]:
        """Return the space as tables."""
        return {name: x.model_dump(exclude_none=True) for name, x in self.ranges.items()}


def basic_space(settings: TrainSettings) -> Space:
    """Return the space of the basic settings around those given, the seed left out."""
    training, width = settings.training, settings.model.width
    return Space(
        {
            "model.width": Range(choices=tuple(sorted({_even(width * x) for x in WIDTHS}))),
            "training.epochs": Range(
                low=max(1, training.epochs // 2), high=2 * training.epochs, log=True
            ),
            "training.batch_size": Range(choices=tuple(sorted({*BATCHES, training.batch_size}))),
            "training.learning_rate": _around(training.learning_rate),
            "training.regularization": _around(training.regularization or 0.01),
        }
    )


def read_space(path: Path, kind: type[Settings]) -> Space:
    """Read a search space: a TOML file with a table of ``Range`` for each dotted key.

    Raises:
        SettingsError: If it cannot be read, there is no such setting, or a range is none.
    """
    known = dict(fields(kind))
    found: dict[str, Range] = {}
    try:
        tables = parse_toml(read_text(path))
    except ValueError as error:
        raise SettingsError(f"{path}: a search space cannot be read: {error}") from error
    for name, table in _leaves(tables):
        if name not in known:
            raise SettingsError(
                f"{path}: {name}: there is no such setting; 'kgraft settings' lists them"
            )
        try:
            found[name] = Range.model_validate(table)
        except ValidationError as error:
            raise SettingsError(
                f"{path}: {name}: {explain(error)}. Write {name} = {{ low = 1, high = 9 }} or "
                f"{name} = {{ choices = [1, 2] }}"
            ) from error
    if not found:
        raise SettingsError(
            f"{path}: there is no setting to try. Write one, as "
            "training.epochs = { low = 5, high = 20 }"
        )
    return Space(found)


def value_of(settings: Settings, name: str) -> Any:
    """Return the value of a setting by its dotted key."""
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _leaves(tables: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return the tables of ranges by dotted key, whether keys are quoted, dotted or tables."""
    found = []
    for name, value in tables.items():
        inner = isinstance(value, Mapping) and not {*value} & {*Range.model_fields}
        if inner and value:
            found += _leaves(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", value))
    return found


def _around(value: float) -> Range:
    return Range(low=float(f"{BELOW * value:.3g}"), high=float(f"{ABOVE * value:.3g}"), log=True)


def _even(value: float) -> int:
    return max(2, 2 * round(value / 2))
