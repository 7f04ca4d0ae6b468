"""An embedded LanceDB database."""

from __future__ import annotations

from pathlib import Path

from kgraft.exporting.selection import Selection
from kgraft.system.extras import import_extra


def write_lance(selection: Selection, directory: Path) -> None:
    """Write a database with a table of the entities and one of the relations."""
    database = import_extra("lancedb", extra="lancedb").connect(directory)
    for name, table in selection.tables.items():
        database.create_table(name, table.frame.to_arrow())
