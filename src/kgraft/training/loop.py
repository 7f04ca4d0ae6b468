"""The training loop: epochs, validation, the best state, early stopping, checkpoints."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import InitVar, asdict, dataclass, field
from typing import Any

from torch import Tensor

from kgraft.errors import TrainingError
from kgraft.settings import TrainingSettings
from kgraft.system.progress import Listener, Silence
from kgraft.training.checkpoint import Checkpoint
from kgraft.training.interrupts import Interrupts, defer_signals
from kgraft.training.random_state import GENERATOR, OF_GPU, restore, seeded, states
from kgraft.training.sampler import TripleSampler
from kgraft.training.step import Trainer
from kgraft.training.step_metrics import NotFiniteError

Validate = Callable[[], float]
"""Returns the validation MRR of the model as it is now."""

AGREE_EVERY = 8
"""Steps between two times at which several workers agree to save the run, or to end it."""

EPOCH_SEEDS_APART = 7_919
"""Difference of the seeds of two workers' epochs."""

FLUSH_EVERY = 32
"""Steps between two flushes of the losses, on a GPU that is not to be synchronised with."""


@dataclass
class EpochMetrics:
    """Totals of an epoch so far.

    Args:
        steps: Number of steps.
        queries: Number of queries.
        seconds: Their time.
        sums: Sum of each loss term over the queries.
    """

    steps: int = 0
    queries: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)

    def add(self, queries: int, terms: dict[str, float]) -> None:
        """Add a step."""
        for name, value in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + value * queries
        self.steps += 1
        self.queries += queries

    def log_entry(self, number: int) -> dict[str, Any]:
        """Return the epoch's entry in the training log."""
        return {
            "epoch": number,
            **{name: total / self.queries for name, total in self.sums.items()},
            "seconds": round(self.seconds, 3),
            "queries_per_second": round(self.queries / max(self.seconds, 1e-9), 1),
        }


@dataclass
class Fit:
    """Progress and outcome of a training run.

    Args:
        log: One entry an epoch: mean loss terms, seconds, queries per second, and its validation
            MRR if it was measured.
        best_epoch: The epoch whose state is kept; 0 is the state before the first step.
        best_mrr: Its validation MRR, or ``None`` without validation facts.
        waited: Validations without improvement since then.
        current: The epoch that has begun.
    """

    log: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    best_mrr: float | None = None
    waited: int = 0
    current: EpochMetrics = field(default_factory=EpochMetrics)

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return len(self.log)


def fit(
    trainer: Trainer,
    sampler: TripleSampler,
    settings: TrainingSettings,
    *,
    listener: Listener | None = None,
    record: Callable[[dict[str, Any]], None] = lambda _: None,
    validate: Validate | None = None,
    checkpoint: Checkpoint | None = None,
    start_mrr: float | None = None,
) -> Fit:
    """Train until validation no longer improves, and leave the model in its best state.

    Without ``validate`` all epochs are trained and the last state is kept. With a checkpoint the
    run resumes from it, also within an epoch, and ends in the same state as an uninterrupted one;
    the first interrupt then waits until the step has ended and the run is saved.

    Args:
        trainer: Model, optimizers and loss.
        sampler: Samples batches.
        settings: Epochs, patience and how often to validate.
        listener: Receives the number of queries done, and a line an epoch.
        record: Receives the entry of each epoch; of a resumed run, those of before again.
        validate: Measures the model.
        checkpoint: File that the run is saved to from time to time.
        start_mrr: Validation MRR before the first step, if that state may be kept.

    Raises:
        DataError: If the checkpoint is damaged or another run's.
        TrainingError: If a loss or gradient is not finite. With a checkpoint the batch is saved
            beside it, in ``.batch.safetensors``.
    """
    listener = listener or Silence()
    epochs = settings.epochs_of(sampler.n_steps)
    with defer_signals(checkpoint is not None) as interrupts:
        loop = _Loop(trainer, sampler, settings, checkpoint, listener, interrupts, start_mrr)
        run = loop.run
        for entry in run.log:
            record(entry)
        while run.epochs < epochs and run.waited < settings.patience:
            loop.train_epoch(epochs)
            if run.epochs == epochs or run.epochs % settings.validate_every == 0:
                loop.validate(validate)
            listener.tell(_epoch_line(run.log[-1]))
            record(run.log[-1])
            loop.save_if_due()
    if loop.best:
        trainer.model.copy_from(loop.best)
    else:
        run.best_epoch = run.epochs
    infinite = not all(x.isfinite().all() for x in trainer.model.tensors().values())
    if trainer.workers.any(infinite)[0]:
        raise loop.diverged(f"the state after epoch {run.best_epoch} is not finite")
    return run


