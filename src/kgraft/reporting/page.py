"""A page: sections one after the other, in one file that needs nothing else to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from kgraft.errors import KgraftError, describe
from kgraft.reporting.figures import style_sheet
from kgraft.reporting.markup import Markup, element
from kgraft.system.files import write_atomically

_GENERATOR = '<meta name="generator" content="kgraft '
"""What every report has near its beginning, and hardly another page."""


@dataclass(frozen=True)
class Section:
    """A part of a page with a heading.

    Args:
        heading: A word or two.
        body: What stands below.
    """

    heading: str
    body: Sequence[Markup]

    @property
    def anchor(self) -> str:
        """What links to it go by."""
        return "-".join(self.heading.lower().split())

    def html(self) -> Markup:
        """Return the section."""
        return element("section", element("h2", self.heading), *self.body, id=self.anchor)


def page(title: str, lead: Sequence[Markup], sections: Sequence[Section]) -> str:
    """Return a page as HTML, with its style sheet inside.

    Args:
        title: Its heading.
        lead: What stands above the first section.
        sections: The sections.
    """
    links = [element("a", x.heading, href=f"#{x.anchor}") for x in sections]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="generator", content=f"kgraft {version('kgraft')}"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Markup(style_sheet("figures.css") + style_sheet("page.css"))),
    )
    body = element(
        "body",
        element("header", element("h1", title), *lead),
        element("nav", *links, aria_label="Sections"),
        element("main", *(section.html() for section in sections)),
        element("footer", f"Made by kgraft {version('kgraft')}."),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def check_replaceable(path: Path) -> None:
    """Make sure that a report may be written to a file, before long work begins.

    Raises:
        KgraftError: If there is something else than an earlier report.
    """
    if not path.exists():
        return
    if path.is_dir() or _GENERATOR.encode() not in path.read_bytes()[:2000]:
        raise KgraftError(
            describe("this is something else than a report", remedy="Name another file", path=path)
        )


def write_page(path: Path, text: str) -> None:
    """Write a page, whole or not at all.

    Raises:
        KgraftError: As ``check_replaceable``.
    """
    check_replaceable(path)
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def paragraph(text: str, kind: str | None = None) -> Markup:
    """Return a paragraph."""
    return element("p", text, class_=kind)


def tiles(figures: Mapping[str, str]) -> Markup:
    """Return a few figures, large, each with its name."""
    pairs = [
        element("div", element("dt", name), element("dd", figure))
        for name, figure in figures.items()
    ]
    return element("dl", *pairs, class_="tiles")


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    words: Sequence[int] = (0,),
    caption: str = "",
) -> Markup:
    """Return a table.

    Args:
        head: The names of the columns.
        rows: The cells; a ``Markup`` is taken as it is.
        words: Which columns are words; the others are figures.
        caption: What it shows.
    """
    kinds = [None if place in words else "figure" for place in range(len(head))]
    names = [
        element("th", name, scope="col", class_=kind)
        for name, kind in zip(head, kinds, strict=True)
    ]
    lines = []
    for row in rows:
        first, *others = zip(row, kinds, strict=True)
        cells = [element("td", cell, class_=kind) for cell, kind in others]
        lines.append(element("tr", element("th", first[0], scope="row"), *cells))
    parts = [element("thead", element("tr", *names)), element("tbody", *lines)]
    if caption:
        parts.insert(0, element("caption", caption))
    return element("div", element("table", *parts), class_="scroll")


def bar(share: float | None) -> Markup:
    """Return a bar as long as a share from 0 to 1."""
    inside = [] if share is None else [element("i", style=f"width:{100 * share:.1f}%")]
    return element("span", *inside, class_="bar", aria_hidden="true")


def folded(summary: str, *body: Markup) -> Markup:
    """Return what only opens when it is asked for."""
    return element("details", element("summary", summary), *body)


def percent(figure: float | None) -> str:
    """Return a share in percent, a dash for none."""
    return "-" if figure is None else f"{100 * figure:.1f}"
