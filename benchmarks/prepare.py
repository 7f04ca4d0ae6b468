"""Measure preparing a large collection out of core, and cutting a target's part out of it.

Usage: python benchmarks/prepare.py --work DIR --out benchmarks/results/distributed.json

The collection has a background of ``--facts`` facts and ``--entities`` entities, another of a
tenth of both, linked to the first, and a target of ``--target`` facts, linked to the first. Heads
are uniform, tails and relations skewed. ``--work`` keeps it. Each part has a process, and so a peak
memory, of its own:

preparing
    ``kgraft prepare``, as a user starts it; facts a second are those of all sources in its whole
    time, and ``prepare_load`` is the load average of the last five minutes: on a machine with
    other work the processor's seconds say more.
cutting
    The prepared collection opened, its files checked, and the target's linked subgraph cut out of
    the joined backgrounds.

The figures join those of other scripts in the file.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from common import ONE_THREAD, add_part, apart, kgraft_run, options_of, peak_gib, run, timed

import kgraft
from kgraft.io.read_collection import read_collection
from kgraft.linking.linked_subgraph import connect

PIECE = 2_000_000
"""Facts that are made at once."""

COLLECTION = """\
name = "large"
target = "target"
[[source]]
name = "target"
train = "target.parquet"
[[source]]
name = "large"
train = "large.parquet"
[[source]]
name = "small"
train = "small.parquet"
[[links]]
left = "target"
right = "large"
path = "target-large.tsv"
unknown = "skip"
[[links]]
left = "large"
right = "small"
path = "large-small.tsv"
unknown = "skip"
"""


def make(place: Path, asked: Namespace) -> None:
    """Write the collection."""
    place.mkdir(parents=True)
    draw = np.random.default_rng(asked.seed)
    sizes = {
        "large": (asked.facts, asked.entities),
        "small": (asked.facts // 10, asked.entities // 10),
        "target": (asked.target, asked.target // 4),
    }
    for name, (n_facts, n_entities) in sizes.items():
        writer = None
        for begin in range(0, n_facts, PIECE):
            size = min(PIECE, n_facts - begin)
            table = facts(name, size, n_entities, asked.relations, draw).to_arrow()
            writer = writer or pq.ParquetWriter(place / f"{name}.parquet", table.schema)
            writer.write_table(table)
        assert writer is not None  # noqa: S101 (there are facts)
        writer.close()
    links(place / "target-large.tsv", "target", "large", asked.target // 8, asked, draw)
    links(place / "large-small.tsv", "large", "small", asked.entities // 20, asked, draw)
    (place / "collection.toml").write_text(COLLECTION, encoding="utf-8")


def facts(
    name: str, size: int, n_entities: int, n_relations: int, draw: np.random.Generator
) -> pl.DataFrame:
    """Return facts with names such as those of a published graph."""
    columns = {
        "head": draw.integers(n_entities, size=size),
        "relation": (n_relations * draw.random(size) ** 3).astype(np.int64),
        "tail": (n_entities * draw.random(size) ** 2).astype(np.int64),
    }
    return pl.DataFrame(columns).select(
        pl.format(f"http://{name}.example.org/entity/Q{{}}", "head").alias("head"),
        pl.format(f"http://{name}.example.org/property/P{{}}", "relation").alias("relation"),
        pl.format(f"http://{name}.example.org/entity/Q{{}}", "tail").alias("tail"),
    )


def links(
    path: Path, left: str, right: str, count: int, asked: Namespace, draw: np.random.Generator
) -> None:
    """Write links between the first entities of one source and random ones of another."""
    most = asked.entities // (10 if right == "small" else 1)
    ends = draw.permutation(most)[:count]
    frame = pl.DataFrame({"left": np.arange(len(ends)), "right": ends})
    frame.select(
        pl.format(f"http://{left}.example.org/entity/Q{{}}", "left"),
        pl.format(f"http://{right}.example.org/entity/Q{{}}", "right").alias("right"),
    ).write_csv(path, separator="\t", include_header=False)


def preparing(place: Path, asked: Namespace) -> dict[str, Any]:
    """Run ``kgraft prepare`` and return its time and peak memory."""
    prepared = asked.work / "prepared"
    shutil.rmtree(prepared, ignore_errors=True)
    command = ["prepare", str(place / "collection.toml"), "-o", str(prepared)]
    command += ["--threads", str(asked.threads), "--memory", str(asked.memory)]
    environment = {**os.environ, **(ONE_THREAD if asked.threads == 1 else {})}
    seconds, used = kgraft_run(command, environment)
    manifest = json.loads((prepared / "manifest.json").read_text(encoding="utf-8"))
    sources = manifest["sources"]
    n_facts = sum(sum(x["facts"].values()) + x["duplicates_left_out"] for x in sources)
    return {
        "prepare_entities": sum(x["entities"] for x in sources),
        "prepare_facts": n_facts,
        "prepare_seconds": round(seconds, 1),
        "prepare_processor_seconds": round(used.ru_utime + used.ru_stime, 1),
        "prepare_load": round(os.getloadavg()[1], 1),
        "prepare_peak_gib": round(used.ru_maxrss / 2**20, 3),
        "prepare_facts_per_second": round(n_facts / seconds),
    }


def cutting(asked: Namespace) -> dict[str, Any]:
    """Cut the target's linked subgraph out of the prepared backgrounds."""

    def cut() -> Any:
        collection: kgraft.Collection = read_collection(asked.work / "prepared")
        assert collection.joined is not None  # noqa: S101 (there are backgrounds)
        return connect(
            collection.target_graph, collection.links, collection.joined, mode="incident"
        )

    seconds, subgraph = timed(cut)
    return {
        "cut_seconds": round(seconds, 2),
        "cut_processor_seconds": round(time.process_time(), 2),
        "cut_peak_gib": peak_gib(),
        "cut_facts": len(subgraph.graph.triples),
    }


def measured(asked: Namespace) -> dict[str, Any]:
    """Measure both parts and return their figures."""
    place = asked.work / f"collection-{asked.facts}"
    if not (place / "collection.toml").exists():
        shutil.rmtree(place, ignore_errors=True)
        apart(make, place, asked)
    found = {**preparing(place, asked), **apart(cutting, asked)}
    chosen = ("facts", "entities", "target", "relations", "memory", "threads", "seed")
    command = " ".join(f"--{x} {getattr(asked, x)}" for x in chosen)
    return {**found, "command": f"python benchmarks/prepare.py --work DIR {command}"}


def options() -> ArgumentParser:
    parser = options_of(
        __doc__,
        facts=(10_000_000, "of the larger background"),
        entities=(2_000_000, "of the larger background"),
        target=(20_000, "the target's facts"),
        relations=800,
        memory=(2.0, "GiB for DuckDB"),
        seed=0,
    )
    parser.add_argument("--work", type=Path, required=True, help="directory for the collections")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    report = run(options(), measured, arguments, write=partial(add_part, "prepare"))
    print(", ".join(f"{name} {value}" for name, value in report.items()))


if __name__ == "__main__":
    main()
