"""Measure training, ranking and re-training on a graph of Wikidata5M's size.

Usage: python benchmarks/scale.py --work DIR --out benchmarks/results/scale.json

The synthetic collection has a target, and one background of ``--triples`` facts with 230 entities
per 1,000 facts. ``--work`` keeps it. Each part has a process, and so a peak memory, of its own:

reading
    The background from Parquet and from N-Triples.
carrying
    A teacher: read, joined, trained for ``--steps`` steps, ranked on ``--queries`` queries, saved.
    Steps take turns with those of a small graph, of ``--small`` facts; ``rate_of_small_graph`` is
    the median ratio of examples a second, sampling included.
cutting
    A student's beginning: the teacher loaded, all but its vectors, as ``retrain`` does, and a
    target's linked subgraph cut out of it.

With ``--prepared 1`` the collection is prepared first (``kgraft prepare``), and read from there.

``peak_rss_gib`` is the larger peak of the last two.
"""

from __future__ import annotations

import shutil
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import polars as pl
import torch
from common import apart, endless, one_step, options_of, peak_gib, run, timed

import kgraft
from kgraft.evaluation.ranking import rank
from kgraft.evaluation.ranks import measure
from kgraft.graph.known_facts import KnownFacts
from kgraft.io.source import GraphSource
from kgraft.linking.linked_subgraph import LinkedSubgraph, connect
from kgraft.model.directory import save_model
from kgraft.pipeline.embeddings import EmbeddingTask
from kgraft.pipeline.prepare import prepare
from kgraft.pipeline.pretrain import pretraining_task
from kgraft_experiments.synthesis.settings import SynthSettings
from kgraft_experiments.synthesis.synthesize import synthesize
from kgraft_experiments.synthesis.write_synthetic import write_synthetic

BACKGROUND = "background1"
TEACHER = "teacher"

SCORES_AT_ONCE = 2**27
"""Scores held while ranking: 29 queries of 4.6 million entities."""


