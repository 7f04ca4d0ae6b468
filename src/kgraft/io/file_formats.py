"""The format of a file by its ending."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from kgraft.errors import DataError
from kgraft.system.files import compression_of, content_ending

ENDINGS: Final = {
    "": "tsv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".txt": "tsv",
    ".csv": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".nt": "ntriples",
    ".nq": "nquads",
    ".ttl": "turtle",
    ".n3": "turtle",
    ".trig": "trig",
    ".rdf": "rdfxml",
    ".owl": "rdfxml",
    ".xml": "rdfxml",
    ".jsonld": "jsonld",
    ".json": "jsonld",
}
"""Format by the ending of a file's name, before one of compression; a table may have none."""

_AS_CSV: Final = "Export its edges as CSV with the columns head, relation and tail"
OTHER_ENDINGS: Final = {
    **dict.fromkeys((".graphml", ".gexf", ".gml", ".net", ".jsonl", ".ndjson"), _AS_CSV),
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "Save the sheet as CSV in UTF-8"),
    **dict.fromkeys((".cypher", ".dump", ".db", ".sqlite"), _AS_CSV),
    **dict.fromkeys((".zip", ".7z", ".tar", ".tgz", ".rar", ".xz"), "Unpack it first"),
    ".hdt": "Convert it to N-Triples, for example by hdt2rdf",
    ".trix": "Convert it to N-Triples or TriG",
}
"""Remedy for files that are not read, by their ending."""

TABLES: Final = ("tsv", "csv")


def graph_name(file: Path) -> str:
    """Return a file's name without its ending and one of compression."""
    return Path(file.stem).stem if compression_of(file) else file.stem


def format_of(path: Path) -> str:
    """Return the format by a file's ending.

    Raises:
        DataError: If the ending is unknown.
    """
    ending = content_ending(path)
    if ending not in ENDINGS:
        known = f"Name the format, or use one of {', '.join(filter(None, ENDINGS))}"
        raise DataError(
            f"the ending {ending!r} names no known format",
            remedy=OTHER_ENDINGS.get(ending, known),
            path=path,
        )
    return ENDINGS[ending]
