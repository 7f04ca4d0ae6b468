"""Measure training and ranking against the bare matrix products, and against PyKEEN.

Usage: python benchmarks/speed.py COLLECTION --threads 2 --out benchmarks/results/speed.json

All sources are joined into one graph. What is compared does equal work in turns, ``--repeats``
times; figures are medians, ratios those of each round.

step
    The three products of a training step (scores, and the gradients of both factors), of the shapes
    that the batches have, beside the whole step, beside PyKEEN's: its defaults (ComplEx, 32
    negatives a fact), and settings that suit it better, with as many and with our negatives.
ranking
    One product of all different queries with all entities, in blocks, beside ``rank``, beside
    PyKEEN's evaluator at several batch sizes. All rank the held-out facts, both sides, with one
    model, and have to find the same MRR.
quality
    Seconds of training until a validation MRR is reached: the best that PyKEEN reaches in
    ``--minutes`` by the best of its settings, and ours to the same. Validation is not counted.

``step_of_matmul`` and ``ranking_of_matmul`` are speeds as a share of the products' by ``torch.mm``
(``of_products``: by what kgraft multiplies with, oneDNN where that is faster), the others how many
times as fast as PyKEEN.
"""

from __future__ import annotations

import math
import os
import time
import warnings
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from peers import (
    PYKEEN_SUITED,
    pykeen_curve,
    pykeen_factory,
    pykeen_model,
    pykeen_trained,
    same_weights,
)

from kgraft.errors import KgraftError
from kgraft.evaluation.ranking import MAX_QUERIES, rank
from kgraft.evaluation.ranks import concatenate, measure
from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.known_facts import KnownFacts, Side
from kgraft.io.read_collection import read_collection
from kgraft.linking.joint_graph import JointGraph, join
from kgraft.model.kge import KgeModel
from kgraft.model.products import product
from kgraft.pipeline.run import batches_of, learner_of
from kgraft.settings import ModelSettings, TrainingSettings, TrainSettings
from kgraft.system.memory import peak
from kgraft.system.messages import report_errors
from kgraft.training.batch import Batch
from kgraft.training.loop import fit
from kgraft_experiments.benchmark.plan import write_report
from kgraft_experiments.benchmark.runner import machine

SIDES: tuple[Side, ...] = ("tail", "head")

Work = Callable[[], object]


@dataclass(frozen=True, eq=False)
class Data:
    """A joint graph with held-out facts in its rows.

    Args:
        graph: The training facts.
        valid: Validation facts of all sources, ``(n, 3)``.
        test: Test facts, ``(m, 3)``.
    """

    graph: JointGraph
    valid: Triples
    test: Triples

    @classmethod
    def read(cls, collection: str) -> Data:
        """Join a collection's sources."""
        found = read_collection(collection)
        graph = join(list(found.graphs.values()), found.links)
        held_out = [
            np.concatenate(
                [graph.part(name).joint(getattr(own, split)) for name, own in found.graphs.items()]
            )
            for split in ("valid", "test")
        ]
        return cls(graph, *held_out)


