"""A review file that is kept up to date: decisions are written into it one by one."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from kgraft.errors import DataError, KgraftError
from kgraft.io.decisions import DECISION, GUARDED, guarded, read_decisions, separator_of
from kgraft.io.named_facts import ROLES
from kgraft.system.files import compression_of, read_bytes
from kgraft.system.outputs import behind_links, remove_leftovers, write_atomically

Fact = tuple[str, str, str]
"""Head, relation and tail, by the target's names."""

Decision = Literal["accept", "refuse"]

COLUMNS: Final = (DECISION, *ROLES, "probability", "why")
"""Columns of a file that is begun here, as ``kgraft complete -o REVIEW.csv`` names them."""

WAIT_SECONDS: Final = 10.0
"""Time until another writer has to be done."""


class DecisionFile:
    """A review file, one of its decisions written at a time, also by several processes.

    Rows, columns and separator of a file that is there stay as they are. A file that is not there
    is begun with its first decision.

    Args:
        path: CSV, as ``read_decisions`` takes it.

    Raises:
        DataError: With file and line, as ``read_decisions``; or if it is compressed, or its
            directory is missing.
    """

    def __init__(self, path: Path) -> None:
        if compression_of(path):
            raise DataError(
                "decisions are not written into a compressed file",
                remedy="Unpack it, or name a new file such as decisions.csv",
                path=path,
            )
        if not path.parent.is_dir():
            raise DataError(
                f"there is no directory {path.parent}", remedy="Make it first", path=path
            )
        self.path = path
        self.read()

    def read(self) -> dict[Fact, Decision]:
        """Return the decisions that the file holds now.

        Raises:
            DataError: As ``read_decisions``.
        """
        if not self.path.exists():
            return {}
        found = read_decisions(self.path).drop_nulls(DECISION)
        facts = found.select(ROLES).iter_rows()
        return dict(zip(facts, found[DECISION], strict=True))

    def write(
        self, fact: Fact, decision: Decision | None, about: Mapping[str, str] | None = None
    ) -> None:
        """Write a decision into every row of its fact, or into a new row at the end.

        Args:
            fact: The fact.
            decision: The decision; None takes it back.
            about: Further cells of a new row, by column; those that the file lacks play no part.

        Raises:
            DataError: As ``read_decisions``, or for a name that the file cannot hold.
            KgraftError: If another process keeps the file locked, or it cannot be written.
        """
        from filelock import FileLock, Timeout  # Its import takes 80 ms.

        place = behind_links(self.path)
        lock = FileLock(place.with_name(f".{place.name}.lock"), timeout=WAIT_SECONDS)
        try:
            with lock:
                remove_leftovers(place)
                self._write(fact, decision, about or {})
        except Timeout:
            raise KgraftError(
                f"{self.path}: another process keeps it locked; try again, or stop that one"
            ) from None
        except OSError as error:
            raise KgraftError(
                f"{self.path}: nothing can be written here ({error.strerror or error}). "
                "Make room on the disk, or start the server with another file."
            ) from error

    def _write(self, fact: Fact, decision: Decision | None, about: Mapping[str, str]) -> None:
        self.read()  # what is wrong with the file is told, and not written over
        mark, separator, rows = self._rows()
        header = [cell.strip().lower() for cell in rows[0]]
        at, places = header.index(DECISION), [header.index(role) for role in ROLES]
        own = [row for row in rows[1:] if tuple(_plain(_cell(row, x)) for x in places) == fact]
        for row in own:
            row += [""] * (at + 1 - len(row))
            row[at] = decision or ""
        if not own and decision is not None:
            cells = {**about, **dict(zip(ROLES, fact, strict=True)), DECISION: decision}
            rows.append([guarded(cells.get(name, "")) for name in header])
        text = mark + _written(rows, separator, self.path)
        with write_atomically(self.path) as temporary:
            temporary.write_bytes(text.encode())

    def _rows(self) -> tuple[str, str, list[list[str]]]:
        """Return the byte order mark or nothing, the separator, and all rows with the header."""
        if not self.path.exists():
            return "\ufeff", ",", [list(COLUMNS)]
        separator = separator_of(self.path)
        text = read_bytes(self.path).decode()
        mark = "\ufeff" if text.startswith("\ufeff") else ""
        source = io.StringIO(text.removeprefix(mark), newline="")
        rows = [row for row in csv.reader(source, _DIALECTS[separator]) if row]
        return mark, separator, rows


class _Commas(csv.excel):
    """Cells with quotes where they need them."""


class _Semicolons(csv.excel):
    """The same, separated otherwise."""

    delimiter = ";"


class _Tabs(csv.excel):
    """As everywhere, tabs come without quotes."""

    delimiter, quoting, quotechar = "\t", csv.QUOTE_NONE, None


_DIALECTS: Final = {x.delimiter: x for x in (_Commas, _Semicolons, _Tabs)}


def _written(rows: Sequence[Sequence[str]], separator: str, path: Path) -> str:
    text = io.StringIO(newline="")
    try:
        csv.writer(text, _DIALECTS[separator]).writerows(rows)
    except csv.Error:
        raise DataError(
            "a name has a tab or a line break, which a file that is separated by tabs cannot hold",
            remedy="Save it separated by commas",
            path=path,
        ) from None
    return text.getvalue()


def _cell(row: Sequence[str], place: int) -> str:
    return row[place] if place < len(row) else ""


def _plain(cell: str) -> str:
    """Return a cell without the quote that ``guarded`` puts ahead."""
    return re.sub(f"^'({GUARDED})", r"\1", cell)
