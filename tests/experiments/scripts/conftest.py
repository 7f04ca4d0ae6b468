"""Reports as the scripts show them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module as script
from typing import Any

import pytest


@pytest.fixture
def shown() -> Callable[..., list[str]]:
    """Return the lines of a report's Markdown tables, and check that it can be drawn."""

    def lines(report: dict[str, Any], *, drawn: bool = True) -> list[str]:
        if drawn:
            assert len(script("plot").draw(report).drawings) == 2
        text = script("table").markdown(report)
        return [line for line in text.splitlines() if line.startswith("| ")]

    return lines
