"""The page around the sections, escaping, and files that may not be overwritten."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from kgraft.errors import KgraftError
from kgraft.reporting.page import check_replaceable, macros, page, write_page

PARTS = macros("parts.html")
TEXT = st.text(st.characters(exclude_categories=("Cs",)))


@pytest.fixture
def made() -> str:
    sections = {"First part": Markup("<p>1 &lt; 2</p>"), "Second": Markup()}
    return page("Of <this>", "What it is about", sections, {"epochs": "3"})


def test_a_page_names_its_sections(made: str, parse: Callable[[str], ET.Element]) -> None:
    whole = parse(made)
    assert whole.attrib == {"lang": "en"}
    assert whole.findtext("head/title") == whole.findtext("body/header/h1") == "Of <this>"
    assert whole.findtext("body/header/p") == "What it is about"
    assert whole.findtext("body/header/dl/div/dd") == "3"
    links = [(x.text, x.attrib["href"]) for x in whole.iter("a")]
    assert links == [("First part", "#first-part"), ("Second", "#second")]
    assert [x.attrib["id"] for x in whole.iter("section")] == ["first-part", "second"]
    assert whole.findtext("body/main/section/p") == "1 < 2"


def test_a_page_loads_nothing(made: str, parse: Callable[[str], ET.Element]) -> None:
    tags = {x.tag for x in parse(made).iter()}
    assert not tags & {"script", "link", "img", "iframe", "object"}
    for sign in ("http:", "https:", "url(", "@import"):
        assert sign not in made


@given(TEXT, TEXT)
def test_any_text_is_well_formed(text: str, label: str) -> None:
    made = page(text, label, {label: PARTS.table([text], [[label]])}, {text: label})
    read = ET.fromstring(made.removeprefix("<!doctype html>"))  # noqa: S314 made here
    kept = "".join(x for x in text if x >= " " and x != "\x7f" and x not in "\ufffe\uffff\ufffd")
    found = "".join(x for x in read.findtext("head/title") or "" if x >= " " and x != "\ufffd")
    assert found == kept
    assert {x.tag for x in read.iter()} <= {
        *("html", "head", "meta", "title", "style", "body", "header", "h1", "p", "nav", "a"),
        *("main", "section", "h2", "div", "table", "thead", "tbody", "tr", "th", "footer"),
        *("dl", "dt", "dd", "td"),
    }


def test_control_characters_do_not_break_a_page(parse: Callable[[str], ET.Element]) -> None:
    assert parse(page("a\x00b\x1bc", "", {})).findtext("head/title") == "a\ufffdb\ufffdc"


def test_tables(parse: Callable[[str], ET.Element], rows: Callable[[str], list[list[str]]]) -> None:
    cells = [["a & b", "1"], ["c", PARTS.bar(0.123)]]
    made = PARTS.table(["name", "figure"], cells, caption="What it is")
    assert rows(made) == [["a & b", "1"], ["c", ""]]
    read = parse(made)
    assert [x.attrib.get("class") for x in read.iter("td")] == ["figure", "figure"]
    assert [x.attrib["scope"] for x in read.iter("th")] == ["col", "col", "row", "row"]
    assert [x.attrib["style"] for x in read.iter("i")] == ["width:12.3%"]
    assert read.findtext("table/caption") == "What it is"
    assert "<i" not in PARTS.bar(None)
    words = parse(PARTS.table(["a", "b", "c"], [["1", "2", "3"]], words=(0, 1)))
    assert [x.attrib.get("class") for x in words.iter("td")] == [None, "figure"]


def test_an_earlier_report_is_replaced(made: str, tmp_path: Path) -> None:
    place = tmp_path / "deep" / "report.html"
    write_page(place, made)
    write_page(place, made.replace("about", "over"))
    assert "What it is over" in place.read_text(encoding="utf-8")
    assert [x.name for x in place.parent.iterdir()] == ["report.html"]


def test_anything_else_stays(made: str, tmp_path: Path) -> None:
    mine = tmp_path / "mine.html"
    mine.write_text("<!doctype html><title>mine</title>")
    for place in (mine, tmp_path):
        with pytest.raises(KgraftError, match="this is not a report of kgraft"):
            check_replaceable(place)
        with pytest.raises(KgraftError, match=place.name):
            write_page(place, made)
    assert mine.read_text() == "<!doctype html><title>mine</title>"
