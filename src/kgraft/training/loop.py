"""Epochs: learn, look at validation, keep the best state, stop when it no longer improves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor

from kgraft.errors import TrainingError
from kgraft.settings import TrainingSettings
from kgraft.system.progress import Listener, Silence
from kgraft.training.checkpoint import Checkpoint
from kgraft.training.interrupts import Interrupts, held_back
from kgraft.training.random_state import GENERATOR, restore, seeded, states
from kgraft.training.sampler import TripleSampler
from kgraft.training.step import Trainer
from kgraft.training.step_metrics import NotFiniteError

Validate = Callable[[], float]
"""Returns the validation MRR of the model as it is now."""

UNSEEN = 32
"""Steps between two looks at what came of them, where the device is not waited for."""


@dataclass
class Epoch:
    """What an epoch has done so far.

    Args:
        steps: Its steps.
        queries: Their queries.
        seconds: Their time.
        sums: Of each loss term over the queries.
    """

    steps: int = 0
    queries: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)

    def add(self, queries: int, terms: dict[str, float]) -> None:
        """Count a step."""
        for name, value in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + value * queries
        self.steps += 1
        self.queries += queries

    def entry(self, number: int) -> dict[str, Any]:
        """Return what the log says of it."""
        return {
            "epoch": number,
            **{name: total / self.queries for name, total in self.sums.items()},
            "seconds": round(self.seconds, 3),
            "queries_per_second": round(self.queries / max(self.seconds, 1e-9), 1),
        }


@dataclass
class Fit:
    """What a training run has done so far.

    Args:
        log: One entry an epoch: mean loss terms, seconds, queries per second, and, where the epoch
            was looked at, its validation MRR.
        best_epoch: The epoch whose state is kept; 0 is the state before the first step.
        best_mrr: Its validation MRR, or ``None`` where nothing is validated.
        waited: Looks since then.
        begun: The epoch after those of the log, as far as it has come.
    """

    log: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    best_mrr: float | None = None
    waited: int = 0
    begun: Epoch = field(default_factory=Epoch)

    @property
    def epochs(self) -> int:
        """How many epochs have been learned from."""
        return len(self.log)


def fit(
    learner: Trainer,
    batches: TripleSampler,
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
    run goes on from it, be it from within an epoch, and ends in the same state as one that was
    never interrupted. An interrupt waits for the step to end and the run to be kept; a second one
    does not.

    Args:
        learner: Model, optimizers and loss.
        batches: The facts.
        settings: Epochs, patience and how often to look.
        validate: Measures the model.
        checkpoint: Where the run is kept while it goes on.
        progress: Hears of epochs.
        name: What the run is called there.
        start_mrr: The validation MRR before the first step, where the state of then may be kept.

    Raises:
        DataError: If the checkpoint is damaged or another run's.
        TrainingError: If a loss or a gradient is infinite or no number. With a checkpoint the batch
            is saved beside it, in ``.batch.safetensors``.
    """
    progress = progress or Silence()
    epochs = settings.epochs_of(batches.n_steps)
    progress.begin(name, epochs * batches.n_queries)
    try:
        with held_back(checkpoint is not None) as interrupts:
            training = _Training(
                learner, batches, settings, checkpoint, progress, interrupts, start_mrr
            )
            while training.run.epochs < epochs and training.run.waited < settings.patience:
                training.epoch(epochs)
                training.look(validate, last=training.run.epochs == epochs)
                progress.tell(_in_words(training.run.log[-1]))
                training.keep()
    finally:
        progress.end()
    run = training.run
    if training.best:
        learner.model.copy_from(training.best)
    else:
        run.best_epoch = run.epochs
    if not all(x.isfinite().all() for x in learner.model.tensors().values()):
        raise training.failed(f"the state after epoch {run.best_epoch} is not finite")
    return run


