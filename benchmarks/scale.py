"""Measure whether one ordinary machine carries a graph of Wikidata5M's size.

Usage: python benchmarks/scale.py --work DIR --out benchmarks/results/scale.json

A collection is made (``synthesize``): a target, and one background of ``--triples`` facts,
230 entities for every 1,000 of them. ``--work`` keeps it. Each part has a process of its own, so
that its peak memory is its own:

reading
    The background from Parquet and from N-Triples.
carrying
    What makes a teacher: read, joined, trained for ``--steps`` steps, ranked on ``--queries``
    queries, saved. Steps take turns with those of a small graph, of ``--small`` facts;
    ``rate_of_small_graph`` is the median ratio of examples a second, making batches included.
cutting
    What a student begins with: the teacher loaded again, and a target's linked subgraph cut out of
    it.

``peak_rss_gib`` is the larger peak of the last two.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import chain, count
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import polars as pl
import torch

from kgraft.evaluation.ranking import rank
from kgraft.evaluation.ranks import measure
from kgraft.graph.known_facts import KnownFacts
from kgraft.io.read_collection import read_collection
from kgraft.io.read_graph import read_graph
from kgraft.io.source import GraphSource
from kgraft.linking.collection import Collection
from kgraft.linking.linked_subgraph import LinkedSubgraph, connect
from kgraft.model.directory import load_model, save_model
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.pretrain import pretraining_run
from kgraft.pipeline.run import Run
from kgraft.settings import ModelSettings, TrainingSettings, TrainSettings
from kgraft.system.memory import peak
from kgraft.system.messages import speaking
from kgraft.training.batch import Batch
from kgraft.training.sampler import TripleSampler
from kgraft_experiments.benchmark.plan import write_report
from kgraft_experiments.benchmark.runner import machine
from kgraft_experiments.synthesis.settings import SynthSettings
from kgraft_experiments.synthesis.synthesize import synthesize
from kgraft_experiments.synthesis.write_synthetic import write_synthetic

BACKGROUND = "background1"
TEACHER = "teacher"

SCORES_AT_ONCE = 2**27
"""Scores held while ranking: of 29 queries, where all are 4.6 million entities."""


def collection_settings(triples: int, asked: Namespace) -> SynthSettings:
    """Return what a collection with a background of so many facts is made by."""
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
    """Write a collection, and its background as N-Triples too."""
    write_synthetic(synthesize(collection_settings(triples, asked)), place)
    facts = pl.scan_parquet(place / f"{BACKGROUND}-train.parquet")
    lines = facts.select(pl.format("<{}> <{}> <{}> .", "head", "relation", "tail"))
    lines.sink_csv(place / "background.nt", include_header=False, quote_style="never")


def peak_gib() -> float:
    """Return the most memory that this process has held; not a number if nothing tells."""
    return round((peak() or math.nan) / 2**30, 3)


def reading(file: Path) -> dict[str, Any]:
    """Read a graph from a file, and say how fast that was."""
    begin = time.perf_counter()
    graph = read_graph(GraphSource(name="background", train=[file]))
    seconds = time.perf_counter() - begin
    return {
        "triples_per_second": round(len(graph.train) / seconds),
        "seconds": round(seconds, 2),
        "peak_rss_gib": peak_gib(),
    }


class Stages:
    """How long each stage took, and the most memory held by its end."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, float]] = {}

    def measure(self, name: str, do: Callable[[], Any]) -> Any:
        """Do something, and keep what it took."""
        begin = time.perf_counter()
        value = do()
        seconds = round(time.perf_counter() - begin, 2)
        self.found[name] = {"seconds": seconds, "peak_rss_gib": peak_gib()}
        return value


def endless(batches: TripleSampler) -> Iterator[Batch]:
    """Yield batches of one epoch after the other."""
    return chain.from_iterable(batches.epoch(number) for number in count(1))


