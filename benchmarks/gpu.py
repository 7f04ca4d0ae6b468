"""Measure training and ranking on a GPU, and on the CPU beside it.

Usage: python benchmarks/gpu.py DIRECTORY_OF_DBP5L --target el --out benchmarks/results/gpu.json

Rates are of the teacher that the target would have, making batches included: each of ``KINDS`` is
trained for ``--seconds`` on each device in turns, ``--rounds`` times, and the median counts. Then a
whole pre-training by the defaults, with its validation MRR, on each device; then a random graph of
Wikidata5M's size, whose facts are ranked among all entities.
"""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import torch
from scaling import drawn

from kgraft.evaluation.ranking import rank
from kgraft.graph.known_facts import KnownFacts
from kgraft.io.read_collection import read_collection
from kgraft.linking.collection import collect
from kgraft.pipeline.pretrain import pretraining_run
from kgraft.pipeline.retrain import retraining_run
from kgraft.pipeline.run import Run
from kgraft.pipeline.train import training_run
from kgraft.settings import (
    ModelSettings,
    RetrainSettings,
    RuleSettings,
    TrainingSettings,
    TrainSettings,
)
from kgraft.system.messages import report_errors
from kgraft_experiments.benchmark.plan import write_report
from kgraft_experiments.benchmark.runner import machine

DEVICES = ("cpu", "cuda")


def settings_of(*, width: int = 200, encoder: str = "complex", **training: Any) -> TrainSettings:
    return TrainSettings(
        model=ModelSettings.model_validate({"width": width, "encoder": encoder}),
        training=TrainingSettings.model_validate(training),
    )


KINDS: Mapping[str, TrainSettings] = {
    "512 queries, 512 negatives": settings_of(),
    "4,096 queries, 4,096 negatives": settings_of(batch_size=4096, negatives=4096),
    "the same, bfloat16": settings_of(batch_size=4096, negatives=4096, precision="bfloat16"),
    "Transformer, paths of 4": settings_of(encoder="transformer", path_length=4),
}
LARGE = settings_of(width=128, batch_size=4096, negatives=4096)


def steps_of(run: Run, device: str) -> Callable[[float], float]:
    """Return what trains on for some seconds and returns the queries a second."""
    learner, batches = run.on(device).learner(), run.batches()

    def endless() -> Iterator[None]:
        for number in count(1):
            yield from learner.steps(batches, number)

    steps = endless()

    def go_on(seconds: float) -> float:
        begin, queries = time.perf_counter(), 0
        while time.perf_counter() - begin < seconds:
            for _ in range(16):
                next(steps)
            queries += sum(size for size, _ in learner.look())
        return queries / (time.perf_counter() - begin)

    return go_on


def rates(make: Callable[[], Run], asked: Namespace) -> dict[str, Any]:
    """Return the queries a second on each device, and how many times the CPU's the GPU's are."""
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


def whole(make: Callable[[], Run]) -> dict[str, Any]:
    """Train to the end on each device."""
    found = {}
    for device in DEVICES:
        begin = time.perf_counter()
        metrics = make().train(device=device).metrics
        seconds = round(time.perf_counter() - begin, 2)
        found[device] = {"seconds": seconds, "validation_mrr": metrics["validation_mrr"]}
    return found


def large(asked: Namespace) -> dict[str, Any]:
    """Train on a random graph, and rank some of its facts among all entities, on each device."""
    graph = drawn(asked.facts, asked.entities)
    collection = collect([graph], target="drawn")
    run = training_run(collection, LARGE, alone=True)
    known = KnownFacts(graph.train)
    facts = graph.train[:: len(graph.train) // asked.queries][: asked.queries]
    ranked = {}
    for device in DEVICES:
        model = run.model.on(torch.device(device, 0) if device == "cuda" else torch.device(device))
        times = []
        for _ in range(2):
            begin = time.perf_counter()
            rank(model, facts, side="tail", known=known, n_entities=model.n_entities)
            times.append(time.perf_counter() - begin)
        ranked[f"{device}_ranked_per_second"] = round(len(facts) / min(times), 1)
    return {
        "entities": asked.entities,
        "facts": asked.facts,
        "width": LARGE.model.width,
        **rates(lambda: run, asked),
        **ranked,
        "peak_gib_of_gpu": round(torch.cuda.max_memory_allocated() / 2**30, 2),
    }


def measured(asked: Namespace) -> dict[str, Any]:
    """Measure everything and return the report."""
    torch.set_num_threads(asked.threads)
    collection = read_collection(asked.collection).with_target(asked.target)
    rows = {
        name: rates(lambda own=own: pretraining_run(collection, own), asked)  # type: ignore[misc]
        for name, own in KINDS.items()
    }
    default = TrainSettings()
    teacher = pretraining_run(collection, default).train(device="cuda")
    no_rules = RetrainSettings(rules=RuleSettings(longest=0))
    rows["a student, taught"] = rates(lambda: retraining_run(collection, teacher, no_rules), asked)
    told = {key: value for key, value in vars(asked).items() if key not in ("out", "collection")}
    return {
        "settings": told,
        "machine": machine(torch.device("cuda", 0)),
        "rates": rows,
        "pre-training": whole(lambda: pretraining_run(collection, default)),
        "large": large(asked),
    }


def options() -> ArgumentParser:
    parser = ArgumentParser(description="Measure a GPU beside the CPU.")
    parser.add_argument("collection", help="the collection")
    parser.add_argument("--target", default="el", help="the graph that the teacher leaves out")
    parser.add_argument("--out", type=Path, required=True, help="the report, a JSON file")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each rate")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--facts", type=int, default=20_000_000)
    parser.add_argument("--entities", type=int, default=4_600_000)
    parser.add_argument("--queries", type=int, default=1000, help="facts to rank")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    asked = options().parse_args(arguments)
    with report_errors():
        write_report(asked.out, measured(asked))


if __name__ == "__main__":
    main()
