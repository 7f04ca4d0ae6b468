"""Panels and marks: points computed by hand, and what drawings say to whoever cannot see them."""

from __future__ import annotations

import math
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest

from kgraft.reporting.figures import (
    SHAPES,
    Figure,
    Panel,
    categories,
    curve,
    dots,
    guide,
    linear,
    mark,
    span,
)


@pytest.fixture
def panel() -> Panel:
    """From 0 to 10 both ways; the widest tick has 2 letters."""
    return Panel("Height, m", linear([0, 10]), linear([0, 10]), "width, m")


def test_points_lie_where_they_should(panel: Panel) -> None:
    assert panel.left == pytest.approx(12 + 2 * 6.2)
    assert panel.at((0, 0)) == pytest.approx((24.4, 180))
    assert panel.at((10, 10)) == pytest.approx((320, 30))
    assert panel.at((5, 2)) == pytest.approx((172.2, 150))


def test_a_curve_is_broken_where_nothing_was_measured(panel: Panel) -> None:
    points = [(0, 0), (5, 2), (6, math.nan), (10, 10), (math.inf, 1)]
    assert curve(panel, points, 3) == (
        '<path class="curve s3" d="M24.4 180L172.2 150M320 30"></path>'
    )
    assert dots(panel, points, 0).count("<circle") == 3


def test_lines(panel: Panel) -> None:
    drawn = '<line class="{}" x1="24.4" y1="180" x2="320" y2="30"></line>'
    ends = (0, 0), (10, 10)
    assert span(panel, *ends, 1) == drawn.format("span s1")
    assert guide(panel, *ends) == drawn.format("guide")
    assert guide(panel, *ends, 2) == drawn.format("guide s2")


def test_styles_differ_in_shape() -> None:
    drawn = [mark((10, 10), style) for style in range(len(SHAPES))]
    assert len({shape.replace(f"s{style}", "") for style, shape in enumerate(drawn)}) == len(SHAPES)


def test_a_panel_says_what_it_is(panel: Panel, parse: Callable[[str], ET.Element]) -> None:
    drawn = parse(panel.draw([dots(panel, [(1, 1)], 0)], "One dot.").svg())
    assert (drawn.tag, drawn.attrib) == ("svg", {"viewBox": "0 0 340 220", "role": "img"})
    assert [drawn[0].tag, drawn[0].text] == ["title", "Height, m"]
    assert [drawn[1].tag, drawn[1].text] == ["desc", "One dot."]
    ticks = ["0", "2", "4", "6", "8", "10"]
    assert [x.text for x in drawn.iter("text")] == ["Height, m", *ticks, *ticks, "width, m"]


def test_long_names_leave_room_for_the_figure() -> None:
    panel = Panel("a", linear([0, 1]), categories(["x" * 80], downwards=True), "b")
    assert panel.left < 170
    assert "x" * 23 + "…" in panel.draw([]).svg()


def test_a_figure_and_its_file(panel: Panel, parse: Callable[[str], ET.Element]) -> None:
    figure = Figure([panel.draw([]), panel.draw([])], {"a <b>": 0, "other": 1}, "What one sees.")
    shown = parse(figure.html())
    assert [x.text or "" for x in shown.iter("figcaption")] == ["What one sees."]
    assert ["".join(x.itertext()) for x in shown.iter("li")] == ["a <b>", "other"]
    alone = parse(figure.file())
    assert alone.tag == "{http://www.w3.org/2000/svg}svg"
    assert (alone.attrib["width"], alone.attrib["height"]) == ("728", "260")
    assert "--c0" in "".join(x.text or "" for x in alone.findall("{*}style"))
    assert [x.text for x in alone.findall("{*}text")] == ["a <b>", "other"]
