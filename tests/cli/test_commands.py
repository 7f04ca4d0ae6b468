"""What all commands share: help, completion, speed of starting, settings, logging, tables."""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from kgraft.cli import export, options, settings
from kgraft.cli.console import table
from kgraft.cli.main import COMMANDS, app
from kgraft.exporting.formats import FORMATS
from kgraft.model.evidence import By
from kgraft.settings import BASIC, TrainSettings
from kgraft.system.terminal import Terminal
from kgraft.toml_settings import as_toml, fields
from kgraft_experiments.benchmark.settings import SYSTEMS
from kgraft_experiments.commands import benchmark

EXAMPLES = {name: x for commands in COMMANDS.values() for name, (_, x) in commands.items()}
DOCS = Path(__file__).parents[2] / "docs"

START = "import sys; sys.argv[0] = 'kgraft'; from kgraft_command import main; main()"

LOADED = (
    "import atexit, sys; atexit.register(lambda: print("
    "[x for x in ('torch', 'scipy', 'polars', 'pydantic') if x in sys.modules])); " + START
)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def started(*arguments: str, program: str = START, **variables: str) -> str:
    """Run the program in a process of its own and return what it prints."""
    source = os.pathsep.join(sys.path)
    environment = {**os.environ, "PYTHONPATH": source, "TERM": "dumb", **variables}
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["trian"], ["train", "--hepl"]], ids=" ".join
)
def test_help_version_and_a_typo_load_nothing_large(arguments: list[str]) -> None:
    assert started(*arguments, program=LOADED).splitlines().count("[]") == 1


def test_help_of_no_command_loads_anything_large() -> None:
    invoke = "from typer.testing import CliRunner; from kgraft.cli.main import app; "
    invoke += f"[CliRunner().invoke(app, [name, '--help']) for name in {[*EXAMPLES]}]"
    program = LOADED.removesuffix(START) + invoke
    assert started(program=program).splitlines() == ["[]"]


def test_a_mistyped_command_and_option_suggest_the_nearest() -> None:
    wrong = run("trian", "collection.toml")
    assert wrong.exit_code == 2
    assert "'train'" in wrong.output
    assert "--overwrite" in run("train", "c.toml", "-o", "x", "--overwite").output


@pytest.mark.parametrize("name", EXAMPLES)
def test_help_is_short_too_and_ends_with_an_example_that_holds(name: str) -> None:
    assert run(name, "-h").output == run(name, "--help").output
    assert f"Example: kgraft {name}" in " ".join(run(name, "-h").output.split())
    _, _, *arguments = shlex.split(EXAMPLES[name].partition(" > ")[0])
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    assert command.make_context(name, arguments)


def test_commands_have_one_panel_each_and_the_exit_status_is_told() -> None:
    shown = run("--help").output
    assert all(panel in shown for panel in COMMANDS)
    assert "Exit status" in shown
    assert run("--version").output.startswith("kgraft ")


def test_commands_are_completed() -> None:
    words = {"COMP_WORDS": "kgraft re", "COMP_CWORD": "1", "_KGRAFT_COMPLETE": "complete_bash"}
    assert {"report", "retrain"} <= {*started(**words).split()}
    # For --show-completion, typer asks which shell has started it: under make none that it knows.
    assert "complete -o" in started(_KGRAFT_COMPLETE="source_bash")


def test_names_that_are_written_out_are_those_there_are() -> None:
    assert export.FORMATS.split(", ") == [*FORMATS]
    assert benchmark.SYSTEMS.split(",") == [*SYSTEMS]
    assert get_args(get_args(get_args(options.ByOption)[0])[0]) == get_args(By)


@pytest.mark.parametrize("command", settings.KINDS)
def test_printed_settings_are_the_defaults_and_are_read_back(command: str, tmp_path: Path) -> None:
    printed = run("settings", "--command", command)
    assert printed.exit_code == 0, printed.output
    (tmp_path / "all.toml").write_text(printed.stdout)
    again = run("settings", "--command", command, tmp_path / "all.toml")
    assert again.stdout == printed.stdout
    assert tomllib.loads(printed.stdout)


def test_printed_settings_show_what_is_changed_and_the_basic_ones_first() -> None:
    printed = run("settings", "--command", "train", "--set", "training.epochs=3").stdout
    expected = TrainSettings.model_validate({"training": {"epochs": 3}})
    assert tomllib.loads(printed) == tomllib.loads(as_toml(expected))
    keys = [line.removeprefix("# ").split(" =")[0] for line in printed.splitlines() if " =" in line]
    assert keys[: len(BASIC)] == [*BASIC]
    assert {*keys} == {key for key, _ in fields(TrainSettings)}
    told = run("settings", "--set", "model.width=64", "--set", "training.epochs=3")
    assert "training.learning_rate = 0.2652 follows model.width" in told.stdout
    assert "follow it: training.learning_rate = 0.2652" in told.stderr
    assert "did you mean training.epochs?" in run("settings", "--set", "training.epoch=3").stderr


@pytest.mark.parametrize(("page", "command"), [("settings", "retrain"), ("alignment", "align")])
def test_pages_show_the_settings_as_they_are_printed(page: str, command: str) -> None:
    shown = (
        (DOCS / f"{page}.md").read_text(encoding="utf-8").split(f"# Settings of kgraft {command}")
    )
    assert (
        shown[1].split("```")[0]
        == run("settings", "--command", command).stdout.split(command, 1)[1]
    )


def test_quiet_and_verbose_set_the_level_of_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = []
    monkeypatch.setattr(
        "kgraft.cli.settings.commented_toml", lambda *_: levels.append(level()) or ""
    )

    def level() -> int:
        return logging.getLogger("kgraft").level

    before = level()
    for options_ in ([], ["-q"], ["--quiet"], ["-v"], ["--verbose"]):
        assert run(*options_, "settings").exit_code == 0
    info, quiet, debug = logging.INFO, logging.WARNING, logging.DEBUG
    assert levels == [info, quiet, quiet, debug, debug]
    assert level() == before
    narrow = ("settings", "--set", "model.width=64")
    assert run(*narrow).stderr
    assert not run("-q", *narrow).stderr
    assert run("-q", "-v", "settings").exit_code == 2


def test_a_table_is_complete_off_a_terminal_and_folds_names_on_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = table("answer", "score", figures=("score",))
    shown.add_row("a" * 500, "0.123456789")
    Terminal().print(shown)
    assert "a" * 500 in capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(Terminal, "is_terminal", True)
    Terminal().print(shown)
    narrow = capsys.readouterr().out
    assert narrow.count("a") - 1 == 500  # the heading has another
    assert "0.123456789" in narrow
