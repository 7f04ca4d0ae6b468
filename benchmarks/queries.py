"""Measure answers to patterns of facts that a graph lacks, beside CQD-beam and traversal.

Usage: python benchmarks/queries.py COLLECTION --name fr --model DIRECTORY --plain DIRECTORY \
           --queries 200 --out benchmarks/results/queries.json

``--model`` is a model with rules of the collection's target alone, ``--plain`` ComplEx without
rules of the same training (``rules.longest=0``); neither has seen the test facts, so both are
trained on a collection that names none. Facts of training are observed by all, test facts are
missing; answers that training and validation facts give do not count (filtered). CQD-beam's beam
and scale are chosen on queries made of validation facts; ours has no choice left.

Figures are filtered MRR over hard answers, a mean over queries of the mean over their answers, with
its standard error. ``traversal`` ranks what observed facts give first and all else alike.
``cqd_stated`` is CQD-beam with observed facts counted as certain. ``median_ms`` is processor time
of one ``ask`` with its ten best answers, reading and reasons included. Each name has a row of its
own in ``--out``; other rows stay there.
"""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import add_to_report, options_of, run
from cqd import BeamAnswerer, Scale
from query_sets import POSITIVE, SHAPES, Facts, MadeQuery, Node, Sampler, answers, sparql

import kgraft
from kgraft.graph.known_facts import KnownFacts
from kgraft.inference.predict import Predictor
from kgraft.querying.ask import Asker
from kgraft_experiments.benchmark.runner import machine

BEAMS, SCALES = (4, 16, 64), ("logistic", "range")
CHOICE_QUERIES = 60
"""Validation queries of each shape that CQD-beam is chosen by."""

Score = Callable[[Node], np.ndarray]


def reciprocal_rank(scores: np.ndarray, query: MadeQuery, which: frozenset[int]) -> float:
    """Return the mean reciprocal rank of some answers among all that are none; ties count half."""
    others = np.ones(len(scores), dtype=bool)
    others[list(query.answers)] = False
    rest, own = np.sort(scores[others]), scores[list(which)]
    better = len(rest) - np.searchsorted(rest, own, side="right")
    equal = np.searchsorted(rest, own, side="right") - np.searchsorted(rest, own)
    return float((1 / (1 + better + equal / 2)).mean())


def mrr(queries: Sequence[MadeQuery], score: Score, *, missing: bool = False) -> list[float]:
    """Return the reciprocal rank of each query, by its hard or by its wholly missing answers."""
    return [reciprocal_rank(score(x.node), x, x.missing if missing else x.hard) for x in queries]


def measure(asked: Namespace) -> dict[str, Any]:
    """Return the row of one graph by its name."""
    torch.set_num_threads(1)
    model, plain = (kgraft.load_model(x) for x in (asked.model, asked.plain))
    graph = kgraft.read_collection(asked.collection).target_graph
    part, m = model.graph.part(graph.name), model.graph.n_relations
    train, valid, test = (part.known(graph, x) for x in (graph.train, graph.valid, graph.test))
    asker = Asker(Predictor(model), np.unique(train, axis=0))
    if plain.graph.n_entities != model.graph.n_entities or len(asker.facts.rows) != len(
        model.graph.part(graph.name).entity_rows
    ):
        raise SystemExit("the two models have different entities")
    cqd, choice = chosen(plain, Sampler(train, valid, m, 1))
    stated = BeamAnswerer(plain.kge, cqd.beam, cqd.scale, KnownFacts(train))
    observed = Facts(train, m)
    column = np.argsort(asker.facts.rows)

    def own(node: Node) -> np.ndarray:
        query = asker.read(sparql(node, asker.names, m))
        return asker.probabilities(query)[column]

    def walk(node: Node) -> np.ndarray:
        found = np.zeros(len(column))
        found[list(answers(node, observed))] = 1
        return found

    systems = {"kgraft": own, "cqd": cqd.scores, "cqd_stated": stated.scores, "traversal": walk}
    sampler, shapes = Sampler(np.concatenate([train, valid]), test, m, 2), {}
    for shape in SHAPES:
        shapes[shape] = row = of_shape(shape, sampler, systems, asked.queries)
        row["median_ms"] = milliseconds(asker, row.pop("made"), m)
        print(shape, json.dumps(row), flush=True)
    row = {
        "facts": {"train": len(train), "valid": len(valid), "test": len(test)},
        "shapes": shapes,
        **means(shapes),
        "cqd_choice": choice,
        "models": {"kgraft": about(model), "cqd": about(plain)},
        "machine": machine(),
        "command": "python benchmarks/" + " ".join([Path(sys.argv[0]).name, "COLLECTION"])
        + f" --name {asked.name} --queries {asked.queries}",
    }  # fmt: skip
    return {"graphs": {asked.name: row}}


