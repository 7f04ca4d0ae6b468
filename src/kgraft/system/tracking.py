"""Trackers: a run's settings and metrics for TensorBoard, MLflow, Weights & Biases, or a CSV file.

Metrics have the same names everywhere: ``train/loss`` and its terms, ``train/queries_per_second``
and ``valid/mrr`` of each epoch; in the end ``valid/mrr`` of the model, and what else it measured.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from kgraft.errors import SettingsError
from kgraft.system.extras import import_extra

Value = str | int | float | bool
"""A setting as trackers take it."""


class Tracker(Protocol):
    """Receives what a run is, its metrics by epoch, and those of its model."""

    def start(self, name: str, about: Mapping[str, Value]) -> None:
        """Begin a run, before its first epoch.

        Args:
            name: Name of the run, as ``student of countryinfo``.
            about: Settings by dotted key; ``kgraft.version``, ``kgraft.collection`` and
                ``kgraft.inputs``: fingerprints of the collection, and of all that the run depends
                on.
        """

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Record the metrics of an epoch, counted from 1."""

    def finish(self, metrics: Mapping[str, float], *, failed: bool = False) -> None:
        """Record the metrics of the model, and end the run; without any if it failed."""


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Value]]:
    """Yield the values of nested tables by dotted key, ``None`` and empty tables left out."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        elif isinstance(value, str | int | float | bool):
            yield f"{prefix}{name}", value


def epoch_metrics(entry: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics of an entry of a training log, by their names for trackers."""
    left_out = ("epoch", "seconds", "validation_mrr")
    found = {f"train/{name}": float(x) for name, x in entry.items() if name not in left_out}
    if entry.get("validation_mrr") is not None:
        found["valid/mrr"] = float(entry["validation_mrr"])
    return found


def model_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics of a model, by their names for trackers."""
    found = {}
    for name, value in flat(metrics):
        if not isinstance(value, str):
            named = name.replace("validation_", "valid/", 1).replace(".", "/")
            found[named] = float(value)
    return found


def parse_tracker(text: str) -> Tracker:
    """Return the tracker that ``KIND:PLACE`` names.

    Raises:
        SettingsError: If there is no such kind, or no place.
        KgraftError: If its library is not installed.
    """
    kind, _, place = text.partition(":")
    if kind not in TRACKERS or not place:
        known = ", ".join(f"{name}:{x}" for name, (_, x) in TRACKERS.items())
        raise SettingsError(f"--track {text}: write one of {known}")
    made: Tracker = TRACKERS[kind][0](place)
    return made


class CsvTracker:
    """Writes a row for each metric: run, epoch (empty for those of the model), name, value.

    Rows are added to a file that is there already.

    Args:
        path: The file. Settings are rows too, whose epoch is ``setting``.
    """

    HEADER = ("run", "epoch", "name", "value")

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._name = ""

    def start(self, name: str, about: Mapping[str, Value]) -> None:
        """Write the settings."""
        self._name = name
        if not self._path.exists():
            self._append([self.HEADER])
        self._append((name, "setting", key, value) for key, value in about.items())

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Write the metrics of an epoch."""
        self._append((self._name, epoch, key, value) for key, value in metrics.items())

    def finish(self, metrics: Mapping[str, float], *, failed: bool = False) -> None:
        """Write the metrics of the model, and the status."""
        self._append((self._name, "", key, value) for key, value in metrics.items())
        self._append([(self._name, "", "status", "failed" if failed else "finished")])

    def _append(self, rows: Any) -> None:
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)


