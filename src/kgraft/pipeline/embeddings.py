"""Training of embeddings: what they are trained on, and the stage that fits them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kgraft.errors import DataError
from kgraft.graph.knowledge_graph import Triples
from kgraft.linking.joint_graph import JointGraph
from kgraft.linking.stated_weights import false_facts
from kgraft.model.kge import KgeModel
from kgraft.pipeline.run import Run
from kgraft.rules.pseudo_facts import PseudoFacts
from kgraft.settings import TrainingSettings, TrainSettings
from kgraft.system.arrays import is_mapped
from kgraft.system.devices import parse_device
from kgraft.system.memory import require, require_on_gpu
from kgraft.system.workers import ALONE, Workers
from kgraft.training.auxiliary_loss import AuxiliaryLoss
from kgraft.training.loop import Fit, fit
from kgraft.training.optimizer import OPTIMIZERS, RowOptimizer
from kgraft.training.sampler import TripleSampler
from kgraft.training.sharded_rows import ShardedRows
from kgraft.training.sharded_sampler import ShardedSampler
from kgraft.training.step import Trainer
from kgraft.training.validation import ValidationSample, validation_mrr

ROW_SEEDS_APART = 1_000_003
"""Difference of the seeds of two workers' initial rows."""


@dataclass(frozen=True, eq=False)
class EmbeddingTask:
    """Embeddings to train, and the facts and losses to train them on.

    Args:
        name: What the model is called while it trains.
        graph: The facts and their id space.
        settings: Model and training.
        model: The model, trained in place. It may have fewer entities than the graph: facts about
            the others then have weight 0.
        samples: Validation facts, which choose the best epoch.
        weights: Weight of each of the graph's facts, ``(n,)``, 0 leaves one out; by default 1.
        auxiliary: Loss terms beside the task's.
        near: Mask of the entities to train, ``(n_entities,)``, by facts about them; the others
            and all relations stay as they are. By default all are trained.
        start_mrr: Validation MRR of the state before the first step, if that state may be kept.
        workers: The processes that train it; the model then has the entities of this one alone.

    Raises:
        DataError: If there is no fact to train on.
    """

    name: str
    graph: JointGraph
    settings: TrainSettings
    model: KgeModel
    samples: Sequence[ValidationSample]
    weights: NDArray[np.float64] | None = None
    auxiliary: AuxiliaryLoss | None = None
    near: NDArray[np.bool_] | None = None
    start_mrr: float | None = None
    workers: Workers = ALONE

    def __post_init__(self) -> None:
        if not (len(self.graph.triples) if self.weights is None else np.any(self.weights)):
            raise DataError(
                f"there is no fact to train on in {', '.join(self.graph.sources)}",
                remedy="Give at least one source with training facts",
            )

    def validation(self) -> Callable[[], float] | None:
        """Return a function that measures the model, or ``None`` without validation facts."""
        return validation_mrr(self.model, self.samples, self.workers)

    @property
    def n_entities(self) -> int:
        """Number of entities that are trained, by all workers."""
        alone = self.workers.count == 1
        return self.model.n_entities if alone else self.graph.n_entities

    def known_false(self) -> Triples:
        """Return the facts known to be false that the model learns as such, ``(k, 3)``."""
        return false_facts(self.graph, self.weights, self.n_entities)

    def trainer(self) -> Trainer:
        """Return the model's trainer."""
        found = make_trainer(
            self.model, self.settings, auxiliary=self.auxiliary, workers=self.workers
        )
        if self.near is not None:
            relations = torch.ones(len(self.model.relations), dtype=torch.bool)
            found.hold(torch.from_numpy(~self.near), relations)
        return found

    def sampler(self, pseudo_facts: PseudoFacts | None = None) -> TripleSampler:
        """Return the sampler of batches of the facts, and of pseudo-facts."""
        return make_sampler(
            self.graph,
            self.settings.training,
            n_entities=self.n_entities,
            weights=self.weights,
            near=self.near,
            pseudo_facts=pseudo_facts,
            workers=self.workers,
        )

    def on(self, device: str | torch.device) -> EmbeddingTask:
        """Return the task with its model on a device, as ``kgraft.system.devices`` names it.

        Raises:
            SettingsError: If there is no such device.
            KgraftError: If a GPU's free memory is too small.
        """
        found = parse_device(device)
        if found == self.model.device:
            return self
        if found.type != "cpu":
            free, _ = torch.cuda.mem_get_info(found)
            sizes = self.model.n_entities, self.model.n_relations, len(self.graph.triples)
            require_on_gpu(self.settings, *sizes, free=free)
        auxiliary = None if self.auxiliary is None else self.auxiliary.to_device(found)
        return replace(self, model=self.model.on(found), auxiliary=auxiliary)


