"""The stages that train a model for one target, and the context that they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples, no_triples
from kgraft.graph.vocabulary import Rows
from kgraft.linking.completeness import SplitSizes, estimate_completeness
from kgraft.linking.joint_graph import JointGraph
from kgraft.linking.source_reliability import source_reliability
from kgraft.model.ensemble import EnsembleScorer, EvidenceScorer
from kgraft.model.evidence import Evidence
from kgraft.model.fact_probability import FactProbability
from kgraft.model.fact_scores import asked_queries, fact_scorer
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import Kind, TrainedModel
from kgraft.pipeline.candidate_lists import ScoredSample, score_sample
from kgraft.pipeline.embeddings import EmbeddingTask, fit_embeddings
from kgraft.pipeline.fit_calibration import (
    ERROR_METRIC,
    FittedCalibration,
    fit_calibration,
    shares_by_all_ways,
    shares_by_vectors,
)
from kgraft.pipeline.fit_ensemble import (
    FittedEnsemble,
    HeldOutWeights,
    default_ensemble,
    fit_ensemble,
)
from kgraft.pipeline.fit_fact_probability import (
    draw_examples,
    fit_fact_probability,
    given_completeness,
    n_drawn,
    validation_share_by_degree,
)
from kgraft.pipeline.formats import (
    CALIBRATION,
    ENSEMBLE,
    PSEUDO_FACTS,
    RULES,
    embeddings_of,
    fact_probability_of,
    weights_of,
)
from kgraft.pipeline.readout import fit_readout, readout_of, wide_settings
from kgraft.pipeline.run import Run, RunOptions
from kgraft.rules.edges import Edges
from kgraft.rules.evidence_index import EvidenceIndex
from kgraft.rules.mining import mine_rules, mining_facts
from kgraft.rules.pseudo_facts import PseudoFacts, infer_pseudo_facts
from kgraft.rules.rule_weights import fit_rule_weights, held_out_facts
from kgraft.rules.rules import Rules
from kgraft.settings import TrainSettings
from kgraft.system.threads import thread_map
from kgraft.training.checkpoint import Fingerprint
from kgraft.training.validation import ValidationSample, validation_ranks

Parts = Mapping[str, NDArray[np.bool_]]
"""Masks of a validation sample's facts, by the name of the part."""

RANKS_METRIC = "validation_reciprocal_ranks"
"""The metric of a model that is compared: as ``reciprocal_ranks_of`` returns it."""

Showing = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Shows the progress of a part with a name and a total; its context advances it."""


@dataclass(frozen=True, eq=False)
class TargetContext:
    """Parts that the stages of one target share, each made once.

    Args:
        kind: What the model is trained as.
        target: The graph that the model is for.
        task: The embeddings, and the facts of all sources to train them on.
        inputs: Fingerprint of everything that the run depends on.
        earlier: An earlier student of the target, whose rules' weights are the initial ones.
        known_reliability: The ``reliability``, where it is computed already.
        sources: Graphs whose held-out facts the model knows as such.
        validation_parts: Parts of the sample that the model is compared on.
        given: The settings before they follow the target's links, where they do.
        keeps_rules: Whether the earlier student's rules, their weights and its probability of facts
            are kept, since few facts have changed.
        readout: A given vector of each entity, ``(n, d)``, and the width of its read-out, if there
            is to be one.
    """

    kind: Kind
    target: KnowledgeGraph
    task: EmbeddingTask
    inputs: Fingerprint
    earlier: TrainedModel | None = None
    known_reliability: NDArray[np.float64] | None = None
    sources: Sequence[KnowledgeGraph] = ()
    validation_parts: Parts = field(default_factory=dict)
    given: TrainSettings | None = None
    readout: tuple[Tensor, int] | None = None
    keeps_rules: bool = False

    @property
    def graph(self) -> JointGraph:
        """The target joined with other sources."""
        return self.task.graph

    @property
    def settings(self) -> TrainSettings:
        """The settings."""
        return self.task.settings

    @cached_property
    def entities(self) -> Rows:
        """The rows of the target's entities, which answers are among."""
        return self.graph.part(self.target.name).entity_rows

    @cached_property
    def facts(self) -> Triples:
        """The target's training facts in joint rows."""
        return self.graph.part(self.target.name).joint(self.target.train)

    @cached_property
    def edges(self) -> Edges:
        """The facts of all sources in both directions."""
        return Edges.of(self.graph)

    @cached_property
    def reliability(self) -> NDArray[np.float64]:
        """The ``source_reliability`` of each of the graph's facts, ``(n,)``."""
        if self.known_reliability is not None:
            return self.known_reliability
        return source_reliability(self.graph, self.target.name)

    @property
    def sample(self) -> ValidationSample | None:
        """The validation facts that choose the epoch, the ensemble and the calibration."""
        return next(iter(self.task.samples), None)


