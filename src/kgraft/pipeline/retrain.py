"""Local re-training: a student for one target, on the linked subgraph, taught by the teacher."""

from __future__ import annotations

import warnings

import torch

from kgraft.errors import KgraftWarning, describe
from kgraft.linking.collection import Collection
from kgraft.linking.link_confidence import link_confidence
from kgraft.linking.linked_subgraph import LinkedSubgraph, connect
from kgraft.linking.source_reliability import fact_weights, source_reliability
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.run import Run, RunOptions, new_model
from kgraft.pipeline.target import run_for_target
from kgraft.pipeline.update import check_start, settings_after, take_rows, telling_changes
from kgraft.settings import RetrainSettings
from kgraft.training.distillation import DistillationLoss, warm_start


def retrain(
    collection: Collection,
    teacher: TrainedModel,
    settings: RetrainSettings | None = None,
    *,
    target: str | None = None,
    start: TrainedModel | None = None,
    options: RunOptions | None = None,
    device: str = "cpu",
) -> TrainedModel:
    """Re-train a student for a target (Sun et al., KDD 2023, section 4.3).

    The student learns the target's facts and the background facts that its links make relevant,
    while it imitates the teacher on three levels: feature, network and prediction. Its vectors
    learn the facts between the target's entities, unless all entities are to have vectors; rules
    are mined on the whole subgraph.

    Args:
        collection: The target, and the links between it and sources that the teacher knows.
        teacher: A model that ``pretrain`` has made; it may never have met the target.
        settings: Model, training, subgraph and distillation; by default ``RetrainSettings()``, or
            ``start.settings.for_update()``.
        target: The graph that the student is for; by default the collection's target.
        start: An earlier student of the target to go on from: what it has rows of, by name, starts
            from those, new entities from the teacher's where they are linked. What has changed is
            in the new student's ``metrics["update"]``, as ``kgraft.pipeline.update.Change`` has it.
        options: Progress and checkpoint.
        device: Where it is trained: ``cpu``, ``cuda``, ``cuda:1``, ..., or ``auto``. On a GPU the
            same seed gives the same numbers up to rounding.

    Returns:
        A model of kind ``student``; its best epoch by the target's validation facts.

    Raises:
        UnknownNameError: If the collection has no such target.
        ValueError: If the target is one of the teacher's own sources.
        DataError: If there is no fact to learn from, or ``start`` is no student of this target and
            these settings of the model.
    """
    return retraining_run(collection, teacher, settings, target=target, start=start).train(
        options, device=device
    )


def retraining_run(
    collection: Collection,
    teacher: TrainedModel,
    settings: RetrainSettings | None = None,
    *,
    target: str | None = None,
    start: TrainedModel | None = None,
) -> Run:
    """Prepare what ``retrain`` does, which has the same arguments."""
    graph = collection.with_target(target).target_graph
    settings = settings or (RetrainSettings() if start is None else settings_after(start))
    if start is not None:
        check_start(start, graph.name, settings)
    subgraph = connect(
        graph,
        teacher.graph.translate_links(collection.links, collection.graphs),
        teacher.graph,
        mode=settings.subgraph.mode,
        hops=settings.subgraph.hops,
        budget=settings.subgraph.budget,
        seed=settings.training.seed,
    ).limit_teacher(teacher.kge.n_entities)
    everything = settings.subgraph.vectors == "all"
    student = new_model(
        subgraph.graph, settings, n_entities=None if everything else subgraph.n_target_entities
    )
    taught = _taught(student, teacher, subgraph, settings)
    if start is not None:
        take_rows(student, start, subgraph.graph)
    learned = subgraph.graph.among_first(student.n_entities)
    chances = source_reliability(subgraph.graph, graph.name)
    links = subgraph.graph.translate_links(collection.links, collection.graphs)
    trusted = (
        link_confidence(subgraph.graph, links, graph.name) ** settings.training.link_confidence
    )
    run = run_for_target(
        "student",
        subgraph.graph,
        settings,
        student,
        graph,
        chances=chances,
        weights=fact_weights(chances, settings.subgraph.reliability, learned, trusted),
        extra=taught,
        made_from=[teacher.kge] if start is None else [teacher.kge, start.kge],
        start=start,
    )
    return run if start is None else telling_changes(run, start)


def _taught(
    student: KgeModel, teacher: TrainedModel, subgraph: LinkedSubgraph, settings: RetrainSettings
) -> DistillationLoss | None:
    """Start the student from the teacher and return what teaches it on, where links allow it."""
    if not subgraph.linked.any():
        warnings.warn(
            describe(
                f"no entity of {subgraph.target!r} is linked to what the teacher knows",
                remedy="It trains alone; give links to one of " + ", ".join(teacher.graph.sources),
            ),
            KgraftWarning,
            stacklevel=4,
        )
        return None
    if settings.distillation.warm_start:
        warm_start(student, teacher.kge, subgraph)
    ends = torch.from_numpy(teacher.graph.triples[:, [0, 2]])
    seen = torch.bincount(ends.flatten(), minlength=teacher.kge.n_entities)
    return DistillationLoss(teacher.kge, subgraph, settings.model, settings.distillation, seen)
