"""Ensemble and calibration of models that no run has trained, for tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.model.ensemble import EnsembleScorer, EvidenceScorer
from kgraft.model.evidence import EVIDENCE_METRIC, Evidence
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.candidate_lists import score_sample
from kgraft.pipeline.fit_calibration import FittedCalibration, fit_calibration, shares_by_vectors
from kgraft.pipeline.fit_ensemble import default_ensemble, fit_ensemble
from kgraft.rules.evidence_index import EvidenceIndex
from kgraft.rules.rules import Rules
from kgraft.training.validation import draw_samples


def with_evidence(
    model: TrainedModel,
    target: KnowledgeGraph,
    rules: Rules,
    reliability: NDArray[np.float64] | None = None,
) -> TrainedModel:
    """Give a model rules, and fit its ensemble on the target's validation facts."""
    if reliability is None:
        reliability = np.full(len(model.graph.triples), 0.75)
    kge, settings = model.kge, model.settings
    index = EvidenceIndex(model.graph, target.name, rules, reliability)
    evidence = EvidenceScorer(index, kge.n_entities, kge.n_relations)
    ensemble = default_ensemble(kge.n_relations)
    for sample in draw_samples(model.graph, [target], settings.training):
        scorer = EnsembleScorer(kge, evidence, ensemble.weights)
        lists = score_sample(scorer, sample).facts
        ensemble = fit_ensemble(lists, scorer, prior_rank=settings.prior.rank)
    return replace(
        model,
        kge=kge.with_prior(ensemble.prior),
        metrics={**model.metrics, EVIDENCE_METRIC: ensemble.mrr},
        evidence=Evidence(rules, reliability, ensemble.weights, ensemble.mrr),
    )


def calibration_by_vectors(model: TrainedModel, target: KnowledgeGraph) -> FittedCalibration:
    """Calibrate a model's vectors on the target's validation facts."""
    (sample,) = draw_samples(model.graph, [target], model.settings.training)
    return fit_calibration(shares_by_vectors(model.kge, sample))
