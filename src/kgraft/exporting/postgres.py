"""Tables of a PostgreSQL database with the extension pgvector."""

from __future__ import annotations

import json
from typing import Any

from kgraft.errors import DataError, KgraftError
from kgraft.exporting.selection import Selection, Table
from kgraft.system.extras import import_extra

MADE_BY = "kgraft "
"""What a comment on a table of ours begins with; the rest says how to use the vectors."""

_TYPES = {"String": "text", "Boolean": "boolean"}


def send_to_postgres(selection: Selection, url: str, *, overwrite: bool) -> None:
    """Write the tables of entities and relations in one transaction.

    Raises:
        DataError: If there is a table that may not be replaced.
        KgraftError: If the database cannot be reached, or refuses.
    """
    psycopg = import_extra("psycopg", extra="pgvector")
    register = import_extra("pgvector.psycopg", extra="pgvector").register_vector
    try:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            register(connection)
            for name, table in selection.tables.items():
                _make_room(connection, name, overwrite=overwrite)
                _fill(connection, name, table, selection)
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise KgraftError(
            f"the database cannot be written to ({reason}). Check the address, that the extension "
            "pgvector is installed there, and that the role may create tables."
        ) from error


def _make_room(connection: Any, name: str, *, overwrite: bool) -> None:
    """Make sure that there is no table of a name; one that kgraft has made may be dropped."""
    sql = import_extra("psycopg.sql", extra="pgvector")
    found = connection.execute(
        "SELECT obj_description(oid, 'pg_class') FROM pg_class WHERE oid = to_regclass(%s)",
        [sql.Identifier(name).as_string(connection)],
    ).fetchone()
    if found is None:
        return
    if not (found[0] or "").startswith(MADE_BY):
        raise DataError(
            f"the database has a table {name!r} that kgraft has not made",
            remedy="Choose another --name",
        )
    if not overwrite:
        raise DataError(
            f"the database has a table {name!r} already",
            remedy="Choose another --name, or allow overwriting",
        )
    connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))


def _fill(connection: Any, name: str, table: Table, selection: Selection) -> None:
    sql = import_extra("psycopg.sql", extra="pgvector")
    types = {column.name: _TYPES[str(column.dtype)] for column in table.about}
    columns = {"id": "bigint", **types, "vector": f"vector({table.vectors.shape[1]})"}
    place = sql.Identifier(name)
    kinds = [sql.SQL("{} {}").format(sql.Identifier(x), sql.SQL(y)) for x, y in columns.items()]
    connection.execute(
        sql.SQL("CREATE TABLE {} ({}, PRIMARY KEY (id))").format(place, sql.SQL(", ").join(kinds))
    )
    about = f"{MADE_BY}{json.dumps(selection.about, ensure_ascii=False)}"
    connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(place, sql.Literal(about)))
    rows = sql.SQL("COPY {} FROM STDIN (FORMAT BINARY)").format(place)
    with connection.cursor().copy(rows) as copy:
        copy.set_types([kind.partition("(")[0] for kind in columns.values()])
        for part in selection.batches(table, name):
            named = table.about[part].rows()
            for row, (called, vector) in enumerate(
                zip(named, table.vectors[part], strict=True), start=part.start
            ):
                copy.write_row((row, *called, vector))
