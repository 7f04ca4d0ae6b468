"""Joint pre-training: one teacher over many linked graphs, for many targets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from kgraft.errors import SettingsError, UnknownNameError
from kgraft.linking.collection import Collection
from kgraft.linking.link_confidence import weights_by_link_confidence
from kgraft.linking.matched_relations import match_relations
from kgraft.linking.stated_weights import stated_weights
from kgraft.model.attributes import useful_attributes
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.embeddings import EmbeddingTask, fit_embeddings, new_model
from kgraft.pipeline.inputs import fingerprint_of_inputs
from kgraft.pipeline.run import Run, RunOptions, tracked
from kgraft.pipeline.sharded_model import stored_model
from kgraft.settings import TrainSettings
from kgraft.system.forks import require_threads
from kgraft.system.workers import ALONE, Workers
from kgraft.system.workers import current as current_workers
from kgraft.training.validation import draw_samples


def pretrain(
    collection: Collection,
    settings: TrainSettings | None = None,
    *,
    sources: Sequence[str] | None = None,
    options: RunOptions | None = None,
    device: str = "cpu",
) -> TrainedModel:
    """Pre-train a teacher (Sun et al., KDD 2023, section 4.2).

    In a process group of torch.distributed all processes train one teacher, each with a part of
    its entities' rows and of the queries. The first one returns it with rows that are read from the
    run's directory, for ``save``; in the others it has their own rows alone.

    Args:
        collection: Graphs and links.
        settings: Model and training; by default ``TrainSettings()``.
        sources: The graphs to train on; by default all but the collection's target.
        options: Listener and directory of the run.
        device: Device to train on: ``cpu``, ``cuda``, ``cuda:1``, ..., or ``auto``. On a GPU the
            same seed gives the same numbers up to rounding.

    Returns:
        A model of kind ``teacher``, in its best epoch by the validation facts of its sources.

    Raises:
        UnknownNameError: If the collection has no source of such a name.
        DataError: If there is no fact to train on, or the run's directory holds another run.
        SettingsError: If rules are asked for: they belong to a target.
    """
    require_threads()
    workers = current_workers()
    task = pretraining_task(collection, settings, sources=sources, workers=workers)
    graphs = [collection.graphs[name] for name in task.graph.sources]
    inputs = fingerprint_of_inputs("pretrain", task.settings, graphs, collection.links)
    with tracked(options, "teacher", task.settings, inputs) as metrics:
        run = Run(options, inputs, workers)
        outcome = fit_embeddings(task, run, device=device)
        kge = stored_model(task.model, run)
        metrics |= {"best_epoch": outcome.best_epoch, "validation_mrr": outcome.best_mrr}
    return TrainedModel(
        "teacher",
        kge,
        task.graph,
        None,
        task.settings,
        outcome.log,
        metrics,
        held_out=task.graph.held_out(graphs),
        attributes=partial(useful_attributes, graphs),
    )


def pretraining_task(
    collection: Collection,
    settings: TrainSettings | None = None,
    *,
    sources: Sequence[str] | None = None,
    workers: Workers = ALONE,
) -> EmbeddingTask:
    """Return the embeddings that ``pretrain`` trains, of workers this one's; else as there."""
    settings = settings or TrainSettings()
    if settings.rules.longest:
        raise SettingsError("rules.longest: a teacher has no target to mine rules for; leave it 0")
    names = collection.backgrounds() if sources is None else sorted(sources)
    for name in names:
        if name not in collection.graphs:
            known = ", ".join(collection.graphs)
            raise UnknownNameError(f"no source is called {name!r}; there are {known}")
    if not names:
        raise UnknownNameError(
            "there is no background to pre-train on: the collection holds the target alone"
        )
    graphs = [collection.graphs[name] for name in names]
    joined = collection.joined
    if joined is not None and joined.sources != tuple(names):
        joined = None
    graph = match_relations(
        graphs, collection.links, settings.relations, restate=False, joined=joined
    ).join()
    return EmbeddingTask(
        "embeddings of the teacher",
        graph,
        settings,
        new_model(graph, settings, workers=workers, is_validated=any(len(x.valid) for x in graphs)),
        draw_samples(graph, graphs, settings.training),
        weights=weights_by_link_confidence(
            graph,
            collection.links,
            settings.training.link_confidence,
            stated_weights(graph),
        ),
        workers=workers,
    )
