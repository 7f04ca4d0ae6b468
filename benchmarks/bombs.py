"""Inspect files that are small on disk and exhaust memory when they are read.

Usage: python benchmarks/bombs.py --out bombs.json

``kgraft inspect`` reads each in a process limited to ``MEMORY`` and ``SECONDS``, and has to end in
a table or in an error message.
"""

from __future__ import annotations

import bz2
import gzip
import os
import resource
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
from common import IN_MEMORY, ONE_THREAD, options_of, run

from kgraft_experiments.benchmark.plan import write_report

MEMORY = 6 << 30
"""Limit of the address space in bytes; torch and polars reserve a part of it."""

SECONDS = 120

PIECE = 1 << 24
"""Bytes that a bomb repeats."""

GIBIBYTES = 4
"""Size of a bomb in memory."""

COLLECTION = """target = "mine"
[[source]]
name = "mine"
train = "{name}"
"""


def zeros(place: Path) -> None:
    _repeated(place / "mine.tsv.gz", gzip.compress(bytes(PIECE)))


def rows(place: Path) -> None:
    _repeated(place / "mine.tsv.bz2", bz2.compress(b"a\tr\tb\n" * (PIECE // 6)))


def blank_lines(place: Path) -> None:
    _repeated(place / "mine.csv.zst", pa.Codec("zstd").compress(b"\n" * PIECE, asbytes=True))


def statements(place: Path) -> None:
    piece = b"<http://a.org/a> <http://a.org/r> <http://a.org/b> .\n"
    _repeated(place / "mine.nt.bz2", bz2.compress(piece * (PIECE // len(piece))))


def _repeated(path: Path, piece: bytes) -> None:
    path.write_bytes(piece * ((GIBIBYTES << 30) // PIECE))


def long_line(ending: str) -> Callable[[Path], None]:
    def write(place: Path) -> None:
        with (place / f"mine.{ending}").open("wb") as file:
            file.write(b"<http://a.org/" if ending in ("nt", "ttl") else b"a")
            file.truncate(1 << 30)

    return write


def many_relations(place: Path) -> None:
    lines = (f"e{number % 1000}\tr{number}\te{number % 999}\n" for number in range(1_000_000))
    (place / "mine.tsv").write_text("".join(lines), encoding="utf-8")


def equal_rows(place: Path) -> None:
    column = pa.array(["a"]).dictionary_encode().take(pa.array([0] * (1 << 20)))
    table = pa.table(dict.fromkeys(("head", "relation", "tail"), column))
    with pa.parquet.ParquetWriter(place / "mine.parquet", table.schema) as writer:
        for _ in range(1 << 9):
            writer.write_table(table)


def entities(place: Path) -> None:
    laughs = "".join(f'<!ENTITY l{level} "{f"&l{level - 1};" * 10}">' for level in range(1, 12))
    (place / "mine.rdf").write_text(
        f'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY l0 "ha">{laughs}]>'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:a="http://a.org/">'
        '<rdf:Description rdf:about="http://a.org/x"><a:r>&l11;</a:r></rdf:Description></rdf:RDF>',
        encoding="utf-8",
    )


def one_cell(rows: int, size: int, **how: Any) -> Callable[[Path], None]:
    """Return a writer of Parquet in which one cell is repeated."""

    def write(place: Path) -> None:
        column = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), ["a" * size])
        table = pa.table(dict.fromkeys(("head", "relation", "tail"), column))
        pa.parquet.write_table(table, place / "mine.parquet", **how)

    return write


def dictionary_in_arrow(place: Path) -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 3000, pa.int32()), ["a" * 50_000_000])
    table = pa.table(dict.fromkeys(("head", "relation", "tail"), column))
    how = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(place / "mine.arrow", table.schema, options=how) as file:
        file.write_table(table)


def long_prefix(place: Path) -> None:
    facts = "".join(f"p:{x} p:r p:{x + 1} .\n" for x in range(20_000))
    text = f"@prefix p: <http://a.org/{'a' * 500_000}/> .\n{facts}"
    (place / "mine.ttl").write_text(text, encoding="utf-8")


RDF = (
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:a="http://a.org/">\n'
    '<rdf:Description rdf:about="http://a.org/x">{}</rdf:Description></rdf:RDF>'
)


def entity_often(place: Path) -> None:
    declared = f'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY e "{"a" * 900}">]>'
    text = declared + RDF.format(f"<a:r>{'&e;' * 1_000_000}</a:r>")
    (place / "mine.rdf").write_text(text, encoding="utf-8")


def nested_elements(place: Path) -> None:
    deep = 80_000
    begin = "<a:r><rdf:Description>" * deep
    text = RDF.format(begin + "</rdf:Description></a:r>" * deep)
    (place / "mine.rdf").write_text(text, encoding="utf-8")


def dotted_key(place: Path) -> None:
    (place / "collection.toml").write_text("a." * 2_000_000 + "a = 1\n", encoding="utf-8")


def many_sources(place: Path) -> None:
    (place / "a.tsv").write_text("a\tr\tb\n", encoding="utf-8")
    tables = (f'[[source]]\nname = "s{x}"\ntrain = "a.tsv"\n' for x in range(3000))
    (place / "collection.toml").write_text("".join(tables), encoding="utf-8")


def nested(place: Path) -> None:
    (place / "mine.jsonld").write_text('{"http://a.org/r":' * 1_000_000, encoding="utf-8")


BOMBS: dict[str, Callable[[Path], None]] = {
    "4 GiB of zeros in gzip": zeros,
    "4 GiB of rows in bzip2": rows,
    "4 GiB of blank lines in zstd": blank_lines,
    "4 GiB of statements in bzip2": statements,
    "a line of 1 GiB in a table": long_line("tsv"),
    "a line of 1 GiB in CSV": long_line("csv"),
    "a line of 1 GiB in N-Triples": long_line("nt"),
    "a line of 1 GiB in Turtle": long_line("ttl"),
    "a million relations": many_relations,
    "half a billion equal rows in Parquet": equal_rows,
    "XML entities of entities": entities,
    "JSON nested a million deep": nested,
    "a cell of 50 MB in 3,000 rows of Parquet": one_cell(3000, 50_000_000),
    "a cell of 50 MB in 3,000 rows of Arrow": dictionary_in_arrow,
    "a cell of 1 GB in Parquet": one_cell(1, 1_000_000_000, compression="zstd"),
    "a prefix of 500 KB in Turtle": long_prefix,
    "an XML entity of 900 characters a million times": entity_often,
    "XML nested 80,000 deep": nested_elements,
    "a key of two million parts in TOML": dotted_key,
    "3,000 sources in TOML": many_sources,
}


def tried(name: str) -> dict[str, Any]:
    """Inspect a bomb, and return the outcome."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as scratch:
        place, begin = Path(scratch), time.perf_counter()
        BOMBS[name](place)
        file = min(place.iterdir(), key=lambda x: x.name != "collection.toml")
        if file.name != "collection.toml":
            text = COLLECTION.format(name=file.name)
            (place / "collection.toml").write_text(text, encoding="utf-8")
        size, made = file.stat().st_size, time.perf_counter()
        try:
            ended = subprocess.run(  # noqa: S603
                [sys.executable, "-m", "kgraft_command", "inspect", scratch],
                env={**os.environ, **ONE_THREAD},
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
                capture_output=True,
                timeout=SECONDS,
                check=False,
                text=True,
            )
            status, said = ended.returncode, (ended.stderr or ended.stdout).strip()[-400:]
        except subprocess.TimeoutExpired:
            status, said = -1, f"nothing within {SECONDS} seconds"
    return {
        "bomb": name,
        "bytes": size,
        "survived": status == 0 or (status == 1 and "Error: " in said and "Traceback" not in said),
        "said": said.replace(scratch, "."),
        "seconds": round(time.perf_counter() - made, 1),
        "seconds_to_make": round(made - begin, 1),
    }


def measure(_: Namespace) -> dict[str, Any]:
    found = [tried(name) for name in BOMBS]
    survived = sum(row["survived"] for row in found)
    return {"tried": len(found), "survived": survived, "bombs": found}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options_of(__doc__, out=Path("bombs.json"), threads=None)
    run(parser, measure, arguments, write=write_report)


if __name__ == "__main__":
    main()
