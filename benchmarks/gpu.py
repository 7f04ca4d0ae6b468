"""Measure training and ranking on a GPU, and on the CPU beside it.

Usage: python benchmarks/gpu.py DIRECTORY_OF_DBP5L --target el --out benchmarks/results/gpu.json

Rates are of the target's teacher, sampling included: each of ``KINDS`` is trained for ``--seconds``
on each device in turns, ``--rounds`` times, and the median counts. Then follow a whole pre-training
with default settings on each device, and a random graph of Wikidata5M's size, whose facts are
ranked among all entities.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from statistics import median
from typing import Any

import torch
from common import options_of, run, timed
from scaling import drawn

import kgraft
from kgraft.evaluation.ranking import rank
from kgraft.graph.known_facts import KnownFacts
from kgraft.pipeline.embeddings import EmbeddingTask
from kgraft.pipeline.pretrain import pretrain, pretraining_task
from kgraft.pipeline.retrain import retraining_context
from kgraft.pipeline.train import training_context
from kgraft.settings import RetrainSettings, RuleSettings, TrainSettings
from kgraft_experiments.benchmark.runner import machine

DEVICES = ("cpu", "cuda")


def settings_of(*, width: int = 200, encoder: str = "complex", **training: Any) -> TrainSettings:
    model = {"width": width, "encoder": encoder}
    return TrainSettings.model_validate({"model": model, "training": training})


KINDS: Mapping[str, TrainSettings] = {
    "512 queries, 512 negatives": settings_of(),
    "4,096 queries, 4,096 negatives": settings_of(batch_size=4096, negatives=4096),
    "the same, bfloat16": settings_of(batch_size=4096, negatives=4096, precision="bfloat16"),
    "Transformer, paths of 4": settings_of(encoder="transformer", path_length=4),
}
LARGE = settings_of(width=128, batch_size=4096, negatives=4096)


def steps_of(task: EmbeddingTask, device: str) -> Callable[[float], float]:
    """Return a function that trains on for some seconds and returns queries a second."""
    trainer, sampler = task.on(device).trainer(), task.sampler()

    def endless() -> Iterator[None]:
        for number in count(1):
            yield from trainer.train_epoch(sampler, number)

    steps = endless()

    def go_on(seconds: float) -> float:
        begin, queries = time.perf_counter(), 0
        while time.perf_counter() - begin < seconds:
            for _ in range(16):
                next(steps)
            queries += sum(size for size, _ in trainer.metrics.flush())
        return queries / (time.perf_counter() - begin)

    return go_on


def rates(make: Callable[[], EmbeddingTask], asked: Namespace) -> dict[str, Any]:
    """Return queries a second on each device, and the GPU's as a multiple of the CPU's."""
    trained = {device: steps_of(make(), device) for device in DEVICES}
    found: dict[str, list[float]] = {device: [] for device in DEVICES}
    for go_on in trained.values():
        go_on(asked.seconds / 4)
    for _ in range(asked.rounds):
        for device, go_on in trained.items():
            found[device].append(go_on(asked.seconds))
    middle = {device: median(own) for device, own in found.items()}
    return {
        **{f"{device}_queries_per_second": round(x) for device, x in middle.items()},
        "spread": {x: round((max(own) - min(own)) / middle[x], 3) for x, own in found.items()},
        "ratio": round(middle["cuda"] / middle["cpu"], 2),
    }


def whole(collection: kgraft.Collection, settings: TrainSettings) -> dict[str, Any]:
    """Pre-train to the end on each device."""
    found = {}
    for device in DEVICES:
        seconds, model = timed(partial(pretrain, collection, settings, device=device))
        mrr = model.metrics["validation_mrr"]
        found[device] = {"seconds": round(seconds, 2), "validation_mrr": mrr}
    return found


def large(asked: Namespace) -> dict[str, Any]:
    """Train on a random graph, and rank some of its facts among all entities, on each device."""
    graph = drawn(asked.facts, asked.entities)
    collection = kgraft.collect([graph], target="drawn")
    task = training_context(collection, LARGE, alone=True).task
    known = KnownFacts(graph.train)
    facts = graph.train[:: len(graph.train) // asked.queries][: asked.queries]
    ranked = {}
    for device in DEVICES:
        model = task.model.on(torch.device(device, 0) if device == "cuda" else torch.device(device))
        ways: dict[str, Any] = {"side": "tail", "known": known, "n_entities": model.n_entities}
        ranking = partial(rank, model, facts, **ways)
        seconds = min(timed(ranking)[0] for _ in range(2))
        ranked[f"{device}_ranked_per_second"] = round(len(facts) / seconds, 1)
    return {
        "entities": asked.entities,
        "facts": asked.facts,
        "width": LARGE.model.width,
        **rates(lambda: task, asked),
        **ranked,
        "peak_gib_of_gpu": round(torch.cuda.max_memory_allocated() / 2**30, 2),
    }


def measured(asked: Namespace) -> dict[str, Any]:
    """Measure everything and return the report."""
    collection = kgraft.read_collection(asked.collection).with_target(asked.target)
    rows = {
        name: rates(lambda own=own: pretraining_task(collection, own), asked)  # type: ignore[misc]
        for name, own in KINDS.items()
    }
    default = TrainSettings()
    teacher = pretrain(collection, default, device="cuda")
    no_rules = RetrainSettings(rules=RuleSettings(longest=0))
    rows["a student, taught"] = rates(
        lambda: retraining_context(collection, teacher, no_rules).task, asked
    )
    return {
        "settings": {"collection": collection.name},
        "machine": machine(torch.device("cuda", 0)),
        "rates": rows,
        "pre-training": whole(collection, default),
        "large": large(asked),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options_of(
        __doc__,
        "collection",
        target=("el", "the graph that the teacher leaves out"),
        seconds=(2.0, "of each rate"),
        rounds=3,
        facts=20_000_000,
        entities=4_600_000,
        queries=(1000, "facts to rank"),
    )
    run(parser, measured, arguments)


if __name__ == "__main__":
    main()
