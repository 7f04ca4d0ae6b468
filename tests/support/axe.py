"""Faults of accessibility that axe-core finds on a page in a browser.

It is no package of Python's: ``npm install axe-core`` in the clone, or KGRAFT_AXE with the path of
its axe.min.js.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

FILE = Path(os.environ.get("KGRAFT_AXE", "node_modules/axe-core/axe.min.js"))


def require_axe() -> None:
    """Skip a test where axe-core is missing."""
    if not FILE.exists():
        pytest.skip("needs axe-core: npm install axe-core, or KGRAFT_AXE with its axe.min.js")


def faults(page: Any) -> list[str]:
    """Return the faults of a page, with all that is folded in unfolded."""
    page.evaluate("document.querySelectorAll('details').forEach(x => { x.open = true })")
    page.evaluate(FILE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{page.url}: {x['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for x in found["violations"]
        for node in x["nodes"][:2]
    ]
