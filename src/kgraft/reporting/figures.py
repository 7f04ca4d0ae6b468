"""Figures as inline SVG: scales of axes, panels with two axes, and marks in them.

A panel is 340 units wide, as wide as a phone's screen, so that its text is readable there; pages
show as many side by side as fit. Colours come from the page's style sheet by class, and so follow
its light and dark schemes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from markupsafe import Markup

WIDTH, HEIGHT = 340, 220
TOP, RIGHT, BOTTOM = 30, 20, 40
LETTER = 6.2
"""The approximate width of a letter of a tick."""

MAX_LETTERS = 24
"""The maximum number of letters of a tick."""

SHAPES = ("circle", "square", "triangle", "diamond", "wedge", "ring")
"""The mark of each style; styles differ in shape too, for readers who cannot tell the colours."""

TICK_STEPS = (1, 2, 5, 10, 20)
"""The distance of ticks is one of these times a power of ten."""

Point = tuple[float, float]

_LINE = Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"></line>')
_NAMED = Markup("<g><title>{}</title>{}</g>")
_TICK = Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>')
_MIDDLE = Markup('<text class="name" x="{}" y="{}" text-anchor="middle">{}</text>')


@dataclass(frozen=True)
class Scale:
    """An axis.

    Args:
        low: The value at its beginning.
        high: The value at its end, above ``low``.
        ticks: Values between them, with their text.
        logarithmic: Whether equal distances are equal ratios.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return the position of a value: 0 at the beginning, 1 at the end."""
        if self.logarithmic:
            low, high, value = (math.log(x) for x in (self.low, self.high, value))
            return (value - low) / (high - low)
        return (value - self.low) / (self.high - self.low)


def linear(values: Iterable[float], *, max_ticks: int = 6, whole: bool = False) -> Scale:
    """Return a scale of all finite values, from a round number to a round number.

    Args:
        values: The values to draw.
        max_ticks: The maximum number of ticks.
        whole: Whether only whole numbers are ticks, and the scale ends with the values.
    """
    found = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(found), max(found)
    if math.isclose(low, high):
        low, high = (low - 1, high + 1) if whole or low == 0 else (low - abs(low), low + abs(low))
    step = _step(low, high, max_ticks, minimum=1 if whole else 0)
    first, last = _ends(low, high, step)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    ticks = tuple(
        (round(number * step, digits), f"{number * step:,.{digits}f}")
        for number in range(first, last + 1)
    )
    if whole:
        return Scale(low, high, tuple(tick for tick in ticks if low <= tick[0] <= high))
    return Scale(ticks[0][0], ticks[-1][0], ticks)


def _step(low: float, high: float, max_ticks: int, *, minimum: float) -> float:
    """Return the smallest round distance of at most so many ticks from low to high."""
    power = 10.0 ** math.floor(math.log10((high - low) / max_ticks))

    def fits(step: float) -> bool:
        first, last = _ends(low, high, step)
        return last - first < max_ticks and step >= minimum

    return next(step for step in (power * factor for factor in TICK_STEPS) if fits(step))


def _ends(low: float, high: float, step: float) -> tuple[int, int]:
    """Return the numbers of the last tick not above low and of the first not below high."""
    return math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)


def logarithmic(values: Iterable[float]) -> Scale:
    """Return a scale of powers of ten for all finite values above 0."""
    found = [value for value in values if math.isfinite(value) and value > 0] or [1.0]
    low = math.floor(math.log10(min(found)) + 1e-9)
    high = max(math.ceil(math.log10(max(found)) - 1e-9), low + 1)
    powers = range(low, high + 1)
    ticks = tuple((10.0**power, f"{10.0**power:,.{max(0, -power)}f}") for power in powers)
    return Scale(10.0**low, 10.0**high, ticks, logarithmic=True)


def categories(names: Sequence[str], *, downwards: bool = False) -> Scale:
    """Return a scale with names at 0, 1, 2 and so on, reversed if ``downwards``."""
    ticks = tuple((float(place), name) for place, name in enumerate(names))
    low, high = -0.5, max(len(names), 1) - 0.5
    return Scale(high, low, ticks) if downwards else Scale(low, high, ticks)


@dataclass(frozen=True)
class Drawing:
    """An SVG drawing with a title and a description for screen readers.

    Args:
        title: The title.
        description: A description in words.
        marks: The content, the last one on top.
        width: In units.
        height: In units.
    """

    title: str
    description: str
    marks: Sequence[Markup]
    width: int
    height: int

    def svg(self, attributes: str = "") -> Markup:
        """Return it as SVG, with further attributes."""
        about = Markup("<title>{}</title>").format(self.title)
        if self.description:
            about += Markup("<desc>{}</desc>").format(self.description)
        size = f'viewBox="0 0 {self.width} {self.height}" role="img"{attributes}'
        return Markup("<svg {}>{}{}</svg>").format(
            Markup(size),  # noqa: S704 (numbers only)
            about,
            Markup().join(self.marks),
        )


@dataclass(frozen=True)
class Panel:
    """A rectangle with two axes.

    Args:
        title: The quantity shown, with its unit: it names the vertical axis too.
        x: The horizontal axis.
        y: The vertical axis.
        x_name: The name of the horizontal axis.
        height: In units.
    """

    title: str
    x: Scale
    y: Scale
    x_name: str
    height: int = HEIGHT

    @property
    def left(self) -> float:
        """The beginning of the horizontal axis."""
        return 12 + LETTER * max((len(cut(text)) for _, text in self.y.ticks), default=0)

    def at(self, point: Point) -> Point:
        """Return the place of a point in the drawing."""
        x, y = self.x.place(point[0]), self.y.place(point[1])
        across, up = WIDTH - RIGHT - self.left, self.height - BOTTOM - TOP
        return self.left + x * across, TOP + (1 - y) * up

    def draw(self, marks: Iterable[Markup], description: str = "") -> Drawing:
        """Return the panel with marks in it, the last one on top."""
        heading = Markup('<text class="title" x="0" y="14">{}</text>').format(self.title)
        content = (heading, *self._y_axis(), *self._x_axis(), *marks)
        return Drawing(self.title, description, content, WIDTH, self.height)

    def _y_axis(self) -> list[Markup]:
        drawn = []
        for value, text in self.y.ticks:
            _, y = self.at((self.x.low, value))
            drawn.append(_line((self.left, y), (WIDTH - RIGHT, y), "grid"))
            drawn.append(_TICK.format(_short(self.left - 6), _short(y + 4), "end", cut(text)))
        return drawn

    def _x_axis(self) -> list[Markup]:
        bottom = self.height - BOTTOM
        drawn = [_line((self.left, bottom), (WIDTH - RIGHT, bottom), "axis")]
        for value, text in self.x.ticks:
            x, _ = self.at((value, self.y.low))
            drawn.append(_line((x, bottom), (x, bottom + 4), "axis"))
            drawn.append(_TICK.format(_short(x), bottom + 16, "middle", text))
        middle = _short((self.left + WIDTH - RIGHT) / 2)
        return [*drawn, _MIDDLE.format(middle, bottom + 33, self.x_name)]


def cut(text: str) -> str:
    """Return a text of at most ``MAX_LETTERS`` letters."""
    return text if len(text) <= MAX_LETTERS else text[: MAX_LETTERS - 1] + "…"


def curve(panel: Panel, points: Iterable[Point], style: int) -> Markup:
    """Draw a line through points, broken where a value is not finite."""
    path, pen = [], "M"
    for point in points:
        if not all(map(math.isfinite, point)):
            pen = "M"
            continue
        x, y = panel.at(point)
        path.append(f"{pen}{_short(x)} {_short(y)}")
        pen = "L"
    return Markup('<path class="curve s{}" d="{}"></path>').format(style, "".join(path))


def dots(
    panel: Panel,
    points: Iterable[Point],
    style: int,
    size: float = 4,
    text: Callable[[Point], str] | None = None,
) -> Markup:
    """Draw the style's mark at each finite point, with a text that shows below a pointer."""
    marks = []
    for point in points:
        if all(map(math.isfinite, point)):
            drawn = mark(panel.at(point), style, size)
            marks.append(_NAMED.format(text(point), drawn) if text else drawn)
    return Markup().join(marks)


