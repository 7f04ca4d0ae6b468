"""Predict relations and classify facts of CoDEx by the probability of facts, beside ComplEx.

Usage: python benchmarks/relations.py CODEX --size s --out benchmarks/results/relations.json

CODEX is the directory of ``codex-s`` and ``codex-m``. kgraft and PyKEEN's ComplEx are trained on
CoDEx's training facts, a twentieth of them for validation; CoDEx's own validation and test facts
are seen by neither. All choices, as the epoch of ComplEx and thresholds, go by the validation facts
and ``valid_negatives.txt``.

- Relation prediction: which relation leads from head to tail of a test fact. MRR and Hits@k among
  all relations, without other known relations between the two. ``probability`` is that of
  ``predict`` with head and tail, ``vectors`` its score; ``frequency`` ranks relations by how often
  training facts have them, ``by_ends`` by how often they have the head, and the tail.
- Classification: test facts and CoDEx's verified false ones. A fact is taken to be true from a
  threshold on; ``at_half`` is 0.5, ``one_threshold`` and ``by_relation`` are the best ones on
  validation facts, the latter for each relation with enough of them.
"""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from common import add_to_report, options_of, run, timed
from peers import pykeen_curve

import kgraft
from kgraft.graph.known_facts import KnownFacts
from kgraft.inference.predict import prepared
from kgraft.linking.collection import collect
from kgraft.model.trained_model import TrainedModel
from kgraft_experiments.benchmark.runner import machine

COLUMNS = ("head", "relation", "tail")
SEED, HELD_OUT = 0, 20
ENOUGH = 20  # validation facts of a relation, true and false, for a threshold of its own
CHECKED = 1000  # validation facts by which ComplEx's epoch for relation prediction is chosen
Row = dict[str, Any]
Score = Callable[[np.ndarray], np.ndarray]
"""Scores facts ``(n, 3)`` of the model's rows."""


def read(file: Path) -> pl.DataFrame:
    return pl.read_csv(file, separator="\t", has_header=False, new_columns=COLUMNS, quote_char=None)


class Codex:
    """Facts of CoDEx in a model's rows.

    Args:
        place: The directory of its files.
        model: The model.
    """

    def __init__(self, place: Path, model: TrainedModel) -> None:
        self._part = model.graph.part("codex")
        self.true = {x: self._rows(read(place / f"{x}.txt")) for x in ("train", "valid", "test")}
        self.false = {x: self._rows(read(place / f"{x}_negatives.txt")) for x in ("valid", "test")}
        self.known = KnownFacts(*self.true.values())
        self.n_relations = model.graph.n_relations

    def _rows(self, facts: pl.DataFrame) -> np.ndarray:
        part = self._part
        ends = part.entity_rows_of(facts["head"]), part.entity_rows_of(facts["tail"])
        rows = np.stack([ends[0], part.relation_rows_of(facts["relation"]), ends[1]], axis=1)
        return rows[(rows >= 0).all(axis=1)]


def relation_ranks(codex: Codex, facts: np.ndarray, score: Score) -> np.ndarray:
    """Return the filtered rank of each fact's relation; ties count half."""
    m = codex.n_relations
    every = np.repeat(facts, m, axis=0)
    every[:, 1] = np.tile(np.arange(m), len(facts))
    scores = score(every).reshape(len(facts), m).astype(float)
    own = scores[np.arange(len(facts)), facts[:, 1]]
    scores[codex.known.contains(every).reshape(len(facts), m)] = -np.inf
    better, equal = scores > own[:, None], scores == own[:, None]
    ranks: np.ndarray = 1 + better.sum(1) + equal.sum(1) / 2
    return ranks


def ranked(codex: Codex, facts: np.ndarray, score: Score) -> Row:
    """Return figures of relation prediction."""
    ranks = relation_ranks(codex, facts, score)
    found = {"mrr": float((1 / ranks).mean())}
    found |= {f"hits@{k}": float((ranks <= k).mean()) for k in (1, 3)}
    return {name: round(value, 4) for name, value in found.items()}


