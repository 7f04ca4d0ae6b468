"""Figures as inline SVG: panels with two axes, and the marks in them.

A panel is 340 units wide, so that it is as wide as a phone's screen and its words can be read
there; pages put as many beside each other as fit. Colours come from the page's style sheet by
class, so that figures follow light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from kgraft.reporting.markup import Markup, element, together
from kgraft.reporting.scale import Scale

WIDTH, HEIGHT = 340, 220
TOP, RIGHT, BOTTOM = 30, 20, 40
LETTER = 6.2
"""About the width of a letter of a tick."""

LONGEST = 24
"""Letters of a tick for which there is room."""

SHAPES = ("circle", "square", "triangle", "diamond", "wedge", "ring")
"""The mark of each style. Styles differ in colour and in shape, for whoever sees no colour."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Drawing:
    """A drawing that says what it is.

    Args:
        title: Its name.
        description: What it shows, for whoever cannot see it.
        inside: What is drawn.
        width: In units.
        height: In units.
    """

    title: str
    description: str
    inside: Sequence[Markup]
    width: int
    height: int

    def markup(self, **attributes: object) -> Markup:
        """Return it as SVG, with further attributes."""
        said = [element("title", self.title)]
        if self.description:
            said.append(element("desc", self.description))
        box = f"0 0 {self.width} {self.height}"
        return element("svg", *said, *self.inside, viewBox=box, role="img", **attributes)


@dataclass(frozen=True)
class Panel:
    """A rectangle with two axes.

    Args:
        title: What is drawn, with its unit: it names the vertical axis too.
        x: The horizontal axis.
        y: The vertical axis.
        x_name: What the horizontal axis is.
        height: In units.
    """

    title: str
    x: Scale
    y: Scale
    x_name: str
    height: int = HEIGHT

    @property
    def left(self) -> float:
        """Where the horizontal axis begins."""
        return 12 + LETTER * max((len(cut(text)) for _, text in self.y.ticks), default=0)

    def at(self, point: Point) -> Point:
        """Return where a point is drawn."""
        x, y = self.x.place(point[0]), self.y.place(point[1])
        across, up = WIDTH - RIGHT - self.left, self.height - BOTTOM - TOP
        return self.left + x * across, TOP + (1 - y) * up

    def draw(self, marks: Iterable[Markup], description: str = "") -> Drawing:
        """Return the panel with marks in it, the last one on top."""
        heading = element("text", self.title, class_="title", x=0, y=14)
        inside = (heading, *self._y_axis(), *self._x_axis(), *marks)
        return Drawing(self.title, description, inside, WIDTH, self.height)

    def _y_axis(self) -> list[Markup]:
        drawn = []
        for value, text in self.y.ticks:
            _, y = self.at((self.x.low, value))
            drawn += [
                _line((self.left, y), (WIDTH - RIGHT, y), "grid"),
                element(
                    "text", cut(text), x=_short(self.left - 6), y=_short(y + 4), text_anchor="end"
                ),
            ]
        return drawn

    def _x_axis(self) -> list[Markup]:
        bottom = self.height - BOTTOM
        drawn = [_line((self.left, bottom), (WIDTH - RIGHT, bottom), "axis")]
        for value, text in self.x.ticks:
            x, _ = self.at((value, self.y.low))
            drawn += [
                _line((x, bottom), (x, bottom + 4), "axis"),
                element("text", text, x=_short(x), y=bottom + 16, text_anchor="middle"),
            ]
        middle = _short((self.left + WIDTH - RIGHT) / 2)
        name = element(
            "text", self.x_name, class_="name", x=middle, y=bottom + 33, text_anchor="middle"
        )
        return [*drawn, name]


def cut(text: str) -> str:
    """Return a text with no more letters than there is room for."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def curve(panel: Panel, points: Iterable[Point], style: int) -> Markup:
    """Draw a line through points; it is broken where a value is not finite."""
    steps, pen = [], "M"
    for point in points:
        if not all(map(math.isfinite, point)):
            pen = "M"
            continue
        x, y = panel.at(point)
        steps.append(f"{pen}{_short(x)} {_short(y)}")
        pen = "L"
    return element("path", class_=f"curve s{style}", d="".join(steps))


def dots(panel: Panel, points: Iterable[Point], style: int, size: float = 4) -> Markup:
    """Draw the style's mark at each point that is finite."""
    places = [panel.at(point) for point in points if all(map(math.isfinite, point))]
    return together([mark(place, style, size) for place in places])