def span(panel: Panel, one: Point, other: Point, style: int) -> Markup:
    """Draw the spread of a value, from one point to another."""
    return _line(panel.at(one), panel.at(other), f"span s{style}")


def guide(panel: Panel, one: Point, other: Point, style: int | None = None) -> Markup:
    """Draw a dashed line for comparison."""
    return _line(panel.at(one), panel.at(other), "guide" if style is None else f"guide s{style}")


def mark(place: Point, style: int, size: float = 4) -> Markup:
    """Return a style's mark around a place."""
    x, y = place
    shape = SHAPES[style % len(SHAPES)]
    if shape in ("circle", "ring"):
        kind = "mark open" if shape == "ring" else "mark"
        circle = Markup('<circle class="{} s{}" cx="{}" cy="{}" r="{}"></circle>')
        return circle.format(kind, style, _short(x), _short(y), size)
    r = size * 1.15
    corners: Mapping[str, Sequence[Point]] = {
        "square": [(-r, -r), (r, -r), (r, r), (-r, r)],
        "triangle": [(0, -1.2 * r), (1.1 * r, 0.9 * r), (-1.1 * r, 0.9 * r)],
        "diamond": [(0, -1.3 * r), (1.3 * r, 0), (0, 1.3 * r), (-1.3 * r, 0)],
        "wedge": [(0, 1.2 * r), (1.1 * r, -0.9 * r), (-1.1 * r, -0.9 * r)],
    }
    path = "L".join(f"{_short(x + dx)} {_short(y + dy)}" for dx, dy in corners[shape])
    return Markup('<path class="mark s{}" d="M{}Z"></path>').format(style, path)


