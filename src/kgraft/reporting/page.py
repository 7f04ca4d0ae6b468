"""HTML pages of one file, without links to anything outside, and the templates of their parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from kgraft.errors import KgraftError, describe
from kgraft.reporting.figures import style_sheet
from kgraft.system.outputs import write_atomically

_GENERATOR = b'<meta name="generator" content="kgraft '
"""Text near the beginning of each report, by which a report is recognised."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
"""Characters that labels may hold, and neither HTML nor XML."""

_TEMPLATES = Environment(
    loader=PackageLoader("kgraft.reporting"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)


class Macros(Protocol):
    """The macros of a template, each a function that escapes its arguments."""

    def __getattr__(self, name: str) -> Callable[..., Markup]:
        """Return a macro."""


def macros(template: str) -> Macros:
    """Return the macros of one of this package's templates."""
    return _TEMPLATES.get_template(template).module  # type: ignore[return-value]


def page(
    title: str,
    lead: str,
    sections: Mapping[str, Markup],
    tiles: Mapping[str, str] | None = None,
) -> str:
    """Return a page as HTML, with its style sheet inside.

    Args:
        title: Its heading.
        lead: The sentences below it.
        sections: The body of each section by its heading.
        tiles: A few figures, shown large, by name.
    """
    made = _TEMPLATES.get_template("page.html").render(
        title=title,
        lead=lead,
        sections=sections,
        tiles=tiles,
        version=version("kgraft"),
        style=Markup(style_sheet("figures.css") + style_sheet("page.css")),  # noqa: S704 (ours)
    )
    return _CONTROLS.sub("\ufffd", made)


def percent(share: float | None) -> str:
    """Return a share in percent, a dash for None."""
    return "-" if share is None else f"{100 * share:.1f}"


def check_replaceable(path: Path) -> None:
    """Make sure that a report may be written to a file, before long work begins.

    Raises:
        KgraftError: If the file exists and is not an earlier report.
    """
    if path.exists() and (path.is_dir() or _GENERATOR not in path.read_bytes()[:2000]):
        raise KgraftError(
            describe("this is not a report of kgraft", remedy="Name another file", path=path)
        )


def write_page(path: Path, text: str) -> None:
    """Write a page, whole or not at all.

    Raises:
        KgraftError: As ``check_replaceable``.
    """
    check_replaceable(path)
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
