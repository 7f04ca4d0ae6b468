"""Evidence by vectors and by rules that have not seen the fact that they judge.

A model has memorised its facts. So the facts are divided into folds, and each fold is judged by
small vectors that are trained without it, and by the model's rules on the graph without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import torch

from kgraft.graph.grouped_index import Ints
from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.known_facts import KnownFacts, Side, queries
from kgraft.inference.fact_counts import Floats, JudgedFacts
from kgraft.linking.joint_graph import JointGraph, positions_of
from kgraft.model.kge import KgeModel
from kgraft.model.scorer import Scorer
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.embeddings import EmbeddingTask, fit_embeddings, new_model
from kgraft.pipeline.run import Run, RunOptions
from kgraft.rules.edges import Edges
from kgraft.rules.mining import mine_rules
from kgraft.rules.rule_answers import RuleApplier, combine_rules
from kgraft.settings import RuleSettings, TrainSettings
from kgraft.system.progress import Listener
from kgraft.training.checkpoint import Fingerprint

WIDTH = 64
"""Numbers in a vector that is trained for the check."""

QUERIES = 1_000_000
"""Training queries of each fold, about; of a large graph at least ``MIN_EPOCHS`` passes."""

MIN_EPOCHS, MAX_EPOCHS, MIN_STEPS = 4, 12, 600

RULES = RuleSettings(longest=2, samples=50, facts_per_relation=5_000)
"""The rules that are mined for the check."""

MAX_SCORES = 2**22
"""Scores held at once."""

BATCH_QUERIES = 500
"""Queries answered by rules at a time."""

MAX_RELATIONS = 1024
"""Relations up to which a fact's relation is ranked among all."""

LEAST = 0.003
"""Added to a probability before its logarithm is taken."""

_SIDES: tuple[Side, ...] = ("tail", "head")


def train_without(
    graph: JointGraph,
    own: Triples,
    others: Triples,
    fold: Ints,
    n_entities: int,
    *,
    seed: int = 0,
    listener: Listener | None = None,
) -> list[KgeModel]:
    """Train vectors for each fold on all facts but those of the fold.

    Args:
        graph: The id space.
        own: The facts to judge, int64 ``(m, 3)``.
        others: Facts that are in each fold's training.
        fold: Fold of each own fact, ``(m,)``.
        n_entities: Number of entities with vectors, the first ones.
        seed: Seed of the first fold's training.
        listener: Receives progress.
    """
    models = []
    others = others[(others[:, [0, 2]] < n_entities).all(axis=1)]
    for number in range(int(fold.max(initial=0)) + 1):
        facts = np.concatenate([own[fold != number], others])
        facts = facts[(facts[:, [0, 2]] < n_entities).all(axis=1)]
        training = {
            "epochs": int(np.clip(QUERIES // (2 * len(facts) + 1), MIN_EPOCHS, MAX_EPOCHS)),
            "min_steps": MIN_STEPS,
            "final_rate": 0.1,
            "learning_rate": 0.2,
            "seed": seed + number,
        }
        settings = TrainSettings.model_validate({"model": {"width": WIDTH}, "training": training})
        rest = replace(graph, triples=facts, triple_sources=np.zeros(len(facts), dtype=np.int16))
        model = new_model(rest, settings, n_entities=n_entities)
        if len(facts):
            name = f"vectors without part {number + 1}"
            task = EmbeddingTask(name, rest, settings, model, [])
            fit_embeddings(task, Run(RunOptions(listener), Fingerprint().add(name)))
        models.append(model)
    return models


@dataclass(frozen=True, eq=False)
class LeftOut:
    """A model's facts, and what judges them without having seen them.

    Args:
        model: The model.
        own: The target's distinct facts, int64 ``(m, 3)``.
        known: The facts of all sources.
        fold: The fold of each, ``(m,)``.
        vectors: Vectors for each fold.
    """

    model: TrainedModel
    own: Triples
    known: KnownFacts
    fold: Ints
    vectors: Sequence[KgeModel]

    @torch.inference_mode()
    def vector_features(self, judged: JudgedFacts) -> dict[str, Floats]:
        """Return ranks of each fact's tail, head and relation, as logarithms, ``(n,)`` each."""
        names = ("rank_tail", "rank_head", "range_rank_tail", "range_rank_head", "relation_share")
        found = {name: np.zeros(len(judged)) for name in names}
        ranker = Ranker(self.model, self.known)
        for number, kge in enumerate(self.vectors):
            ends = judged.facts[:, [0, 2]]
            of_fold = np.flatnonzero((judged.fold == number) & (ends < kge.n_entities).all(axis=1))
            for start in range(0, len(of_fold), ranker.at_once):
                rows = of_fold[start : start + ranker.at_once]
                facts = judged.facts[rows]
                for side in _SIDES:
                    ranks = ranker.ranks(kge, facts, side)
                    found[f"rank_{side}"][rows], found[f"range_rank_{side}"][rows] = ranks
                found["relation_share"][rows] = relation_shares(kge, facts)
        return found

    def rule_features(self, judged: JudgedFacts) -> dict[str, Floats]:
        """Return logarithms of confidence and probability of each fact by rules, ``(n,)`` each."""
        names = [f"{x}_{side}" for side in _SIDES for x in ("confidence", "probability")]
        found = {name: np.full(len(judged), np.log(LEAST)) for name in names}
        graph, target = self.model.graph, self.model.target or self.model.graph.sources[0]
        part = graph.part(target)
        others = graph.facts_of([name for name in graph.sources if name != target])
        stated = KnownFacts(others)
        for number in range(len(self.vectors)):
            kept = self.own[(self.fold != number) | stated.contains(self.own)]
            edges = Edges.of(replace(graph, triples=np.concatenate([kept, others])))
            # Rules of the model itself have been mined on the facts that are left out here.
            rules = mine_rules(edges, part.relation_rows, RULES, seed=number)
            applier = RuleApplier(rules, edges, part.entity_rows)
            rows = np.flatnonzero(judged.fold == number)
            for side in _SIDES:
                answers = by_rules(applier, judged.facts[rows], side, graph.n_relations)
                for name, values in zip(("confidence", "probability"), answers, strict=True):
                    found[f"{name}_{side}"][rows] = np.log(values + LEAST)
        return found


def by_rules(
    applier: RuleApplier, facts: Triples, side: Side, n_relations: int
) -> tuple[Floats, Floats]:
    """Return confidence and probability of facts asked for one side, 0 where no rule infers it."""
    anchors, relations, answers = queries(facts, side)
    along = relations if side == "tail" else relations + n_relations
    columns = {"x": anchors, "relation": along, "y": answers}
    asked = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Int32))
    distinct = asked.select("x", "relation").unique(maintain_order=True)
    parts = [combine_rules(applier.answers(x)) for x in distinct.iter_slices(BATCH_QUERIES)]
    if not parts:
        return np.zeros(len(facts)), np.zeros(len(facts))
    joined = asked.join(pl.concat(parts), on=list(columns), how="left", maintain_order="left")
    confidence, probability = (
        joined[name].fill_null(0.0).to_numpy().astype(np.float64)
        for name in ("confidence", "probability")
    )
    return confidence, probability