def fit_embeddings(
    task: EmbeddingTask,
    run: Run,
    *,
    pseudo_facts: PseudoFacts | None = None,
    device: str | torch.device = "cpu",
) -> Fit:
    """Train the task's model, and leave it, on the CPU, in its best state.

    Args:
        task: Model, facts and losses.
        run: Shows progress and keeps the checkpoint.
        pseudo_facts: Facts that rules infer.
        device: Device to train on.

    Raises:
        SettingsError: If there is no such device.
        TrainingError: If the numbers do not stay finite.
    """
    training = task.settings.training
    on_device = task.on(device)
    sampler = task.sampler(pseudo_facts)
    total = training.epochs_of(sampler.n_steps) * sampler.n_queries
    with run.showing(task.name, total):
        outcome = fit(
            on_device.trainer(),
            sampler,
            training,
            listener=run.listener,
            record=run.record,
            validate=on_device.validation(),
            checkpoint=run.checkpoint("embeddings", task.n_entities),
            start_mrr=task.start_mrr,
        )
    if on_device.model is not task.model:
        task.model.copy_from(on_device.model.tensors())
    return outcome


def new_model(
    graph: JointGraph,
    settings: TrainSettings,
    *,
    n_entities: int | None = None,
    workers: Workers = ALONE,
    is_validated: bool = True,
) -> KgeModel:
    """Return an untrained model of a graph's rows, of several workers with this one's entities.

    Args:
        graph: The id space.
        settings: Model and seed.
        n_entities: Number of entities with vectors, the first ones; by default all.
        workers: The processes that train it.
        is_validated: There are validation facts, so that the best state is kept too.

    Raises:
        KgraftError: If the free memory is too small for a run with it.
    """
    rows = graph.n_entities if n_entities is None else n_entities
    own, here = workers.n_own(rows), workers.on_this_machine
    require(
        settings,
        here * own,
        here * graph.n_relations,
        len(graph.triples),
        is_prepared=is_mapped(graph.triples),
        is_sharded=is_mapped(graph.triples) and workers.count > 1,
        is_validated=is_validated,
    )
    seed = settings.training.seed + workers.number * ROW_SEEDS_APART
    model = KgeModel.create(settings.model, own, graph.n_relations, seed=seed)
    for name, value in model.tensors().items():
        if name != "entities":
            workers.copy_from_first(value)
    return model


def make_trainer(
    model: KgeModel,
    settings: TrainSettings,
    *,
    auxiliary: AuxiliaryLoss | None = None,
    rows: RowOptimizer | None = None,
    workers: Workers = ALONE,
) -> Trainer:
    """Return the trainer of a model by its settings, perhaps with an optimizer of its own."""
    training = settings.training
    if workers.count > 1:
        tables = {"relations": model.relations, "entities": model.entities}
        own = OPTIMIZERS[training.optimizer](tables, training.learning_rate)
        rows = ShardedRows(own, workers)
    return Trainer(
        model,
        optimizer=training.optimizer,
        rows=rows,
        learning_rate=training.learning_rate,
        dense_learning_rate=training.dense_learning_rate,
        regularization=training.regularization,
        final_rate=training.final_rate,
        precision=training.precision,
        auxiliary=auxiliary,
        workers=workers,
    )


def make_sampler(
    graph: JointGraph,
    training: TrainingSettings,
    *,
    n_entities: int,
    weights: NDArray[np.float64] | None = None,
    near: NDArray[np.bool_] | None = None,
    pseudo_facts: PseudoFacts | None = None,
    workers: Workers = ALONE,
) -> TripleSampler:
    """Return the sampler of a joint graph's facts, and of those known to be false.

    Args:
        graph: The facts.
        training: Sizes and seed.
        n_entities: Number of entities that are trained, the first ones.
        weights: Weight of each fact, ``(n,)``, 0 leaves one out; by default 1.
        near: Mask of the entities to train; of several workers there is none.
        pseudo_facts: Facts that rules infer; of several workers there are none.
        workers: The processes among which queries are split.
    """
    triples, sources, own = graph.triples, graph.triple_sources, weights
    if own is not None and not (used := own > 0).all():
        triples, sources, own = triples[used], sources[used], own[used]
    how: dict[str, Any] = {
        "sources": sources,
        "weights": own,
        "known_false": false_facts(graph, weights, n_entities),
        "path_length": training.path_length,
        "batch_size": training.batch_size,
        "negatives": training.negatives,
        "logq_correction": training.logq_correction,
        "seed": training.seed,
    }
    if workers.count > 1:
        return ShardedSampler(triples, n_entities, graph.n_relations, workers=workers, **how)
    how |= {"near": near, "pseudo_facts": pseudo_facts}
    return TripleSampler(triples, n_entities, graph.n_relations, **how)
