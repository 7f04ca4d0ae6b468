"""Download of model directories from the Hugging Face Hub."""

from __future__ import annotations

import re
from pathlib import Path

from kgraft.errors import ModelDirectoryError, first_line
from kgraft.model.manifest import READ_ERRORS
from kgraft.system.extras import import_extra

SCHEME = "hf://"

PATTERNS = ("*.json", "*.jsonl", "*.parquet", "*.safetensors", "*.toml", "README.md")
"""The files of a model directory."""

_ADDRESS = re.compile(r"hf:/{1,2}(?P<name>[^@]+)(@(?P<revision>.+))?")
"""``hf://USER/NAME[@REVISION]``; ``pathlib`` removes one of the slashes."""


def downloaded(place: str) -> Path | None:
    """Download a model into the Hub's cache, and return its directory there; None for other places.

    Args:
        place: A path, ``hf://USER/NAME``, or ``hf://USER/NAME@REVISION``.

    Raises:
        ModelDirectoryError: If there is no such repository or revision, or no connection.
        KgraftError: If the extra ``hub`` is not installed.
    """
    address = _ADDRESS.fullmatch(place)
    if address is None:
        return None
    hub = import_extra("huggingface_hub", extra="hub")
    try:
        found = hub.snapshot_download(
            address["name"], revision=address["revision"], allow_patterns=list(PATTERNS)
        )
    except READ_ERRORS as error:
        reason = first_line(error)
        given = SCHEME + place.partition(":")[2].lstrip("/")
        raise ModelDirectoryError(
            f"{given}: this model cannot be downloaded ({reason}). Check the address, "
            "hf://USER/NAME or hf://USER/NAME@REVISION, and the connection; a private repository "
            "needs hf auth login."
        ) from error
    return Path(found)
