"""The program as it starts: a stop before anything has begun."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import kgraft_command

HERE = Path(kgraft_command.__file__).parent

SLOW = """
import os, signal, time
os.kill(os.getpid(), signal.{name})
time.sleep(20)
"""


def started(place: Path, before: str = "pass") -> subprocess.CompletedProcess[str]:
    """Start a kgraft that lies in a place."""
    program = f"import signal; {before}; from kgraft_command import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, "--version"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(place), str(HERE)])},
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_stop_while_the_package_is_loaded_is_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "kgraft").mkdir()
    (tmp_path / "kgraft" / "__init__.py").write_text(SLOW.format(name=name))
    ended = started(tmp_path, "signal.signal(signal.SIGHUP, signal.SIG_DFL)")
    assert ended.returncode == 128 + getattr(signal, name)
    assert (ended.stdout, ended.stderr) == ("", "Stopped.\n")


def test_a_signal_that_is_ignored_stays_so(tmp_path: Path) -> None:
    (tmp_path / "kgraft" / "cli").mkdir(parents=True)
    text = SLOW.format(name="SIGHUP").replace("20", "0")
    (tmp_path / "kgraft" / "__init__.py").write_text(text)
    (tmp_path / "kgraft" / "cli" / "__init__.py").write_text("")
    (tmp_path / "kgraft" / "cli" / "main.py").write_text("def app(): print('it runs')")
    ended = started(tmp_path, "signal.signal(signal.SIGHUP, signal.SIG_IGN)")
    assert (ended.returncode, ended.stdout) == (0, "it runs\n")


def test_it_is_the_command() -> None:
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
    assert project["scripts"]["kgraft"] == "kgraft_command:main"
    ended = started(HERE)
    assert (ended.returncode, ended.stdout[:7]) == (0, "kgraft ")