def in_turns(work: Mapping[str, Work], repeats: int) -> dict[str, list[float]]:
    """Do each job of work once to warm up and then in turns; return the seconds of each."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for number in range(repeats + 1):
        for name, do in work.items():
            begin = time.perf_counter()
            do()
            if number:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def share(of: Sequence[float], by: Sequence[float]) -> dict[str, float]:
    """Return the median, least and largest ratio of seconds of the same rounds."""
    ratios = [one / other for one, other in zip(of, by, strict=True)]
    values = {"median": median(ratios), "least": min(ratios), "largest": max(ratios)}
    return {name: round(value, 4) for name, value in values.items()}


def step(data: Data, settings: TrainSettings, asked: Namespace) -> dict[str, Any]:
    """Measure steps."""
    graph, training, width = data.graph, settings.training, settings.model.width
    made = batches_of(graph, training, n_entities=graph.n_entities)
    batches = list(islice(made.epoch(1), asked.batches))
    model = KgeModel.create(settings.model, graph.n_entities, graph.n_relations, seed=0)
    learner = learner_of(model, settings)
    work: dict[str, Work] = {
        "matmul": products_of(batches, width),
        "products": products_of(batches, width, as_kgraft=True),
        "step": lambda: [learner.step(batch) for batch in batches],
        "batches": lambda: list(islice(made.epoch(1), asked.batches)),
    }
    seconds = in_turns(work, asked.repeats)
    examples = sum(len(batch) for batch in batches)
    peers = dict(pykeen_rates(data, width, training, asked))
    return {
        "batch_size": training.batch_size,
        "negatives": training.negatives,
        "candidates": round(float(np.mean([len(batch.entities) for batch in batches]))),
        "width": width,
        "milliseconds": {
            name: round(1000 * median(own) / len(batches), 3) for name, own in seconds.items()
        },
        "of_matmul": share(seconds["matmul"], seconds["step"]),
        "of_products": share(seconds["products"], seconds["step"]),
        "examples_per_second": round(examples / median(seconds["step"])),
        "examples_per_second_with_batches": round(
            examples / (median(seconds["step"]) + median(seconds["batches"]))
        ),
        "pykeen_examples_per_second": peers,
    }


def products_of(batches: Sequence[Batch], width: int, *, as_kgraft: bool = False) -> Work:
    """Return what computes the products of batches, by ``torch.mm`` or by what a step calls.

    The former has memory for what comes out.
    """
    draw = torch.Generator().manual_seed(0)
    shapes = [(len(batch), len(batch.entities)) for batch in batches]
    most = max(size for _, size in shapes)
    queries = torch.randn(max(size for size, _ in shapes), width, generator=draw)
    entities = torch.randn(most, width, generator=draw)
    of_queries, of_entities = torch.empty_like(queries), torch.empty_like(entities)
    of_shape = {shape: torch.empty(shape) for shape in shapes}

    def multiply() -> None:
        for n_queries, n_entities in shapes:
            own, all_ = queries[:n_queries], entities[:n_entities]
            if as_kgraft:
                scores = product(own, all_)
                product(scores, all_.T)
                of_entities[:n_entities].addmm_(scores.T, own)
            else:
                scores = torch.mm(own, all_.T, out=of_shape[n_queries, n_entities])
                torch.mm(scores, all_, out=of_queries[:n_queries])
                torch.mm(scores.T, own, out=of_entities[:n_entities])

    return multiply


def pykeen_rates(
    data: Data, width: int, training: TrainingSettings, asked: Namespace
) -> Iterator[tuple[str, int]]:
    """Yield PyKEEN's queries a second by several settings; with inverses, a fact is two."""
    some = data.graph.triples[:: max(1, len(data.graph.triples) // asked.pykeen_facts)]
    factory = pykeen_factory(data.graph, some, inverses=True)
    for name, negatives, batch_size, options in (
        ("defaults, 32 negatives", 32, 256, {}),
        ("suited, 32 negatives", 32, training.batch_size, PYKEEN_SUITED),
        ("suited, as many negatives", training.negatives, training.batch_size, PYKEEN_SUITED),
        ("suited, all entities", None, training.batch_size, PYKEEN_SUITED),
    ):
        begin = time.perf_counter()
        pykeen_trained(factory, width, negatives, batch_size, options, epochs=1)
        yield name, round(2 * factory.num_triples / (time.perf_counter() - begin))


def ranking(data: Data, width: int, asked: Namespace) -> dict[str, Any]:
    """Measure ranking."""
    from pykeen.evaluation import RankBasedEvaluator

    facts = data.test[: asked.facts]
    everything = np.concatenate([data.graph.triples, data.valid, data.test])
    known = KnownFacts(everything)
    model = pykeen_model(pykeen_factory(data.graph, data.graph.triples, inverses=False), width, {})
    ours = same_weights(model, data.graph, width)
    filters = [torch.from_numpy(x) for x in (data.graph.triples, data.valid)]
    found: dict[str, float] = {}

    def own() -> None:
        ranks = [
            rank(ours, facts, side=side, known=known, n_entities=ours.n_entities) for side in SIDES
        ]
        found["kgraft"] = measure(concatenate(ranks)).mrr

    def theirs(batch_size: int) -> None:
        result = RankBasedEvaluator().evaluate(
            model,
            torch.from_numpy(facts),
            batch_size=batch_size,
            use_tqdm=False,
            additional_filter_triples=[*filters, torch.from_numpy(data.test)],
        )
        found[f"pykeen {batch_size}"] = float(result.get_metric("both.realistic.mrr"))

    work: dict[str, Work] = {
        "matmul": asking(facts, ours),
        "products": asking(facts, ours, as_kgraft=True),
        "kgraft": own,
    }
    for size in asked.pykeen_batch_sizes:
        work[f"pykeen {size}"] = lambda size=size: theirs(size)
    seconds = in_turns(work, asked.repeats)
    if max(found.values()) > (1 + 1e-3) * min(found.values()):
        raise KgraftError(f"the evaluators disagree: {found}")
    best = min((name for name in seconds if "pykeen" in name), key=lambda x: median(seconds[x]))
    return {
        "facts": len(facts),
        "candidates": data.graph.n_entities,
        "mrr": {name: round(value, 6) for name, value in found.items()},
        "facts_per_second": {
            name: round(len(facts) / median(own)) for name, own in seconds.items()
        },
        "of_matmul": share(seconds["matmul"], seconds["kgraft"]),
        "of_products": share(seconds["products"], seconds["kgraft"]),
        "over_pykeen": share(seconds[best], seconds["kgraft"]),
    }


def asking(facts: Triples, model: KgeModel, *, as_kgraft: bool = False) -> Work:
    """Return what multiplies the different queries of facts with all entities.

    By ``torch.mm``, into memory that is there already, or by what ranking calls.
    """
    sizes = [len(np.unique(facts[:, columns], axis=0)) for columns in ([0, 1], [1, 2])]
    queries = torch.randn(MAX_QUERIES, model.entities.shape[1])
    scores = torch.empty(MAX_QUERIES, model.n_entities)

    def multiply() -> None:
        for size in sizes:
            for start in range(0, size, MAX_QUERIES):
                n = min(MAX_QUERIES, size - start)
                if as_kgraft:
                    product(queries[:n], model.entities)
                else:
                    torch.mm(queries[:n], model.entities.T, out=scores[:n])

    return multiply


def quality(data: Data, settings: TrainSettings, asked: Namespace) -> dict[str, Any]:
    """Measure the seconds to PyKEEN's best validation MRR."""
    chosen = np.random.default_rng(0).permutation(len(data.valid))[: asked.facts]
    facts, known = data.valid[chosen], KnownFacts(data.graph.triples, data.valid)

    def mrr(scorer: Any) -> float:
        ranks = [
            rank(scorer, facts, side=side, known=known, n_entities=data.graph.n_entities)
            for side in SIDES
        ]
        return measure(concatenate(ranks)).mrr

    curves = {
        "32 negatives": pykeen_curve(data.graph, settings.model.width, 32, mrr, asked.minutes),
        "all entities": pykeen_curve(data.graph, settings.model.width, None, mrr, asked.minutes),
    }
    best = max(curves, key=lambda name: max(value for _, value in curves[name]))
    wanted = max(value for _, value in curves[best])
    theirs = next(seconds for seconds, value in curves[best] if value == wanted)
    ours = our_curve(data, settings, mrr)
    reached = next((seconds for seconds, value in ours if value >= wanted), None)
    return {
        "pykeen": curves,
        "kgraft": ours,
        "pykeen_settings": best,
        "mrr": wanted,
        "pykeen_seconds": theirs,
        "kgraft_seconds": reached,
        "over_pykeen": None if reached is None else round(theirs / reached, 1),
    }


def our_curve(
    data: Data, settings: TrainSettings, mrr: Callable[[Any], float]
) -> list[tuple[float, float]]:
    """Return our validation MRR after so many seconds of training, an epoch each."""
    graph = data.graph
    model = KgeModel.create(settings.model, graph.n_entities, graph.n_relations, seed=0)
    outcome = fit(
        learner_of(model, settings),
        batches_of(graph, settings.training, n_entities=graph.n_entities),
        settings.training,
        validate=lambda: mrr(model),
        checkpoint=None,
        progress=None,
        name="kgraft",
    )
    spent, curve = 0.0, []
    for entry in outcome.log:
        spent += entry["seconds"]
        curve.append((round(spent, 1), round(entry["validation_mrr"], 4)))
    return curve


def measured(asked: Namespace) -> dict[str, Any]:
    """Measure what is asked for and return the report."""
    torch.set_num_threads(asked.threads)
    data = Data.read(asked.collection)
    settings = TrainSettings(
        model=ModelSettings(width=asked.width),
        training=TrainingSettings(epochs=asked.epochs, validate_every=1),
    )
    body: dict[str, Any] = {}
    if "step" in asked.parts:
        body["step"] = step(data, settings, asked)
        body["step_of_matmul"] = body["step"]["of_matmul"]["median"]
    if "ranking" in asked.parts:
        body["ranking"] = ranking(data, asked.width, asked)
        body["ranking_of_matmul"] = body["ranking"]["of_matmul"]["median"]
        body["ranking_over_pykeen"] = body["ranking"]["over_pykeen"]["median"]
    if "quality" in asked.parts:
        body["quality"] = quality(data, settings, asked)
        body["pykeen_time_to_quality"] = body["quality"]["over_pykeen"]
    told = {key: value for key, value in vars(asked).items() if key != "out"}
    told["collection"] = Path(asked.collection).name
    return {
        "settings": told,
        "machine": machine(),
        **body,
        "peak_rss_mib": round((peak() or math.nan) / 2**20, 1),
    }


def options() -> ArgumentParser:
    parser = ArgumentParser(description="Measure speed against matrix products and PyKEEN.")
    parser.add_argument("collection", nargs="?", default="world")
    parser.add_argument("--out", type=Path, required=True, help="the report, a JSON file")
    parser.add_argument(
        "--parts", nargs="+", default=["step", "ranking", "quality"], help="what to measure"
    )
    parser.add_argument("--width", type=int, default=200)
    parser.add_argument("--batches", type=int, default=50, help="steps in a round")
    parser.add_argument("--facts", type=int, default=2_000, help="held-out facts that are ranked")
    parser.add_argument("--repeats", type=int, default=7, help="rounds")
    parser.add_argument(
        "--pykeen-facts", type=int, default=4_000, help="that PyKEEN's rate is from"
    )
    parser.add_argument("--pykeen-batch-sizes", type=int, nargs="+", default=[32, 128, 512])
    parser.add_argument("--minutes", type=float, default=10.0, help="of PyKEEN's training")
    parser.add_argument("--epochs", type=int, default=10, help="of ours")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    asked = options().parse_args(arguments)
    with report_errors(), warnings.catch_warnings():
        # PyKEEN and what it imports use old names of other libraries.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", "'pin_memory'")
        report = measured(asked)
        write_report(asked.out, report)
    for name in ("step_of_matmul", "ranking_of_matmul", "ranking_over_pykeen"):
        if name in report:
            print(f"{name} {report[name]:.2f}")
    if "quality" in report:
        print(f"pykeen_time_to_quality {report['pykeen_time_to_quality']}")


if __name__ == "__main__":
    main()
