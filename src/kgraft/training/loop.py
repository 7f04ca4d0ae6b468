"""Epochs: learn, look at validation, keep the best state, stop when it no longer improves."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from kgraft.config import TrainingSettings
from kgraft.progress import Listener, Silence
from kgraft.training.batches import Batches
from kgraft.training.checkpoint import Checkpoint
from kgraft.training.learner import Learner

Validate = Callable[[], float]
"""Returns the validation MRR of the model as it is now."""


@dataclass
class Fit:
    """What a training run has done so far.

    Args:
        log: One entry an epoch: mean loss terms, seconds, queries per second, and, where the epoch
            was looked at, its validation MRR.
        best_epoch: The epoch whose state is kept; 0 is the state before the first step.
        best_mrr: Its validation MRR, or ``None`` where nothing is validated.
        waited: Looks since then.
    """

    log: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    best_mrr: float | None = None
    waited: int = 0

    @property
    def epochs(self) -> int:
        """How many epochs have been learned from."""
        return len(self.log)


def fit(
    learner: Learner,
    batches: Batches,
    settings: TrainingSettings,
    *,
    validate: Validate | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Listener | None = None,
    name: str = "training",
    start_mrr: float | None = None,
) -> Fit:
    """Train until validation no longer improves, and leave the model in its best state.

    Without ``validate`` all epochs are trained and the last state is kept. With a checkpoint the
    run goes on from it, and ends in the same state as one that was never interrupted.

    Args:
        learner: Model, optimizers and loss.
        batches: The facts.
        settings: Epochs, patience and how often to look.
        validate: Measures the model.
        checkpoint: Where the run is kept while it goes on.
        progress: Hears of epochs.
        name: What the run is called there.
        start_mrr: The validation MRR before the first step, where the state of then may be kept.
    """
    progress = progress or Silence()
    run, best = Fit(best_mrr=start_mrr), {} if start_mrr is None else _state(learner)
    epochs = settings.epochs_of(batches.n_steps)
    if checkpoint is not None and (saved := checkpoint.load()) is not None:
        learner.restore(saved.state)
        run, best = Fit(**saved.run), saved.best
    progress.begin(name, epochs * batches.n_queries)
    progress.advance(run.epochs * batches.n_queries)
    try:
        while run.epochs < epochs and run.waited < settings.patience:
            with torch.random.fork_rng(devices=[]):
                # Dropout too depends on seed and epoch only: a resumed run is the same run.
                torch.manual_seed(settings.seed * 1_000_003 + run.epochs)
                learner.begin_epoch(run.epochs / epochs)
                entry = _epoch(learner, batches, run.epochs + 1, progress)
            run.log.append(entry)
            looks = run.epochs % settings.validate_every == 0 or run.epochs == epochs
            if validate is not None and looks:
                entry["validation_mrr"] = mrr = validate()
                run.waited += 1
                if run.best_mrr is None or mrr > run.best_mrr:
                    run.best_mrr, run.best_epoch, run.waited = mrr, run.epochs, 0
                    best = _state(learner)
            progress.tell(_in_words(entry))
            if checkpoint is not None:
                checkpoint.save_if_due(learner.state(), best, vars(run))
    finally:
        progress.end()
    if best:
        learner.model.copy_from(best)
    else:
        run.best_epoch = run.epochs
    return run


def _state(learner: Learner) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in learner.model.tensors().items()}


def _epoch(learner: Learner, batches: Batches, number: int, progress: Listener) -> dict[str, Any]:
    """Learn from every batch once and return the epoch's entry in the log."""
    begin = time.perf_counter()
    sums: dict[str, float] = {}
    queries = 0
    for batch in batches.epoch(number):
        for name, value in learner.step(batch).items():
            sums[name] = sums.get(name, 0.0) + value * len(batch)
        queries += len(batch)
        progress.advance(len(batch))
    seconds = time.perf_counter() - begin
    means = {name: total / queries for name, total in sums.items()}
    return {
        "epoch": number,
        **means,
        "seconds": round(seconds, 3),
        "queries_per_second": round(queries / seconds, 1),
    }


def _in_words(entry: dict[str, Any]) -> str:
    mrr = entry.get("validation_mrr")
    look = "" if mrr is None else f", validation MRR {mrr:.4f}"
    return f"epoch {entry['epoch']}: loss {entry['loss']:.4f}{look}"