def fit_target(
    context: TargetContext, options: RunOptions | None = None, *, device: str | torch.device = "cpu"
) -> TrainedModel:
    """Train a model for a target, stage by stage.

    The stages are rules, rule weights, pseudo-facts, embeddings, the read-out of given vectors,
    ensemble, calibration and the probability of facts; without rules those of rules and the
    ensemble are left out, without given vectors the read-out. The embeddings of
    ``context.task.model`` are trained in place.

    Args:
        context: What the stages share.
        options: Listener and directory of the run.
        device: Device to train the embeddings on.

    Raises:
        DataError: If the directory holds another run.
        SettingsError: If there is no such device.
        TrainingError: If the numbers do not stay finite.
    """
    run, task = Run(options, context.inputs), context.task
    rules = pseudo_facts = evidence = held_out = ranks = None
    if context.settings.rules.longest:
        mined = run.stage("rules", RULES, lambda: mine_for(context, run.showing))
        rules = run.stage(
            "rule_weights", weights_of(mined), lambda: weigh_rules(mined, context, run.showing)
        )
        pseudo_facts = run.stage(
            "pseudo_facts", PSEUDO_FACTS, lambda: infer_for(rules, context, run.showing)
        )
    fitted = run.stage(
        "embeddings",
        embeddings_of(task.model),
        lambda: fit_embeddings(task, run, pseudo_facts=pseudo_facts, device=device),
    )
    kge, mrr = read_out(context, fitted.best_mrr, run)
    if rules is None:
        calibration = run.stage(
            "calibration", CALIBRATION, lambda: calibrate_vectors(kge, context, run.showing)
        )
    else:
        index = EvidenceIndex(
            context.graph, context.target.name, rules, context.reliability, context.edges
        )
        lists = ScoredOnce(kge, index, context, run.showing)
        ensemble = run.stage("ensemble", ENSEMBLE, lambda: fit_ensemble_of(lists))
        calibration = run.stage("calibration", CALIBRATION, lambda: calibrate(lists, ensemble))
        kge, held_out = kge.with_prior(ensemble.prior), ensemble.held_out
        evidence = Evidence(
            rules, context.reliability, ensemble.weights, ensemble.mrr, index, ensemble.default
        )
        ranks = ensemble.reciprocal_ranks.get(evidence.best)
    fact_probability = run.stage(
        "fact_probability",
        fact_probability_of(context.graph.n_relations),
        lambda: judge_facts(kge, evidence, held_out, context, run.showing),
    )
    metrics: dict[str, Any] = {"best_epoch": fitted.best_epoch, "validation_mrr": mrr}
    if evidence is not None:
        metrics |= evidence.metrics()
    if calibration.calibration:
        metrics[ERROR_METRIC] = calibration.errors
    if context.validation_parts:
        metrics[RANKS_METRIC] = reciprocal_ranks_of(context, kge, ranks)
    return TrainedModel(
        context.kind,
        kge,
        context.graph,
        context.target.name,
        wide_settings(context.settings, kge),
        fitted.log,
        metrics,
        evidence,
        calibration.calibration,
        fact_probability=fact_probability,
        held_out=context.graph.held_out(context.sources),
    )


def read_out(context: TargetContext, mrr: float | None, run: Run) -> tuple[KgeModel, float | None]:
    """Return the trained vectors with a read-out of given ones, if there are, and their MRR."""
    model, given = context.task.model, context.readout
    if given is None:
        return model, mrr
    found = run.stage(
        "readout", readout_of(model.settings), lambda: fit_readout(context.task, *given, run)
    )
    return found.model, found.mrr


def reciprocal_ranks_of(
    context: TargetContext, kge: KgeModel, reciprocal_ranks: Tensor | None
) -> NDArray[np.float64]:
    """Return 1 / rank of the sample's facts, by tail and head, ``(2, n)``.

    Args:
        context: The sample.
        kge: The trained vectors.
        reciprocal_ranks: 1 / rank of each query by the default way, tails, then heads; by default
            those by vectors.
    """
    if reciprocal_ranks is None:
        found = 1 / validation_ranks(kge, context.task.samples).realistic
    else:
        found = reciprocal_ranks.double().numpy()
    return np.asarray(found.reshape(2, -1))


def mine_for(context: TargetContext, showing: Showing) -> Rules:
    """Mine the rules that explain the target's relations, on the facts of all sources."""
    earlier = context.earlier
    if context.keeps_rules and earlier is not None and earlier.evidence is not None:
        rows = earlier.graph.rows_in(context.graph)
        return earlier.evidence.rules.in_rows(*rows, context.graph.n_relations)
    relations = context.graph.part(context.target.name).relation_rows
    settings = context.settings.rules
    total = mining_facts(context.edges, relations, settings)
    with showing("rules", total) as advance:
        seed = context.settings.training.seed
        rules = mine_rules(context.edges, relations, settings, seed=seed, advance=advance)
    if context.earlier is None or context.earlier.evidence is None:
        return rules
    rows = context.graph.rows_in(context.earlier.graph)
    return rules.with_weights_of(context.earlier.evidence.rules, *rows)


