"""Frozen settings, read from and written to TOML, with one rule for what counts as given."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self, TypeVar

import tomli_w
from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo

from kgraft.errors import SettingsError

LONGEST_TOML = 1 << 22
"""Characters of the longest TOML that is parsed; its parser is slow."""

_LONG_KEY = re.compile(
    r"""(?<![\w."'-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){20}"""
)
"""The beginning of a key of many parts, whose parsing takes time with their number squared."""


class Settings(BaseModel):
    """Frozen, checked settings.

    One rule for tables, changes by dotted key and instances: a part counts by the fields that are
    set in it. Every other field keeps the default of the whole that the part belongs to.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        lines = [f"    {name}: {x.description}" for name, x in cls.model_fields.items()]
        cls.__doc__ = "\n".join([cls.__doc__ or "", "", "Args:", *lines])

    @model_validator(mode="wrap")
    @classmethod
    def _complete(cls, given: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(given, Mapping):
            return validate(given)
        explicit = cls._explicit(given)
        merged = _merged(cls._defaults(explicit), explicit)
        settings = validate(merged)
        settings._mark(merged, explicit)
        return settings

    @classmethod
    def _explicit(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is given, with a table of what is set in place of each part."""
        kinds = {name: type(field.default) for name, field in cls.model_fields.items()}
        return {
            name: x.model_dump(exclude_unset=True)
            if isinstance(x, Settings) and isinstance(x, kinds.get(name, ()))
            else x
            for name, x in given.items()
        }

    @classmethod
    def _defaults(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the defaults of the given parts, where they differ from those of their kind."""
        fields = {name: cls.model_fields[name] for name in given if name in cls.model_fields}
        return {
            name: x.default.model_dump(exclude_unset=True)
            for name, x in fields.items()
            if isinstance(x.default, Settings)
        }

    def _mark(self, merged: Mapping[str, Any], explicit: Mapping[str, Any]) -> None:
        """Let only what is explicit count as set, also in parts."""
        self.model_fields_set.intersection_update(explicit)
        for name, table in merged.items():
            if isinstance(part := getattr(self, name), Settings) and isinstance(table, Mapping):
                part._mark(table, explicit.get(name, {}))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:  # noqa: ARG002
        """Return a checked copy with some fields changed; parts may be tables or instances.

        Raises:
            ValidationError: If a value is not allowed.
        """
        given = self._explicit(update or {})
        return self.model_validate(_merged(self.model_dump(exclude_unset=True), given))


def _merged(default: Any, given: Any) -> Any:
    """Return what is given, and in tables, however deep, the defaults where nothing is."""
    if not (isinstance(default, Mapping) and isinstance(given, Mapping)):
        return given
    return {**default, **{name: _merged(default.get(name), x) for name, x in given.items()}}


S = TypeVar("S", bound=Settings)


def read_settings(
    kind: type[S],
    path: Path | None = None,
    changes: Mapping[str, Any] | None = None,
    *,
    base: S | None = None,
) -> S:
    """Read settings from a TOML file and change some of them.

    Args:
        kind: The settings' class.
        path: A TOML file with one table for each part; without it there are changes only.
        changes: Values by dotted key, as ``{"training.epochs": 5}``; they win over the file.
        base: Settings that hold where neither says otherwise; by default the kind's defaults.

    Raises:
        SettingsError: If the file cannot be read, or a key is unknown or a value is not allowed;
            the message names the key by its full path, and the nearest one that exists.
    """
    where = f"{path}: " if path is not None else ""
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = parse_toml(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise SettingsError(f"{where}settings cannot be read: {why}") from error
    for key, value in (changes or {}).items():
        *parts, name = key.split(".")
        table = values
        for part in parts:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise SettingsError(f"{where}{part}: this is a table of settings, not a value")
        table[name] = value
    try:
        return kind.model_validate(
            values if base is None else _merged(base.model_dump(exclude_unset=True), values)
        )
    except ValidationError as error:
        raise SettingsError(where + explain(error, kind)) from error


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML.

    Raises:
        ValueError: If it is not well-formed, or longer or nested deeper than people write it.
    """
    if len(text) > LONGEST_TOML:
        raise ValueError(f"longer than {LONGEST_TOML:,} characters")
    if _LONG_KEY.search(text):
        raise ValueError("a key has more than 20 parts")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def fields(kind: type[Settings], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield the dotted key and the field of every setting, parts taken apart."""
    for name, field in kind.model_fields.items():
        if isinstance(field.default, Settings):
            yield from fields(type(field.default), f"{prefix}{name}.")
        else:
            yield prefix + name, field


def explain(error: ValidationError, kind: type[Settings] | None = None) -> str:
    """Return a phrase for each wrong setting; with a ``kind``, unknown ones suggest the nearest."""
    found = []
    for problem in error.errors():
        key = ".".join(map(str, problem["loc"]))
        if problem["type"] == "extra_forbidden":
            keys = _keys(key, problem["input"])
            found += [f"{x}: there is no such setting{_suggestion(x, kind)}" for x in keys]
        else:
            message = problem["msg"].removeprefix("Value error, ")
            found.append(f"{key}: {message}" if key else message)
    return "; ".join(found)


def _keys(key: str, value: Any) -> list[str]:
    """Return the dotted keys of a table, and of any other value its own."""
    if not (isinstance(value, Mapping) and value):
        return [key]
    return [found for name, x in value.items() for found in _keys(f"{key}.{name}", x)]


def _suggestion(key: str, kind: type[Settings] | None) -> str:
    """Name the nearest setting: of the same name, of a similar one in the same part, or at all."""
    keys = [] if kind is None else [found for found, _ in fields(kind)]
    part, _, name = key.rpartition(".")
    names = {x.rpartition(".")[2]: x for x in keys if x.rpartition(".")[0] == part}
    near = [x for x in keys if x.rpartition(".")[2] == name] or [
        names[x] for x in get_close_matches(name, names, 1)
    ]
    near = near or get_close_matches(key, keys, 1, cutoff=0.8)
    return f"; did you mean {near[0]}?" if near else ""


def as_toml(settings: BaseModel) -> str:
    """Write settings as TOML; a setting that is ``None`` is left out."""
    return tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True))
