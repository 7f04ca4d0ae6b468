"""What train and retrain share: a model for one target, with rules that teach it and answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.linking.joint_graph import JointGraph
from kgraft.linking.source_reliability import source_reliability
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import Kind, TrainedModel
from kgraft.pipeline.fit_calibration import fit_calibration
from kgraft.pipeline.fit_ensemble import fit_ensemble
from kgraft.pipeline.run import Run
from kgraft.rules.edges import Edges
from kgraft.rules.mining import mine_rules
from kgraft.rules.pseudo_facts import infer_pseudo_facts
from kgraft.rules.rule_weights import fit_rule_weights
from kgraft.settings import TrainSettings
from kgraft.system.threads import thread_map
from kgraft.training.auxiliary_loss import Term


def run_for_target(
    kind: Kind,
    graph: JointGraph,
    settings: TrainSettings,
    model: KgeModel,
    target: KnowledgeGraph,
    *,
    chances: NDArray[np.float64] | None = None,
    weights: NDArray[np.float64] | None = None,
    extra: Term | None = None,
    made_from: Sequence[KgeModel] = (),
    start: TrainedModel | None = None,
) -> Run:
    """Prepare a model for a target: mine rules, to learn what they infer and to fit their mixture.

    Args:
        kind: What the model is trained as.
        graph: The facts, the target's among them.
        settings: Model, training and rules.
        model: What learns.
        target: The target; its validation facts choose the best epoch and fit the mixture.
        chances: What ``agreement`` says of the graph, where it has been asked already.
        weights: As in ``Run``, and so are ``extra`` and ``made_from``.
        extra: Further loss terms.
        made_from: Models that this one was made from.
        start: An earlier student of the target, whose rules' weights are gone on from.

    Raises:
        DataError: If there is no fact to learn from.
    """
    rules = inferred = None
    if settings.rules.longest:
        edges, part = Edges.of(graph), graph.part(target.name)
        seed, own = settings.training.seed, part.joint(target.train)
        rules = mine_rules(edges, part.relation_rows, settings.rules, seed=seed)
        if start is not None and start.evidence is not None:
            rules = rules.with_weights_of(start.evidence.rules, *graph.rows_in(start.graph))
        with thread_map() as each:
            rules = fit_rule_weights(rules, edges, own, part.entity_rows, seed=seed, each=each)
            inferred = infer_pseudo_facts(rules, edges, part.entity_rows, settings.rules, each=each)

    def finish(trained: TrainedModel) -> TrainedModel:
        if rules is None:
            return fit_calibration(trained, target)
        known = source_reliability(graph, target.name) if chances is None else chances
        knowing, apart = fit_ensemble(trained, target, rules, known)
        return fit_calibration(knowing, target, apart)

    return Run(
        kind,
        graph,
        settings,
        model,
        [target],
        target=target.name,
        extra=extra,
        weights=weights,
        inferred=inferred,
        made_from=made_from,
        finish=finish,
    )
