"""The page around the sections, and what may not be overwritten."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from kgraft.errors import KgraftError
from kgraft.reporting.markup import element
from kgraft.reporting.page import Section, bar, check_replaceable, page, table, tiles, write_page


@pytest.fixture
def made() -> str:
    sections = [Section("First part", [element("p", "1 < 2")]), Section("Second", [])]
    return page("Of <this>", [element("p", "lead")], sections)


def test_a_page_names_its_sections(made: str, parse: Callable[[str], ET.Element]) -> None:
    whole = parse(made)
    assert whole.attrib == {"lang": "en"}
    assert whole.findtext("head/title") == whole.findtext("body/header/h1") == "Of <this>"
    links = [(x.text, x.attrib["href"]) for x in whole.iter("a")]
    assert links == [("First part", "#first-part"), ("Second", "#second")]
    assert [x.attrib["id"] for x in whole.iter("section")] == ["first-part", "second"]


def test_a_page_needs_nothing_else(made: str, parse: Callable[[str], ET.Element]) -> None:
    tags = {x.tag for x in parse(made).iter()}
    assert not tags & {"script", "link", "img", "iframe", "object"}
    for sign in ("http:", "https:", "url(", "@import"):
        assert sign not in made


def test_tables_and_tiles(
    parse: Callable[[str], ET.Element], rows: Callable[[str], list[list[str]]]
) -> None:
    made = table(["name", "figure"], [["a & b", "1"], ["c", bar(0.123)]], caption="What it is")
    assert rows(made) == [["a & b", "1"], ["c", ""]]
    read = parse(made)
    assert [x.attrib.get("class") for x in read.iter("td")] == ["figure", "figure"]
    assert [x.attrib["scope"] for x in read.iter("th")] == ["col", "col", "row", "row"]
    assert [x.attrib["style"] for x in read.iter("i")] == ["width:12.3%"]
    assert read.findtext("table/caption") == "What it is"
    assert "<i" not in bar(None)
    assert parse(tiles({"epochs": "3"})).findtext("div/dd") == "3"


def test_an_earlier_report_is_replaced(made: str, tmp_path: Path) -> None:
    place = tmp_path / "deep" / "report.html"
    write_page(place, made)
    write_page(place, made.replace("lead", "other"))
    assert "<p>other</p>" in place.read_text(encoding="utf-8")
    assert [x.name for x in place.parent.iterdir()] == ["report.html"]


def test_anything_else_stays(made: str, tmp_path: Path) -> None:
    mine = tmp_path / "mine.html"
    mine.write_text("<!doctype html><title>mine</title>")
    for place in (mine, tmp_path):
        with pytest.raises(KgraftError, match="something else than a report"):
            check_replaceable(place)
        with pytest.raises(KgraftError, match=place.name):
            write_page(place, made)
    assert mine.read_text() == "<!doctype html><title>mine</title>"
