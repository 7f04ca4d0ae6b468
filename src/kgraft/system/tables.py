"""Small HTML tables, which notebooks show of results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

SHOWN = 20
"""Rows of a table that are shown."""


def html_table(rows: Sequence[Mapping[str, Any]], caption: str = "") -> str:
    """Return rows as an HTML table, the first ones of many; all text is escaped.

    Args:
        rows: Values by the names of the columns, which are those of the first row.
        caption: A line above.
    """
    columns = list(rows[0]) if rows else []
    lines = [_line("th", columns)]
    lines += [_line("td", map(cell, (row[name] for name in columns))) for row in rows[:SHOWN]]
    if len(rows) > SHOWN:
        lines.append(f'<tr><td colspan="{len(columns)}">{len(rows) - SHOWN:,} more rows</td></tr>')
    table = f"<table>{''.join(lines)}</table>" if columns else ""
    return f"<div>{escape(caption)}{table}</div>"


def cell(value: Any) -> str:
    """Return a value as short text: three decimals, names joined by commas, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _line(kind: str, texts: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{kind}>{escape(text)}</{kind}>' for text in texts)}</tr>"