class _Training:
    """A run as it goes on, and the best state so far."""

    def __init__(
        self,
        learner: Trainer,
        batches: TripleSampler,
        settings: TrainingSettings,
        checkpoint: Checkpoint | None,
        progress: Listener,
        interrupts: Interrupts,
        start_mrr: float | None,
    ) -> None:
        self._learner = learner
        self._batches = batches
        self._settings = settings
        self._checkpoint = checkpoint
        self._progress = progress
        self._interrupts = interrupts
        self._generators: dict[str, Tensor] = {}
        self._since = 0.0
        self.run = Fit(best_mrr=start_mrr)
        self.best = {} if start_mrr is None else self._state()
        if checkpoint is not None and (saved := checkpoint.load()) is not None:
            drawn, state = (
                {key: x for key, x in saved.state.items() if key.startswith(GENERATOR) == wanted}
                for wanted in (True, False)
            )
            self._generators = drawn
            try:
                learner.restore(state)
                self.run = Fit(**{**saved.run, "begun": Epoch(**saved.run["begun"])})
            except (KeyError, TypeError, ValueError) as error:
                raise checkpoint.damaged(str(error)) from error
            self.best = saved.best
        progress.advance(self.run.epochs * batches.n_queries + self.run.begun.queries)

    def epoch(self, epochs: int) -> None:
        """Learn from every batch once, or from those that are left of an epoch that has begun."""
        run, learner = self.run, self._learner
        device = learner.model.device
        # Dropout too depends on seed and epoch only: a resumed run is the same run.
        with seeded(self._settings.seed * 1_000_003 + run.epochs, device):
            if run.begun.steps and self._generators:
                restore(self._generators, device)
            learner.begin_epoch(run.epochs / epochs)
            self._since = time.perf_counter()
            steps = learner.steps(self._batches, run.epochs + 1, skip=run.begun.steps)
            with closing(steps), self._told_where():
                for number, _ in enumerate(steps, start=1):
                    if learner.waits or number % UNSEEN == 0:
                        self._count()
                    self.keep()
                self._count()
        run.log.append(run.begun.entry(run.epochs + 1))
        run.begun = Epoch()

    def _count(self) -> None:
        """Look at what has come of the steps since the last look."""
        seen = self._learner.look()
        if not seen:
            return
        now = time.perf_counter()
        self.run.begun.seconds += now - self._since
        self._since = now
        for queries, terms in seen:
            self.run.begun.add(queries, terms)
            self._progress.advance(queries)

    def look(self, validate: Validate | None, *, last: bool) -> None:
        """Measure the model where it is time to, and keep its state where it is the best."""
        run = self.run
        if validate is None or not (last or run.epochs % self._settings.validate_every == 0):
            return
        run.log[-1]["validation_mrr"] = mrr = validate()
        run.waited += 1
        if run.best_mrr is None or mrr > run.best_mrr:
            run.best_mrr, run.best_epoch, run.waited = mrr, run.epochs, 0
            self.best = self._state()

    def _state(self) -> dict[str, Tensor]:
        return {key: value.clone() for key, value in self._learner.model.tensors().items()}

    @contextmanager
    def _told_where(self) -> Iterator[None]:
        """Say of a step whose numbers are lost which one it was, and keep its batch."""
        try:
            yield
        except NotFiniteError as error:
            raise self._not_finite(error) from error

    def _not_finite(self, error: NotFiniteError) -> TrainingError:
        step = self.run.begun.steps + error.place + 1
        where = f"epoch {self.run.epochs + 1}, step {step}: {error.cause}"
        rows = self._learner.rows_of(error.batch)
        largest = max(float(x.abs().max()) for x in rows.values())
        where += f", where the largest number in a row is {largest:.3g}"
        if self._checkpoint is None:
            return self.failed(where)
        file = self._checkpoint.keep_batch({**error.batch.tensors(), **rows}, where)
        return self.failed(f"{where}. The batch and its rows are in {file}")

    def failed(self, how: str) -> TrainingError:
        """Return the error that says how the numbers were lost, and what to do."""
        return TrainingError(
            f"{how}. Lower training.learning_rate, which is {self._settings.learning_rate}, "
            "and begin anew."
        )

    def keep(self) -> None:
        """Keep the run where it is time to, or where it is to end, and end it then."""
        if self._checkpoint is not None and (self._interrupts.waiting or self._checkpoint.due):
            self._count()
            state = {**self._learner.state(), **states(self._learner.model.device)}
            self._checkpoint.save(state, self.best, asdict(self.run))
            self._since = time.perf_counter()
        self._interrupts.let_through()


def _in_words(entry: dict[str, Any]) -> str:
    mrr = entry.get("validation_mrr")
    look = "" if mrr is None else f", validation MRR {mrr:.4f}"
    return f"epoch {entry['epoch']}: loss {entry['loss']:.4f}{look}"
