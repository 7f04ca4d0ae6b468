"""Measure training and ranking against the bare matrix products, and against PyKEEN.

Usage: python benchmarks/speed.py COLLECTION --threads 2 --out benchmarks/results/speed.json

All sources are joined into one graph. Compared functions do equal work in turns, ``--repeats``
times; figures are medians, ratios those of each round.

step
    The three matrix products of a training step (scores, and the gradients of both factors) in the
    shapes of its batches, beside the whole step, beside PyKEEN's: its defaults (ComplEx, 32
    negatives a fact), and settings that suit it better, with as many and with our negatives.
ranking
    One product of all different queries with all entities, in blocks, beside ``rank``, beside
    PyKEEN's evaluator at several batch sizes. All rank the held-out facts, both sides, with one
    model, and have to find the same MRR.
quality
    Seconds of training until a validation MRR is reached: the best that PyKEEN reaches in
    ``--minutes`` with the best of its settings, and ours to the same. Validation is not counted.

``step_of_matmul`` and ``ranking_of_matmul`` are speeds as a share of the products' with
``torch.mm`` (``of_products``: with kgraft's product, which is oneDNN's where that is faster), the
others multiples of PyKEEN's speed.
"""

from __future__ import annotations

import math
import time
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from common import in_turns, one_step, options_of, ratios, run
from peers import (
    PYKEEN_SUITED,
    pykeen_curve,
    pykeen_factory,
    pykeen_model,
    pykeen_trained,
    same_weights,
)

import kgraft
from kgraft.evaluation.ranking import MAX_QUERIES, rank
from kgraft.evaluation.ranks import concatenate, measure
from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.known_facts import KnownFacts, Side
from kgraft.linking.join import join
from kgraft.linking.joint_graph import JointGraph
from kgraft.model.kge import KgeModel
from kgraft.model.products import product
from kgraft.pipeline.embeddings import make_sampler, make_trainer
from kgraft.settings import TrainingSettings, TrainSettings
from kgraft.system.memory import peak
from kgraft.training.batch import Batch
from kgraft.training.loop import fit

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
        found = kgraft.read_collection(collection)
        graph = join(list(found.graphs.values()), found.links)
        held_out = [
            np.concatenate(
                [graph.part(name).joint(getattr(own, split)) for name, own in found.graphs.items()]
            )
            for split in ("valid", "test")
        ]
        return cls(graph, *held_out)


def step(data: Data, settings: TrainSettings, asked: Namespace) -> dict[str, Any]:
    """Return the figures of training steps."""
    graph, training, width = data.graph, settings.training, settings.model.width
    sampler = make_sampler(graph, training, n_entities=graph.n_entities)
    batches = list(islice(sampler.epoch(1), asked.batches))
    model = KgeModel.create(settings.model, graph.n_entities, graph.n_relations, seed=0)
    trainer = make_trainer(model, settings)
    work: dict[str, Work] = {
        "matmul": products_of(batches, width),
        "products": products_of(batches, width, as_kgraft=True),
        "step": lambda: [one_step(trainer, batch) for batch in batches],
        "batches": lambda: list(islice(sampler.epoch(1), asked.batches)),
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
        "of_matmul": ratios(seconds["matmul"], seconds["step"]),
        "of_products": ratios(seconds["products"], seconds["step"]),
        "examples_per_second": round(examples / median(seconds["step"])),
        "examples_per_second_with_batches": round(
            examples / (median(seconds["step"]) + median(seconds["batches"]))
        ),
        "pykeen_examples_per_second": peers,
    }


def products_of(batches: Sequence[Batch], width: int, *, as_kgraft: bool = False) -> Work:
    """Return a function that computes the products of batches as a step does, or by ``torch.mm``.

    The latter writes into memory that is allocated before.
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
    """Yield PyKEEN's queries a second by several settings; with inverses, a fact has two."""
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
    """Return the figures of ranking."""
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
        raise kgraft.KgraftError(f"the evaluators disagree: {found}")
    best = min((name for name in seconds if "pykeen" in name), key=lambda x: median(seconds[x]))
    return {
        "facts": len(facts),
        "candidates": data.graph.n_entities,
        "mrr": {name: round(value, 6) for name, value in found.items()},
        "facts_per_second": {
            name: round(len(facts) / median(own)) for name, own in seconds.items()
        },
        "of_matmul": ratios(seconds["matmul"], seconds["kgraft"]),
        "of_products": ratios(seconds["products"], seconds["kgraft"]),
        "over_pykeen": ratios(seconds[best], seconds["kgraft"]),
    }


def asking(facts: Triples, model: KgeModel, *, as_kgraft: bool = False) -> Work:
    """Return a function that multiplies the different queries of facts with all entities.

    As ranking does, or by ``torch.mm`` into memory that is allocated before.
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
    """Return the seconds to PyKEEN's best validation MRR."""
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
    """Return seconds of training and validation MRR after each of our epochs."""
    graph = data.graph
    model = KgeModel.create(settings.model, graph.n_entities, graph.n_relations, seed=0)
    outcome = fit(
        make_trainer(model, settings),
        make_sampler(graph, settings.training, n_entities=graph.n_entities),
        settings.training,
        validate=lambda: mrr(model),
    )
    spent, curve = 0.0, []
    for entry in outcome.log:
        spent += entry["seconds"]
        curve.append((round(spent, 1), round(entry["validation_mrr"], 4)))
    return curve


def measured(asked: Namespace) -> dict[str, Any]:
    """Measure the chosen parts and return the report."""
    data = Data.read(asked.collection)
    training = {"epochs": asked.epochs, "validate_every": 1}
    settings = TrainSettings.model_validate({"model": {"width": asked.width}, "training": training})
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
    return {
        "settings": {"collection": Path(asked.collection).name},
        **body,
        "peak_rss_mib": round((peak() or math.nan) / 2**20, 1),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options_of(
        __doc__,
        parts=(["step", "ranking", "quality"], "what to measure"),
        width=200,
        batches=(50, "steps in a round"),
        facts=(2_000, "held-out facts that are ranked"),
        repeats=(7, "rounds"),
        pykeen_facts=(4_000, "that PyKEEN's rate is from"),
        pykeen_batch_sizes=[32, 128, 512],
        minutes=(10.0, "of PyKEEN's training"),
        epochs=(10, "of ours"),
    )
    parser.add_argument("collection", nargs="?", default="world")
    with warnings.catch_warnings():
        # PyKEEN and its dependencies use old names of other libraries.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", "'pin_memory'")
        report = run(parser, measured, arguments)
    for name in ("step_of_matmul", "ranking_of_matmul", "ranking_over_pykeen"):
        if name in report:
            print(f"{name} {report[name]:.2f}")
    if "quality" in report:
        print(f"pykeen_time_to_quality {report['pykeen_time_to_quality']}")


if __name__ == "__main__":
    main()