def _line(one: Point, other: Point, kind: str) -> Markup:
    return _LINE.format(kind, *(_short(x) for x in (*one, *other)))


def _short(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"


@dataclass(frozen=True)
class Figure:
    """Drawings that belong together.

    Args:
        drawings: Side by side, where there is room.
        legend: The style of each name; may be empty.
        caption: A sentence or two on what is shown.
    """

    drawings: Sequence[Drawing]
    legend: Mapping[str, int] = field(default_factory=dict)
    caption: str = ""

    def html(self, kind: str = "") -> Markup:
        """Return the figure for a page, with a class of its own for the style sheet."""
        parts = [Markup("<figure>")]
        if self.legend:
            item = Markup(
                '<li><svg viewBox="0 0 14 14" class="swatch" aria-hidden="true">{}</svg>{}</li>'
            )
            entries = (
                item.format(mark((7, 7), style), name) for name, style in self.legend.items()
            )
            parts.append(Markup('<ul class="legend">{}</ul>').format(Markup().join(entries)))
        drawn = Markup().join(x.svg() for x in self.drawings)
        parts.append(Markup('<div class="{}">{}</div>').format(f"panels {kind}".rstrip(), drawn))
        if self.caption:
            parts.append(Markup("<figcaption>{}</figcaption>").format(self.caption))
        return Markup().join([*parts, Markup("</figure>")])

    def file(self) -> str:
        """Return the figure as an SVG file of its own: legend below, colours inside."""
        gap, margin = 24, 12
        width = 2 * margin - gap + sum(x.width + gap for x in self.drawings)
        height = max(x.height for x in self.drawings)
        parts, x = [], margin
        for drawing in self.drawings:
            size = f'width="{drawing.width}" height="{drawing.height}"'
            parts.append(drawing.svg(f' x="{x}" y="{margin}" {size}'))
            x += drawing.width + gap
        x, entry = margin, Markup('<text x="{}" y="{}">{}</text>')
        for name, style in self.legend.items():
            parts.append(mark((x + 7, height + margin + 10), style))
            parts.append(entry.format(x + 18, height + margin + 14, name))
            x += 40 + round(LETTER * len(name))
        height += margin + 28
        return (
            f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            'xmlns="http://www.w3.org/2000/svg">'
            f"<style>{style_sheet('figures.css')}</style>{Markup().join(parts)}</svg>\n"
        )


def style_sheet(name: str) -> str:
    """Return one of this package's style sheets."""
    return (files("kgraft.reporting") / name).read_text(encoding="utf-8")
