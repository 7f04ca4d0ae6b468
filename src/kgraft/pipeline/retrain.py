"""Local re-training: a student for one target, on the linked subgraph, taught by the teacher."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgraft.errors import DataError
from kgraft.graph.vocabulary import Rows
from kgraft.io.decisions import with_decisions
from kgraft.linking.attribute_facts import with_attribute_facts
from kgraft.linking.collection import Collection
from kgraft.linking.joint_graph import JointGraph
from kgraft.linking.link_confidence import link_confidence
from kgraft.linking.linked_subgraph import LinkedSubgraph, connect
from kgraft.linking.source_reliability import fact_weights, source_reliability
from kgraft.linking.stated_weights import stated_weights
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.compare_alone import with_gain, with_parts
from kgraft.pipeline.embeddings import EmbeddingTask, new_model
from kgraft.pipeline.fit_target import TargetContext, fit_target
from kgraft.pipeline.given_vectors import (
    given_for,
    given_teacher,
    has_facts,
    links_to_vectors,
    no_vector,
)
from kgraft.pipeline.inputs import fingerprint_of_inputs
from kgraft.pipeline.run import RunOptions, tracked
from kgraft.pipeline.update import (
    begin_update,
    check_start,
    settings_after,
    with_changes,
    without_trained,
)
from kgraft.settings import RetrainSettings
from kgraft.system.arrays import pieces_of
from kgraft.system.forks import require_threads
from kgraft.system.progress import default_listener
from kgraft.training.distillation import DistillationLoss, linked_teacher, warm_start
from kgraft.training.validation import draw_samples


def retrain(
    collection: Collection,
    teacher: TrainedModel,
    settings: RetrainSettings | None = None,
    *,
    target: str | None = None,
    start: TrainedModel | None = None,
    decisions: Path | Sequence[Path] = (),
    allow_unlinked: bool = False,
    compare_alone: bool = False,
    options: RunOptions | None = None,
    device: str = "cpu",
) -> TrainedModel:
    """Re-train a student for a target (Sun et al., KDD 2023, section 4.3).

    The student learns the target's facts and the background facts that its links make relevant,
    while it imitates the teacher on three levels: feature, network and prediction. By default only
    the target's entities have vectors, which learn the facts between them; with
    ``subgraph.vectors="all"`` all entities of the linked subgraph have. Rules are mined on all its
    facts.

    Args:
        collection: The target, and the links between it and sources that the teacher knows.
        teacher: A model that ``pretrain`` has made, which need not have seen the target; or one of
            ``import_vectors`` or ``text_teacher``, whose names link.
        settings: Model, training, subgraph and distillation; by default ``RetrainSettings()``, or
            ``start.settings.for_update()``.
        target: The graph that the student is for; by default the collection's target.
        start: An earlier student of the target to update: entities and relations that it knows by
            name start from its rows, new ones from the teacher's if they are linked. The changes
            are in the new student's ``metrics["update"]``: ``kgraft.pipeline.update.Change``.
        decisions: Review files, as ``kgraft complete -o REVIEW.csv`` begins them: accepted facts
            join the target's training facts, refused ones those known to be false.
        allow_unlinked: Whether to train on the target's own facts if no link leads to what the
            teacher knows, which is an error otherwise.
        compare_alone: Whether to train the same machinery without links beside it. What the student
            gains over that on validation facts, by part of them, is in its
            ``metrics["gain_over_alone"]``: ``kgraft.model.gain``.
        options: Listener and directory of the run.
        device: Device to train on: ``cpu``, ``cuda``, ``cuda:1``, ..., or ``auto``. On a GPU the
            same seed gives the same numbers up to rounding.

    Returns:
        A model of kind ``student``, with the vectors of the epoch of best validation MRR.

    Raises:
        UnknownNameError: If the collection has no such target.
        ValueError: If the target is one of the teacher's own sources.
        DataError: If no link leads to what the teacher knows, there is no fact to train on, or no
            validation fact to compare on, ``start`` is no student of this target and these settings
            of the model, a decision cannot be followed, or the run's directory holds another run.

    Warns:
        KgraftWarning: If ``start`` was trained on validation or test facts; they are left out.
    """
    require_threads()
    if files := [decisions] if isinstance(decisions, str | Path) else list(decisions):
        collection, lines = with_decisions(collection, files, target)
        for line in lines:
            ((options and options.listener) or default_listener()).tell(line)
    context = retraining_context(
        collection, teacher, settings, target=target, start=start, allow_unlinked=allow_unlinked
    )
    if compare_alone:
        context = with_parts(context)
    begun = None
    if start is not None:
        context, begun = begin_update(context, start)
    name = f"student {context.target.name}"
    with tracked(options, name, context.settings, context.inputs) as metrics:
        student = fit_target(context, options, device=device)
        if start is not None and begun is not None:
            student = with_changes(student, start, begun)
        if compare_alone:
            student = with_gain(student, context, options, device=device)
        metrics |= student.metrics
    return student


def retraining_context(
    collection: Collection,
    teacher: TrainedModel,
    settings: RetrainSettings | None = None,
    *,
    target: str | None = None,
    start: TrainedModel | None = None,
    allow_unlinked: bool = False,
) -> TargetContext:
    """Cut out the linked subgraph, start the student from the teacher, and weight the facts.

    Args and errors are those of ``retrain``.
    """
    own = collection.with_target(target).target_graph
    settings = settings or (RetrainSettings() if start is None else settings_after(start))
    links = teacher.graph.translate_links(collection.links, collection.graphs)
    if not has_facts(teacher):
        links = links_to_vectors(own, links, teacher.graph)
        settings = settings.for_vectors() if start is None else settings
    if start is not None:
        check_start(start, own, settings)
        own = without_trained(own, start)
    known = list(collection.graphs.values())
    inputs = fingerprint_of_inputs(
        f"retrain {own.name}",
        settings,
        collection.graphs.values(),
        collection.links,
        [teacher] if start is None else [teacher, start],
    )
    subgraph = connect(
        own,
        links,
        teacher.graph,
        mode=settings.subgraph.mode,
        hops=settings.subgraph.hops,
        budget=settings.subgraph.budget,
        seed=settings.training.seed,
        relations=settings.relations,
    ).limit_teacher(teacher.kge.n_entities)
    if not (allow_unlinked or subgraph.linked.any()):
        raise _no_link(collection, own.name, teacher)
    subgraph = subgraph.with_graph(with_attribute_facts(subgraph.graph, own, settings.attributes))
    graph, given = subgraph.graph, settings
    settings = given.for_links(subgraph.linked_share(own.train))
    n_entities = None if settings.subgraph.vectors == "all" else subgraph.n_target_entities
    student = new_model(graph, settings, n_entities=n_entities)
    distillation, readout = None, None
    if subgraph.linked.any():
        distillation, given_rows = _distillation(student, teacher, subgraph, settings)
        readout = given_rows if start is None else None
    reliability = source_reliability(graph, own.name)
    task = EmbeddingTask(
        f"embeddings for {own.name}",
        graph,
        settings,
        student,
        draw_samples(graph, [own], settings.training),
        weights=_weights(subgraph, collection, reliability, settings, student.n_entities),
        auxiliary=distillation,
    )
    return TargetContext(
        "student", own, task, inputs, start, reliability, known, given=given, readout=readout
    )


def _weights(
    subgraph: LinkedSubgraph,
    collection: Collection,
    reliability: NDArray[np.float64],
    settings: RetrainSettings,
    n_entities: int,
) -> NDArray[np.float64]:
    """Return the weight of each fact by source reliability, link confidence, and as stated."""
    graph, target = subgraph.graph, subgraph.target
    links = graph.translate_links(collection.links, collection.graphs)
    confidence = link_confidence(graph, links, target) ** settings.training.link_confidence
    stated = stated_weights(graph, target)
    return fact_weights(
        reliability,
        settings.subgraph.reliability,
        graph.among_first(n_entities),
        confidence if stated is None else confidence * stated,
    )


def _distillation(
    student: KgeModel,
    teacher: TrainedModel,
    subgraph: LinkedSubgraph,
    settings: RetrainSettings,
) -> tuple[DistillationLoss | None, tuple[Tensor, int] | None]:
    """Start the student from the teacher; return the distillation loss, and what is to be read out.

    Both are None where the teacher or the settings do without.
    """
    readout = None
    if has_facts(teacher):
        source, linked = linked_teacher(teacher.kge, subgraph)
    else:
        source, linked = given_teacher(teacher.kge, subgraph)
        readout = given_for(source, student, settings)
    if settings.distillation.warm_start:
        warm_start(student, source, linked)
    if not (source.n_relations or settings.distillation.feature):
        return None, readout
    counts = _fact_counts(teacher.graph, subgraph.teacher_entities, linked.teacher_entities)
    loss = DistillationLoss(source, linked, settings.model, settings.distillation, counts)
    return loss, readout


def _fact_counts(known: JointGraph, rows: Rows, linked: Rows) -> Tensor:
    """Return the number of a teacher's facts about each linked entity, by its row in ``linked``.

    Args:
        known: The teacher's facts.
        rows: For each entity its row there, or -1, ``(n,)``.
        linked: For each entity its row among those that are linked, or -1, ``(n,)``.
    """
    counts = np.zeros(known.n_entities, dtype=np.int64)
    for facts in pieces_of(known.triples):
        np.add.at(counts, facts[:, [0, 2]].ravel(), 1)
    found = np.zeros(linked.max() + 1, dtype=np.int64)
    found[linked[linked >= 0]] = counts[rows[linked >= 0]]
    return torch.from_numpy(found)


def _no_link(collection: Collection, target: str, teacher: TrainedModel) -> DataError:
    """Return the error that no entity of the target is linked to what the teacher knows."""
    found = f"no entity of {target!r} is linked to what the teacher knows"
    if not has_facts(teacher):
        return no_vector(collection.graphs[target], teacher.graph)
    for links in collection.links:
        other = links.right if links.left == target else links.left
        graph, known = collection.graphs.get(other), teacher.graph.parts.get(other)
        if not (links.kind == "entity" and links.joins(target) and len(links) and graph and known):
            continue
        names = graph.entities.names.gather(links.pairs[:, int(links.left == target)])
        if (n_known := int(names.is_in(known.entities.names.implode()).sum())) > 0:
            found += f": all {n_known:,} links to {other!r} are left out because of conflicts"
            break
        learned = known.entities.name(0)
        found += f": {len(links):,} links lead to names of {other!r} such as {names[0]!r}, and "
        found += f"the teacher's are such as {learned!r}"
        if ("://" in names[0]) != ("://" in learned):
            found += " (names against IRIs)"
        break
    return DataError(
        found,
        remedy=f"Give links to one of {', '.join(teacher.graph.parts)}, by the names that the "
        "teacher knows; or have them found: kgraft graft; or train on the target's own facts: "
        "--allow-unlinked (in Python allow_unlinked=True)",
    )
