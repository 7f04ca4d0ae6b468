"""Judgement of facts that a graph does not state: probability, and what they contradict.

Shapes: N facts.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from kgraft.graph.grouped_index import quotient_and_rest
from kgraft.graph.knowledge_graph import Triples, no_triples
from kgraft.graph.known_facts import KnownFacts, Side
from kgraft.graph.vocabulary import Rows
from kgraft.inference.candidates import MAX_SCORES
from kgraft.inference.names import ModelNames
from kgraft.linking.added_facts import AddedFacts
from kgraft.linking.completeness import FUNCTIONAL, MIN_FACTS
from kgraft.model.evidence import WAYS, Evidence
from kgraft.model.fact_probability import FactProbability
from kgraft.model.fact_scores import FactScorer, asked_queries, fact_scorer
from kgraft.model.fact_statistics import AnswerCounts

Floats = NDArray[np.float64]

AT_ONCE = 128
"""Queries scored at once."""


class CandidateFacts(NamedTuple):
    """Candidate facts of one relation.

    Args:
        facts: In the model's rows, ``(N, 3)``.
        side: The side that was asked for.
        scores: The ensemble's scores, ``(N,)``.
        probability: Of being true, ``(N,)``.
        plausibility: The same, as if nothing stated contradicted it, ``(N,)``.
        probability_if_asked: Of being the answer, if someone asks and one is missing, ``(N,)``.
    """

    facts: Triples
    side: Side
    scores: NDArray[np.float32]
    probability: Floats
    plausibility: Floats
    probability_if_asked: Floats


class FactJudge:
    """Judges facts of a model's target.

    Args:
        names: The model's names, seen from its target.
        fitted: The model's probability of facts.
    """

    def __init__(self, names: ModelNames, fitted: FactProbability) -> None:
        self._names, self.fitted = names, fitted
        model, target = names.model, names.source
        evidence = model.evidence or Evidence.of_statements(model.graph, target)
        self.scorer: FactScorer = fact_scorer(model.graph, target, model.kge, evidence)
        self._calibration = next(model.calibration[x] for x in _ORDER if x in model.calibration)
        self.known, self.false = KnownFacts(names.own_facts), names.known_false
        self._answers = AnswerCounts(
            names.own_facts, model.graph.n_entities, model.graph.n_relations
        )
        answers = self._answers
        # Share of queries with a second answer, which bounds the probability of one.
        self._second = 1 - (answers.single + 1) / (answers.queries + 2)
        single = answers.single >= FUNCTIONAL * np.maximum(answers.queries, 1)
        self._functional = single & (answers.facts >= MIN_FACTS)

    def extended(self, names: ModelNames, added: AddedFacts) -> FactJudge:
        """Return the judge of a model with a few more facts; what relations have as a rule stays.

        Args:
            names: The names of that model.
            added: The facts.
        """
        found = copy(self)
        model, target = names.model, names.source
        evidence = model.evidence or Evidence.of_statements(model.graph, target)
        scorer = evidence.ensemble_scorer(model.kge, evidence.index_in(model.graph, target))
        found._names = names
        found.scorer = self.scorer.extended(scorer, added, names.trained[target])
        found.known, found.false = names.known[target], names.known_false
        found._answers = self._answers.extended(added.given, model.graph.n_entities)
        return found

    def queries(self) -> dict[Side, Triples]:
        """Return the queries that find candidates, relation and given entity, for each side."""
        graph = self._names.model.graph
        return asked_queries(self.scorer, graph, self._names.source, self.fitted.asks_heads)

    @torch.inference_mode()
    def candidates(
        self, relation: int, entities: Rows, side: Side, k: int, known: KnownFacts
    ) -> Iterator[CandidateFacts]:
        """Yield the best candidates of queries along one relation, in blocks.

        Args:
            relation: A row of the model.
            entities: Given entities, ``(n,)``.
            side: The side that is asked for.
            k: The maximum number of candidates for each query.
            known: Facts to leave out, besides those known to be false.
        """
        scorer, size = self.scorer, self._size
        for start in range(0, len(entities), size):
            anchors = entities[start : start + size]
            relations = np.full(len(anchors), relation)
            scored = scorer.score(anchors, relations, side)
            left = scorer.without(scored.scores, anchors, relations, side, known)
            left = scorer.without(left, anchors, relations, side, self.false)
            best = left.topk(min(k, left.shape[1]))
            query, rank = np.nonzero(np.isfinite(best.values.numpy()))
            column = best.indices.numpy()[query, rank]
            described = scorer.describe(scored, query, column)
            share = torch.from_numpy(described.features[:, 0])
            facts = _facts(anchors[query], relation, scorer.candidates[column], side)
            plausibility = self.fitted.probability(described)
            yield CandidateFacts(
                facts,
                side,
                best.values.numpy()[query, rank],
                np.minimum(plausibility, self._bound(facts)),
                plausibility,
                self._calibration.probability(share).numpy(),
            )

    @torch.inference_mode()
    def probability(self, facts: Triples) -> Floats:
        """Return the probability that facts of the model's rows, ``(N, 3)``, are true.

        It is 1 for facts that the target states, in any split, and 0 for those known to be false.
        """
        false = self.false.contains(facts)
        probability = np.where(false, 0.0, 1.0)
        unstated = np.flatnonzero(~(false | self.known.contains(facts)))
        heads = self.fitted.asks_heads[facts[unstated, 1]]
        sides: tuple[Side, ...] = ("tail", "head")
        for side in sides:
            chosen = unstated[heads == (side == "head")]
            ends = facts[chosen][:, [0, 2]] if side == "tail" else facts[chosen][:, [2, 0]]
            # By relation, since queries along the same one share work.
            n_entities = self._names.model.graph.n_entities
            asked = facts[chosen, 1] * n_entities + ends[:, 0]
            distinct, query = np.unique(asked, return_inverse=True)
            for start in range(0, len(distinct), self._size):
                block = distinct[start : start + self._size]
                own = np.flatnonzero((query >= start) & (query < start + len(block)))
                relations, anchors = quotient_and_rest(block, n_entities)
                scored = self.scorer.score(anchors, relations, side)
                column = self.scorer.column[ends[own, 1]]
                described = self.scorer.describe(scored, query[own] - start, column)
                found = self.fitted.probability(described)
                probability[chosen[own]] = np.minimum(found, self._bound(facts[chosen[own]]))
        return probability

    def _bound(self, facts: Triples) -> Floats:
        """Return an upper bound of the probability of facts that are not stated, ``(N,)``.

        Where a query of a relation that mostly has one answer has it, another is as rare as queries
        with two.
        """
        bound = np.ones(len(facts))
        heads, relations, tails = facts.T
        for anchors, along in ((heads, relations), (tails, relations + self._names.n_relations)):
            has = self._functional[along] & (self._answers.of(anchors, along) > 0)
            bound[has] = np.minimum(bound[has], self._second[along[has]])
        return bound

    def contradicted(self, facts: Triples) -> list[Triples]:
        """Return for each fact of the model's rows the stated facts that it contradicts.

        Along a relation that mostly has one answer, another stated answer contradicts it. Facts
        that are stated themselves contradict nothing.
        """
        m, n = self._names.n_relations, len(facts)
        found = [no_triples()] * n
        unstated = ~self.known.contains(facts)
        sides: tuple[Side, ...] = ("tail", "head")
        for side in sides:
            anchors = facts[:, 0 if side == "tail" else 2]
            along = facts[:, 1] + (0 if side == "tail" else m)
            asked = np.flatnonzero(self._functional[along] & unstated)
            query, answer = self.known.answers(anchors[asked], facts[asked, 1], side)
            places = asked[query]
            stated = _facts(anchors[places], facts[places, 1], answer, side)
            # Answers come by query, so those of one fact stand together.
            distinct, begins = np.unique(places, return_index=True)
            groups = np.split(stated, begins[1:]) if len(distinct) else []
            for place, others in zip(distinct.tolist(), groups, strict=True):
                found[place] = np.concatenate([found[place], others])
        return found

    @property
    def _size(self) -> int:
        return max(1, min(AT_ONCE, MAX_SCORES // max(len(self.scorer.candidates), 1)))


_ORDER = tuple(reversed(WAYS))
"""Ways to answer, the one that the score of a fact goes by first."""


def _facts(anchors: Rows, relations: Rows | int, answers: Rows, side: Side) -> Triples:
    ends = (anchors, answers) if side == "tail" else (answers, anchors)
    return np.stack([ends[0], np.broadcast_to(relations, ends[0].shape), ends[1]], axis=1)
