"""What train, pretrain and retrain share: a run that fits a model to a joint graph's facts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from kgraft.errors import DataError
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.linking.joint_graph import JointGraph
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import Kind, TrainedModel
from kgraft.rules.pseudo_facts import PseudoFacts
from kgraft.settings import TrainingSettings, TrainSettings
from kgraft.system.devices import CPU, parse_device
from kgraft.system.memory import require, require_on_gpu
from kgraft.system.progress import Listener
from kgraft.toml_settings import as_toml
from kgraft.training.auxiliary_loss import Term
from kgraft.training.checkpoint import Checkpoint, as_array, fingerprint
from kgraft.training.loop import fit
from kgraft.training.sampler import TripleSampler
from kgraft.training.step import Trainer
from kgraft.training.validation import validator


@dataclass(frozen=True)
class RunOptions:
    """How a run is watched and kept.

    Args:
        progress: Hears of epochs.
        checkpoint: A file that holds the run while it goes on; a run that finds itself there goes
            on from it.
    """

    progress: Listener | None = None
    checkpoint: Path | None = None


@dataclass(frozen=True, eq=False)
class Run:
    """A training run before its first step: what it learns from, what learns, what comes after.

    Args:
        kind: What the model is trained as.
        graph: The facts and their id space.
        settings: Model and training.
        model: What learns, trained in place. It may have fewer entities than the graph: facts about
            others have to be of weight 0.
        validate_on: Parts of the graph whose validation facts choose the best epoch.
        target: The graph that the model is for.
        extra: Further loss terms.
        weights: How much each of the graph's facts counts, ``(n,)``, those of 0 not at all; by
            default all alike.
        inferred: Facts that follow from the graph's.
        made_from: Models that this one and the further terms were made from; a checkpoint of a run
            with others is not gone on with.
        start_mrr: The validation MRR of the model as it is, where this state may be kept.
        finish: Adds to the trained model what is made of it.

    Raises:
        DataError: If there is no fact to learn from.
    """

    kind: Kind
    graph: JointGraph
    settings: TrainSettings
    model: KgeModel
    validate_on: Sequence[KnowledgeGraph]
    target: str | None = None
    extra: Term | None = None
    weights: NDArray[np.float64] | None = None
    inferred: PseudoFacts | None = None
    made_from: Sequence[KgeModel] = ()
    start_mrr: float | None = None
    finish: Callable[[TrainedModel], TrainedModel] | None = None

    def __post_init__(self) -> None:
        if not (len(self.graph.triples) if self.weights is None else np.any(self.weights)):
            raise DataError(
                f"there is no fact to train on in {', '.join(self.graph.sources)}",
                remedy="Give at least one source with training facts",
            )

    def learner(self) -> Trainer:
        """Return what moves the model."""
        return learner_of(self.model, self.settings, extra=self.extra)

    def batches(self) -> TripleSampler:
        """Return what it learns from."""
        return batches_of(
            self.graph,
            self.settings.training,
            n_entities=self.model.n_entities,
            weights=self.weights,
            inferred=self.inferred,
        )

    def validate(self) -> Callable[[], float] | None:
        """Return what measures the model, or ``None`` where there are no validation facts."""
        training = self.settings.training
        return validator(
            self.model,
            self.graph,
            self.validate_on,
            queries=training.validation_queries,
            seed=training.seed,
        )

    def on(self, device: str | torch.device) -> Run:
        """Return the run with what is trained on a device, as ``kgraft.system.devices`` calls it.

        Raises:
            SettingsError: If there is no such device.
            KgraftError: If a GPU's free memory does not hold it.
        """
        found = parse_device(device)
        if found.type != "cpu":
            free, _ = torch.cuda.mem_get_info(found)
            sizes = self.model.n_entities, self.model.n_relations, len(self.graph.triples)
            require_on_gpu(self.settings, *sizes, free=free)
        extra = None if self.extra is None else self.extra.on(found)
        return replace(self, model=self.model.on(found), extra=extra)

    def train(
        self, options: RunOptions | None = None, *, device: str | torch.device = CPU
    ) -> TrainedModel:
        """Train, and return the model, on the CPU, in its best state.

        Args:
            options: Progress and checkpoint.
            device: Where it is trained, as in ``on``.

        Raises:
            SettingsError: As ``on``, and so is ``KgraftError``.
            TrainingError: If its numbers do not stay finite.
        """
        options = options or RunOptions()
        there = self.on(device)
        outcome = fit(
            there.learner(),
            self.batches(),
            self.settings.training,
            validate=there.validate(),
            checkpoint=self._checkpoint(options.checkpoint),
            progress=options.progress,
            name=self.kind if self.target is None else f"{self.kind} for {self.target}",
            start_mrr=self.start_mrr,
        )
        if there.model is not self.model:
            self.model.copy_from(there.model.tensors())
        metrics = {"best_epoch": outcome.best_epoch, "validation_mrr": outcome.best_mrr}
        trained = TrainedModel(
            self.kind, self.model, self.graph, self.target, self.settings, outcome.log, metrics
        )
        return trained if self.finish is None else self.finish(trained)

    def _checkpoint(self, file: Path | None) -> Checkpoint | None:
        if file is None:
            return None
        what = f"{self.kind} {as_toml(self.settings)}"
        weights = (as_array(x) for model in self.made_from for x in model.tensors().values())
        mark = fingerprint(what, self.graph.triples, self.graph.triple_sources, *weights)
        return Checkpoint(file, mark)


def new_model(
    graph: JointGraph, settings: TrainSettings, *, n_entities: int | None = None
) -> KgeModel:
    """Return an untrained model of a graph's rows.

    Args:
        graph: The id space.
        settings: Model and seed.
        n_entities: How many entities have vectors, the first ones; by default all.

    Raises:
        KgraftError: If the memory that is free does not hold what a run with it takes.
    """
    rows = graph.n_entities if n_entities is None else n_entities
    require(settings, rows, graph.n_relations, len(graph.triples))
    return KgeModel.create(settings.model, rows, graph.n_relations, seed=settings.training.seed)


def learner_of(model: KgeModel, settings: TrainSettings, *, extra: Term | None = None) -> Trainer:
    """Return what moves a model by its settings.

    Args:
        model: Trained in place.
        settings: Model and training.
        extra: Further loss terms.
    """
    training = settings.training
    return Trainer(
        model,
        optimizer=training.optimizer,
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
    inferred: PseudoFacts | None = None,
) -> TripleSampler:
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
    return TripleSampler(
        graph.triples[learned],
        n_entities,
        graph.n_relations,
        sources=graph.triple_sources[learned],
        weights=counts[learned],
        inferred=inferred,
        steps=training.path_length,
        batch_size=training.batch_size,
        negatives=training.negatives,
        logq_correction=training.logq_correction,
        seed=training.seed,
    )
