"""Training from scratch for a target: alone, or jointly with all linked graphs."""

from __future__ import annotations

from kgraft.linking.attribute_facts import with_attribute_facts
from kgraft.linking.collection import Collection
from kgraft.linking.link_confidence import weights_by_link_confidence
from kgraft.linking.matched_relations import match_relations
from kgraft.linking.stated_weights import stated_weights
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.embeddings import EmbeddingTask, new_model
from kgraft.pipeline.fit_target import TargetContext, fit_target
from kgraft.pipeline.inputs import fingerprint_of_inputs
from kgraft.pipeline.run import RunOptions, tracked
from kgraft.settings import TrainSettings
from kgraft.system.forks import require_threads
from kgraft.training.validation import draw_samples


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
        settings: Model, training and rules; by default ``TrainSettings()``.
        target: The graph that the model is for; by default the collection's target.
        alone: Train on the target's own facts only, not on the linked graphs.
        options: Listener and directory of the run.
        device: Device to train on: ``cpu``, ``cuda``, ``cuda:1``, ..., or ``auto``. On a GPU the
            same seed gives the same numbers up to rounding.

    Returns:
        A model of kind ``single`` or ``joint``, in its best epoch by the target's validation facts.

    Raises:
        UnknownNameError: If the collection has no such target.
        DataError: If there is no fact to train on, or the run's directory holds another run.
    """
    require_threads()
    context = training_context(collection, settings, target=target, alone=alone)
    with tracked(
        options, f"{context.kind} {context.target.name}", context.settings, context.inputs
    ) as metrics:
        model = fit_target(context, options, device=device)
        metrics |= model.metrics
    return model


def training_context(
    collection: Collection,
    settings: TrainSettings | None = None,
    *,
    target: str | None = None,
    alone: bool = False,
) -> TargetContext:
    """Return the context of ``train``, which has the same arguments."""
    settings = settings or TrainSettings()
    collection = collection.with_target(target)
    own = collection.target_graph
    collection = collection.with_target(own.name)
    others = [] if alone else [collection.graphs[x] for x in collection.backgrounds()]
    graph = match_relations([own, *others], collection.links, settings.relations).join()
    graph = with_attribute_facts(graph, own, settings.attributes)
    task = EmbeddingTask(
        f"embeddings for {own.name}",
        graph,
        settings,
        new_model(graph, settings),
        draw_samples(graph, [own], settings.training),
        weights=weights_by_link_confidence(
            graph,
            collection.links,
            settings.training.link_confidence,
            stated_weights(graph, own.name),
        ),
    )
    inputs = fingerprint_of_inputs(
        f"train {own.name}", settings, [own, *others], collection.links if others else ()
    )
    return TargetContext("joint" if others else "single", own, task, inputs, sources=[own, *others])
