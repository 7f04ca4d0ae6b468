"""Qdrant collections: in a directory by the client's local mode, or on a server."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kgraft.errors import DataError, KgraftError
from kgraft.exporting.selection import Selection, Table
from kgraft.system.extras import import_extra

KEY_VARIABLE = "QDRANT_API_KEY"
"""The environment variable that holds a server's key, where it wants one."""


def write_qdrant(selection: Selection, directory: Path) -> None:
    """Write the collections of entities and relations as the client's local mode keeps them."""
    client = import_extra("qdrant_client", extra="qdrant").QdrantClient(path=str(directory))
    try:
        publish(client, selection, overwrite=False)
    finally:
        client.close()


def send_to_qdrant(selection: Selection, url: str, *, overwrite: bool) -> None:
    """Put the collections on a server.

    Raises:
        DataError: If something is there that may not be replaced.
        KgraftError: If the server cannot be reached, or refuses.
    """
    client_of = import_extra("qdrant_client", extra="qdrant").QdrantClient
    failures = import_extra("qdrant_client.http.exceptions", extra="qdrant").ApiException
    # The check of versions is a thread of its own that shouts where there is no server.
    key = os.environ.get(KEY_VARIABLE)
    client = client_of(url=url, api_key=key, check_compatibility=False)
    try:
        publish(client, selection, overwrite=overwrite)
    except failures as error:
        reason = str(error).strip().splitlines()[0]
        raise KgraftError(
            f"{url}: Qdrant cannot be written to ({reason}). Check that it runs, that the address "
            f"is right, and {KEY_VARIABLE} where it wants a key."
        ) from error
    finally:
        client.close()


def publish(client: Any, selection: Selection, *, overwrite: bool) -> None:
    """Fill new collections, and lead aliases to them once they are whole.

    So whoever asks by an alias meets the old rows or all the new ones. What an alias led to before
    is deleted at the end.

    Raises:
        DataError: If there is a collection of such a name, or an alias that may not be replaced.
    """
    led = {x.alias_name: x.collection_name for x in client.get_aliases().aliases}
    for name in selection.tables:
        if name in led and not overwrite:
            raise DataError(
                f"Qdrant has {name!r} already", remedy="Choose another --name, or allow overwriting"
            )
        if name not in led and client.collection_exists(name):
            raise DataError(
                f"Qdrant has a collection {name!r} that kgraft has not made",
                remedy="Choose another --name",
            )
    filled = {name: f"{name}_{uuid.uuid4().hex[:8]}" for name in selection.tables}
    try:
        for name, table in selection.tables.items():
            _fill(client, filled[name], table, selection)
        _lead(client, filled, led)
    except BaseException:
        for collection in filled.values():
            client.delete_collection(collection)
        raise
    for name in filled.keys() & led.keys():
        client.delete_collection(led[name])


def _fill(client: Any, collection: str, table: Table, selection: Selection) -> None:
    models = import_extra("qdrant_client.models", extra="qdrant")
    # Cosine distance would make all vectors as long as each other, and scores would be lost.
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


def _lead(client: Any, filled: Mapping[str, str], led: Mapping[str, str]) -> None:
    models = import_extra("qdrant_client.models", extra="qdrant")
    changes = [
        models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=name))
        for name in filled
        if name in led
    ]
    changes += [
        models.CreateAliasOperation(
            create_alias=models.CreateAlias(collection_name=collection, alias_name=name)
        )
        for name, collection in filled.items()
    ]
    client.update_collection_aliases(change_aliases_operations=changes)
