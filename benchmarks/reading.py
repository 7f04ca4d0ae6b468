"""Compare the speed of reading with another checkout's, in turns, on files made here.

Usage: python benchmarks/reading.py OTHER_CHECKOUT --rounds 5 --out benchmarks/results/reading.json

In each round, a process of either checkout reads the same facts from Parquet, TSV, N-Triples and
RDF/XML, as many links from SSSOM, and facts of numbers beside a list of names. Each file is read
twice, and the faster time counts. Times are CPU times, since other work on the machine would
disturb the others. The report has medians of both checkouts, and the median, least and largest
ratio of this one's speed to the other's in a round.
"""

from __future__ import annotations

import tempfile
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from common import IN_MEMORY, options_of, run
from compare import compared, in_turns

SPACE = "http://example.org/"

DRIVER = """
import json, sys, time
from pathlib import Path
import kgraft
asked = json.loads(sys.argv[1])
if not Path(kgraft.__file__).is_relative_to(asked["source"]):
    sys.exit(f"kgraft is imported from {kgraft.__file__}")
found = {}
place = Path(asked["files"])
kgraft.read_collection(place / "warm.toml")  # imports
for name in asked["formats"]:
    for _ in range(2):
        begin = time.process_time()
        collection = kgraft.read_collection(place / f"{name}.toml")
        found[name] = min(found.get(name, 1e9), time.process_time() - begin)
        del collection
print(json.dumps({"seconds": found}))
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options_of(__doc__, "other", rounds=5, threads=1, facts=600_000)
    for row in run(parser, measure, arguments)["figures"]:
        ratio = row["times_as_fast"]
        print(f"{row['figure']}: {ratio['median']:.3f} ({ratio['least']} to {ratio['largest']})")


def measure(asked: Namespace) -> dict[str, Any]:
    """Make the files, and measure both checkouts."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as directory:
        formats = write_files(Path(directory), asked.facts)
        given = Namespace(**vars(asked), files=directory, formats=formats)
        rounds = in_turns(given, DRIVER)
    options = f"--rounds {asked.rounds} --threads {asked.threads} --facts {asked.facts}"
    return {
        "settings": {"other": Path(asked.other).name},
        "command": f"python benchmarks/reading.py OTHER {options}",
        "figures": compared(rounds),
    }


def write_files(place: Path, n: int) -> list[str]:
    """Write collections of one graph of ``n`` facts in each format, and return their names."""
    draw = np.random.default_rng(0)
    rows = np.stack([draw.integers(n // 2, size=n), draw.integers(50, size=n), np.arange(n)], 1)
    rows[:, 2] %= n // 2
    facts = pl.DataFrame(rows, schema=["head", "relation", "tail"])
    iris = facts.select(
        *(pl.format(f"{SPACE}entity/{{}}", x).alias(x) for x in ("head", "tail")),
        pl.format(f"{SPACE}relation{{}}", "relation").alias("relation"),
    ).select(facts.columns)
    iris.write_parquet(place / "parquet.parquet")
    iris.write_csv(place / "tsv.tsv", separator="\t")
    lines = iris.select(pl.format("<{}> <{}> <{}> .", *iris.columns))
    lines.write_csv(place / "ntriples.nt", include_header=False, quote_style="never")
    _write_xml(iris, place / "rdfxml.rdf")
    facts.write_csv(place / "names.tsv", separator="\t", include_header=False)
    for name, count in (("entity", n), ("relation", 50)):
        names = pl.DataFrame({"name": [f"{SPACE}{name}/{i}" for i in range(count)]})
        names.write_csv(place / f"{name}.txt", include_header=False)
    sources = {
        "parquet": 'train = "parquet.parquet"',
        "tsv": 'train = "tsv.tsv"',
        "ntriples": 'train = "ntriples.nt"',
        "rdfxml": 'train = "rdfxml.rdf"',
        "names": 'train = "names.tsv"\nheader = false\nentities = "entity.txt"\n'
        'relations = "relation.txt"',
    }
    for name, keys in sources.items():
        (place / f"{name}.toml").write_text(f'[[source]]\nname = "g"\n{keys}\n', encoding="utf-8")
    _write_mappings(place, sources["parquet"], n // 2)
    (place / "warm.nt").write_text(f"<{SPACE}a> <{SPACE}b> <{SPACE}c> .\n", encoding="utf-8")
    warm = '[[source]]\nname = "g"\ntrain = "warm.nt"\n'
    (place / "warm.toml").write_text(warm, encoding="utf-8")
    return [*sources, "sssom"]


def _write_xml(iris: pl.DataFrame, path: Path) -> None:
    begin = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    with path.open("w", encoding="utf-8") as file:
        file.write(f'<rdf:RDF xmlns:rdf="{begin}" xmlns="{SPACE}">\n')
        for head, relation, tail in iris.iter_rows():
            name = relation.removeprefix(SPACE)
            file.write(f'<rdf:Description rdf:about="{head}"><{name} rdf:resource="{tail}"/>')
            file.write("</rdf:Description>\n")
        file.write("</rdf:RDF>\n")


def _write_mappings(place: Path, source: str, n: int) -> None:
    """Write a collection of two graphs with ``n`` mappings between them."""
    tables = [f'[[source]]\nname = "{name}"\n{source}\n' for name in "ab"]
    tables.append('[[links]]\nleft = "a"\nright = "b"\npath = "m.sssom.tsv"\n')
    (place / "sssom.toml").write_text("\n".join(tables), encoding="utf-8")
    head = f"#curie_map:\n#  e: {SPACE}entity/\n"
    mappings = pl.DataFrame({"n": np.arange(n)}).select(
        subject_id=pl.format("e:{}", "n"),
        predicate_id=pl.lit("skos:exactMatch"),
        object_id=pl.format("e:{}", "n"),
        mapping_justification=pl.lit("semapv:ManualMappingCuration"),
        confidence=pl.lit(0.9),
    )
    text = head + mappings.write_csv(separator="\t")
    (place / "m.sssom.tsv").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
