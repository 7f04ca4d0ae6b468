"""Serving from the command line, in a process that is told to stop."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kgraft.cli.main import app

pytest.importorskip("fastapi", reason="needs the extra 'serve'")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["serve", *map(str, arguments)])


@pytest.fixture
def server(student: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server that asks for a token, and its address."""
    token = tmp_path / "token"
    token.write_text("secret\n")
    command = [sys.executable, "-m", "kgraft", "serve", str(student), "--port", "0"]
    process = subprocess.Popen(
        [*command, "--token-file", str(token), "--threads", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    found = re.search(r"http://\S+:\d+", process.stdout.readline())
    assert found, process.communicate()
    yield process, found[0]
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_it_answers_and_stops_when_told(server: tuple[subprocess.Popen[str], str]) -> None:
    process, url = server
    asked = urllib.request.Request(f"{url}/v1/model", headers={"Authorization": "Bearer secret"})
    with urllib.request.urlopen(asked) as answer:
        assert json.loads(answer.read())["source"] == "mine"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{url}/v1/model")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert errors == "Stopped.\n"


def test_what_cannot_be_served_is_told_in_a_sentence(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = run(tmp_path / "nothing")
    assert missing.exit_code == 1
    assert "there is no manifest.json here" in missing.output
    with_spaces = tmp_path / "token"
    with_spaces.write_text("two words")
    assert "a token is one word" in run(student, "--token-file", with_spaces).output
    assert "there is no such file" in run(student, "--token-file", tmp_path / "none").output
    decisions = tmp_path / "decisions.csv"
    decisions.write_text("decision,head,relation,tail\nperhaps,a,b,c\n")
    wrong = run(student, "--decisions", decisions)
    assert wrong.exit_code == 1
    assert "decisions.csv, line 2: 'perhaps' is no decision" in " ".join(wrong.output.split())
    monkeypatch.setenv("KGRAFT_TOKEN", "")
    assert "KGRAFT_TOKEN: a token is one word" in run(student).output


@pytest.mark.slow
def test_an_address_that_is_taken_is_told(student: Path, server: tuple[object, str]) -> None:
    port = server[1].rpartition(":")[2]
    taken = run(student, "--port", port)
    assert taken.exit_code == 1
    assert f"127.0.0.1, port {port}: this cannot be listened on" in taken.output
    nowhere = run(student, "--host", "no.such.host.invalid")
    assert "no.such.host.invalid, port 8000: this cannot be listened on" in nowhere.output


def test_without_its_extra_it_says_what_to_install(
    student: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("kgraft.serving.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = run(student)
    assert result.exit_code == 1
    assert "serving needs uvicorn. Install it: pip install 'kgraft[serve]'" in result.output
