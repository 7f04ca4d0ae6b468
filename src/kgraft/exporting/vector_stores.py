"""Vector indexes and databases: USearch, LanceDB, Qdrant, and PostgreSQL with pgvector."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from kgraft.errors import DataError, KgraftError, first_line
from kgraft.exporting.selection import Selection, Table
from kgraft.system.extras import import_extra

KEY_VARIABLE = "QDRANT_API_KEY"
"""The environment variable with a Qdrant server's key, where it requires one."""

MADE_BY = "kgraft "
"""The beginning of the comment on each of our PostgreSQL tables; the rest describes the vectors."""

_TYPES = {"String": "text", "Boolean": "boolean"}


def write_usearch(selection: Selection, directory: Path) -> None:
    """Write ``entities.usearch``, whose keys are rows of ``entities.parquet``, and relations.

    The index holds float32 and ranks by inner product, as scores do.
    """
    usearch = import_extra("usearch.index", extra="usearch")
    table = selection.entities
    index = usearch.Index(ndim=table.vectors.shape[1], metric="ip", dtype="f32")
    for part in selection.batches(table, "usearch"):
        index.add(np.arange(part.start, part.stop), table.vectors[part])
    index.save(str(directory / "entities.usearch"))
    table.about.write_parquet(directory / "entities.parquet")
    selection.relations.frame.write_parquet(directory / "relations.parquet")


def write_lance(selection: Selection, directory: Path) -> None:
    """Write a LanceDB database with a table of entities and one of relations."""
    database = import_extra("lancedb", extra="lancedb").connect(directory)
    for name, table in selection.tables.items():
        database.create_table(name, table.frame.to_arrow())


def write_qdrant(selection: Selection, directory: Path) -> None:
    """Write Qdrant collections of entities and relations in the client's local mode."""
    client = import_extra("qdrant_client", extra="qdrant").QdrantClient(path=str(directory))
    try:
        publish(client, selection, overwrite=False)
    finally:
        client.close()


def send_to_qdrant(selection: Selection, url: str, *, overwrite: bool) -> None:
    """Send the collections to a Qdrant server.

    Raises:
        DataError: If there is a collection or an alias that may not be replaced.
        KgraftError: If the server cannot be reached, or refuses.
    """
    client_of = import_extra("qdrant_client", extra="qdrant").QdrantClient
    failures = import_extra("qdrant_client.http.exceptions", extra="qdrant").ApiException
    # The version check runs in a thread of its own, which prints a warning if there is no server.
    key = os.environ.get(KEY_VARIABLE)
    client = client_of(url=url, api_key=key, check_compatibility=False)
    try:
        publish(client, selection, overwrite=overwrite)
    except failures as error:
        reason = first_line(error)
        raise KgraftError(
            f"{url}: Qdrant cannot be written to ({reason}). Check that the server runs, that the "
            f"address is right, and that {KEY_VARIABLE} is set if it requires a key."
        ) from error
    finally:
        client.close()


def publish(client: Any, selection: Selection, *, overwrite: bool) -> None:
    """Fill new Qdrant collections, and move their aliases there once they are complete.

    A query by alias sees all the old rows or all the new ones. The old collections are deleted at
    the end.

    Raises:
        DataError: If there is a collection of such a name, or an alias that may not be replaced.
    """
    old = {x.alias_name: x.collection_name for x in client.get_aliases().aliases}
    for name in selection.tables:
        if name in old and not overwrite:
            raise DataError(
                f"Qdrant has {name!r} already", remedy="Choose another --name, or use --overwrite"
            )
        if name not in old and client.collection_exists(name):
            raise DataError(
                f"Qdrant has a collection {name!r} that kgraft has not made",
                remedy="Choose another --name",
            )
    new = {name: f"{name}_{uuid.uuid4().hex[:8]}" for name in selection.tables}
    models = import_extra("qdrant_client.models", extra="qdrant")
    delete, create = models.DeleteAlias, models.CreateAlias
    changes = [
        *(models.DeleteAliasOperation(delete_alias=delete(alias_name=x)) for x in new if x in old),
        *(
            models.CreateAliasOperation(create_alias=create(collection_name=x, alias_name=name))
            for name, x in new.items()
        ),
    ]
    try:
        for name, table in selection.tables.items():
            _fill_collection(client, new[name], table, selection)
        client.update_collection_aliases(change_aliases_operations=changes)
    except BaseException:
        for collection in new.values():
            client.delete_collection(collection)
        raise
    for name in new.keys() & old.keys():
        client.delete_collection(old[name])


def _fill_collection(client: Any, collection: str, table: Table, selection: Selection) -> None:
    models = import_extra("qdrant_client.models", extra="qdrant")
    # Cosine distance would normalise the vectors, and their scores would be lost.
    space = models.VectorParams(size=table.vectors.shape[1], distance=models.Distance.DOT)
    client.create_collection(collection, vectors_config=space, metadata=selection.about)
    for part in selection.batches(table, collection):
        client.upload_collection(
            collection,
            vectors=table.vectors[part],
            payload=table.about[part].to_dicts(),
            ids=range(part.start, part.stop),
            wait=True,
        )


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
                _drop_own_table(connection, name, overwrite=overwrite)
                _fill_table(connection, name, table, selection)
    except psycopg.Error as error:
        reason = first_line(error)
        raise KgraftError(
            f"the database cannot be written to ({reason}). Check the address, that the extension "
            "pgvector is installed there, and that the role may create tables."
        ) from error


def _drop_own_table(connection: Any, name: str, *, overwrite: bool) -> None:
    """Drop a table that kgraft has made and may replace; raise if it may not."""
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
            remedy="Choose another --name, or use --overwrite",
        )
    connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))


def _fill_table(connection: Any, name: str, table: Table, selection: Selection) -> None:
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
            pairs = zip(table.about[part].rows(), table.vectors[part], strict=True)
            for row, (about_row, vector) in enumerate(pairs, start=part.start):
                copy.write_row((row, *about_row, vector))