def span(panel: Panel, one: Point, other: Point, style: int) -> Markup:
    """Draw how far a value spreads, from one point to another."""
    return _line(panel.at(one), panel.at(other), f"span s{style}")


def guide(panel: Panel, one: Point, other: Point, style: int | None = None) -> Markup:
    """Draw a dashed line to compare with."""
    return _line(panel.at(one), panel.at(other), "guide" if style is None else f"guide s{style}")


def mark(place: Point, style: int, size: float = 4) -> Markup:
    """Return a style's mark around a place."""
    x, y = place
    shape = SHAPES[style % len(SHAPES)]
    if shape in ("circle", "ring"):
        kind = "mark open" if shape == "ring" else "mark"
        return element("circle", class_=f"{kind} s{style}", cx=_short(x), cy=_short(y), r=size)
    r = size * 1.15
    corners: Mapping[str, Sequence[Point]] = {
        "square": [(-r, -r), (r, -r), (r, r), (-r, r)],
        "triangle": [(0, -1.2 * r), (1.1 * r, 0.9 * r), (-1.1 * r, 0.9 * r)],
        "diamond": [(0, -1.3 * r), (1.3 * r, 0), (0, 1.3 * r), (-1.3 * r, 0)],
        "wedge": [(0, 1.2 * r), (1.1 * r, -0.9 * r), (-1.1 * r, -0.9 * r)],
    }
    path = "L".join(f"{_short(x + dx)} {_short(y + dy)}" for dx, dy in corners[shape])
    return element("path", class_=f"mark s{style}", d=f"M{path}Z")


def _line(one: Point, other: Point, kind: str) -> Markup:
    (x1, y1), (x2, y2) = one, other
    ends = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    return element("line", class_=kind, **{key: _short(value) for key, value in ends.items()})


def _short(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"


@dataclass(frozen=True)
class Figure:
    """Drawings that belong together.

    Args:
        drawings: One beside the other, where there is room.
        legend: What each style stands for; empty where that needs no word.
        caption: What one sees, in a sentence or two.
    """

    drawings: Sequence[Drawing]
    legend: Mapping[str, int] = field(default_factory=dict)
    caption: str = ""

    def html(self, kind: str = "") -> Markup:
        """Return the figure for a page, with a class of its own for the style sheet."""
        drawn = (x.markup() for x in self.drawings)
        parts = [element("div", *drawn, class_=f"panels {kind}".rstrip())]
        if self.legend:
            entries = [element("li", _swatch(style), name) for name, style in self.legend.items()]
            parts.insert(0, element("ul", *entries, class_="legend"))
        if self.caption:
            parts.append(element("figcaption", self.caption))
        return element("figure", *parts)

    def file(self) -> str:
        """Return the figure as an SVG file of its own: legend below, colours within."""
        gap, margin = 24, 12
        width = 2 * margin - gap + sum(x.width + gap for x in self.drawings)
        height = max(x.height for x in self.drawings)
        inside, x = [element("style", Markup(style_sheet("figures.css")))], margin
        for drawing in self.drawings:
            inside.append(drawing.markup(x=x, y=margin, width=drawing.width, height=drawing.height))
            x += drawing.width + gap
        x = margin
        for name, style in self.legend.items():
            inside += [
                mark((x + 7, height + margin + 10), style),
                element("text", name, x=x + 18, y=height + margin + 14),
            ]
            x += 40 + round(LETTER * len(name))
        size = {"width": width, "height": height + margin + 28}
        box = f"0 0 {size['width']} {size['height']}"
        namespace = {"xmlns": "http://www.w3.org/2000/svg"}
        return element("svg", *inside, viewBox=box, **size, **namespace) + "\n"


def _swatch(style: int) -> Markup:
    shape = mark((7, 7), style)
    return element("svg", shape, viewBox="0 0 14 14", class_="swatch", aria_hidden="true")


def style_sheet(name: str) -> str:
    """Return one of this package's style sheets."""
    return (files("kgraft.reporting") / name).read_text(encoding="utf-8")
