"""The page in a real browser: search, open, explain, and what is shown when something is wrong.

Screenshots go to the directory that KGRAFT_SCREENSHOTS names, or to pytest's own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from kgraft.serving.model_reloader import ModelReloader

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")

pytestmark = pytest.mark.slow

Fact = tuple[str, str, str]
Page = Any


def heading(page: Page) -> Any:
    return page.locator("main:not([aria-busy]) h1")


def kinds_of(drawing: Any) -> list[str]:
    """Return the kind of each fact of a drawing, when it has been drawn."""
    page = drawing.page
    drawing.locator(".canvas canvas").first.wait_for(state="attached")
    canvas = drawing.locator(".canvas").element_handle()
    page.wait_for_function("x => x._cyreg?.cy.nodes('.fact').length > 0", arg=canvas)
    kinds: list[str] = canvas.evaluate("x => x._cyreg.cy.nodes('.fact').map(y => y.classes()[1])")
    return kinds


def test_search_open_and_explain_by_keyboard_alone(page: Page, url: str, fact: Fact) -> None:
    page.goto(f"{url}/")
    playwright.expect(heading(page)).to_have_text("mine")
    page.keyboard.press("/")
    playwright.expect(
        page.get_by_role("combobox", name="Search for an entity or a relation")
    ).to_be_focused()
    page.keyboard.type(fact[0])
    first = page.get_by_role("option").first
    playwright.expect(first).to_have_text(fact[0])
    playwright.expect(first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    playwright.expect(first).to_have_attribute("aria-selected", "false")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    playwright.expect(heading(page)).to_have_text(fact[0])
    why = page.get_by_role("link", name="Why").first
    why.focus()
    page.keyboard.press("Enter")
    playwright.expect(heading(page)).to_contain_text(" · ")
    assert {"predicted", "background"} & {*kinds_of(page.locator(".drawing").first)}
    page.go_back()
    playwright.expect(heading(page)).to_have_text(fact[0])
    page.go_back()
    playwright.expect(heading(page)).to_have_text("mine")


def test_a_pattern_of_facts_is_asked_for(page: Page, url: str, fact: Fact) -> None:
    page.goto(f"{url}/")
    page.get_by_role("link", name="Ask for a pattern of several facts").click()
    playwright.expect(heading(page)).to_have_text("Ask for a pattern of facts")
    assert page.locator(".queries a").count() == 4
    query = page.get_by_role("textbox", name="Query in SPARQL or words")
    query.fill(f"SELECT ?x WHERE {{ <{fact[0]}> <{fact[1]}> ?x }}")
    page.get_by_role("button", name="Ask").click()
    row = page.locator(".answers tbody tr", has=page.get_by_role("link", name=fact[2], exact=True))
    playwright.expect(row).to_contain_text("> 99.9 %")
    playwright.expect(row).to_contain_text(" · ".join(fact))
    playwright.expect(query).to_have_value(f"SELECT ?x WHERE {{ <{fact[0]}> <{fact[1]}> ?x }}")
    query.fill("SELECT ?x WHERE { ?x :nowhere ?y }")
    page.get_by_role("button", name="Ask").click()
    playwright.expect(page.get_by_role("alert")).to_contain_text("'nowhere'")
    page.go_back()
    page.locator(".answers .small a").first.click()
    playwright.expect(heading(page)).to_contain_text(" · ")


def test_answers_are_drawn_with_their_facts(page: Page, url: str, fact: Fact) -> None:
    query = f"SELECT ?x ?y {{ <{fact[0]}> <{fact[1]}> ?x . ?x <{fact[1]}> ?y }}"
    page.goto(f"{url}/#/ask/{quote(query, safe='')}")
    drawing = page.locator(".answers .drawing").first
    assert len(kinds_of(drawing)) == 2
    assert fact[2] in drawing.locator(".canvas").get_attribute("aria-label")
    assert page.locator(".legend").count() == 1
    assert {*page.locator("td .kind").all_inner_texts()} <= {
        "stated",
        "stated by others",
        "predicted",
    }
    # The others are drawn when they are asked for.
    assert page.locator(".answers .drawing").count() == 1
    page.locator(".answers summary").nth(1).click()
    playwright.expect(page.locator(".answers .drawing")).to_have_count(2)


def test_a_question_in_words_is_asked(page: Page, url: str, fact: Fact) -> None:
    page.goto(f"{url}/#/ask")
    page.get_by_role("textbox").last.fill(f"which {fact[1]} has {fact[0]} ?")
    page.get_by_role("button", name="Ask").click()
    row = page.locator(".answers tbody tr").first
    playwright.expect(row).to_contain_text(fact[2])
    playwright.expect(page.get_by_text("guessed by the names of relations")).to_be_visible()


def test_an_entity_by_its_address(page: Page, url: str, fact: Fact) -> None:
    page.goto(f"{url}/#/entity/{fact[0]}")
    playwright.expect(heading(page)).to_have_text(fact[0])
    playwright.expect(page).to_have_title(f"{fact[0]} · kgraft")
    facts = page.locator(".card", has_text="training facts, with the sources")
    playwright.expect(facts).to_contain_text(fact[2])
    assert facts.locator(".chip.target").count() > 0
    assert page.locator(".similar a").count() == 12
    name = page.locator(".similar a").first.inner_text()
    page.locator(".similar a").first.click()
    playwright.expect(heading(page)).to_have_text(name)


def test_another_relation_is_asked_for(page: Page, url: str, fact: Fact) -> None:
    page.goto(f"{url}/#/entity/{fact[0]}")
    page.get_by_label("Predictions to show").select_option(label=f"{fact[0]} · {fact[1]} · ?")
    shown = page.locator(".relation h3")
    playwright.expect(shown).to_have_count(1)
    playwright.expect(shown).to_have_text(f"{fact[0]} · {fact[1]} · ?")
    stated = page.locator(".relation ul").first
    playwright.expect(stated).to_contain_text(fact[2])
    playwright.expect(page.locator(".relation .kind").first).to_have_text("Stated")


def test_a_stated_fact_is_explained_in_two_colours(page: Page, url: str, fact: Fact) -> None:
    page.goto(f"{url}/#/fact/{'/'.join(fact)}")
    playwright.expect(heading(page)).to_have_text(" · ".join(fact))
    playwright.expect(page.locator(".card", has_text="Prediction")).to_contain_text("probability")
    drawing = page.locator(".drawing").first
    assert {"target", "background"} & {*kinds_of(drawing)}
    colours = drawing.locator(".canvas").evaluate(
        "x => x._cyreg.cy.edges().map(y => [y.classes()[0], y.style('line-color')])"
    )
    assert len({colour for _, colour in colours}) == len({kind for kind, _ in colours})


def test_what_is_wrong_is_told_and_can_be_tried_again(page: Page, url: str, fact: Fact) -> None:
    page.goto(f"{url}/#/entity/nobody")
    playwright.expect(page.get_by_role("alert")).to_contain_text("No entity is called 'nobody'")
    page.route("**/v1/entity?*", lambda route: route.abort())
    page.goto(f"{url}/#/entity/{fact[0]}")
    playwright.expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
    page.unroute("**/v1/entity?*")
    page.get_by_role("button", name="Try again").click()
    playwright.expect(heading(page)).to_have_text(fact[0])
    page.get_by_role("combobox", name="Search for an entity or a relation").fill("zzzzzz")
    playwright.expect(page.get_by_role("listbox")).to_contain_text("No entity or relation found")


def test_a_token_is_asked_for_once(
    browser: Any, reloader: ModelReloader, listen: Callable[..., Any]
) -> None:
    with listen(reloader, token="secret") as (host, port):  # noqa: S106
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"http://{host}:{port}/")
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Use token").click()
        # It is refused, and asked for anew.
        playwright.expect(page.get_by_label("Token")).to_have_value("")
        page.get_by_label("Token").fill("secret")
        page.keyboard.press("Enter")
        playwright.expect(heading(page)).to_have_text("mine")
        page.reload()
        playwright.expect(heading(page)).to_have_text("mine")
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1920, 1280, 768, 390])
def test_nothing_is_wider_than_the_window(
    browser: Any, url: str, fact: Fact, pictures: Path, scheme: str, width: int
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    views = {"start": "", "entity": f"entity/{fact[0]}", "fact": f"fact/{'/'.join(fact)}"}
    pattern = quote(f"SELECT ?x ?y {{ <{fact[0]}> <{fact[1]}> ?x . ?x <{fact[1]}> ?y }}", safe="")
    views["answers"] = f"ask/{pattern}"
    views |= {"relations": "relations", "relation": f"relation/{fact[1]}"}
    views |= {"missing": "missing", "map": "map"}
    for name, place in {**views, "lost": "entity/nobody"}.items():
        page.goto(f"{url}/#/{place}")
        heading(page).wait_for()
        page.locator(".waiting").wait_for(state="detached")
        page.screenshot(path=pictures / f"{name}-{width}-{scheme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for share in page.locator(".share").all()[:1]:
            room = share.evaluate("x => { x.textContent = '> 99.9 %'; return x.clientWidth; }")
            assert share.evaluate("x => x.scrollWidth") <= room
            assert share.bounding_box()["height"] < 30  # one line
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, background.removeprefix("rgb(").rstrip(")").split(","))) > 3 * 128
    assert light == (scheme == "light")
    context.close()
