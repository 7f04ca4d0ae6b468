"""Measure the facts that a student proposes: probabilities against the truth.

Usage: python benchmarks/completion.py --out benchmarks/results/completion.json --work DIR
       python benchmarks/completion.py ... --dbp5l DIR

Twelve made collections, whose whole truth is known, differ in the share of true facts that the
target states and in the share of functional relations. With ``--dbp5l`` each graph of a directory
in the DBP-5L layout is completed without its test facts: a proposal is checked where its query has
an answer in the test set or in another edition. All settings are the defaults.

Students are kept in ``--work``: the same command goes on where it stopped. Keys of other scripts in
the report are kept.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from common import add_to_report, options_of, run
from numpy.typing import NDArray

from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples, no_triples
from kgraft.graph.known_facts import KnownFacts, Side
from kgraft.inference.complete import complete
from kgraft.inference.predict import Predictor
from kgraft.io.read_collection import read_collection
from kgraft.linking.collection import Collection
from kgraft.linking.completeness import SHARES
from kgraft.linking.joint_graph import JointSource
from kgraft.model.directory import load_model
from kgraft.model.fact_scores import BY_ONE, BY_SEVERAL, LINKED, OVERALL
from kgraft.model.manifest import MANIFEST
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.pretrain import pretrain
from kgraft.pipeline.retrain import retrain
from kgraft.pipeline.run import RunOptions
from kgraft_experiments.benchmark.runner import machine
from kgraft_experiments.synthesis.settings import SynthSettings, TargetSettings, WorldSettings
from kgraft_experiments.synthesis.synthesize import synthesize

SEES = (0.3, 0.5, 0.7, 0.9)
FUNCTIONAL = ({"functional": 0.0}, {}, {"functional": 0.9, "relations": 120})
"""Settings of the world: no functional relation, two fifths, and nearly all."""

LOWEST = 0.1
"""Probability from which on a proposal counts in the mean distance."""

BINS = 10
BY_SCORE = 10
"""Answers to each query that are ranked by score, as a ranker without probabilities has them."""

ONE_ANSWER = 1.02
"""Mean answers of a head in the whole world up to which a relation is functional."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def measure(options: Namespace) -> dict[str, Any]:
    """Return the report: a row for each collection, and the figures over all."""
    rows = [made(options.work, place, world, sees) for place, world, sees in plan()]
    found = {
        "mean_distance": float(np.mean([row["distance"] for row in rows])),
        "worst_distance": max(row["distance"] for row in rows),
        "precision_at_0.9": min(row["precision_at_0.9"] for row in rows),
        "precision_at_0.5": min(row["precision_at_0.5"] for row in rows),
        "average_precision": float(np.mean([row["average_precision"] for row in rows])),
        "average_precision_by_score": float(
            np.mean([row["average_precision_by_score"] for row in rows])
        ),
        "contradicting_share": max(row["contradicting_share"] for row in rows),
        "completeness_error": max(row["completeness_error"] for row in rows),
        "made": rows,
        "machine": machine(),
    }
    if options.dbp5l:
        collection = read_collection(options.dbp5l)
        found["dbp5l"] = [edition(options.work, collection, name) for name in collection.graphs]
    return found


def plan() -> Iterator[tuple[int, dict[str, Any], float]]:
    """Yield number, settings of the world, and stated share of each collection."""
    for number, world in enumerate(FUNCTIONAL):
        for step, sees in enumerate(SEES):
            yield 1 + number * len(SEES) + step, world, sees