def rates(runs: Sequence[Run], steps: int, rounds: int) -> list[list[float]]:
    """Train runs in turns, and return examples a second of each, for each round.

    Args:
        runs: What is trained.
        steps: Steps in all, of each.
        rounds: Turns.
    """
    learners = [run.learner() for run in runs]
    sources = [endless(run.batches()) for run in runs]
    found: list[list[float]] = [[] for _ in runs]
    for learner, batches in zip(learners, sources, strict=True):
        learner.step(next(batches))
    for _ in range(rounds):
        for learner, batches, own in zip(learners, sources, found, strict=True):
            begin, examples = time.perf_counter(), 0
            for _ in range(-(-steps // rounds)):
                batch = next(batches)
                learner.step(batch)
                examples += len(batch)
            own.append(examples / (time.perf_counter() - begin))
    return found


def ranked(collection: Collection, run: Run, queries: int) -> float:
    """Return the MRR of some of the background's validation facts, asked for tails."""
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
    collection: Collection, small: Path, place: Path, asked: Namespace, stages: Stages
) -> dict[str, Any]:
    """Train a teacher for some steps in turns with a small one, rank with it, and save it."""
    settings = TrainSettings(
        model=ModelSettings(width=asked.width),
        training=TrainingSettings(optimizer=asked.optimizer),
    )
    run: Run = stages.measure("join", partial(pretraining_run, collection, settings))
    other = pretraining_run(read_collection(small), settings)
    found = stages.measure("train", partial(rates, (run, other), asked.steps, asked.rounds))
    mrr = stages.measure("rank", partial(ranked, collection, run, asked.queries))
    model = TrainedModel("teacher", run.model, run.graph, None, settings)
    stages.measure("save", partial(save_model, model, place))
    ratios = [one / another for one, another in zip(*found, strict=True)]
    return {
        "entities": run.graph.n_entities,
        "triples": len(run.graph.triples),
        "relations": run.graph.n_relations,
        "mrr": mrr,
        "rate_of_small_graph": round(median(ratios), 3),
        "examples_per_second": {
            name: round(median(own)) for name, own in zip(("large", "small"), found, strict=True)
        },
    }


def carrying(large: Path, small: Path, asked: Namespace) -> dict[str, Any]:
    """Carry a graph through all that makes a teacher of it."""
    torch.set_num_threads(asked.threads)
    place = asked.work / TEACHER
    shutil.rmtree(place, ignore_errors=True)
    stages = Stages()
    collection: Collection = stages.measure("read", partial(read_collection, large))
    return {**taught(collection, small, place, asked, stages), "stages": stages.found}


def cutting(large: Path, asked: Namespace) -> dict[str, Any]:
    """Load the teacher again, as ``retrain`` does, and cut a target's subgraph out of it."""
    stages = Stages()
    teacher: TrainedModel = stages.measure("load", partial(load_model, asked.work / TEACHER))
    collection = read_collection(large, teacher.graph.graphs())
    links = teacher.graph.translate_links(collection.links, collection.graphs)
    cut = partial(connect, collection.target_graph, links, teacher.graph, mode=asked.mode)
    subgraph: LinkedSubgraph = stages.measure("cut", cut)
    return {
        "cut_subgraph_seconds": stages.found["cut"]["seconds"],
        "subgraph_triples": len(subgraph.graph.triples),
        "stages": stages.found,
    }


def apart(do: Callable[..., Any], *arguments: Any) -> Any:
    """Do something in a process of its own, and return what it returns."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(do, *arguments).result()


def measured(asked: Namespace) -> dict[str, Any]:
    """Measure all parts and return the report."""
    places = [asked.work / f"collection-{triples}" for triples in (asked.triples, asked.small)]
    for triples, place in zip((asked.triples, asked.small), places, strict=True):
        if not (place / "background.nt").exists():
            shutil.rmtree(place, ignore_errors=True)
            apart(make, triples, place, asked)
    files = {"parquet": f"{BACKGROUND}-train.parquet", "ntriples": "background.nt"}
    read = {name: apart(reading, places[0] / file) for name, file in files.items()}
    told = {key: value for key, value in vars(asked).items() if key not in ("out", "work")}
    carried, cut = apart(carrying, *places, asked), apart(cutting, places[0], asked)
    stages = {**carried.pop("stages"), **cut.pop("stages")}
    return {
        "settings": told,
        "machine": machine(),
        **carried,
        **cut,
        "peak_rss_gib": max(stage["peak_rss_gib"] for stage in stages.values()),
        "stages": stages,
        "reading": read,
    }


def options() -> ArgumentParser:
    parser = ArgumentParser(description="Measure whether one machine carries a large graph.")
    parser.add_argument("--out", type=Path, required=True, help="the report, a JSON file")
    parser.add_argument("--work", type=Path, required=True, help="directory for what is made")
    parser.add_argument("--triples", type=int, default=20_000_000, help="of the background")
    parser.add_argument("--small", type=int, default=200_000, help="facts of the small graph")
    parser.add_argument("--relations", type=int, default=800)
    parser.add_argument("--types", type=int, default=20)
    parser.add_argument("--target", type=int, default=20_000, help="the target's facts")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--optimizer", default="rowwise_adagrad")
    parser.add_argument("--mode", default="incident", help="of the subgraph")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5, help="turns that steps are done in")
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    asked = options().parse_args(arguments)
    with speaking():
        report = measured(asked)
        write_report(asked.out, report)
    figures = ("entities", "triples", "peak_rss_gib", "rate_of_small_graph", "cut_subgraph_seconds")
    print(", ".join(f"{name} {report[name]}" for name in figures))


if __name__ == "__main__":
    main()
