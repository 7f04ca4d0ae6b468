"""The files of a shop that pages tell of: its graph in several formats, Wikidata's, and links."""

from __future__ import annotations

import bz2
import gzip
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import polars as pl
import pyarrow as pa

WIKIDATA = "http://www.wikidata.org/"
OWL_SAME_AS = "http://www.w3.org/2002/07/owl#sameAs"
COLOURS = ("Blue", "Red", "Green", "White", "Black")
THINGS = {"Lamp": "Glass", "Chair": "Wood", "Vase": "Clay", "Desk": "Wood", "Rug": "Wool"}
MADE = [
    (f"{colour} {thing}", relation, value)
    for colour in COLOURS
    for thing, material in THINGS.items()
    for relation, value in (
        ("madeOf", material),
        ("hasColour", colour),
        ("madeBy", f"Maker {len(thing)}"),
    )
]
"""All that is so: the shop states seven eighths of it, Wikidata six sevenths."""

MINE = [fact for i, fact in enumerate(MADE) if i % 8 != 1]
NAMES = sorted({name for head, _, tail in MADE for name in (head, tail)})
NUMBER_OF = {name: f"{WIKIDATA}entity/Q{number}" for number, name in enumerate(NAMES, 1)}
PROPERTY = {"madeOf": "P186", "hasColour": "P462", "madeBy": "P176"}


def iri(name: str) -> str:
    return f"http://shop.org/{name.replace(' ', '_')}"


def n_triples(facts: list[tuple[str, str, str]]) -> str:
    return "".join(f"<{head}> <{relation}> <{tail}> .\n" for head, relation, tail in facts)


def table(facts: list[tuple[str, ...]], sign: str, *header: str) -> str:
    return "".join(sign.join(row) + "\n" for row in [*([header] if header else []), *facts])


def as_parquet() -> bytes:
    file = BytesIO()
    pl.DataFrame(MINE, schema=["from", "rel", "to"], orient="row").write_parquet(file)
    return file.getvalue()


def as_json() -> str:
    nodes = [{"@id": iri(x), iri(y): {"@id": iri(z)}} for x, y, z in MINE]
    return json.dumps(nodes)


IRIS = [(iri(head), iri(relation), iri(tail)) for head, relation, tail in MINE]
GRAPHS: dict[str, Callable[[], bytes]] = {
    ".csv": lambda: table(MINE, ",", "Subject", "Predicate", "Object").encode(),
    ".parquet": as_parquet,
    ".nt": lambda: n_triples(IRIS).encode(),
    ".ttl": lambda: ("# exported\n@prefix s: <http://shop.org/> .\n" + n_triples(IRIS)).encode(),
    ".jsonld": lambda: as_json().encode(),
    ".gz": lambda: gzip.compress(table(MINE, "\t").encode()),
    ".bz2": lambda: bz2.compress(table(MINE, "\t").encode()),
    ".zst": lambda: pa.compress(table(MINE, "\t").encode(), codec="zstd", asbytes=True),
}
"""The file of the shop in each format that the README names beside a table of tabs."""

SSSOM = (
    "#curie_map:\n#  wd: http://www.wikidata.org/entity/\n"
    "subject_id\tpredicate_id\tobject_id\tmapping_justification\n"
    + "".join(
        f"{name}\towl:sameAs\twd:{number.rpartition('/')[2]}\tsemapv:ManualMappingCuration\n"
        for name, number in NUMBER_OF.items()
    )
)


def open_shop(place: Path) -> None:
    """Write the shop's files into a directory."""
    wikidata = [
        (NUMBER_OF[head], f"{WIKIDATA}prop/direct/{PROPERTY[relation]}", NUMBER_OF[tail])
        for i, (head, relation, tail) in enumerate(MADE)
        if i % 7
    ]
    labels = [
        f'<{number}> <http://www.w3.org/2000/01/rdf-schema#label> "{name}"@en .\n'
        for name, number in NUMBER_OF.items()
    ]
    (place / "mine.tsv").write_text(table(MINE, "\t"))
    for number, part in enumerate((wikidata[::2], wikidata[1::2]), 1):
        text = "# dumped\n" + n_triples(part) + "".join(labels)
        (place / f"part{number}.nt.gz").write_bytes(gzip.compress(text.encode()))
    (place / "sameas.tsv").write_text(table([*NUMBER_OF.items()], "\t"))
