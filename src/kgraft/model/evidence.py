"""What a model knows besides its vectors, and the three ways to answer with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kgraft.linking.joint_graph import JointGraph
from kgraft.model.ensemble import EnsembleScorer, EvidenceScorer
from kgraft.model.kge import KgeModel
from kgraft.model.scorer import Scorer
from kgraft.rules.evidence_index import EvidenceIndex, EvidenceSource
from kgraft.rules.rules import Rules

By = Literal["vectors", "rules", "both"]
"""What answers go by: ``rules`` takes in what other sources state."""

EVIDENCE_METRIC = "validation_mrr_by"
"""The metric of a model that holds ``Evidence.mrr``."""

WAYS: tuple[By, ...] = get_args(By)


@dataclass(frozen=True, eq=False)
class Evidence:
    """Rules, how far other sources agree with the target, and what each witness weighs.

    Args:
        rules: Rules for the target's relations, in the model's rows.
        agreement: The chance that the target states each of the model's facts, float ``(n,)``.
        mixture: The weights of ``kgraft.model.ensemble.mixed``, float ``(2 m, F)``.
        mrr: The validation MRR of each way to answer; empty without validation facts.
    """

    rules: Rules
    agreement: NDArray[np.float64]
    mixture: Tensor
    mrr: Mapping[By, float]

    @property
    def best(self) -> By:
        """The way to answer that validation facts favour, by vectors where there are none."""
        return max(WAYS, key=lambda by: self.mrr.get(by, 0.0))

    def witnesses(self, graph: JointGraph, target: str) -> EvidenceIndex:
        """Return rules and statements, ready to be asked, in the rows of the model's graph."""
        return EvidenceIndex(graph, target, self.rules, self.agreement)

    def ensemble_scorer(self, kge: KgeModel, witnesses: EvidenceSource) -> EnsembleScorer:
        """Return what answers by vectors and witnesses together."""
        return EnsembleScorer(
            kge, EvidenceScorer(witnesses, kge.n_entities, kge.n_relations), self.mixture
        )

    def scorer(self, by: By, kge: KgeModel, witnesses: EvidenceSource) -> Scorer:
        """Return what answers, in the model's rows."""
        if by == "vectors":
            return kge
        scorer = self.ensemble_scorer(kge, witnesses)
        return scorer.rules if by == "rules" else scorer
