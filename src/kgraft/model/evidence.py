"""The evidence of a model, and its three ways to answer: by vectors, by rules, by both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgraft.linking.joint_graph import JointGraph
from kgraft.linking.source_reliability import source_reliability
from kgraft.model.ensemble import DEFAULT_WEIGHTS, EnsembleScorer, EvidenceScorer
from kgraft.model.kge import KgeModel
from kgraft.model.scorer import Scorer
from kgraft.rules.evidence_index import EvidenceIndex, EvidenceSource
from kgraft.rules.rules import Rules

By = Literal["vectors", "rules", "both"]
"""A way to answer; ``rules`` includes what other sources state."""

EVIDENCE_METRIC = "validation_mrr_by"
"""The metric of a model that holds ``Evidence.mrr``."""

DEFAULT_METRIC = "answers_by"
"""The metric of a model that holds ``Evidence.default``."""

WAYS: tuple[By, ...] = get_args(By)


@dataclass(frozen=True, eq=False)
class Evidence:
    """Rules, source reliability, and the weights of the ensemble.

    Args:
        rules: Rules for the target's relations, in the model's rows.
        reliability: Probability that the target would state each of the model's facts, float
            ``(n,)``.
        weights: Weights of ``kgraft.model.ensemble.ensemble_scores``, float ``(2 m, F)``.
        mrr: Validation MRR of each way to answer; empty without validation facts.
        index: An index of the evidence; by default made at first use.
        default: The way to answer that was chosen; by default the one of the best ``mrr``.
    """

    rules: Rules
    reliability: NDArray[np.float64]
    weights: Tensor
    mrr: Mapping[By, float]
    index: EvidenceIndex | None = None
    default: By | None = None

    @classmethod
    def of_statements(cls, graph: JointGraph, target: str) -> Self:
        """Return the evidence of a model without rules: what other sources state."""
        weights = torch.zeros(2 * graph.n_relations, len(DEFAULT_WEIGHTS))
        weights[:, 0] = 1.0
        rules = Rules.none(graph.n_relations)
        return cls(rules, source_reliability(graph, target), weights, {})

    @property
    def best(self) -> By:
        """The way to answer by default; vectors without validation facts."""
        if self.default is not None:
            return self.default
        return max(WAYS, key=lambda by: self.mrr.get(by, 0.0))

    def metrics(self) -> dict[str, Any]:
        """Return the metrics of a model that say how well it answers, and by which way."""
        chosen = {} if self.default is None else {DEFAULT_METRIC: self.default}
        return {EVIDENCE_METRIC: self.mrr, **chosen}

    def index_in(self, graph: JointGraph, target: str) -> EvidenceIndex:
        """Return the index of a target's evidence, in the rows of the model's graph."""
        if self.index is None:
            made = EvidenceIndex(graph, target, self.rules, self.reliability)
            object.__setattr__(self, "index", made)  # A cache: it never changes.
            return made
        return self.index

    def ensemble_scorer(self, kge: KgeModel, index: EvidenceSource) -> EnsembleScorer:
        """Return the scorer by an ensemble of vectors and evidence."""
        evidence = EvidenceScorer(index, kge.n_entities, kge.n_relations)
        return EnsembleScorer(kge, evidence, self.weights)

    def scorer(self, by: By, kge: KgeModel, index: EvidenceSource) -> Scorer:
        """Return the scorer of a way to answer, in the model's rows."""
        if by == "vectors":
            return kge
        scorer = self.ensemble_scorer(kge, index)
        return scorer.evidence if by == "rules" else scorer
