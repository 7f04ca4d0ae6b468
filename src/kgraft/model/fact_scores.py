"""Scores of candidate facts, and the features by which a fact's probability is judged.

A fact is judged by the answer that it is to one query, on the side where the relation gives fewer
answers. Beside the ensemble's scores, what counts is if an answer is missing at all: how many
answers the query has already, and how many the relation gives as a rule.

Shapes: B queries, C candidates, K of them, F features, m relations, n entities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logit
from torch import Tensor

from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.known_facts import Ids, KnownFacts, Side
from kgraft.graph.vocabulary import Rows
from kgraft.linking.added_facts import AddedFacts
from kgraft.linking.completeness import FUNCTIONAL
from kgraft.linking.joint_graph import JointGraph, positions_of
from kgraft.model.calibration import best_scores
from kgraft.model.ensemble import EnsembleScorer, Features, ensemble_scores
from kgraft.model.evidence import Evidence
from kgraft.model.fact_statistics import FactStatistics, Floats
from kgraft.model.kge import KgeModel
from kgraft.model.likely_domain import LikelyDomain
from kgraft.model.scorer import directed, without_known

FEATURES = (
    "share of the query's scores",
    "score",
    "distance to the best score",
    "rank",
    "score by vectors",
    "probability by rules",
    "stated by another source",
    "reliability of that source",
    "unstated",
    "joined by another fact",
    "frequency",
    "degree of the given entity",
    "degree of the answer",
    "answers of the query",
    "answers of the opposite query",
    "has an answer",
    "opposite has an answer",
    "has an answer, if few have two",
    "opposite has an answer, if few have two",
    "has the answer, if none has two",
    "opposite has the answer, if none has two",
    "others state another answer, if few have two",
    "others state another opposite, if few have two",
    "answers that others state",
    "opposites that others state",
    "queries with one answer",
    "opposite queries with one answer",
    "answers of the relation's queries",
    "opposite answers of the relation's queries",
    "largest share with an answer, by another relation",
    "largest share with an opposite answer, by another relation",
    "mean share with an answer, by the other relations",
    "mean share with an opposite answer, by the other relations",
    "facts of the relation",
    "queries with an answer",
    "opposite queries with an answer",
    "one source or more knows both entities",
    "two sources or more know both entities",
    "two sources or more state it",
)
"""Names of the features, in order; counts as ``log(1 + n)``, shares as log odds."""

LARGEST = 50.0
"""Largest size of a feature."""

AT_ONCE = 4096
"""Candidates whose ranks are counted at once."""

OVERALL, LINKED, BY_ONE, BY_SEVERAL = range(4)
"""Kinds of facts, by what other sources say, in the order of
``kgraft.linking.completeness.SHARES``: nothing, and fewer than two know the entities; nothing,
though two or more know both; one source states the fact; several do."""


@dataclass(frozen=True, eq=False)
class ScoredQueries:
    """Queries of one side with the scores of all candidates.

    Args:
        anchors: Given entities, ``(B,)``.
        along: Directed relations, ``(B,)``.
        features: Features of the ensemble.
        scores: The ensemble's scores, ``(B, C)``.
        unknown: The same, -inf for facts that the target states in training.
    """

    anchors: Ids
    along: Ids
    features: Features
    scores: Tensor
    unknown: Tensor


class Described(NamedTuple):
    """Descriptions of facts.

    Args:
        features: By ``FEATURES``, ``(N, F)``.
        relations: Relations, inverses not counted, ``(N,)``.
        kinds: By what other sources say: ``OVERALL`` and so on, ``(N,)``.
        seen: Number of the target's facts about the end with fewer of them, ``(N,)``.
    """

    features: NDArray[np.float32]
    relations: Ids
    kinds: Ids
    seen: Ids


class FactScorer:
    """Scores candidates of queries, and describes them by ``FEATURES``.

    Args:
        scorer: The ensemble.
        statistics: Counts of facts.
        candidates: Rows of the entities that may be answers, ``(C,)``.
        trained: The target's training facts.
        domain: The entities that may have an answer along a relation.
    """

    def __init__(
        self,
        scorer: EnsembleScorer,
        statistics: FactStatistics,
        candidates: Rows,
        trained: KnownFacts,
        domain: LikelyDomain,
    ) -> None:
        self.scorer, self.statistics, self.trained = scorer, statistics, trained
        self.domain = domain
        self.candidates = candidates
        self.column = positions_of(candidates, len(scorer.evidence.frequencies.degree))

    def extended(
        self, scorer: EnsembleScorer, added: AddedFacts, trained: KnownFacts
    ) -> FactScorer:
        """Return the scorer of a graph with a few more facts.

        Args:
            scorer: The ensemble for it.
            added: The facts.
            trained: The target's training facts with them.
        """
        graph, facts = added.graph, added.graph.triples[added.about_new()]
        candidates = np.concatenate([self.candidates, added.rows])
        entities = graph.part(added.target).entity_rows
        return FactScorer(
            scorer,
            self.statistics.extended(added),
            candidates,
            trained,
            self.domain.extended(np.concatenate([facts, added.given]), entities, graph.n_entities),
        )

    def score(
        self, anchors: Ids, relations: Ids, side: Side, weights: Tensor | None = None
    ) -> ScoredQueries:
        """Score all candidates of queries.

        Args:
            anchors: Given entities, ``(B,)``.
            relations: Relations, ``(B,)``.
            side: The side that is asked for.
            weights: Weights of the ensemble for each query, ``(B, F)``; by default its own.
        """
        given, asked = torch.from_numpy(anchors), torch.from_numpy(relations)
        rows = torch.from_numpy(self.candidates)
        features = self.scorer.features(given, asked, side=side, candidates=rows)
        along = directed(asked, side, self.scorer.n_relations)
        scores = ensemble_scores(
            features, self.scorer.weights[along] if weights is None else weights
        )
        return ScoredQueries(
            anchors,
            along.numpy(),
            features,
            scores,
            self.without(scores, anchors, relations, side, self.trained),
        )

    def without(
        self, scores: Tensor, anchors: Ids, relations: Ids, side: Side, known: KnownFacts
    ) -> Tensor:
        """Return scores ``(B, C)`` with -inf for known facts."""
        return without_known(scores, self.column, known, anchors, relations, side)

    def describe(self, scored: ScoredQueries, query: Ids, column: Ids) -> Described:
        """Describe candidates.

        Args:
            scored: Queries.
            query: Position of each candidate's query, ``(N,)``.
            column: Column of each candidate, ``(N,)``.
        """
        counts, statistics = self._counts(scored, query, column), self.statistics
        m = self.scorer.n_relations
        rows, places = torch.from_numpy(query), torch.from_numpy(column)
        at: Any = (rows, places)
        own = scored.scores[at]
        best = best_scores(scored.unknown)
        share = own - best.logsumexp(dim=1)[rows]
        from_ensemble = scored.features
        rank = _ranks(scored.unknown, best, own, rows)
        degree = self.scorer.evidence.frequencies.degree
        anchor, answer = scored.anchors[query], self.candidates[column]
        columns = [
            share,
            own,
            best[rows, 0] - own,
            rank.float().log1p(),
            *(x[at] for x in (from_ensemble.vectors, from_ensemble.inferred)),
            *(x[at] for x in (from_ensemble.stated, from_ensemble.reliability)),
            from_ensemble.unstated[rows, 0],
            *(x[at] for x in (from_ensemble.joined, from_ensemble.frequency)),
        ]
        described = [x.numpy() for x in columns]
        is_stated = described[FEATURES.index("stated by another source")] > 0
        described += [degree[anchor], degree[answer], *counts]
        knowing = statistics.knowing(anchor, answer)
        several = statistics.by_several.contains(_facts(anchor, scored.along[query], answer, m))
        described += [knowing > 0, knowing > 1, several]
        features = np.stack(described, axis=1).astype(np.float32)
        np.nan_to_num(features, copy=False, posinf=LARGEST, neginf=-LARGEST)
        stated = np.where(several, BY_SEVERAL, BY_ONE)
        return Described(
            features,
            scored.along[query] % m,
            np.where(is_stated, stated, np.where(knowing > 1, LINKED, OVERALL)),
            np.minimum(statistics.degree[anchor], statistics.degree[answer]),
        )

    def _counts(self, scored: ScoredQueries, query: Ids, column: Ids) -> list[Floats]:
        """Return the features that are counts, for the query and then for the opposite one."""
        statistics, m = self.statistics, self.scorer.n_relations
        stated = scored.features.stated[torch.from_numpy(query), torch.from_numpy(column)].numpy()
        ends = (
            (scored.anchors[query], scored.along[query]),
            (self.candidates[column], (scored.along[query] + m) % (2 * m)),
        )
        found: list[list[Floats]] = []
        # Most queries have several candidates.
        of_query = self.domain.shares(scored.anchors, scored.along)
        shares = [x[query] for x in of_query], self.domain.shares(*ends[1])
        for (entity, along), of_end in zip(ends, shares, strict=True):
            single = statistics.single_share[along]
            answers = statistics.own.of(entity, along)
            others = statistics.others.of(entity, along) - stated
            has = (answers > 0).astype(np.float64)
            found.append(
                [
                    np.log1p(answers),
                    has,
                    has * logit(single),
                    has * (single > FUNCTIONAL),
                    (others > 0) * logit(single),
                    np.log1p(others),
                    logit(single),
                    np.log(statistics.answers[along]),
                    *of_end,
                ]
            )
        counts = [x for pair in zip(*found, strict=True) for x in pair]
        along = scored.along[query]
        answered = (logit(statistics.answered[x]) for x in (along, (along + m) % (2 * m)))
        return [*counts, np.log1p(statistics.own.facts[along]), *answered]


def _facts(anchors: Ids, along: Ids, answers: Ids, m: int) -> Triples:
    """Return facts ``(N, 3)`` by directed relations; those along an inverse are turned round."""
    asks_tail = along < m
    heads, tails = np.where(asks_tail, (anchors, answers), (answers, anchors))
    return np.stack([heads, along % m, tails], axis=1)


def _ranks(unknown: Tensor, best: Tensor, own: Tensor, rows: Tensor) -> Tensor:
    """Return the number of better candidates of the same query, ``(N,)``.

    Args:
        unknown: Scores of all candidates, ``(B, C)``.
        best: Scores of the best ones, ``(B, K)``.
        own: Scores, ``(N,)``.
        rows: The query of each, ``(N,)``.
    """
    ranks = (best[rows] > own[:, None]).sum(1)
    # Where all of the best ones are better, others may be too.
    far = (ranks == best.shape[1]).nonzero()[:, 0]
    for start in range(0, len(far), AT_ONCE):
        block = far[start : start + AT_ONCE]
        ranks[block] = (unknown[rows[block]] > own[block, None]).sum(1)
    return ranks


def asked_queries(
    scorer: FactScorer, graph: JointGraph, target: str, asks_heads: NDArray[np.bool_]
) -> dict[Side, Triples]:
    """Return the queries that a target's facts are judged by, relation and entity, ``(n, 2)``.

    They are about entities of the relation's observed or likely domain that have a vector.
    """
    found: dict[Side, list[Triples]] = {"tail": [], "head": []}
    n_relations = graph.n_relations
    for relation in np.unique(graph.part(target).relation_rows).tolist():
        heads = bool(asks_heads[relation])
        entities = scorer.domain.queries(relation + n_relations * heads)
        entities = entities[scorer.column[entities] >= 0]
        pairs = np.stack([np.full(len(entities), relation), entities], axis=1)
        found["head" if heads else "tail"].append(pairs)
    empty = np.empty((0, 2), dtype=np.int64)
    return {side: np.concatenate([empty, *pairs]) for side, pairs in found.items()}


def fact_scorer(graph: JointGraph, target: str, kge: KgeModel, evidence: Evidence) -> FactScorer:
    """Return the scorer of a target's facts, by all evidence there is."""
    entities = graph.part(target).entity_rows
    return FactScorer(
        evidence.ensemble_scorer(kge, evidence.index_in(graph, target)),
        FactStatistics.of(graph, target),
        entities[kge.has_vector(entities)],
        KnownFacts(graph.facts_of([target])),
        LikelyDomain(graph, target),
    )
