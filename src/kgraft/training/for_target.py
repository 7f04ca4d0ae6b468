"""What train and retrain share: a model for one target, with rules that teach it and answer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgraft.config import TrainSettings
from kgraft.evidence.edges import Edges
from kgraft.evidence.inferred import infer
from kgraft.evidence.mine import mine
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.linking.agreement import agreement
from kgraft.linking.joint import JointGraph
from kgraft.model.trained import Kind, TrainedModel
from kgraft.training.mixing import with_evidence
from kgraft.training.run import run


def run_for_target(
    kind: Kind,
    graph: JointGraph,
    settings: TrainSettings,
    target: KnowledgeGraph,
    *,
    chances: NDArray[np.float64] | None = None,
    **more: Any,
) -> TrainedModel:
    """Train a model for a target: mine rules, learn what they infer too, and fit their mixture.

    Args:
        kind: What the model is trained as.
        graph: The facts, the target's among them.
        settings: Model, training and rules.
        target: The target; its validation facts choose the best epoch and fit the mixture.
        chances: What ``agreement`` says of the graph, where it has been asked already.
        **more: What ``run`` takes besides.

    Raises:
        DataError: If there is no fact to learn from.
    """
    edges, part = Edges.of(graph), graph.part(target.name)
    rules = mine(edges, part.relation_rows, settings.rules, seed=settings.training.seed)
    model = run(
        kind,
        graph,
        settings,
        validate_on=[target],
        target=target.name,
        inferred=infer(rules, edges, part.entity_rows, settings.rules),
        **more,
    )
    if not len(rules):
        return model
    if chances is None:
        chances = agreement(graph, target.name)
    return with_evidence(model, target, rules, chances)