@dataclass
class _Loop:
    """A training run in progress, and its best state so far."""

    trainer: Trainer
    sampler: TripleSampler
    settings: TrainingSettings
    checkpoint: Checkpoint | None
    listener: Listener
    interrupts: Interrupts
    start_mrr: InitVar[float | None]

    def __post_init__(self, start_mrr: float | None) -> None:
        self._generators: dict[str, Tensor] = {}
        self._timer = 0.0
        self.run = Fit(best_mrr=start_mrr)
        self.best = {} if start_mrr is None else self._model_state()
        if self.checkpoint is not None and (saved := self.checkpoint.load()) is not None:
            self._generators, state = (
                {key: x for key, x in saved.state.items() if key.startswith(GENERATOR) == wanted}
                for wanted in (True, False)
            )
            try:
                self.trainer.restore(state)
                self.run = Fit(**{**saved.run, "current": EpochMetrics(**saved.run["current"])})
            except (KeyError, TypeError, ValueError) as error:
                raise self.checkpoint.damaged(str(error)) from error
            self.best = saved.best
            self._tell_of_other_device()
        self.listener.advance(self.run.epochs * self.sampler.n_queries + self.run.current.queries)

    def _tell_of_other_device(self) -> None:
        """Say that a resumed run was saved on another kind of device, which rounds otherwise."""
        kinds = {True: "a GPU", False: "the CPU"}
        began, now = OF_GPU in self._generators, self.trainer.model.device.type == "cuda"
        if began != now:
            self.listener.tell(
                f"This run was saved on {kinds[began]} and goes on on {kinds[now]}: its numbers "
                "differ a little from those of a run on one device."
            )

    def train_epoch(self, epochs: int) -> None:
        """Train on every batch of an epoch once, or on those left of one that has begun."""
        run, trainer = self.run, self.trainer
        device = trainer.model.device
        # Dropout too depends on seed and epoch only: a resumed run is the same run.
        seed = (
            self.settings.seed * 1_000_003 + run.epochs + trainer.workers.number * EPOCH_SEEDS_APART
        )
        with seeded(seed, device):
            if run.current.steps and self._generators:
                restore(self._generators, device)
            trainer.begin_epoch(run.epochs / epochs)
            self._timer = time.perf_counter()
            steps = trainer.train_epoch(self.sampler, run.epochs + 1, skip=run.current.steps)
            with closing(steps), self._errors_located():
                for number, _ in enumerate(steps, start=1):
                    if trainer.synchronous or number % FLUSH_EVERY == 0:
                        self._flush()
                    self.save_if_due()
                self._flush()
        run.log.append(run.current.log_entry(run.epochs + 1))
        run.current = EpochMetrics()

    def _flush(self) -> None:
        """Add the losses of the steps since the last flush to the epoch's."""
        steps = self.trainer.metrics.flush()
        if not steps:
            return
        now = time.perf_counter()
        self.run.current.seconds += now - self._timer
        self._timer = now
        for queries, terms in steps:
            self.run.current.add(queries, terms)
            self.listener.advance(queries)

    def validate(self, validate: Validate | None) -> None:
        """Measure the model, and keep its state if it is the best so far."""
        if validate is None:
            return
        run = self.run
        run.log[-1]["validation_mrr"] = mrr = validate()
        run.waited += 1
        if run.best_mrr is None or mrr > run.best_mrr:
            run.best_mrr, run.best_epoch, run.waited = mrr, run.epochs, 0
            self.best = self._model_state()

    def _model_state(self) -> dict[str, Tensor]:
        return {key: value.clone() for key, value in self.trainer.model.tensors().items()}

    @contextmanager
    def _errors_located(self) -> Iterator[None]:
        """Name the step of a non-finite number, and save its batch."""
        try:
            yield
        except NotFiniteError as error:
            raise self._not_finite(error) from error

    def _not_finite(self, error: NotFiniteError) -> TrainingError:
        step = self.run.current.steps + error.position + 1
        where = f"epoch {self.run.epochs + 1}, step {step}: {error.cause}"
        rows = self.trainer.embeddings_of(error.batch)
        largest = max(float(x.abs().max()) for x in rows.values())
        where += f", where the largest number in a row is {largest:.3g}"
        if self.checkpoint is None:
            return self.diverged(where)
        file = self.checkpoint.save_batch({**error.batch.tensors(), **rows}, where)
        return self.diverged(f"{where}. The batch and its rows are in {file}")

    def diverged(self, how: str) -> TrainingError:
        """Return the error that says how training diverged, and the remedy."""
        return TrainingError(
            f"{how}. Lower training.learning_rate, which is {self.settings.learning_rate}, "
            "and begin anew."
        )

    def save_if_due(self) -> None:
        """Save the run when it is time to, or when an interrupt waits, which then takes effect.

        Several workers agree on both from time to time.
        """
        workers = self.trainer.workers
        if workers.count > 1 and self.run.current.steps % AGREE_EVERY:
            return
        due = self.checkpoint is not None and self.checkpoint.due
        interrupted, due = workers.any(self.interrupts.pending, due)
        if interrupted and not self.interrupts.pending:
            self.interrupts.defer(signal.SIGTERM)  # Another worker was interrupted.
        if self.checkpoint is not None and (interrupted or due):
            self._flush()
            self.trainer.refresh_copies()
            state = {**self.trainer.state(), **states(self.trainer.model.device)}
            self.checkpoint.save(state, self.best, asdict(self.run))
            self._timer = time.perf_counter()
        self.interrupts.release()


def _epoch_line(entry: dict[str, Any]) -> str:
    mrr = entry.get("validation_mrr")
    measured = "" if mrr is None else f", validation MRR {mrr:.4f}"
    return f"epoch {entry['epoch']}: loss {entry['loss']:.4f}{measured}"
