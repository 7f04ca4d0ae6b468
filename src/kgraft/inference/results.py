"""Results in order: a list of records that becomes a data frame or a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Protocol, TypeVar

import polars as pl

from kgraft.system.tables import html_table
from kgraft.system.terminal import visible

SHOWN = 10
"""Records that are shown in plain text."""


class Record(Protocol):
    """A dataclass whose ``COLUMNS`` are the attributes that a table shows, and their types."""

    COLUMNS: ClassVar[dict[str, Any]]


R = TypeVar("R", bound=Record)


class Results(list[R]):
    """Records of one kind, such as predictions, the best first.

    Args:
        kind: Their class.
        records: The records.
    """

    def __init__(self, kind: type[R], records: Iterable[R] = ()) -> None:
        super().__init__(records)
        self._kind = kind

    def to_frame(self) -> pl.DataFrame:
        """Return a data frame with a row for each record."""
        columns = self._kind.COLUMNS
        rows = [[getattr(record, name) for name in columns] for record in self]
        return pl.DataFrame(rows, schema=columns, orient="row")

    def __repr__(self) -> str:
        lines = [visible(str(record)) for record in self[:SHOWN]]
        if len(self) > SHOWN:
            lines.append(f"and {len(self) - SHOWN:,} more")
        return "\n".join(lines) or f"no {self._kind.__name__}"

    def _repr_html_(self) -> str:
        return html_table(self.to_frame())
