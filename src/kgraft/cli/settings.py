"""The command ``settings``."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer

from kgraft.cli.console import chosen_settings, print_text
from kgraft.cli.options import SetOption
from kgraft.system.messages import report_errors

if TYPE_CHECKING:
    from kgraft.toml_settings import Settings

KINDS = {
    "train": "kgraft.settings:TrainSettings",
    "pretrain": "kgraft.settings:TrainSettings",
    "retrain": "kgraft.settings:RetrainSettings",
    "graft": "kgraft.alignment.settings:GraftSettings",
    "align": "kgraft.alignment.settings:AlignSettings",
    "benchmark": "kgraft_experiments.benchmark.settings:BenchmarkSettings",
    "synth": "kgraft_experiments.synthesis.settings:SynthSettings",
}
"""The class of each command's settings."""


def settings(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="TOML file that changes some.", show_default=False),
    ] = None,
    command: Annotated[
        Literal["train", "pretrain", "retrain", "graft", "align", "benchmark", "synth"],
        typer.Option("--command", help="Command that the settings are for."),
    ] = "retrain",
    changes: SetOption = None,
) -> None:
    """Print all settings of a command as TOML, the basic ones first, for --settings to read."""
    with report_errors():
        module, _, name = KINDS[command].partition(":")
        chosen = chosen_settings(getattr(import_module(module), name), file, changes or ())
        print_text(commented_toml(chosen, command))


def commented_toml(chosen: Settings, command: str) -> str:
    """Return settings as TOML with a comment on each, the basic ones first."""
    from kgraft.settings import BASIC, RetrainSettings
    from kgraft.toml_settings import fields

    keys = dict(fields(type(chosen)))
    basic = [key for key in keys if key in BASIC]
    sections = {"Basic": basic} if basic else {}
    for key in keys:
        if key not in basic:
            sections.setdefault(key.rpartition(".")[0], []).append(key)
    width = max(len(_entry(chosen, key)) for key in keys)
    lines = [f"# Settings of kgraft {command}."]
    if isinstance(chosen, RetrainSettings):
        lines.append(
            "# Where training.learning_rate and training.epochs are left out, they follow the "
            "width of a model narrower than the default."
        )
        lines.append(
            "# Where few entities are linked, training.epochs, training.learning_rate and "
            "training.regularization, if left out, come nearer to those of train."
        )
        lines += [
            f"# training.{name} = {value:g} follows model.width."
            for name, value in chosen.following_width.items()
        ]
    for title, members in sections.items():
        lines += ["", f"# {title}" if title in ("Basic", "") else f"# Advanced: {title}"]
        lines += [
            f"{_entry(chosen, key):<{width}}  # {' '.join(_comment(keys[key]))}" for key in members
        ]
    return "\n".join(lines) + "\n"


def _entry(chosen: Settings, key: str) -> str:
    import tomli_w

    value: Any = chosen
    for name in key.split("."):
        value = getattr(value, name)
    if value is None:
        return f"# {key} ="
    if isinstance(value, dict):
        items = ", ".join(tomli_w.dumps({x: value[x]}).strip() for x in value)
        return f"{key} = {{ {items} }}" if items else f"{key} = {{}}"
    return f"{key} = {tomli_w.dumps({'_': value}).partition(' = ')[2].strip()}"


def _comment(field: Any) -> Iterator[str]:
    yield field.description
    if get_origin(field.annotation) is Literal:
        yield f"One of {', '.join(get_args(field.annotation))}."