def chosen(plain: kgraft.TrainedModel, sampler: Sampler) -> tuple[BeamAnswerer, dict[str, Any]]:
    """Return CQD-beam with the beam and scale that answer queries of validation facts best."""
    sets = {shape: sampler.sample(shape, CHOICE_QUERIES) for shape in POSITIVE}
    found: dict[str, float] = {}
    best: tuple[float, BeamAnswerer] | None = None
    for scale in SCALES:
        for beam in BEAMS:
            answerer = BeamAnswerer(plain.kge, beam, _scale(scale))
            values = [np.mean(mrr(x, answerer.scores)) for x in sets.values() if x]
            found[f"{scale} {beam}"] = value = round(float(np.mean(values)), 4)
            best = max(best or (-1.0, answerer), (value, answerer), key=lambda x: x[0])
    if best is None:
        raise ValueError("there is no way to choose among")
    return best[1], {"beam": best[1].beam, "scale": best[1].scale, "validation_mrr": found}


def _scale(text: str) -> Scale:
    return "logistic" if text == "logistic" else "range"


def of_shape(
    shape: str, sampler: Sampler, systems: dict[str, Score], number: int
) -> dict[str, Any]:
    """Return the figures of one shape."""
    made = sampler.sample(shape, number)
    row: dict[str, Any] = {"made": made, "queries": len(made)}
    for name, score in systems.items():
        row |= figures(name, mrr(made, score))
    if shape not in POSITIVE or shape == "1p":
        return row
    alone = sampler.sample(shape, number, all_missing=True)
    row["queries_all_missing"] = len(alone)
    for name in ("kgraft", "cqd", "cqd_stated"):
        row |= figures(f"{name}_all_missing", mrr(alone, systems[name], missing=True))
    return row


def figures(name: str, values: Sequence[float]) -> dict[str, float | None]:
    """Return mean and standard error by name, None where the graph has no such query."""
    if not values:
        return {name: None, f"{name}_error": None}
    error = float(np.std(values) / len(values) ** 0.5)
    return {name: round(float(np.mean(values)), 4), f"{name}_error": round(error, 4)}


def milliseconds(asker: Asker, made: Sequence[MadeQuery], m: int) -> float:
    """Return the median processor time of one query, with nothing kept from others."""
    seconds = [0.0] if not made else []
    for query in made:
        asker.facts.forget()
        text = sparql(query.node, asker.names, m)
        start = time.process_time()
        asker.ask(text)
        seconds.append(time.process_time() - start)
    return round(1000 * float(np.median(seconds)), 1)


def means(shapes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the means over positive shapes, apart for answers that only missing facts give."""
    found = {}
    systems = ("kgraft", "cqd", "cqd_stated", "traversal")
    for name in (*systems, *(f"{x}_all_missing" for x in systems[:3])):
        values = [shapes[x][name] for x in POSITIVE if shapes[x].get(name) is not None]
        found[name] = round(float(np.mean(values)), 4)
    found["ratio"] = round(found["kgraft"] / found["cqd"], 3)
    return {"positive": found}


def about(model: kgraft.TrainedModel) -> dict[str, Any]:
    """Return a model's settings and validation MRR."""
    settings = {"width": model.settings.model.width, "rules": model.settings.rules.longest}
    training = model.settings.training
    settings |= {"epochs": len(model.log), "regularization": training.regularization}
    return {**settings, "negatives": training.negatives, "validation": dict(model.metrics)}


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = options_of(
        __doc__, "collection", name=str, model=Path, plain=Path, queries=200, threads=None
    )
    return run(parser, measure, arguments, write=add)


def add(path: Path, report: dict[str, Any]) -> None:
    """Add the row of a graph to the rows that the file has."""
    graphs = {}
    if path.exists():
        graphs = json.loads(path.read_text(encoding="utf-8")).get("graphs", {})
    add_to_report(path, {"graphs": {**graphs, **report["graphs"]}})


if __name__ == "__main__":
    main()
