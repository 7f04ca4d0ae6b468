"""Output in an encoding without the characters of names, or that nobody reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TEXT = {"cp1252": "Zürich", "ascii": "Z\\u00fcrich", "utf-8": "Zürich"}
TOKYO = "\\u6771\\u4eac"
GRIN = "\\ud83d\\ude00"
FACTS = "Zürich\tliegt\t東京\n東京\tliegt\t😀\n😀\tliegt\tZürich\n東京\tliegt\tZürich\n"
FAST = ["--alone", "--threads", "1", "--set", "training.epochs=1", "--set", "model.width=8"]


def kgraft(*arguments: str | Path, encoding: str = "utf-8", **options: object) -> tuple[int, str]:
    """Return the status of a command in a process of its own, and what it prints."""
    source = os.pathsep.join(sys.path)
    variables = {**os.environ, "PYTHONPATH": source, "PYTHONIOENCODING": encoding}
    command = [sys.executable, "-m", "kgraft", *map(str, arguments)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **options}
    done = subprocess.run(command, env=variables, check=False, **streams)  # type: ignore[call-overload]
    return done.returncode, (done.stdout or b"").decode(encoding)


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("named")
    (directory / "m.tsv").write_text(FACTS, encoding="utf-8")
    text = 'target = "東京"\n[[source]]\nname = "東京"\ntrain = "m.tsv"\n'
    (directory / "collection.toml").write_text(text, encoding="utf-8")
    return directory / "collection.toml"


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_run_succeeds_whose_names_the_output_lacks(
    facts: Path, tmp_path: Path, encoding: str
) -> None:
    place = tmp_path / ("a_long_directory_name_" * 6) / "模型"
    status, said = kgraft("train", facts, "-o", place, *FAST, encoding=encoding)
    assert status == 0, said
    assert (place / "report.html").exists()
    assert f"the model is in {place.parent}/\\u6a21\\u578b\n" in said
    asked = ["predict", place, "--head", "東京", "--relation", "liegt"]
    status, said = kgraft(*asked, encoding=encoding)
    assert status == 0, said
    assert all(name in said for name in (TEXT[encoding], TOKYO, GRIN))
    status, said = kgraft(*asked, "--json", encoding=encoding)
    assert status == 0, said
    assert {x["tail"] for x in json.loads(said)} == {"Zürich", "😀"}
    assert {x["head"] for x in json.loads(said)} == {"東京"}


@pytest.mark.parametrize("encoding", list(TEXT))
def test_tables_settings_and_errors_are_printed_in_any_encoding(facts: Path, encoding: str) -> None:
    name = "東京" if encoding == "utf-8" else TOKYO
    status, said = kgraft("inspect", facts, encoding=encoding)
    assert (status, f"target is {name}" in said) == (0, True), said
    assert kgraft("settings", encoding=encoding)[0] == 0
    status, said = kgraft("inspect", facts.with_name("東京.toml"), encoding=encoding)
    assert status == 1
    assert f"{name}.toml: there is no such file" in said


LOST = {"full": ">/dev/full", "closed": ">&-", "unread": "> >(exec 0<&-; sleep 60)"}
"""Redirections of bash by which output is lost."""


def losing(how: str, *arguments: str | Path) -> tuple[int, list[str]]:
    """Return the status of a command whose output is lost, and the lines of its errors."""
    source = os.pathsep.join(sys.path)
    # The first pause lets the program that reads nothing close its end.
    script = f'exec {LOST[how]}; sleep 0.2; "$@"; status=$?; kill $! 2>&-; exit $status'
    done = subprocess.run(
        ["/bin/bash", "-c", script, "bash", sys.executable, "-m", "kgraft", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": source},
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    return done.returncode, done.stderr.splitlines()


linux = pytest.mark.skipif(sys.platform != "linux", reason="/dev/full and bash are of Linux")


@linux
@pytest.mark.slow
@pytest.mark.parametrize("how", list(LOST))
def test_the_status_of_a_run_is_that_of_its_work_and_not_of_its_output(
    facts: Path, tmp_path: Path, how: str
) -> None:
    model, found = tmp_path / "model", tmp_path / "found.tsv"
    status, errors = losing(how, "--quiet", "train", facts, "-o", model, *FAST)
    assert (status, (model / "report.html").exists()) == (0, True), errors
    head, relation, _ = FACTS.splitlines()[0].split("\t")
    asked = ("--head", head, "--relation", relation, "-o", found)
    status, again = losing(how, "predict", model, *asked)
    assert (status, found.exists()) == (0, True), again
    warned = any("output cannot be written" in line for line in errors)
    assert warned == (how == "full"), errors
    assert not any("Traceback" in line or "ignored" in line for line in errors + again)


@linux
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_command_whose_work_is_its_output_fails_with_it(facts: Path, more: list[str]) -> None:
    assert losing("full", "inspect", facts, *more) == (1, ["Error: No space left on device."])
    assert losing("unread", "inspect", facts, *more) == (1, [])
