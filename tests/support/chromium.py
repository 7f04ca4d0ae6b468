"""Chromium, for tests that look at pages in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

QUIET = (
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium(*options: str) -> Iterator[Any]:
    """Start Chromium, or skip the test where it or Playwright is missing.

    While it runs, asyncio is not to be had in this thread.

    Args:
        options: Further options of its command line.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("needs the browser chromium")
    playwright.expect.set_options(timeout=30_000)  # A busy machine takes long.
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=[*QUIET, *options])
        yield browser
        browser.close()
