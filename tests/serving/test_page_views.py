"""The page's relations, missing facts, map, drawings and API in a real browser, and its faults."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from axe import faults, require_axe

from kgraft.serving.model_reloader import ModelReloader

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")

pytestmark = pytest.mark.slow

Fact = tuple[str, str, str]
Page = Any

OVERLAPS = """canvas => {
  const graph = canvas._cyreg.cy;
  const boxes = graph.nodes().map((x) => [x.data("label"),
    x.boundingBox({includeLabels: true, includeOverlays: false, includeUnderlays: false})]);
  return boxes.flatMap(([one, a], at) => boxes.slice(at + 1).filter(([_, b]) =>
    Math.min(a.x2, b.x2) - Math.max(a.x1, b.x1) > 1
    && Math.min(a.y2, b.y2) - Math.max(a.y1, b.y1) > 1)
    .map(([other]) => `${one} / ${other}`));
}"""
"""Returns the pairs of labels, with the boxes around them, that lie on each other."""

TOO_WIDE = """canvas => {
  const pen = document.createElement("canvas").getContext("2d");
  return canvas._cyreg.cy.nodes().filter((x) => {
    pen.font = `${x.style("font-weight")} 13px ${x.style("font-family")}`;
    const lines = x.data("label").split("\\n");
    return lines.some((line) => pen.measureText(line).width > x.data("width"));
  }).map((x) => x.data("label"));
}"""
"""Returns the labels that are wider than their boxes."""


def heading(page: Page) -> Any:
    return page.locator("main:not([aria-busy]) h1")


def drawn(page: Page) -> Any:
    """Return the canvas of the first drawing, when it has been drawn."""
    canvas = page.locator(".drawing .canvas").first.element_handle()
    page.wait_for_function("x => x._cyreg?.cy.nodes('.fact').length > 0", arg=canvas)
    return canvas


@pytest.mark.parametrize("width", [390, 1280])
def test_no_label_lies_on_another_in_twenty_explanations(
    page: Page, url: str, reloader: ModelReloader, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(reduced_motion="reduce")
    facts = page.request.get(f"{url}/v1/missing?k=100").json()["facts"]
    while len(facts) < 10:
        page.wait_for_timeout(50)
        facts = page.request.get(f"{url}/v1/missing?k=100").json()["facts"]
    names = reloader.model.named
    shown = [(x["head"], x["relation"], x["tail"]) for x in facts[:: len(facts) // 10][:10]]
    stated = reloader.model.model.graph.facts_of(["mine"])[::7][:10]
    shown += [names.names((h, r, t)) for h, r, t in stated.tolist()]
    assert len(shown) == 20
    sizes = []
    for number, fact in enumerate(shown):
        page.goto(f"{url}/#/fact/{'/'.join(quote(x, safe='') for x in fact)}")
        playwright.expect(page.locator("main:not([aria-busy]) .title")).to_contain_text(fact[0])
        canvas = drawn(page)
        if number % 5 == 0:
            page.get_by_role("button", name="Show more of its facts").click()
            playwright.expect(page.locator(".drawing [role=status]")).not_to_have_text("")
        assert canvas.evaluate(OVERLAPS) == []
        assert canvas.evaluate(TOO_WIDE) == []
        sizes.append(canvas.evaluate("x => x._cyreg.cy.nodes().length"))
    assert max(sizes) > 8


def test_a_drawing_is_extended_and_dragged(page: Page, url: str, fact: Fact) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{url}/#/fact/{'/'.join(fact)}")
    canvas = drawn(page)
    count = "x => x._cyreg.cy.nodes('.fact').length"
    before = canvas.evaluate(count)
    page.get_by_label("Entity of the drawing").select_option(fact[2])
    page.get_by_role("button", name="Show more of its facts").click()
    status = page.locator(".drawing [role=status]")
    playwright.expect(status).to_contain_text(re.compile("were added|are drawn"))
    assert canvas.evaluate(count) > before
    playwright.expect(page.get_by_role("link", name="Open it")).to_have_attribute(
        "href", f"/#/entity/{quote(fact[2], safe='')}"
    )
    # One box is dragged onto another, and lies beside it when it is let go.
    page.locator(".drawing .canvas").scroll_into_view_if_needed()
    places = canvas.evaluate(
        "x => x._cyreg.cy.nodes('.entity').slice(0, 2).map(y => y.renderedPosition())"
    )
    box = page.locator(".drawing .canvas").bounding_box()
    (one, other) = [(box["x"] + x["x"], box["y"] + x["y"]) for x in places]
    page.mouse.move(*one)
    page.mouse.down()
    page.mouse.move(*other, steps=40)
    page.mouse.up()
    page.wait_for_timeout(100)
    moved = canvas.evaluate("x => x._cyreg.cy.nodes('.entity')[0].renderedPosition()")
    assert abs(box["x"] + moved["x"] - other[0]) < abs(one[0] - other[0]) / 2 + 100
    assert moved != places[0]
    assert canvas.evaluate(OVERLAPS) == []


def test_missing_facts_are_accepted_and_refused(page: Page, url: str) -> None:
    page.goto(f"{url}/#/missing")
    rows = page.locator(".missing .row")
    rows.first.wait_for()
    page.get_by_text(re.compile(r"facts have a probability of 10 % or more\.$")).wait_for()
    text = rows.first.locator("span").first.inner_text()
    accept = rows.first.get_by_role("button", name="Accept")
    accept.click()
    playwright.expect(accept).to_have_attribute("aria-pressed", "true")
    rows.first.get_by_role("button", name="Refuse").click()
    playwright.expect(accept).to_have_attribute("aria-pressed", "false")
    kept = page.request.get(f"{url}/v1/decisions").json()["decisions"]
    assert [x["decision"] for x in kept] == ["refuse"]
    page.reload()
    refuse = rows.first.get_by_role("button", name="Refuse")
    playwright.expect(refuse).to_have_attribute("aria-pressed", "true")
    assert rows.first.locator("span").first.inner_text() == text
    rows.first.get_by_role("link", name="Why").click()
    refuse = page.locator(".decision").get_by_role("button", name="Refuse")
    playwright.expect(refuse).to_have_attribute("aria-pressed", "true")
    refuse.click()
    playwright.expect(refuse).to_have_attribute("aria-pressed", "false")
    assert page.request.get(f"{url}/v1/decisions").json()["decisions"] == []


def test_a_server_without_a_file_says_how_to_keep_decisions(
    browser: Any, reloader: ModelReloader, listen: Callable[..., Any]
) -> None:
    with listen(reloader) as (host, port):
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"http://{host}:{port}/#/missing")
        playwright.expect(page.get_by_text("kgraft serve MODEL --decisions")).to_be_visible()
        row = page.locator(".missing .row").first
        row.get_by_role("button", name="Accept").click()
        playwright.expect(row.locator(".problem")).to_contain_text("start it with a file for them")
        context.close()


def test_relations_are_browsed(page: Page, url: str, fact: Fact) -> None:
    page.goto(f"{url}/")
    page.get_by_role("navigation").get_by_role("link", name="Relations").click()
    playwright.expect(heading(page)).to_have_text("Relations")
    page.get_by_role("link", name=fact[1], exact=True).click()
    playwright.expect(heading(page)).to_have_text(fact[1])
    facts = page.locator(".card", has_text="Stated facts")
    assert facts.locator(".row").count() > 3
    missing = page.locator(".card", has_text="Missing facts")
    missing.get_by_label("Facts to show").select_option("inferred")
    playwright.expect(missing.locator(".chip")).to_have_count(0)
    # A relation is found by the search, too.
    page.get_by_role("combobox", name="Search").fill(fact[1])
    page.get_by_role("option").filter(has_text="relation").first.wait_for()


def test_search_suggests_before_anything_is_typed(page: Page, url: str) -> None:
    page.goto(f"{url}/")
    heading(page).wait_for()
    page.keyboard.press("/")
    page.get_by_role("option").first.wait_for()
    name = page.get_by_role("option").first.inner_text()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    playwright.expect(heading(page)).to_have_text(name.split("\n")[0])


def test_the_map_is_zoomed_and_opens_an_entity(page: Page, url: str) -> None:
    page.goto(f"{url}/#/map")
    heading(page).wait_for()
    page.locator(".scatter canvas").first.wait_for(state="attached")
    table = page.locator(".plain")
    kinds = table.locator("tbody th").all_inner_texts()
    page.get_by_label("Coloured by").select_option("by_source")
    assert table.locator("tbody th").all_inner_texts() != kinds
    colours = page.locator(".swatch").evaluate_all(
        "all => all.map(x => getComputedStyle(x).backgroundColor)"
    )
    assert len({*colours}) == len(colours) == table.locator("tbody tr").count()
    before = page.locator(".scatter").screenshot()
    page.get_by_role("button", name="Zoom in").click()
    page.wait_for_timeout(500)
    assert page.locator(".scatter").screenshot() != before
    table.locator("td a").first.click()
    playwright.expect(page.locator(".map .scatter")).to_be_visible()


def test_without_webgl_the_map_is_told_in_words(page: Page, url: str, fact: Fact) -> None:
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page.goto(f"{url}/#/map")
    playwright.expect(page.get_by_text("This browser draws no WebGL")).to_be_visible()
    assert page.locator(".plain tbody tr").count() > 1


def test_the_examples_of_the_api_work_as_they_are_shown(page: Page, url: str) -> None:
    page.goto(f"{url}/docs")
    playwright.expect(page.get_by_role("heading", name="POST /v1/predict")).to_be_visible()
    examples = page.get_by_label(re.compile("^Example of")).all_inner_texts()
    assert len(examples) == len(page.locator(".docs .card").all()) >= 12
    for text in examples:
        command = shlex.split(text.replace("\\\n", ""))
        found = subprocess.run([*command, "-s", "-w", "\n%{http_code}"], capture_output=True)
        body, _, status = found.stdout.decode().rpartition("\n")
        assert status == "200", (text, body)
        json.loads(body)


def test_the_api_is_tried(page: Page, url: str) -> None:
    page.goto(f"{url}/docs")
    one = page.locator(
        ".card", has=page.get_by_role("heading", name="GET /v1/entities", exact=True)
    )
    one.get_by_text("Try it").click()
    one.get_by_role("button", name="Send").click()
    playwright.expect(one.get_by_text("Status 200")).to_be_visible()
    answer = one.get_by_label("Answer of GET /v1/entities").inner_text()
    assert json.loads(answer)["entities"]
    many = page.locator(".card", has=page.get_by_role("heading", name="POST /v1/predict"))
    many.get_by_text("Try it").click()
    many.get_by_label("body").fill("{")
    many.get_by_role("button", name="Send").click()
    playwright.expect(many.get_by_text("Status 400")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_no_fault(browser: Any, url: str, fact: Fact, scheme: str, width: int) -> None:
    require_axe()
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    pattern = quote(f"SELECT ?x {{ <{fact[0]}> <{fact[1]}> ?x }}", safe="")
    views = ["#/", f"#/entity/{fact[0]}", f"#/fact/{'/'.join(fact)}", f"#/ask/{pattern}", "#/map"]
    views += ["#/relations", f"#/relation/{fact[1]}", "#/missing", "#/entity/nobody", "docs"]
    found: list[str] = []
    for view in views:
        page.goto("about:blank")
        page.goto(f"{url}/{view}")
        heading(page).wait_for()
        page.locator(".waiting").wait_for(state="detached")
        found += faults(page)
    context.close()
    assert found == []


def test_what_has_no_label_is_shown_by_the_end_of_its_name(page: Page, url: str) -> None:
    page.goto(url)
    names = {
        "http://a.example/vocab#Company": "Company",
        "https://a.example/id/S%C3%A3o_Paulo/": "São_Paulo",
        "_:file.ttl#[12]": "_:[12]",
        "mine:3": "mine:3",
        "see http://a.example/x": "see http://a.example/x",
        "http://a.example/%": "%",
    }
    shown = page.evaluate(
        "async names => names.map((await import('/page/common.js')).brief)", [*names]
    )
    assert shown == [*names.values()]