def collection_settings(triples: int, asked: Namespace) -> SynthSettings:
    """Return the settings of a collection with a background of so many facts."""
    return SynthSettings.model_validate(
        {
            "world": {"relations": asked.relations, "types": asked.types},
            "target": {"entities": asked.target * 23 // 100, "facts": asked.target},
            # A few validation facts, to rank.
            "background": {
                "sources": 1,
                "facts": triples,
                "valid": min(0.5, 2 * asked.queries / triples),
            },
        }
    )


def make(triples: int, place: Path, asked: Namespace) -> None:
    """Write a collection, and its background also as N-Triples."""
    write_synthetic(synthesize(collection_settings(triples, asked)), place)
    facts = pl.scan_parquet(place / f"{BACKGROUND}-train.parquet")
    lines = facts.select(pl.format("<{}> <{}> <{}> .", "head", "relation", "tail"))
    lines.sink_csv(place / "background.nt", include_header=False, quote_style="never")


def reading(file: Path) -> dict[str, Any]:
    """Read a graph from a file, and return the speed."""
    seconds, graph = timed(kgraft.read_graph, GraphSource(name="background", train=[file]))
    return {
        "triples_per_second": round(len(graph.train) / seconds),
        "seconds": round(seconds, 2),
        "peak_rss_gib": peak_gib(),
    }


class Stages:
    """Seconds of each stage, and peak memory by its end."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, float]] = {}

    def measure(self, name: str, do: Callable[[], Any]) -> Any:
        """Call a function, keep its time and memory, and return its result."""
        seconds, value = timed(do)
        self.found[name] = {"seconds": round(seconds, 2), "peak_rss_gib": peak_gib()}
        return value


def rates(runs: Sequence[EmbeddingTask], steps: int, rounds: int) -> list[list[float]]:
    """Train each run for ``steps`` steps, in turns; return examples a second in each round."""
    trainers = [run.trainer() for run in runs]
    sources = [endless(run.sampler()) for run in runs]
    found: list[list[float]] = [[] for _ in runs]
    for trainer, batches in zip(trainers, sources, strict=True):
        one_step(trainer, next(batches))
    for _ in range(rounds):
        for trainer, batches, own in zip(trainers, sources, found, strict=True):
            begin, examples = time.perf_counter(), 0
            for _ in range(-(-steps // rounds)):
                batch = next(batches)
                one_step(trainer, batch)
                examples += len(batch)
            own.append(examples / (time.perf_counter() - begin))
    return found


def ranked(collection: kgraft.Collection, run: EmbeddingTask, queries: int) -> float:
    """Return the MRR of tails of some of the background's validation facts."""
    graph, part = collection.graphs[BACKGROUND], run.graph.part(BACKGROUND)
    known = KnownFacts(part.joint(graph.train), part.joint(graph.valid))
    facts = part.joint(graph.valid[:queries])
    ranks = rank(
        run.model,
        facts,
        side="tail",
        known=known,
        n_entities=run.model.n_entities,
        chunk_elements=SCORES_AT_ONCE,
    )
    return measure(ranks).mrr


def taught(
    collection: kgraft.Collection, small: Path, place: Path, asked: Namespace, stages: Stages
) -> dict[str, Any]:
    """Train a teacher for some steps in turns with a small one, rank with it, and save it."""
    sized = {"model": {"width": asked.width}, "training": {"optimizer": asked.optimizer}}
    settings = kgraft.TrainSettings.model_validate(sized)
    large: EmbeddingTask = stages.measure("join", partial(pretraining_task, collection, settings))
    other = pretraining_task(kgraft.read_collection(small), settings)
    found = stages.measure("train", partial(rates, (large, other), asked.steps, asked.rounds))
    mrr = stages.measure("rank", partial(ranked, collection, large, asked.queries))
    model = kgraft.TrainedModel("teacher", large.model, large.graph, None, settings)
    stages.measure("save", partial(save_model, model, place))
    ratios = [one / another for one, another in zip(*found, strict=True)]
    return {
        "entities": large.graph.n_entities,
        "triples": len(large.graph.triples),
        "relations": large.graph.n_relations,
        "mrr": mrr,
        "rate_of_small_graph": round(median(ratios), 3),
        "examples_per_second": {
            name: round(median(own)) for name, own in zip(("large", "small"), found, strict=True)
        },
    }


def carrying(large: Path, small: Path, asked: Namespace) -> dict[str, Any]:
    """Make a teacher of a graph, from reading to saving."""
    torch.set_num_threads(asked.threads)
    place = asked.work / TEACHER
    shutil.rmtree(place, ignore_errors=True)
    stages = Stages()
    collection = stages.measure("read", partial(kgraft.read_collection, large))
    return {**taught(collection, small, place, asked, stages), "stages": stages.found}


def preparing(large: Path, place: Path, asked: Namespace) -> dict[str, Any]:
    """Prepare a collection, and return the speed."""
    shutil.rmtree(place, ignore_errors=True)
    seconds, _ = timed(partial(prepare, large, place, threads=asked.threads, memory=2 << 30))
    return {"seconds": round(seconds, 2), "peak_rss_gib": peak_gib()}


def cutting(large: Path, asked: Namespace) -> dict[str, Any]:
    """Load the teacher, as ``retrain`` does, and cut a target's subgraph out of it."""
    stages = Stages()
    load = partial(kgraft.load_model, asked.work / TEACHER, lazy=True)
    teacher = stages.measure("load", load)
    collection = kgraft.read_collection(large, teacher.graph.graphs())
    links = teacher.graph.translate_links(collection.links, collection.graphs)
    cut = partial(connect, collection.target_graph, links, teacher.graph, mode=asked.mode)
    subgraph: LinkedSubgraph = stages.measure("cut", cut)
    return {
        "cut_subgraph_seconds": stages.found["cut"]["seconds"],
        "subgraph_triples": len(subgraph.graph.triples),
        "stages": stages.found,
    }


def measured(asked: Namespace) -> dict[str, Any]:
    """Measure all parts and return the report."""
    places = [asked.work / f"collection-{triples}" for triples in (asked.triples, asked.small)]
    for triples, place in zip((asked.triples, asked.small), places, strict=True):
        if not (place / "background.nt").exists():
            shutil.rmtree(place, ignore_errors=True)
            apart(make, triples, place, asked)
    prepared = {}
    if asked.prepared:
        place = asked.work / "prepared"
        prepared["preparing"] = apart(preparing, places[0], place, asked)
    files = {"parquet": f"{BACKGROUND}-train.parquet", "ntriples": "background.nt"}
    read = {name: apart(reading, places[0] / file) for name, file in files.items()}
    large = place if asked.prepared else places[0]
    carried, cut = apart(carrying, large, places[1], asked), apart(cutting, large, asked)
    stages = {**carried.pop("stages"), **cut.pop("stages")}
    return {
        **carried,
        **cut,
        "peak_rss_gib": max(stage["peak_rss_gib"] for stage in stages.values()),
        "stages": stages,
        "reading": read,
        **prepared,
    }


def options() -> ArgumentParser:
    parser = options_of(
        __doc__,
        triples=(20_000_000, "of the background"),
        small=(200_000, "facts of the small graph"),
        relations=800,
        types=20,
        target=(20_000, "the target's facts"),
        width=128,
        optimizer="rowwise_adagrad",
        mode=("incident", "of the subgraph"),
        steps=500,
        rounds=(5, "turns that steps are done in"),
        queries=1_000,
        prepared=(0, "1: prepare the collection first"),
    )
    parser.add_argument("--work", type=Path, required=True, help="directory for the collections")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    report = run(options(), measured, arguments)
    figures = ("entities", "triples", "peak_rss_gib", "rate_of_small_graph", "cut_subgraph_seconds")
    print(", ".join(f"{name} {report[name]}" for name in figures))


if __name__ == "__main__":
    main()
