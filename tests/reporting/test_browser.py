"""Reports in a real browser: they fit a phone and a screen, in light and dark, and load nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe import faults, require_axe
from chromium import chromium

from kgraft.linking.collection import Collection
from kgraft.model.trained_model import TrainedModel
from kgraft.reporting.model_report import report
from kgraft_experiments.benchmark.report import report_on_file

if TYPE_CHECKING:
    from playwright.sync_api import Browser

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "dbp5l" / "results.json"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium("--disable-gpu") as started:
        yield started


@pytest.fixture(scope="module")
def pages(
    tmp_path_factory: pytest.TempPathFactory,
    student: TrainedModel,
    teacher: TrainedModel,
    generated: Collection,
) -> dict[str, Path]:
    made = {
        "student": report(student, generated),
        "teacher": report(teacher, generated),
        "benchmark": report_on_file(RESULTS),
    }
    directory = tmp_path_factory.mktemp("pages")
    for name, text in made.items():
        (directory / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: directory / f"{name}.html" for name in made}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["student", "teacher", "benchmark"])
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_report_fits(
    browser: Browser, pages: dict[str, Path], name: str, width: int, scheme: str
) -> None:
    page = browser.new_page(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(pages[name].as_uri())
    for details in page.query_selector_all("details"):
        details.evaluate("x => { x.open = true }")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    wide = page.evaluate(
        "[...document.querySelectorAll('svg[role=img], p, h1, h2, figure')]"
        ".filter(x => x.getBoundingClientRect().right > innerWidth + 1).length"
    )
    assert wide == 0
    small = page.evaluate(
        "[...document.querySelectorAll('svg[role=img] text')]"
        ".filter(x => x.textContent && x.getBoundingClientRect().height < 10).length"
    )
    assert small == 0
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}[scheme]
    assert (said, asked) == ([], [pages[name].as_uri()])
    page.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["student", "teacher", "benchmark"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(
    browser: Browser, pages: dict[str, Path], name: str, scheme: str
) -> None:
    require_axe()
    page = browser.new_page(
        viewport={"width": 390, "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    page.goto(pages[name].as_uri())
    found = faults(page)
    page.close()
    assert found == []
