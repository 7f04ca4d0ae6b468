"""Measure the calibration of probabilities and the share of explained predictions.

Usage: python benchmarks/explain.py MODEL COLLECTION --out benchmarks/results/explain.json

Calibration: test facts label the best 1, 10 and 100 candidates of each of their queries, without
those that training and validation facts state. These are the hardest wrong answers.
``calibration_error`` is the expected calibration error of the best 10 in ten bins, by the model's
default evidence; ``covered`` candidates, right and wrong, are stated by another source.

Explanation: a covered test fact is explained where the explanation names this fact: a training fact
of another graph, in that graph's own names, whose three names are linked to the test fact's. An
uncovered one is explained where a background fact or a rule supports it.

Test facts fit and choose nothing here. Figures of other scripts in ``--out`` stay there.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from common import add_to_report, options_of, run

import kgraft
from kgraft.graph.known_facts import KnownFacts
from kgraft.inference.explain import Explainer
from kgraft.inference.explanation import Explanation
from kgraft.inference.predict import Predictor
from kgraft.inference.probability_check import check_probabilities
from kgraft.linking.join import join
from kgraft.model.calibration import calibration_error, reliability_bins
from kgraft_experiments.benchmark.runner import machine

BEST = (1, 10, 100)


def calibration(model: kgraft.TrainedModel, graph: kgraft.KnowledgeGraph) -> list[dict[str, Any]]:
    """Return calibration error and reliability table for each evidence and kind of candidates."""
    rows = []
    for by in model.calibration:
        predictor = Predictor(model, by=by)
        for best in BEST:
            found = check_probabilities(predictor, graph, k=best)
            kinds = {"all": found.covered | True, "covered": found.covered}
            for facts, kept in {**kinds, "uncovered": ~found.covered}.items():
                table = reliability_bins(found.probability[kept], found.correct[kept])
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

    def __init__(self, collection: kgraft.Collection) -> None:
        own = collection.target_graph
        others = [collection.graphs[name] for name in collection.backgrounds()]
        self._graph = join([own, *others], collection.links)
        self._facts = {x: KnownFacts(self._graph.facts_of([x])) for x in self._graph.sources}

    def names_fact(self, found: Explanation, target: str) -> bool:
        """Return whether a background's support is the explained fact itself."""
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


def explanations(model: kgraft.TrainedModel, collection: kgraft.Collection) -> dict[str, Any]:
    """Explain every test fact, and return the explained shares and the time."""
    graph, checked = collection.target_graph, Checked(collection)
    explainer = Explainer(Predictor(model))
    is_covered = model.evaluate(collection, sides=("tail",), by="vectors").covered
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
    """Measure a model's probabilities and explanations, and return the report."""
    model = kgraft.load_model(asked.model)
    collection = kgraft.read_collection(asked.collection, model.graph.graphs()).with_target(
        model.target
    )
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


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options_of(__doc__, "model", "collection", threads=1)
    report = run(parser, measure, arguments, write=add_to_report)
    errors = report["calibration_error_by_facts"]
    shown = ", ".join(f"{facts} {error}" for facts, error in errors.items())
    print(f"calibration error: {shown}; explained share of covered {report['explained_share']}")


if __name__ == "__main__":
    main()