def threshold(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the threshold that tells apart most."""
    order = np.argsort(scores)
    scores, labels = scores[order], labels[order]
    right = labels.sum() - np.cumsum(labels) + np.cumsum(~labels)
    last = np.append(scores[1:] > scores[:-1], True)  # between equal scores there is none
    place = int(np.argmax(np.where(last, right, -1)))
    if labels.sum() >= right[place]:
        return -np.inf
    return float((scores[place] + scores[min(place + 1, len(scores) - 1)]) / 2)


def classified(codex: Codex, score: Score, half: bool) -> Row:
    """Return accuracy and F1 of facts that are true from a threshold on."""
    facts, labels, scores = {}, {}, {}
    for split in ("valid", "test"):
        facts[split] = np.concatenate([codex.true[split], codex.false[split]])
        labels[split] = np.arange(len(facts[split])) < len(codex.true[split])
        scores[split] = score(facts[split])
    best = threshold(scores["valid"], labels["valid"])
    each = np.full(codex.n_relations, best)
    for relation in range(codex.n_relations):
        here = facts["valid"][:, 1] == relation
        if here.sum() >= ENOUGH:
            each[relation] = threshold(scores["valid"][here], labels["valid"][here])
    limits = {"one_threshold": best, "by_relation": each[facts["test"][:, 1]]}
    found = {}
    for name, limit in ({"at_half": 0.5} | limits if half else limits).items():
        positive = scores["test"] > limit
        right = float((positive & labels["test"]).sum())
        found[name] = {
            "accuracy": round(float((positive == labels["test"]).mean()), 4),
            "f1": round(2 * right / max(float(positive.sum() + labels["test"].sum()), 1), 4),
        }
    return found


def by_counts(codex: Codex, n_entities: int, ends: bool) -> Score:
    """Return scores by how often training facts have a relation, or have it with these ends."""
    facts, m = codex.true["train"], codex.n_relations
    counts = np.bincount(facts[:, 1], minlength=m).astype(float)
    heads, tails = (
        np.bincount(facts[:, place] * m + facts[:, 1], minlength=n_entities * m) for place in (0, 2)
    )

    def score(asked: np.ndarray) -> np.ndarray:
        if not ends:
            return counts[asked[:, 1]]
        seen = [x[asked[:, y] * m + asked[:, 1]] for x, y in ((heads, 0), (tails, 2))]
        # The share of a relation's facts that have the head, times the same of the tail.
        return (seen[0] + 0.1) * (seen[1] + 0.1) / np.maximum(counts[asked[:, 1]], 1)

    return score


def own_scores(model: TrainedModel) -> dict[str, Score]:
    """Return the scores of a trained model: probability, and vectors."""
    judge = prepared(model).judge
    if judge is None:
        raise SystemExit("the model has no probability of facts")

    @torch.inference_mode()
    def vectors(facts: np.ndarray) -> np.ndarray:
        heads, relations, tails = (torch.from_numpy(facts[:, x].copy()) for x in range(3))
        found: np.ndarray = model.kge.score_facts(heads, relations, tails).numpy()
        return found

    return {"probability": judge.probability, "vectors": vectors}


def pykeen_scores(codex: Codex, chosen: np.ndarray, model: TrainedModel, minutes: float) -> Row:
    """Train PyKEEN's ComplEx; return test figures where validation ones were best."""
    best: dict[str, float] = {"relations": -1.0, "classification": -1.0}
    found: Row = {}

    def checked(scorer: Any) -> float:
        score = scorer.facts
        mrr = ranked(codex, codex.true["valid"][:CHECKED], score)["mrr"]
        if mrr > best["relations"]:
            best["relations"] = mrr
            found["relations"] = ranked(codex, chosen, score)
        facts = np.concatenate([codex.true["valid"], codex.false["valid"]])
        labels, scores = np.arange(len(facts)) < len(codex.true["valid"]), score(facts)
        accuracy = float(((scores > threshold(scores, labels)) == labels).mean())
        if accuracy > best["classification"]:
            best["classification"] = accuracy
            found["classification"] = classified(codex, score, half=False)
        return mrr

    curve = pykeen_curve(
        model.graph, model.settings.model.width, None, checked, minutes, time.process_time
    )
    return {**found, "seconds_and_validation_mrr": curve}


def measure(asked: Namespace) -> Row:
    """Train, measure, and return the row of a size."""
    place = Path(asked.codex) / f"codex-{asked.size}"
    facts = read(place / "train.txt")
    order = np.random.default_rng(SEED).permutation(len(facts))
    n = len(facts) // HELD_OUT
    graph = kgraft.from_frame("codex", facts[order[n:]], valid=facts[order[:n]])
    settings = kgraft.read_settings(kgraft.TrainSettings, Path(asked.settings))
    collection = collect([graph], [], target="codex", name="codex")
    seconds, model = timed(lambda: kgraft.train(collection, settings, alone=True))
    print("trained", round(seconds), flush=True)
    codex = Codex(place, model)
    test = codex.true["test"]
    chosen = test[np.random.default_rng(SEED).permutation(len(test))[: asked.facts]]
    relations, classes = {}, {}
    for name, score in own_scores(model).items():
        relations[name] = ranked(codex, chosen, score)
        classes[name] = classified(codex, score, half=name == "probability")
        print(name, relations[name], classes[name], flush=True)
    for name, ends in (("frequency", False), ("by_ends", True)):
        relations[name] = ranked(codex, chosen, by_counts(codex, model.graph.n_entities, ends))
    pykeen = pykeen_scores(codex, chosen, model, asked.minutes)
    relations["pykeen"] = pykeen.pop("relations")
    classes["pykeen"] = pykeen.pop("classification")
    return {
        asked.size: {
            "relation_prediction": relations,
            "classification": classes,
            "test_facts": {"relations": len(chosen), "true": len(test),
                           "false": len(codex.false["test"])},
            "pykeen": pykeen,
            "training_seconds": round(seconds, 1),
            "settings": settings.model_dump(mode="json"),
            "machine": machine(),
            "command": f"python benchmarks/relations.py CODEX --size {asked.size} --minutes "
            f"{asked.minutes:g} --facts {asked.facts} --threads {asked.threads}",
        }
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options_of(
        __doc__,
        "codex",
        size=("s", "s or m, the collection"),
        minutes=(2.0, "of PyKEEN's training, of a processor"),
        facts=(2000, "test facts whose relation is predicted"),
        settings=(
            str(Path(__file__).parent / "settings" / "entity_types.toml"),
            "of kgraft's training",
        ),
    )
    report = run(parser, measure, arguments, write=add_to_report)
    print(json.dumps(report, indent=1)[:3000])


if __name__ == "__main__":
    main()
