"""Small HTML tables of results for notebooks."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

import polars as pl

from kgraft.system.terminal import visible

SHOWN = 20
"""Rows of a table that are shown."""


def html_table(frame: pl.DataFrame, caption: str = "") -> str:
    """Return the first rows of a data frame as an HTML table below a caption, all text escaped."""
    lines = [_line("th", frame.columns)]
    lines += [_line("td", map(cell, row)) for row in frame.head(SHOWN).iter_rows()]
    if len(frame) > SHOWN:
        more = f"{len(frame) - SHOWN:,} more rows"
        lines.append(f'<tr><td colspan="{frame.width}">{more}</td></tr>')
    table = f"<table>{''.join(lines)}</table>" if frame.width else ""
    return f"<div>{escape(visible(caption))}{table}</div>"


def cell(value: Any) -> str:
    """Return a value as short text: three decimals, names joined by commas, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _line(kind: str, texts: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{kind}>{escape(visible(text))}</{kind}>' for text in texts)}</tr>"
