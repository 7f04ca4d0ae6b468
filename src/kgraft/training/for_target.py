"""What train and retrain share: a model for one target, with rules that teach it and answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kgraft.config import TrainSettings
from kgraft.evidence.edges import Edges
from kgraft.evidence.inferred import infer
from kgraft.evidence.mine import mine
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.linking.agreement import agreement
from kgraft.linking.joint import JointGraph
from kgraft.model.kge import KgeModel
from kgraft.model.trained import Kind, TrainedModel
from kgraft.training.learner import Term
from kgraft.training.mixing import with_evidence
from kgraft.training.run import Watching, run


def run_for_target(
    kind: Kind,
    graph: JointGraph,
    settings: TrainSettings,
    target: KnowledgeGraph,
    *,
    watching: Watching,
    chances: NDArray[np.float64] | None = None,
    weights: NDArray[np.float64] | None = None,
    model: KgeModel | None = None,
    extra: Term | None = None,
    teacher: KgeModel | None = None,
) -> TrainedModel:
    """Train a model for a target: mine rules, learn what they infer too, and fit their mixture.

    Args:
        kind: What the model is trained as.
        graph: The facts, the target's among them.
        settings: Model, training and rules.
        target: The target; its validation facts choose the best epoch and fit the mixture.
        watching: As in ``run``, and so are ``weights``, ``model``, ``extra`` and ``teacher``.
        chances: What ``agreement`` says of the graph, where it has been asked already.
        weights: How much each of the graph's facts counts.
        model: A model to go on from.
        extra: Further loss terms.
        teacher: What the model and the further terms were made from.

    Raises:
        DataError: If there is no fact to learn from.
    """
    rules = inferred = None
    if settings.rules.longest:
        edges, part = Edges.of(graph), graph.part(target.name)
        rules = mine(edges, part.relation_rows, settings.rules, seed=settings.training.seed)
        inferred = infer(rules, edges, part.entity_rows, settings.rules)
    trained = run(
        kind,
        graph,
        settings,
        validate_on=[target],
        target=target.name,
        inferred=inferred,
        watching=watching,
        weights=weights,
        model=model,
        extra=extra,
        teacher=teacher,
    )
    if rules is None:
        return trained
    if chances is None:
        chances = agreement(graph, target.name)
    return with_evidence(trained, target, rules, chances)
