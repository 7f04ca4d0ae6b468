"""Training from scratch: one graph alone, or all linked graphs together."""

from __future__ import annotations

from kgraft.linking.collection import Collection
from kgraft.linking.joint_graph import join
from kgraft.linking.link_confidence import weights_by_link_confidence
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.run import Run, RunOptions, new_model
from kgraft.pipeline.target import run_for_target
from kgraft.settings import TrainSettings


def train(
    collection: Collection,
    settings: TrainSettings | None = None,
    *,
    target: str | None = None,
    alone: bool = False,
    options: RunOptions | None = None,
    device: str = "cpu",
) -> TrainedModel:
    """Train a model from scratch for a target.

    Args:
        collection: Graphs and links.
        settings: Model and training; by default ``TrainSettings()``.
        target: The graph that the model is for; by default the collection's target.
        alone: Learn from the target's own facts only, not from the linked graphs.
        options: Progress and checkpoint.
        device: Where it is trained: ``cpu``, ``cuda``, ``cuda:1``, ..., or ``auto``. On a GPU the
            same seed gives the same numbers up to rounding.

    Returns:
        A model of kind ``single`` or ``joint``; its best epoch by the target's validation facts.

    Raises:
        UnknownNameError: If the collection has no such target.
        DataError: If there is no fact to learn from.
    """
    return training_run(collection, settings, target=target, alone=alone).train(
        options, device=device
    )


def training_run(
    collection: Collection,
    settings: TrainSettings | None = None,
    *,
    target: str | None = None,
    alone: bool = False,
) -> Run:
    """Prepare what ``train`` does, which has the same arguments."""
    settings = settings or TrainSettings()
    collection = collection.with_target(target)
    own = collection.target_graph
    others = [] if alone else [collection.graphs[x] for x in collection.backgrounds()]
    graph = join([own, *others], collection.links)
    return run_for_target(
        "joint" if others else "single",
        graph,
        settings,
        new_model(graph, settings),
        own,
        weights=weights_by_link_confidence(
            graph, collection.links, settings.training.link_confidence
        ),
    )
