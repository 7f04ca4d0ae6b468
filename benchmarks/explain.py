"""Measure whether probabilities can be trusted and predictions explained, on held-out facts.

Usage: python benchmarks/explain.py MODEL COLLECTION --out benchmarks/results/explain.json

Calibration: each query that test facts answer is asked once, and the best candidates that train and
validation facts do not state are judged by the test facts: the single best one, the best 10, the
best 100. Those are the hardest wrong answers that there are. ``calibration_error`` is the expected
calibration error of the best 10, by the model's own way to answer, in ten bins; ``covered`` are the
candidates, right and wrong, that another source states, ``uncovered`` the others.

Explanation: each test fact is explained. A covered one is explained when a background fact that its
explanation names is that fact: a training fact of another graph, in that graph's own names, whose
three names are linked to the test fact's. An uncovered one is explained when a background fact or a
rule supports it. Nothing here is used to fit or to choose anything.

Figures of other scripts that stand in ``--out`` stay there.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import torch
from common import add_to_report

from kgraft.evaluation.evaluate import evaluate
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.known_facts import KnownFacts
from kgraft.inference.explain import Explainer
from kgraft.inference.explanation import Explanation
from kgraft.inference.predict import Predictor
from kgraft.inference.probability_check import check_probabilities
from kgraft.io.read_collection import read_collection
from kgraft.linking.collection import Collection
from kgraft.linking.joint_graph import join
from kgraft.model.calibration import calibration_error, reliability
from kgraft.model.directory import load_model
from kgraft.model.trained_model import TrainedModel
from kgraft.system.messages import speaking
from kgraft_experiments.benchmark.runner import machine

BEST = (1, 10, 100)


def calibration(model: TrainedModel, graph: KnowledgeGraph) -> list[dict[str, Any]]:
    """Return the error, and the table behind it, for each way to answer and kind of candidates."""
    rows = []
    for by in model.calibration:
        predictor = Predictor(model, by=by)
        for best in BEST:
            found = check_probabilities(predictor, graph, k=best)
            kinds = {"all": found.covered | True, "covered": found.covered}
            for facts, kept in {**kinds, "uncovered": ~found.covered}.items():
                table = reliability(found.probability[kept], found.correct[kept])
                rows.append(
                    {
                        "by": by,
                        "best": best,
                        "facts": facts,
                        "candidates": int(kept.sum()),
                        "right": int(found.correct[kept].sum()),
                        "calibration_error": round(calibration_error(table), 4),
                        "reliability": [asdict(row) for row in table],
                    }
                )
    return rows


class Checked:
    """Checks explanations against the collection's own files and links."""

    def __init__(self, collection: Collection) -> None:
        own = collection.target_graph
        others = [collection.graphs[name] for name in collection.backgrounds()]
        self._graph = join([own, *others], collection.links)
        self._facts = {x: KnownFacts(self._graph.facts_of([x])) for x in self._graph.sources}

    def names_fact(self, found: Explanation, target: str) -> bool:
        """Say whether a support is the explained fact itself, stated by a background."""
        wanted = self._rows(target, found.head, found.relation, found.tail)
        for support in found.supports:
            rows = self._rows(support.source, support.head, support.relation, support.tail)
            if support.source != target and rows == wanted:
                return bool(self._facts[support.source].contains([rows])[0])
        return False

    def _rows(self, source: str, head: str, relation: str, tail: str) -> tuple[int, int, int]:
        part = self._graph.part(source)
        return (
            int(part.entity_rows[part.entities.row(head)]),
            int(part.relation_rows[part.relations.row(relation)]),
            int(part.entity_rows[part.entities.row(tail)]),
        )


def explanations(model: TrainedModel, collection: Collection) -> dict[str, Any]:
    """Explain every test fact, and return which shares are explained and what it takes."""
    graph, checked = collection.target_graph, Checked(collection)
    explainer = Explainer(Predictor(model))
    is_covered = evaluate(model, collection, sides=("tail",), by="vectors").covered
    named, supported, seconds = [], [], []
    for (head, relation, tail), stated in zip(graph.test.tolist(), is_covered, strict=True):
        begin = time.process_time()
        names = graph.entities.name(head), graph.relations.name(relation), graph.entities.name(tail)
        found = explainer.explain(*names)
        seconds.append(time.process_time() - begin)
        if stated:
            named.append(checked.names_fact(found, graph.name))
        else:
            supported.append(bool(found.supports or found.rules))
    return {
        "covered": len(named),
        "explained_share": round(sum(named) / max(len(named), 1), 4),
        "uncovered": len(supported),
        "supported_share_of_uncovered": round(sum(supported) / max(len(supported), 1), 4),
        "median_cpu_ms": round(1000 * median(seconds), 1),
    }


def measure(asked: Namespace) -> dict[str, Any]:
    """Judge a model's probabilities and explanations, and return the report."""
    torch.set_num_threads(asked.threads)
    model = load_model(asked.model)
    collection = read_collection(asked.collection, model.graph.graphs()).with_target(model.target)
    rows = calibration(model, collection.target_graph)
    errors = {
        row["facts"]: row["calibration_error"]
        for row in rows
        if (row["by"], row["best"]) == (model.answers_by, 10)
    }
    return {
        "target": model.target,
        "answers_by": model.answers_by,
        "calibration_error": errors["all"],
        "calibration_error_by_facts": errors,
        **explanations(model, collection),
        "threads": asked.threads,
        "machine": machine(),
        "calibration": rows,
    }


def options() -> ArgumentParser:
    parser = ArgumentParser(description="Measure whether predictions can be trusted and explained.")
    parser.add_argument("model", type=Path, help="a model directory")
    parser.add_argument("collection", help="with the target's test facts")
    parser.add_argument("--out", type=Path, required=True, help="the report, a JSON file")
    parser.add_argument("--threads", type=int, default=1)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    asked = options().parse_args(arguments)
    with speaking():
        report = measure(asked)
        add_to_report(asked.out, report)
    errors = report["calibration_error_by_facts"]
    told = ", ".join(f"{facts} {error}" for facts, error in errors.items())
    print(f"calibration error: {told}; explained share of covered {report['explained_share']}")


if __name__ == "__main__":
    main()