def made(work: Path, seed: int, world: dict[str, Any], sees: float) -> dict[str, Any]:
    """Make a collection, train a student, and compare its proposals with the truth."""
    settings = SynthSettings(
        world=WorldSettings(seed=seed, **world), target=TargetSettings(sees=sees)
    )
    synthetic = synthesize(settings)
    model = student(work / f"made{seed}", synthetic.collection)
    part = model.graph.part(synthetic.collection.target)
    truth, own = part.joint(synthetic.world.train), synthetic.collection.target_graph
    stated = KnownFacts(part.joint(own.triples))
    facts = pl.concat(complete(Predictor(model), min_probability=0, contradictions=True))
    shown = facts.filter(pl.col("list") != "contradiction")
    true = KnownFacts(truth).contains(_rows(part, shown))
    probability = shown["probability"].to_numpy()
    missing = len(truth) - len(stated)
    row = {
        "seed": seed,
        **world,
        "sees": sees,
        "true_facts": len(truth),
        "missing": missing,
        "distance": distance(probability, true),
        **{f"precision_at_{p}": precision(probability, true, p) for p in (0.9, 0.5)},
        "proposed_at_0.5": int((probability >= 0.5).sum()),
        "average_precision": average_precision(probability, true, missing),
        "average_precision_by_score": _by_score(model, stated, KnownFacts(truth), missing),
        "contradicting_share": _contradicting(part, shown, truth, own),
        "completeness_error": _completeness_error(model, truth, stated),
    }
    print(json.dumps(row), flush=True)
    return row


def edition(work: Path, collection: Collection, name: str) -> dict[str, Any]:
    """Complete one graph without its test facts, and check what others or the test set tell."""
    whole = collection.graphs[name]
    asked = replace(whole, test=no_triples())
    graphs = {**collection.graphs, name: asked}
    own = replace(collection, graphs=graphs, target=name)
    model = student(work / name, own)
    part, graph, predictor = model.graph.part(name), model.graph, Predictor(model)
    facts = pl.concat(complete(predictor, min_probability=LOWEST))
    rows, test = _rows(part, facts), part.known(whole, whole.test)
    others = graph.facts_of([source for source in graph.sources if source != name])
    told = np.concatenate([test, others])
    confirmed = KnownFacts(told).contains(rows)
    heads = {(int(h), int(r)) for h, r in told[:, :2]}
    checkable = np.array([(int(h), int(r)) in heads for h, r in rows[:, :2]], dtype=bool)
    probability = facts["probability"].to_numpy()
    share = len(test) / (len(whole.train) + len(whole.valid))
    row = {
        "target": name,
        "proposed": len(facts),
        "checkable": int(checkable.sum()),
        "expected": float(probability[checkable].sum()),
        "confirmed": int(confirmed[checkable].sum()),
        "proposed_at_0.5": int((probability >= 0.5).sum()),
        "by_list": dict(facts.group_by("list").len().sort("list").iter_rows()),
        "test_facts": _test_facts(predictor, rows, probability, test, share, KnownFacts(others)),
    }
    row["expected_by_confirmed"] = row["expected"] / max(row["confirmed"], 1)
    print(json.dumps(row), flush=True)
    return row


def _test_facts(
    predictor: Predictor,
    rows: Triples,
    probability: Floats,
    test: Triples,
    share: float,
    others: KnownFacts,
) -> dict[str, dict[str, float]]:
    """Return the test facts among proposals, expected and found, by what other editions state.

    Of the true facts that the target states in no split, those are test facts that it would state
    but for the test set's being left out: ``share`` of what it states.
    """
    judge = predictor.judge
    if judge is None:
        raise ValueError("the model was trained without validation facts")
    known, statistics = judge.fitted.completeness, judge.scorer.statistics
    knowing = statistics.knowing(rows[:, 0], rows[:, 2]) > 1
    said = statistics.by_several.contains(rows), others.contains(rows), knowing
    kinds = np.select(said, (BY_SEVERAL, BY_ONE, LINKED), OVERALL)
    found, row = KnownFacts(test).contains(rows), {}
    for kind, name in enumerate(SHARES):
        chosen = kinds == kind
        stated = getattr(known, name)[rows[chosen, 1]]
        in_test = np.minimum(stated * share / (1 - stated), 1)
        row[name] = {
            "proposed": int(chosen.sum()),
            "true": float(probability[chosen].sum()),
            "expected": float((probability[chosen] * in_test).sum()),
            "found": int(found[chosen].sum()),
        }
    return row


def student(place: Path, collection: Collection) -> TrainedModel:
    """Return the student kept in a directory, trained as far as it is not."""
    if not (place / "student" / MANIFEST).exists():
        if not (place / "teacher" / MANIFEST).exists():
            pretrain(collection, sources=list(collection.backgrounds())).save(place / "teacher")
        options = RunOptions(directory=place / "run")
        teacher = load_model(place / "teacher")
        retrain(collection, teacher, options=options).save(place / "student")
    return load_model(place / "student")