class TensorBoardTracker:
    """Writes event files of TensorBoard, each run into a directory of its own.

    Args:
        directory: The directory that ``tensorboard --logdir`` is given.
    """

    def __init__(self, directory: str | Path) -> None:
        self._writer_of = import_extra("torch.utils.tensorboard", extra="tensorboard").SummaryWriter
        self._directory = Path(directory)

    def start(self, name: str, about: Mapping[str, Value]) -> None:
        """Begin an event file, with the settings as a text."""
        place = self._directory / name.replace("/", "_")
        number = len(list(place.iterdir())) if place.is_dir() else 0
        self._writer = self._writer_of(str(place / f"run-{number + 1}"))
        rows = "".join(f"| `{key}` | `{value}` |\n" for key, value in about.items())
        self._writer.add_text("settings", f"| | |\n|---|---|\n{rows}")

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Write the metrics of an epoch."""
        for key, value in metrics.items():
            self._writer.add_scalar(key, value, epoch)
        self._writer.flush()

    def finish(self, metrics: Mapping[str, float], *, failed: bool = False) -> None:  # noqa: ARG002
        """Write the metrics of the model, as ``model/...``, and close the file."""
        for key, value in metrics.items():
            self._writer.add_scalar(f"model/{key}", value)
        self._writer.close()


class MlflowTracker:
    """Logs to MLflow: settings as parameters, metrics by epoch, those of the model without one.

    Args:
        uri: Tracking server, ``sqlite:///FILE`` or directory.
        experiment: Name of the experiment.
    """

    AT_ONCE = 100
    """Parameters of a request, at most."""

    def __init__(self, uri: str, experiment: str = "kgraft") -> None:
        self._entities = import_extra("mlflow.entities", extra="mlflow")
        client = import_extra("mlflow", extra="mlflow").MlflowClient(tracking_uri=uri)
        self._client, self._experiment = client, experiment
        self._epoch = 0

    def start(self, name: str, about: Mapping[str, Value]) -> None:
        """Begin a run with its parameters."""
        found = self._client.get_experiment_by_name(self._experiment)
        experiment = (
            self._client.create_experiment(self._experiment)
            if found is None
            else found.experiment_id
        )
        self._run = self._client.create_run(experiment, run_name=name).info.run_id
        rows = [self._entities.Param(key, str(value)) for key, value in about.items()]
        for begin in range(0, len(rows), self.AT_ONCE):
            self._client.log_batch(self._run, params=rows[begin : begin + self.AT_ONCE])

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Log the metrics of an epoch."""
        self._epoch = epoch
        for key, value in metrics.items():
            self._client.log_metric(self._run, key, value, step=epoch)

    def finish(self, metrics: Mapping[str, float], *, failed: bool = False) -> None:
        """Log the metrics of the model, after the last epoch, and end the run."""
        for key, value in metrics.items():
            self._client.log_metric(self._run, f"model/{key}", value, step=self._epoch)
        self._client.set_terminated(self._run, status="FAILED" if failed else "FINISHED")


class WandbTracker:
    """Logs to Weights & Biases; without a network where ``WANDB_MODE=offline``.

    Args:
        project: Name of the project.
    """

    def __init__(self, project: str) -> None:
        self._wandb = import_extra("wandb", extra="wandb")
        self._project = project

    def start(self, name: str, about: Mapping[str, Value]) -> None:
        """Begin a run with its configuration."""
        self._run = self._wandb.init(
            project=self._project, name=name, config=dict(about), reinit="create_new"
        )

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Log the metrics of an epoch."""
        self._run.log(dict(metrics), step=epoch)

    def finish(self, metrics: Mapping[str, float], *, failed: bool = False) -> None:
        """Write the metrics of the model into the summary, and end the run."""
        self._run.summary.update({f"model/{key}": value for key, value in metrics.items()})
        self._run.finish(exit_code=int(failed))


TRACKERS: Mapping[str, tuple[type[Any], str]] = {
    "csv": (CsvTracker, "FILE"),
    "tensorboard": (TensorBoardTracker, "DIRECTORY"),
    "mlflow": (MlflowTracker, "URI"),
    "wandb": (WandbTracker, "PROJECT"),
}
"""The class of each kind of tracker, and its argument."""
