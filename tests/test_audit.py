"""The audit of dependencies: what is known, what is not, and that the two are told apart."""

from __future__ import annotations

import json
import runpy
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "audit.py"

VULNERABILITY = {"id": "CVE-1", "fix_versions": ["2.1", "3"]}
UNKNOWN = {"name": "b", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("stdout", "stderr", "status", "said"),
    [
        ([{"name": "a", "version": "2", "vulns": []}], "", 0, "1 of 1 dependencies could be"),
        ([UNKNOWN, UNKNOWN], "", 0, "0 of 2 dependencies could be looked up; 0 known"),
        (
            [{"name": "a", "version": "2", "vulns": [VULNERABILITY]}, UNKNOWN],
            "Found 1 known vulnerability",
            1,
            "a 2: CVE-1, fixed in 2.1, 3\n1 of 2 dependencies could be looked up; 1 known",
        ),
        (None, "requests.exceptions.ConnectionError: no route", 0, "were not audited"),
        (None, "no such file", 1, "no such file"),
    ],
    ids=["clean", "unknown", "vulnerability", "no network", "failed"],
)
def test_what_is_known_of_dependencies(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stdout: list[object] | None,
    stderr: str,
    status: int,
    said: str,
) -> None:
    text = "" if stdout is None else json.dumps({"dependencies": stdout})
    ended = SimpleNamespace(stdout=text, stderr=stderr, returncode=status)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)
    assert runpy.run_path(str(SCRIPT))["main"]("constraints.txt") == status
    assert said in capsys.readouterr().out