def weigh_rules(rules: Rules, context: TargetContext, showing: Showing) -> Rules:
    """Learn the rules' weights from the target's training facts."""
    if context.keeps_rules:
        return rules
    total = held_out_facts(rules, len(context.facts))
    with showing("rule weights", total) as advance, thread_map() as each:
        return fit_rule_weights(
            rules,
            context.edges,
            context.facts,
            context.entities,
            seed=context.settings.training.seed,
            each=each,
            advance=advance,
        )


def infer_for(rules: Rules, context: TargetContext, showing: Showing) -> PseudoFacts:
    """Infer the pseudo-facts of those of the target's entities that are trained."""
    entities, near = context.entities, context.task.near
    about = entities if near is None else entities[near[entities]]
    with showing("pseudo-facts", len(about)) as advance, thread_map() as each:
        inferred = infer_pseudo_facts(
            rules,
            context.edges,
            entities,
            context.settings.rules,
            about=about,
            each=each,
            advance=advance,
        )
    false = context.task.known_false()
    return inferred.without(false) if len(false) else inferred


class ScoredOnce:
    """The candidates of validation queries, scored when a stage first needs them."""

    def __init__(
        self, kge: KgeModel, index: EvidenceIndex, context: TargetContext, showing: Showing
    ) -> None:
        evidence = EvidenceScorer(index, kge.n_entities, kge.n_relations)
        default = default_ensemble(kge.n_relations)
        self.scorer = EnsembleScorer(kge, evidence, default.weights)
        self.context, self._showing = context, showing
        self._scored: ScoredSample | None = None

    def for_stage(self, name: str) -> ScoredSample | None:
        """Return the scored candidates, ``None`` without validation facts."""
        sample = self.context.sample
        if sample is None:
            return None
        total = 2 * len(sample.facts)
        with self._showing(name, total) as advance:
            if self._scored is None:
                self._scored = score_sample(self.scorer, sample, advance)
            else:
                advance(total)
        return self._scored


def fit_ensemble_of(lists: ScoredOnce) -> FittedEnsemble:
    """Fit the ensemble of vectors and evidence, and the frequency prior."""
    scored, scorer = lists.for_stage("ensemble"), lists.scorer
    if scored is None:
        return default_ensemble(scorer.n_relations)
    return fit_ensemble(scored.facts, scorer, prior_rank=lists.context.settings.prior.rank)


def calibrate(lists: ScoredOnce, ensemble: FittedEnsemble) -> FittedCalibration:
    """Fit the calibration of each way to answer."""
    scored = lists.for_stage("calibration")
    if scored is None or ensemble.held_out is None:
        return FittedCalibration({}, {})
    n_entities = lists.context.graph.n_entities
    return fit_calibration(shares_by_all_ways(scored.queries, ensemble.held_out, n_entities))


def calibrate_vectors(kge: KgeModel, context: TargetContext, showing: Showing) -> FittedCalibration:
    """Fit the calibration of a model without rules."""
    sample = context.sample
    if sample is None:
        return FittedCalibration({}, {})
    with showing("calibration", 2 * len(sample.facts)) as advance:
        return fit_calibration(shares_by_vectors(kge, sample, advance))


def judge_facts(
    kge: KgeModel,
    evidence: Evidence | None,
    held_out: HeldOutWeights | None,
    context: TargetContext,
    showing: Showing,
) -> FactProbability | None:
    """Fit the probability of facts, ``None`` without validation facts."""
    graph, target = context.graph, context.target
    if context.sample is None:
        return None
    if context.keeps_rules and context.earlier is not None and context.earlier.fact_probability:
        return context.earlier.fact_probability
    evidence = evidence or Evidence.of_statements(graph, target.name)
    scorer = fact_scorer(graph, target.name, kge, evidence)
    asks_heads = scorer.statistics.asked_side()
    queries = asked_queries(scorer, graph, target.name, asks_heads)
    valid = graph.part(target.name).joint(target.valid)
    sizes = SplitSizes(len(target.train), len(target.valid), len(target.test))
    with showing("fact probability", n_drawn(queries)) as advance:
        seed = context.settings.training.seed
        false = graph.known_false.get(target.name, no_triples())
        examples = draw_examples(
            scorer, queries, valid, false, held_out, seed=seed, advance=advance
        )
        if examples is None:
            return None
        completeness = estimate_completeness(graph, target.name, valid, sizes)
        given = given_completeness(graph.part(target.name), context.settings.facts.completeness)
        shares = validation_share_by_degree(
            context.facts, valid, sizes.test, scorer.statistics.degree
        )
        return fit_fact_probability(
            examples, completeness.with_given(given), sizes, asks_heads, shares
        )
