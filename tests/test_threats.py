"""The threat model: every line of it names tests, and there are such tests."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
ROWS = [
    line
    for line in (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| it could try")
]


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def test_every_threat_names_a_test_that_there_is() -> None:
    assert len(ROWS) > 30
    for row in ROWS:
        threat, defence, shown_by = (cell.strip() for cell in row.strip("|").split(" | "))
        assert threat
        assert defence
        named = NAMED.findall(shown_by)
        assert len(named) == len(shown_by.split(", ")), row
        for path, name in named:
            assert (ROOT / path).is_file(), path
            assert name in functions(ROOT / path), f"{path}::{name}"