class Ranker:
    """Ranks ends of facts among the target's entities, without those of known facts.

    Args:
        model: The model.
        known: Known facts in its rows.
    """

    def __init__(self, model: TrainedModel, known: KnownFacts) -> None:
        graph = model.graph
        source = model.target or graph.sources[0]
        rows = graph.part(source).entity_rows
        self._rows = rows[rows < model.kge.n_entities]
        self._column = positions_of(self._rows, graph.n_entities)
        self._known = known
        self._ends: dict[Side, np.ndarray] = {}
        for side in _SIDES:
            place = 2 if side == "tail" else 0
            seen = np.zeros((graph.n_relations, len(self._rows)), dtype=np.bool_)
            column = self._column[graph.triples[:, place]]
            seen[graph.triples[column >= 0, 1], column[column >= 0]] = True
            self._ends[side] = seen
        self.at_once = max(1, MAX_SCORES // max(len(self._rows), 1))

    def ranks(self, scorer: Scorer, facts: Triples, side: Side) -> tuple[Floats, Floats]:
        """Return log of the share of candidates that score higher: of all, and of the range."""
        anchors, relations, answers = (np.ascontiguousarray(x) for x in queries(facts, side))
        given, along = torch.from_numpy(anchors), torch.from_numpy(relations)
        scores = scorer.score(given, along, side=side, candidates=torch.from_numpy(self._rows))
        values, place = scores.numpy(), np.arange(len(facts))
        own = values[place, self._column[answers]].copy()
        query, entity = self._known.answers(anchors, relations, side)
        there = self._column[entity] >= 0
        values[query[there], self._column[entity[there]]] = -np.inf
        better, ends = values > own[:, None], self._ends[side][relations]
        of_range = ((better & ends).sum(1) + 1) / (ends.sum(1) + 1)
        return np.log((better.sum(1) + 1) / len(self._rows)), np.log(of_range)


def relation_shares(kge: KgeModel, facts: Triples) -> Floats:
    """Return log of each relation's share of the softmax over relations in both directions."""
    if kge.n_relations > MAX_RELATIONS:
        return np.zeros(len(facts))
    heads, relations, tails = (torch.from_numpy(np.ascontiguousarray(x)) for x in facts.T)
    n, every = len(facts), torch.arange(kge.n_relations)
    ends = heads.repeat_interleave(len(every)), tails.repeat_interleave(len(every))
    there, back = (
        kge.score_facts(left, every.repeat(n), right).reshape(n, -1)
        for left, right in (ends, ends[::-1])
    )
    shares = torch.log_softmax(torch.cat([there, back], dim=1), dim=1)
    found: Floats = shares[torch.arange(n), relations].numpy().astype(np.float64)
    return found