def distance(probability: Floats, true: Flags) -> float:
    """Return the mean distance of probability and truth over proposals, in bins of equal width."""
    kept = probability >= LOWEST
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    found = 0.0
    for number in range(BINS):
        inside = kept & (bins == number)
        if inside.any():
            found += abs(probability[inside].mean() - true[inside].mean()) * inside.sum()
    return float(found / max(kept.sum(), 1))


def precision(probability: Floats, true: Flags, least: float) -> float:
    """Return the share of proposals from a probability on that are true."""
    return float(true[probability >= least].mean()) if (probability >= least).any() else 1.0


def average_precision(ranking: Floats, true: Flags, missing: int) -> float:
    """Return the average precision over all missing facts, those that are not proposed too."""
    hits = true[np.argsort(-ranking, kind="stable")]
    precisions = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float((precisions * hits).sum() / max(missing, 1))


def _by_score(model: TrainedModel, stated: KnownFacts, truth: KnownFacts, missing: int) -> float:
    """Return the average precision of a ranking by score: both sides of each observed query."""
    predictor = Predictor(model)
    candidates, best = predictor.candidates, dict[tuple[int, int, int], float]()
    sides: tuple[Side, ...] = ("tail", "head")
    for relation in np.unique(predictor.names.part.relation_rows).tolist():
        for side in sides:
            given: Side = "head" if side == "tail" else "tail"
            anchors = candidates.rows[candidates.ends(relation, given)]
            asked = anchors, np.full(len(anchors), relation)
            for block, top in candidates.top(*asked, side, BY_SCORE, without=stated):
                for anchor, places, scores in zip(
                    anchors[block].tolist(), top.places, top.scores, strict=True
                ):
                    rows = predictor.names.part.entity_rows[places].tolist()
                    for answer, score in zip(rows, scores.tolist(), strict=True):
                        ends = (anchor, answer) if side == "tail" else (answer, anchor)
                        fact = (ends[0], relation, ends[1])
                        best[fact] = max(score, best.get(fact, -np.inf))
    true = truth.contains(np.array(list(best)))
    return average_precision(np.array([*best.values()]), true, missing)


def _contradicting(
    part: JointSource, facts: pl.DataFrame, truth: Triples, own: KnowledgeGraph
) -> float:
    """Return the share of proposals at 0.5 that are a second answer of a functional relation."""
    likely = facts.filter(pl.col("probability") >= 0.5)
    if not len(likely):
        return 0.0
    n, heads = np.bincount(truth[:, 1]), np.unique(truth[:, :2], axis=0)[:, 1]
    functional = n <= ONE_ANSWER * np.maximum(np.bincount(heads, minlength=len(n)), 1)
    rows = _rows(part, likely)
    stated = {(h, r) for h, r in part.joint(own.triples)[:, :2].tolist()}
    second = [functional[r] and (h, r) in stated for h, r in rows[:, :2].tolist()]
    return float(np.mean(second))


def _completeness_error(model: TrainedModel, truth: Triples, stated: KnownFacts) -> float:
    """Return the median distance of estimated and true completeness over relations."""
    judge = Predictor(model).judge
    if judge is None:
        raise ValueError("the model was trained without validation facts")
    m = model.graph.n_relations
    n = np.bincount(truth[:, 1], minlength=m)
    share = np.bincount(truth[stated.contains(truth), 1], minlength=m) / np.maximum(n, 1)
    estimated = judge.fitted.completeness.overall
    return float(np.median(np.abs(estimated - share)[n > 0]))


def _rows(part: JointSource, facts: pl.DataFrame) -> Triples:
    """Return facts by name in the model's rows, ``(n, 3)``."""
    heads, tails = (part.entity_rows_of(facts[role]) for role in ("head", "tail"))
    return np.stack([heads, part.relation_rows_of(facts["relation"]), tails], axis=1)


if __name__ == "__main__":
    parser = options_of(__doc__, work=(Path, "Directory of students."), dbp5l=(Path, "DBP-5L."))
    run(parser, measure, write=add_to_report)
