"""Updates: a student that starts from an earlier one, and the changes since."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from kgraft.errors import DataError, KgraftWarning, describe
from kgraft.evaluation.evaluate import trained_on
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.linking.joint_graph import JointGraph
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.embeddings import EmbeddingTask
from kgraft.pipeline.fit_target import TargetContext
from kgraft.settings import RetrainSettings
from kgraft.training.distillation import with_inverses

UPDATE_METRIC = "update"
"""The metric of a student that went on from another: a ``Change`` as a mapping."""


HELD_OUT = ("valid", "test")

MAX_CHANGED = 0.02
"""Facts that are new or gone, as a share of all, up to which an update is small: it keeps the
earlier student's rules, their weights and its probability of facts, and the vectors of relations
and of entities without such facts."""


@dataclass(frozen=True)
class Change:
    """Changes of a student since the one that it started from.

    Args:
        facts_added: Training facts of the target that are new.
        facts_removed: Those that are gone.
        background_added: Facts of other sources in the subgraph that are new.
        background_removed: Those that are gone.
        entities_added: Entities of the target that are new.
        entities_removed: Those that are gone.
        validation_mrr_before: MRR by vectors of today's validation facts before the first step.
        validation_mrr: The same of the state that was kept.
        entities_moved: Entities known to both whose vectors have moved.
        entities_known: Entities known to both.
        moved: Distance that these vectors have moved, as a part of their length: the median.
        moved_most: The same, the 95th percentile.
    """

    facts_added: int
    facts_removed: int
    background_added: int
    background_removed: int
    entities_added: int
    entities_removed: int
    validation_mrr_before: float | None
    validation_mrr: float | None
    entities_moved: int
    entities_known: int
    moved: float
    moved_most: float


def settings_after(start: TrainedModel) -> RetrainSettings:
    """Return the settings of an update of a student.

    Raises:
        DataError: If that is no student.
    """
    if not isinstance(start.settings, RetrainSettings):
        raise DataError(
            f"a student goes on from a student, and this is a {start.kind} model",
            remedy="Name the directory of the last student",
        )
    return start.settings.for_update()


def check_start(start: TrainedModel, target: KnowledgeGraph, settings: RetrainSettings) -> None:
    """Check that a student can be updated.

    Raises:
        DataError: If that is no student, is for another target, knows none of its entities, or is
            another kind of model.
    """
    settings_after(start)
    if start.target != target.name:
        raise DataError(
            f"the student to go on from is for {start.target!r}, not for {target.name!r}",
            remedy="Name a student of the same target",
        )
    if not (start.graph.part(target.name).entity_rows_of(target.entities.names) >= 0).any():
        raise DataError(
            f"the student to go on from knows none of the {len(target.entities):,} entities of "
            f"{target.name!r}",
            remedy="Name a student of the same names, or leave out --from (in Python start=)",
        )
    if start.settings.model != settings.model:
        raise DataError(
            "the student to go on from has other settings of the model",
            remedy="Leave the settings of the model as they were, or re-train afresh",
        )


def without_trained(target: KnowledgeGraph, start: TrainedModel) -> KnowledgeGraph:
    """Return the target without held-out facts that an earlier student was trained on.

    The new student starts from the earlier one's vectors, so that such facts measure nothing.

    Warns:
        KgraftWarning: If there are any.
    """
    trained = {split: trained_on(start, target, getattr(target, split)) for split in HELD_OUT}
    counts = {split: int(mask.sum()) for split, mask in trained.items() if mask.any()}
    if not counts:
        return target
    found = " and ".join(
        f"{count:,} of the {len(trained[split]):,} {split} facts" for split, count in counts.items()
    )
    warnings.warn(
        describe(
            f"the student to go on from was trained on {found} of {target.name!r}",
            remedy="They are left out; hold out the facts that it had held out, or re-train afresh",
        ),
        KgraftWarning,
        stacklevel=4,
    )
    return target.select(**{split: ~mask for split, mask in trained.items()})


@torch.no_grad()
def take_rows(student: KgeModel, start: TrainedModel, graph: JointGraph) -> None:
    """Take over the rows of an earlier student, by name, and its encoder's weights.

    Args:
        student: Changed in place.
        start: The earlier student, of the same settings of the model.
        graph: The id space of ``student``.
    """
    rows, relations = (torch.from_numpy(x) for x in graph.rows_in(start.graph))
    _copy_known(student.entities, start.kge.entities, rows[: student.n_entities])
    _copy_known(
        student.relations, start.kge.relations, with_inverses(relations, start.kge.n_relations)
    )
    student.encoder.load_state_dict(start.kge.encoder.state_dict())


def _copy_known(own: Tensor, earlier: Tensor, rows: Tensor) -> None:
    known = (rows >= 0) & (rows < len(earlier))
    own[known] = earlier[rows[known]]


@dataclass(frozen=True, eq=False)
class Begun:
    """An update that has begun.

    Args:
        differences: Numbers of facts and entities that are new or gone, as ``Change`` calls them.
        validation_mrr: MRR by vectors of today's validation facts before the first step.
    """

    differences: dict[str, int]
    validation_mrr: float | None


def begin_update(context: TargetContext, start: TrainedModel) -> tuple[TargetContext, Begun]:
    """Start a student from an earlier one.

    Where few facts are new or gone, only entities with such facts are trained, by all facts about
    them. Where none is, the earlier student's state is kept unless validation favours a later one.
    Else it is not, since validation facts may not ask for what is new.

    Args:
        context: The student's context; its model takes the rows of the earlier one.
        start: The earlier student.

    Returns:
        The context, and what it begins with.
    """
    take_rows(context.task.model, start, context.graph)
    validate = context.task.validation()
    before = None if validate is None else validate()
    added, removed = _changed_facts(context.graph, start.graph)
    differences = _differences(added, removed, context, start)
    is_same = not any(differences.values())
    task = replace(context.task, start_mrr=before if is_same else None)
    changed = sum(count for name, count in differences.items() if not name.startswith("entities"))
    kept = changed <= MAX_CHANGED * len(start.graph.triples) and _same_rules(context, start)
    if kept and not is_same:
        task = _near_task(task, added, removed)
    return replace(context, task=task, keeps_rules=kept), Begun(differences, before)


def _same_rules(context: TargetContext, start: TrainedModel) -> bool:
    """Return True if an earlier student's rules are for the same relations by the same settings."""
    then, now = start.graph.rows_in(context.graph)[1], np.arange(context.graph.n_relations)
    same = len(then) == len(now) and bool((then == now).all())
    return same and start.evidence is not None and start.settings.rules == context.settings.rules


