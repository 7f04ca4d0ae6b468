"""Read-out of given vectors: a second set of rows, mapped from them, that is added to a student's.

It has no row of its own to remember a fact by, so it learns what vectors tell of facts in general,
and knows as much of an entity without facts as of others. ComplEx scores are sums over coordinates,
so a student and its read-out, side by side, are one ComplEx again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from kgraft.model.kge import KgeModel
from kgraft.pipeline.embeddings import EmbeddingTask, make_trainer
from kgraft.pipeline.run import Format, Run, Stored
from kgraft.settings import ModelSettings, TrainSettings
from kgraft.training.loop import fit
from kgraft.training.mapped_rows import MappedRows
from kgraft.training.validation import validation_mrr

SCALES = (0.0, 0.25, 0.5, 1.0, 2.0)
"""Factors of a read-out's score, of which validation facts choose one."""

EPOCHS, MIN_STEPS = 8, 1000
"""Passes of a read-out's training over the facts, and the least steps of all."""

TRAINING = {
    "epochs": EPOCHS,
    "min_steps": MIN_STEPS,
    "learning_rate": 0.1,
    "final_rate": 1.0,
    "regularization": 0.003,
    "validate_every": 2,
    "patience": 3,
    "optimizer": "adagrad",
    "path_length": 1,
}
"""Training settings of a read-out; the others are the student's."""


@dataclass(frozen=True, eq=False)
class ReadOut:
    """A student with a read-out.

    Args:
        model: The wider model.
        scale: Factor of the read-out's score; 0 leaves it out.
        mrr: Validation MRR of the model by vectors, None without validation facts.
    """

    model: KgeModel
    scale: float
    mrr: float | None


def readout_of(settings: ModelSettings) -> Format[ReadOut]:
    """Return the format of a student of these settings with its read-out."""

    def pack(found: ReadOut) -> Stored:
        return found.model.tensors(), {"scale": found.scale, "mrr": found.mrr}

    def unpack(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> ReadOut:
        entities, relations = tensors["entities"], tensors["relations"]
        wide = settings.model_copy(update={"width": entities.shape[1]})
        return ReadOut(KgeModel(wide, entities, relations), about["scale"], about["mrr"])

    return Format(pack, unpack)


def wide_settings(settings: TrainSettings, model: KgeModel) -> TrainSettings:
    """Return a model's settings, with its width where a read-out has been added to it."""
    same = model.settings == settings.model
    return settings if same else settings.model_copy(update={"model": model.settings})


def fit_readout(task: EmbeddingTask, given_ND: Tensor, width: int, run: Run) -> ReadOut:
    """Train a read-out on the facts of a task, and add it to the task's trained model.

    Args:
        task: The trained embeddings.
        given_ND: The given vector of each entity, ``(n, d)``.
        width: Real numbers of the read-out's rows.
        run: Shows progress.
    """
    own, model, training = task.settings, task.model, task.settings.training
    chosen = own.model_copy(
        update={
            "model": own.model.model_copy(update={"width": width, "tables": "float32"}),
            "training": training.model_copy(update=TRAINING),
        }
    )
    other = KgeModel.create(chosen.model, model.n_entities, model.n_relations, training.seed)
    rows = MappedRows(
        {"entities": other.entities, "relations": other.relations},
        chosen.training.learning_rate,
        given_ND,
        training.seed,
    )
    reading = replace(task, settings=chosen, model=other, auxiliary=None, start_mrr=None)
    sampler, measure = reading.sampler(), reading.validation()

    def validate() -> float:
        rows.write()
        assert measure is not None  # noqa: S101 (the loop asks only where there are facts)
        return measure()

    total = chosen.training.epochs_of(sampler.n_steps) * sampler.n_queries
    with run.showing("read-out", total):
        fit(
            make_trainer(other, chosen, rows=rows),
            sampler,
            chosen.training,
            listener=run.listener,
            validate=None if measure is None else validate,
            checkpoint=run.checkpoint("readout", 0),
        )
    if measure is None:
        rows.write()
    return _best_scale(task, other)


def _best_scale(task: EmbeddingTask, readout: KgeModel) -> ReadOut:
    """Return the student with the read-out at the scale that validation facts favour."""
    if not task.samples:
        return ReadOut(beside(task.model, readout, 1.0), 1.0, None)
    measured = []
    for scale in SCALES:
        model = beside(task.model, readout, scale) if scale else task.model
        measure = validation_mrr(model, task.samples)
        assert measure is not None  # noqa: S101 (there are samples)
        measured.append(ReadOut(model, scale, measure()))
    return max(measured, key=lambda x: x.mrr or 0.0)


def beside(model: KgeModel, other: KgeModel, scale: float) -> KgeModel:
    """Return a ComplEx whose score is one model's plus ``scale`` times the other's."""
    width = model.settings.width + other.settings.width
    entities = _side_by_side(model.entities, other.entities.to(model.entities))
    relations = _side_by_side(model.relations, scale * other.relations)
    return KgeModel(model.settings.model_copy(update={"width": width}), entities, relations)


def _side_by_side(one_ND: Tensor, other_ND: Tensor) -> Tensor:
    """Return vectors of complex numbers, kept as real parts, then imaginary parts, side by side."""
    halves = zip(one_ND.chunk(2, 1), other_ND.chunk(2, 1), strict=True)
    return torch.cat([half for both in halves for half in both], dim=1)
