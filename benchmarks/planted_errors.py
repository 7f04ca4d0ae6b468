"""Plant wrong facts into a target, train on it, and measure how many of them ``check`` finds.

Usage: python benchmarks/planted_errors.py --dbp5l DIRECTORY \
           --out benchmarks/results/completion.json

One in twenty of the target's training facts becomes wrong in one of three ways: another tail, of
any entity; another tail, of those of the relation; another relation, or head and tail exchanged. A
fact that any source states, or that is true in the world of a made collection, is none. Models are
trained on what results, by default settings; with ``--models`` they are kept, and used again. The
figure is the share of the planted facts in the longest beginning of the ranked list of which four
fifths are planted. Facts of DBP-5L that are wrong themselves count as right.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from common import add_to_report, options_of, run, timed

import kgraft
from kgraft.graph.knowledge_graph import Triples, no_triples
from kgraft.graph.known_facts import KnownFacts
from kgraft.inference.error_probability import judge
from kgraft.linking.join import join
from kgraft_experiments.benchmark.runner import machine
from kgraft_experiments.synthesis.settings import SynthSettings
from kgraft_experiments.synthesis.synthesize import synthesize

WAYS = ("any tail", "tail of the range", "relation or direction")

SHARE = 0.05

PRECISION = 0.8

MADE = {"made0": (0, 0.4), "made1": (1, 0.8)}
"""Seed of each made collection, and ``target.sees``."""

SIZES = {"entities": 800, "facts": 4_000}

BACKGROUND_FACTS = 12_000


def planted(
    collection: kgraft.Collection, world: Triples, seed: int = 0
) -> tuple[kgraft.Collection, Triples, np.ndarray]:
    """Plant wrong facts into a collection's target.

    Args:
        collection: The collection.
        world: True facts in the target's rows, stated or not.
        seed: Seed of what is planted.

    Returns:
        The collection with them, the target's training facts, and the way of each, -1 for none.
    """
    own = collection.target_graph
    joint = join(list(collection.graphs.values()), collection.links)
    part = joint.part(own.name)
    true = KnownFacts(joint.triples, *(part.joint(x) for x in (own.valid, own.test, world)))
    draw, facts = np.random.default_rng(seed), own.train.copy()
    way = np.full(len(facts), -1)
    for place, row in enumerate(draw.permutation(len(facts))[: round(SHARE * len(facts))]):
        for _ in range(50):
            head, relation, tail = own.train[row]
            match place % 3:
                case 0:
                    tail = draw.integers(len(own.entities))
                case 1:
                    tail = draw.choice(own.train[own.train[:, 1] == relation, 2])
                case _ if place % 2:
                    relation = draw.integers(len(own.relations))
                case _:
                    head, tail = tail, head
            fact = np.array([[head, relation, tail]])
            if not true.contains(part.joint(fact))[0]:
                facts[row], way[row] = fact[0], place % 3
                break
    graphs = {**collection.graphs, own.name: replace(own, train=facts)}
    return replace(collection, graphs=graphs), facts, way


def recall_at(probability: np.ndarray, wrong: np.ndarray, precision: float) -> float:
    """Return the share of wrong facts in the longest beginning of the list of this precision."""
    found = np.cumsum(wrong[np.argsort(-probability, kind="stable")])
    enough = np.flatnonzero(found >= precision * np.arange(1, len(found) + 1))
    return float(found[enough[-1]] / wrong.sum()) if len(enough) else 0.0


def figures(
    model: kgraft.TrainedModel, facts: Triples, way: np.ndarray, seed: int
) -> dict[str, Any]:
    """Check a model of a target with planted facts, and return a row of figures."""
    name = model.target or ""
    seconds, judged = timed(lambda: judge(model, name, seed=seed))
    rows = model.graph.part(name).joint(facts)
    of_fact = {tuple(x): int(y) for x, y in zip(rows.tolist(), way, strict=True) if y >= 0}
    ways = np.array([of_fact.get(tuple(x), -1) for x in judged.facts.tolist()])
    wrong, probability = ways >= 0, judged.probability
    chosen = probability >= 0.5
    return {
        "facts": len(ways),
        "planted": int(wrong.sum()),
        "recall_at_0.8": round(recall_at(probability, wrong, PRECISION), 4),
        "recall_of_way": {
            text: round(float((wrong & _first(probability, wrong))[ways == x].mean()), 4)
            for x, text in enumerate(WAYS)
        },
        "facts_at_0.5": int(chosen.sum()),
        "precision_at_0.5": round(float(wrong[chosen].mean()), 4) if chosen.any() else None,
        "seconds": round(seconds, 1),
    }


def _first(probability: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Mask the longest beginning of the list of ``PRECISION``."""
    order = np.argsort(-probability, kind="stable")
    enough = np.flatnonzero(np.cumsum(wrong[order]) >= PRECISION * np.arange(1, len(order) + 1))
    mask = np.zeros(len(order), dtype=bool)
    mask[order[: enough[-1] + 1 if len(enough) else 0]] = True
    return mask


def kept(directory: Path | None, name: str, make: Callable[[], kgraft.TrainedModel]) -> Any:
    """Return a model that is kept below a directory, or make it and keep it there."""
    place = None if directory is None else directory / name
    if place is not None and place.exists():
        return kgraft.load_model(place)
    model = make()
    if place is not None:
        model.save(place)
    return model


def made(seed: int, sees: float) -> tuple[kgraft.Collection, Triples]:
    """Make a collection, and return it with all true facts of its target's entities."""
    settings = SynthSettings.model_validate(
        {
            "world": {"seed": seed},
            "target": {**SIZES, "sees": sees},
            "background": {"facts": BACKGROUND_FACTS},
        }
    )
    found = synthesize(settings)
    return found.collection, found.world.train


def measure(asked: Namespace) -> dict[str, Any]:
    """Plant, train and check each target, and return a row of each."""
    cases = {name: made(*given) for name, given in MADE.items() if name in asked.cases}
    if asked.dbp5l:
        known = kgraft.read_collection(asked.dbp5l)
        cases |= {x: (known.with_target(x), no_triples()) for x in asked.cases if x in known.graphs}
    rows = {}
    for name, (collection, world) in cases.items():
        changed, facts, way = planted(collection, world)

        def train(changed: kgraft.Collection = changed) -> kgraft.TrainedModel:
            return kgraft.retrain(changed, kgraft.pretrain(changed))

        model = kept(Path(asked.models) if asked.models else None, name, train)
        rows[name] = figures(model, facts, way, asked.seed)
        print(name, rows[name], flush=True)
    least = min(row["recall_at_0.8"] for row in rows.values())
    return {
        "planted_errors_recall_at_0.8": round(mean(x["recall_at_0.8"] for x in rows.values()), 4),
        "planted_errors": {
            "least": least,
            "targets": rows,
            "threads": asked.threads,
            "machine": machine(),
            "command": "python benchmarks/planted_errors.py --dbp5l DIRECTORY",
        },
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options_of(
        __doc__,
        dbp5l=(str, "directory of DBP-5L"),
        models=(str, "directory for trained models"),
        cases=([*MADE, "el", "ja"], "targets"),
        seed=0,
    )
    run(parser, measure, arguments, write=add_to_report)


if __name__ == "__main__":
    main()