def with_changes(model: TrainedModel, start: TrainedModel, begun: Begun) -> TrainedModel:
    """Return an updated student with a ``Change`` among its metrics.

    Args:
        model: The updated student.
        start: The earlier one.
        begun: What it began with.
    """
    change = Change(
        **begun.differences,
        validation_mrr_before=begun.validation_mrr,
        validation_mrr=model.metrics["validation_mrr"],
        **_moved(model, start),
    )
    return replace(model, metrics={**model.metrics, UPDATE_METRIC: asdict(change)})


def _changed_facts(now: JointGraph, then: JointGraph) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the facts that are new, and those that are gone, by source and name."""
    facts, earlier = _facts(now), _facts(then)
    added, removed = (
        a.join(b, on=a.columns, how="anti") for a, b in ((facts, earlier), (earlier, facts))
    )
    return added, removed


def _differences(
    added: pl.DataFrame, removed: pl.DataFrame, context: TargetContext, start: TrainedModel
) -> dict[str, int]:
    """Count facts and entities that are new or gone, as ``Change`` calls them."""
    target = context.target.name
    names, known = (set(x.parts[target].entities.names) for x in (context.graph, start.graph))
    own = pl.col("source") == target
    return {
        "facts_added": len(added.filter(own)),
        "facts_removed": len(removed.filter(own)),
        "background_added": len(added.filter(~own)),
        "background_removed": len(removed.filter(~own)),
        "entities_added": len(names - known),
        "entities_removed": len(known - names),
    }


def _near_task(task: EmbeddingTask, added: pl.DataFrame, removed: pl.DataFrame) -> EmbeddingTask:
    """Return the task of the entities with a fact that is new or gone, in as many passes.

    Where none of them has a vector, it is the task of all.
    """
    near = np.zeros(task.graph.n_entities + 1, dtype=np.bool_)  # The last is for unknown names.
    for (source,), facts in pl.concat([added, removed]).group_by("source"):
        if (part := task.graph.parts.get(str(source))) is not None:
            for end in ("head", "tail"):
                near[part.entity_rows_of(facts[end])] = True
    near = near[: task.n_entities]
    if not near.any():
        return task
    training, n_facts = task.settings.training, len(task.graph.triples)
    if task.weights is not None:
        n_facts = int(np.count_nonzero(task.weights))
    n_steps = -(-2 * n_facts // training.batch_size)
    passes = {"epochs": training.epochs_of(n_steps), "min_steps": 0}
    settings = task.settings.model_copy(update={"training": training.model_copy(update=passes)})
    return replace(task, near=near, settings=settings)


def _facts(graph: JointGraph) -> pl.DataFrame:
    """Return the facts of each source in its own names, each once."""
    frames = [
        pl.DataFrame(
            {
                "source": pl.repeat(name, len(source.train), dtype=pl.String, eager=True),
                "head": source.entities.names.gather(source.train[:, 0]),
                "relation": source.relations.names.gather(source.train[:, 1]),
                "tail": source.entities.names.gather(source.train[:, 2]),
            }
        )
        for name, source in graph.graphs().items()
    ]
    return pl.concat(frames).unique()


def _moved(model: TrainedModel, start: TrainedModel) -> dict[str, Any]:
    """Return what ``Change`` says of vectors that have moved."""
    part, earlier = (x.graph.parts[model.target or ""] for x in (model, start))
    places = earlier.entity_rows_of(part.entities.names)
    common = places >= 0
    now = model.kge.vectors(torch.from_numpy(part.entity_rows[common]))
    then = start.kge.vectors(torch.from_numpy(places[common]))
    share = (now - then).norm(dim=1) / then.norm(dim=1).clamp(min=1e-12)
    shares = share.numpy()[share.numpy() > 0]
    median, most = np.quantile(shares, [0.5, 0.95]).tolist() if len(shares) else (0.0, 0.0)
    return {
        "entities_moved": len(shares),
        "entities_known": int(common.sum()),
        "moved": median,
        "moved_most": most,
    }
