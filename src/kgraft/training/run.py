"""What train, pretrain and retrain share: fit a model to a joint graph's facts and wrap it up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kgraft.config import TrainingSettings, TrainSettings, as_toml
from kgraft.errors import DataError
from kgraft.evidence.inferred import Inferred
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.linking.joint import JointGraph
from kgraft.model.kge import KgeModel
from kgraft.model.trained import Kind, TrainedModel
from kgraft.progress import Listener
from kgraft.training.batches import Batches
from kgraft.training.checkpoint import Checkpoint, fingerprint
from kgraft.training.learner import Learner, Term
from kgraft.training.loop import fit
from kgraft.training.validation import validator


@dataclass(frozen=True)
class Watching:
    """How a run is watched and kept.

    Args:
        progress: Hears of epochs.
        checkpoint: A file that holds the run while it goes on; a run that finds itself there goes
            on from it.
    """

    progress: Listener | None = None
    checkpoint: Path | None = None


def run(
    kind: Kind,
    graph: JointGraph,
    settings: TrainSettings,
    *,
    validate_on: Sequence[KnowledgeGraph],
    target: str | None,
    watching: Watching,
    model: KgeModel | None = None,
    extra: Term | None = None,
    weights: NDArray[np.float64] | None = None,
    inferred: Inferred | None = None,
    teacher: KgeModel | None = None,
) -> TrainedModel:
    """Train a model on a joint graph.

    Args:
        kind: What the model is trained as.
        graph: The facts and their id space.
        settings: Model and training.
        validate_on: Parts of the graph whose validation facts choose the best epoch.
        target: The graph that the model is for.
        watching: Progress and checkpoint.
        model: A model to go on from; by default a new one. It may have fewer entities than the
            graph: facts about others have to be of weight 0.
        extra: Further loss terms.
        weights: How much each of the graph's facts counts, ``(n,)``, those of 0 not at all; by
            default all alike.
        inferred: Facts that follow from the graph's.
        teacher: What the model and the further terms were made from; a checkpoint of a run with
            another teacher is not gone on with.

    Raises:
        DataError: If there is no fact to learn from.
    """
    if not (len(graph.triples) if weights is None else np.any(weights)):
        raise DataError(
            f"there is no fact to train on in {', '.join(graph.sources)}",
            remedy="Give at least one source with training facts",
        )
    training = settings.training
    if model is None:
        model = KgeModel.create(
            settings.model, graph.n_entities, graph.n_relations, seed=training.seed
        )
    outcome = fit(
        learner_of(model, settings, extra=extra),
        batches_of(
            graph, training, n_entities=model.n_entities, weights=weights, inferred=inferred
        ),
        training,
        validate=validator(
            model, graph, validate_on, queries=training.validation_queries, seed=training.seed
        ),
        checkpoint=_checkpoint(watching, f"{kind} {as_toml(settings)}", graph, teacher),
        progress=watching.progress,
        name=kind if target is None else f"{kind} for {target}",
    )
    metrics = {"best_epoch": outcome.best_epoch, "validation_mrr": outcome.best_mrr}
    return TrainedModel(kind, model, graph, target, settings, outcome.log, metrics)


def learner_of(model: KgeModel, settings: TrainSettings, *, extra: Term | None = None) -> Learner:
    """Return what moves a model by its settings.

    Args:
        model: Trained in place.
        settings: Model and training.
        extra: Further loss terms.
    """
    training = settings.training
    return Learner(
        model,
        learning_rate=training.learning_rate,
        dense_learning_rate=training.dense_learning_rate,
        regularization=training.regularization,
        final_rate=training.final_rate,
        precision=training.precision,
        extra=extra,
    )


def batches_of(
    graph: JointGraph,
    training: TrainingSettings,
    *,
    n_entities: int,
    weights: NDArray[np.float64] | None = None,
    inferred: Inferred | None = None,
) -> Batches:
    """Return the batches of a joint graph's facts.

    Args:
        graph: The facts.
        training: Sizes and seed.
        n_entities: How many entities are learned, the first ones.
        weights: How much each fact counts, ``(n,)``, those of 0 not at all; by default all alike.
        inferred: Facts that follow from the graph's.
    """
    counts = np.ones(len(graph.triples)) if weights is None else weights
    learned = counts > 0
    return Batches(
        graph.triples[learned],
        n_entities,
        graph.n_relations,
        sources=graph.triple_sources[learned],
        weights=counts[learned],
        inferred=inferred,
        steps=training.steps,
        batch_size=training.batch_size,
        negatives=training.negatives,
        seed=training.seed,
    )


def _checkpoint(
    watching: Watching, what: str, graph: JointGraph, teacher: KgeModel | None
) -> Checkpoint | None:
    if watching.checkpoint is None:
        return None
    weights = () if teacher is None else (x.numpy() for x in teacher.tensors().values())
    return Checkpoint(
        watching.checkpoint, fingerprint(what, graph.triples, graph.triple_sources, *weights)
    )
