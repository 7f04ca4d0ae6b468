"""Tell true facts of CoDEx from verified false ones, by what a model of its facts knows.

Usage: python benchmarks/triple_classification.py COLLECTION --negatives DIRECTORY --name codex_s \
           --out benchmarks/results/completion.json

Trains on the collection's target alone, by vectors, rules and both, or takes ``--model``. The mean
of two classifiers, an additive regression and a small network, sees for each fact its ranks,
shares and scores, its rules, counts, and its relation. They are fitted on the validation facts and
``valid_negatives.txt``; the cross-validated accuracy there is reported too. Test facts
are in no fit, and are no known facts for ranks.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from common import add_to_report, options_of, run

import kgraft
from kgraft.graph.known_facts import KnownFacts, queries
from kgraft.inference.fact_counts import FactCounts, JudgedFacts, RowCounter
from kgraft.inference.left_out import LEAST, Ranker, by_rules, relation_shares
from kgraft.inference.monotone_regression import MonotoneRegression
from kgraft.rules.edges import Edges
from kgraft.rules.rule_answers import RuleApplier

BLOCK = 256

FOLDS = 5

WIDTH, EPOCHS, NETWORKS, DROPOUT, RATE, DECAY = 64, 25, 2, 0.3, 5e-3, 0.1


@torch.inference_mode()
def features(model: kgraft.TrainedModel, facts: np.ndarray) -> np.ndarray:
    """Return what the model knows about facts in its rows, ``(n, f)``."""
    graph, n, name = model.graph, len(facts), model.target or ""
    own = np.unique(graph.triples, axis=0)
    nothing = JudgedFacts(facts, np.full(n, -1), np.zeros(n, dtype=np.int64))
    counts = FactCounts(own, own[:0], graph.n_entities, graph.n_relations)
    columns = list(counts.features(nothing).values())
    ranker = Ranker(model, KnownFacts(own))
    blocks = [facts[start : start + BLOCK] for start in range(0, n, BLOCK)]
    for scorer in (model.kge, model.scorer("both")):
        for side in ("tail", "head"):
            ranks = zip(*(ranker.ranks(scorer, x, side) for x in blocks), strict=True)
            columns += map(np.concatenate, ranks)
            scores, shares = [], []
            for x in blocks:
                anchors, relations, answers = (torch.from_numpy(y.copy()) for y in queries(x, side))
                of_all = scorer.score(anchors, relations, side=side)
                scores.append(of_all[torch.arange(len(x)), answers])
                shares.append(scores[-1] - of_all.logsumexp(1))
            columns += [torch.cat(x).numpy().astype(float) for x in (scores, shares)]
    columns.append(np.concatenate([relation_shares(model.kge, x) for x in blocks]))
    evidence, _ = model.require_evidence()
    applier = RuleApplier(evidence.rules, Edges.of(graph), graph.part(name).entity_rows)
    for side in ("tail", "head"):
        columns += [np.log(x + LEAST) for x in by_rules(applier, facts, side, graph.n_relations)]
    for places in ((0, 1), (1, 2), (0,), (2,), (1,)):
        columns.append(np.log1p(RowCounter(own, places, graph.n_entities).of(facts)))
    degree = np.bincount(own[:, [0, 2]].ravel(), minlength=graph.n_entities)
    columns += [np.log1p(degree[facts[:, place]]) for place in (0, 2)]
    return np.column_stack([*columns, np.eye(graph.n_relations)[facts[:, 1]]])


def network_odds(rows: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Return the log odds of asked rows by the mean of small networks."""
    mean, std = rows.mean(0), rows.std(0) + 1e-6
    known, new = (
        torch.tensor(((x - mean) / std).clip(-4, 4), dtype=torch.float32) for x in (rows, asked)
    )
    wanted, found = torch.tensor(labels, dtype=torch.float32), torch.zeros(len(asked))
    for seed in range(NETWORKS):
        torch.manual_seed(seed)
        sizes = (rows.shape[1], WIDTH, WIDTH)
        layers: list[torch.nn.Module] = []
        for size, following in pairwise(sizes):
            layers += [torch.nn.Linear(size, following), torch.nn.SiLU(), torch.nn.Dropout(DROPOUT)]
        network = torch.nn.Sequential(*layers, torch.nn.Linear(WIDTH, 1))
        steps = EPOCHS * (len(rows) // BLOCK + 1)
        optimizer = torch.optim.AdamW(network.parameters(), weight_decay=DECAY)
        rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps + 1)
        for _ in range(EPOCHS):
            for batch in torch.randperm(len(rows)).split(BLOCK):
                loss = torch.nn.functional.binary_cross_entropy_with_logits(
                    network(known[batch])[:, 0], wanted[batch]
                )
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                rate.step()
        found += network.eval()(new)[:, 0].detach() / NETWORKS
    return found.numpy().astype(float)


def classified(rows: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Return the log odds of asked rows to be true, by classifiers fitted to labelled rows."""
    additive = MonotoneRegression([0] * rows.shape[1]).fit(rows, labels, np.ones(len(rows)))
    return (additive.log_odds(asked) + network_odds(rows, labels, asked)) / 2


def labelled(
    model: kgraft.TrainedModel, graph: kgraft.KnowledgeGraph, split: str, negatives: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Return features and labels of a split's facts and of its verified negatives."""
    part = model.graph.part(graph.name)
    false = pl.read_csv(
        negatives / f"{split}_negatives.txt", separator="\t", has_header=False, quote_char=None
    )
    heads, relations, tails = (false[name] for name in false.columns)
    ends = part.entity_rows_of(heads), part.relation_rows_of(relations), part.entity_rows_of(tails)
    facts = np.concatenate([part.known(graph, getattr(graph, split)), np.stack(ends, axis=1)])
    n_true = len(facts) - len(false)
    return features(model, facts), np.repeat([1.0, 0.0], [n_true, len(false)])


def measure(asked: Namespace) -> dict[str, Any]:
    """Train or load a model, fit the classifiers, and return accuracies."""
    collection = kgraft.read_collection(asked.collection)
    if asked.model:
        model = kgraft.load_model(asked.model)
    else:
        settings = kgraft.read_settings(kgraft.TrainSettings, Path(asked.settings))
        model = kgraft.train(collection, settings, alone=True)
    graph, negatives = collection.target_graph, Path(asked.negatives)
    rows, labels = labelled(model, graph, "valid", negatives)
    fold, odds = np.random.default_rng(0).integers(FOLDS, size=len(labels)), np.zeros(len(labels))
    for number in range(FOLDS):
        here = fold == number
        odds[here] = classified(rows[~here], labels[~here], rows[here])
    test, wanted = labelled(model, graph, "test", negatives)
    positive = classified(rows, labels, test) > 0
    right = float((positive & (wanted > 0)).sum())
    return {
        f"{asked.name}_accuracy": round(float((positive == wanted).mean()), 4),
        f"{asked.name}_f1": round(2 * right / float(positive.sum() + wanted.sum()), 4),
        f"{asked.name}_validation_accuracy": round(float(((odds > 0) == labels).mean()), 4),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options_of(
        __doc__,
        "collection",
        negatives=(str, "directory of valid_negatives.txt and test_negatives.txt"),
        model=(str, "a trained model, else one is trained"),
        settings=(str(Path(__file__).parent / "settings" / "codex_m.toml"), "of the training"),
        name=("codex_s", "name in the report"),
    )
    print(run(parser, measure, arguments, write=add_to_report))


if __name__ == "__main__":
    main()
