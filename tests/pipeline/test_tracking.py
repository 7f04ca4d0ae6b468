"""Trackers: what a run logs, read back with each tracker's own library."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kgraft.errors import KgraftError, SettingsError
from kgraft.linking.collection import Collection
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline import train as stages
from kgraft.pipeline.inputs import fingerprint_of_inputs
from kgraft.pipeline.pretrain import pretrain
from kgraft.pipeline.run import RunOptions
from kgraft.pipeline.train import train
from kgraft.settings import TrainSettings
from kgraft.system import tracking
from kgraft.system.tracking import CsvTracker, Tracker, parse_tracker

FAST = TrainSettings.model_validate(
    {"model": {"width": 8}, "training": {"epochs": 3, "min_steps": 0, "validate_every": 1}}
)
TERMS = {"train/loss", "train/task", "train/regularization", "train/queries_per_second"}


def run(collection: Collection, tracker: Tracker) -> TrainedModel:
    return train(collection, FAST, options=RunOptions(trackers=[tracker]))


def missing(name: str) -> str:
    return f"{name} is not installed: pip install 'kgraft[{name}]'"


def test_a_table_has_settings_epochs_and_the_model(generated: Collection, tmp_path: Path) -> None:
    file = tmp_path / "runs.csv"
    model = run(generated, CsvTracker(file))
    pretrain(generated, FAST, options=RunOptions(trackers=[CsvTracker(file)]))
    rows = pl.read_csv(file, infer_schema=False)
    assert rows["run"].unique(maintain_order=True).to_list() == ["joint mine", "teacher"]
    own = rows.filter(pl.col("run") == "joint mine")
    settings = dict(own.filter(pl.col("epoch") == "setting").select("name", "value").iter_rows())
    assert settings["model.width"] == "8"
    assert settings["training.learning_rate"] == "0.1"
    assert len(settings["kgraft.collection"]) == len(settings["kgraft.inputs"]) == 64
    for number, entry in enumerate(model.log, 1):
        logged = own.filter(pl.col("epoch") == str(number))
        found = dict(logged.select("name", "value").iter_rows())
        assert {*found} >= TERMS
        assert float(found["train/loss"]) == entry["loss"]
        assert float(found["valid/mrr"]) == entry["validation_mrr"]
    last = dict(own.filter(pl.col("epoch").is_null()).select("name", "value").iter_rows())
    assert last["status"] == "finished"
    assert float(last["valid/mrr"]) == model.metrics["validation_mrr"]


def test_the_fingerprint_is_that_of_the_collection_alone(generated: Collection) -> None:
    graphs, links = [*generated.graphs.values()], generated.links
    one = fingerprint_of_inputs("a", FAST, graphs, links)
    other = fingerprint_of_inputs("b", TrainSettings(), graphs, links)
    unlinked = fingerprint_of_inputs("a", FAST, graphs, ())
    assert one.collection == other.collection != unlinked.collection
    assert str(one) != str(other)


def test_a_run_that_fails_is_ended_as_such(
    generated: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ValueError("no")

    monkeypatch.setattr(stages, "fit_target", fails)
    with pytest.raises(ValueError, match="no"):
        run(generated, CsvTracker(tmp_path / "x.csv"))
    assert (tmp_path / "x.csv").read_text().endswith("joint mine,,status,failed\n")


def test_a_resumed_run_logs_the_epochs_of_before_again(
    generated: Collection, tmp_path: Path
) -> None:
    class Stops(CsvTracker):
        def log(self, epoch: int, metrics: Any) -> None:
            super().log(epoch, metrics)
            if epoch == 2:
                raise KeyboardInterrupt

    settings = FAST.model_copy(update={"training": {"epochs": 4}})
    options = RunOptions(directory=tmp_path / "run", trackers=[Stops(tmp_path / "one.csv")])
    with pytest.raises(KeyboardInterrupt):
        train(generated, settings, options=options)
    options = RunOptions(directory=tmp_path / "run", trackers=[CsvTracker(tmp_path / "two.csv")])
    model = train(generated, settings, options=options)
    rows = pl.read_csv(tmp_path / "two.csv", infer_schema=False)
    losses = rows.filter(pl.col("name") == "train/loss")
    assert losses["epoch"].to_list() == [str(entry["epoch"]) for entry in model.log]


def test_tensorboard_reads_what_was_logged(generated: Collection, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason=missing("tensorboard"))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = run(generated, parse_tracker(f"tensorboard:{tmp_path}"))
    run(generated, parse_tracker(f"tensorboard:{tmp_path}"))
    assert {x.name for x in (tmp_path / "joint mine").iterdir()} == {"run-1", "run-2"}
    read = EventAccumulator(str(tmp_path / "joint mine" / "run-1")).Reload()
    losses = read.Scalars("train/loss")
    assert [x.step for x in losses] == [1, 2, 3]
    assert [x.value for x in losses] == pytest.approx([x["loss"] for x in model.log])
    (mrr,) = read.Scalars("model/valid/mrr")
    assert mrr.value == pytest.approx(model.metrics["validation_mrr"])
    text = read.Tensors("settings/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "| `model.width` | `8` |" in text
    assert "`kgraft.collection`" in text


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_mlflow_reads_what_was_logged(generated: Collection, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason=missing("mlflow"))
    place = f"sqlite:///{tmp_path / 'mlflow.db'}"
    model = run(generated, parse_tracker(f"mlflow:{place}"))
    client = mlflow.MlflowClient(tracking_uri=place)
    experiment = client.get_experiment_by_name("kgraft")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "joint mine"
    assert found.data.params["model.width"] == "8"
    assert len(found.data.params["kgraft.collection"]) == 64
    losses = client.get_metric_history(found.info.run_id, "train/loss")
    assert [(x.step, x.value) for x in losses] == [
        (x["epoch"], pytest.approx(x["loss"])) for x in model.log
    ]
    assert found.data.metrics["model/valid/mrr"] == pytest.approx(model.metrics["validation_mrr"])


def chunks(data: bytes) -> Iterator[bytes]:
    """Yield the records of a log of LevelDB, which wandb's files are behind a header of 7 bytes."""
    place, record = 7, b""
    while place + 7 <= len(data):
        if (rest := 32768 - place % 32768) < 7:
            place += rest
            continue
        size, kind = struct.unpack_from("<HB", data, place + 4)
        record += data[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield record
            record = b""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_wandb_reads_what_was_logged_offline(
    generated: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb", reason=missing("wandb"))
    from wandb.proto import wandb_internal_pb2

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    model = run(generated, parse_tracker("wandb:shop"))
    wandb.teardown()  # Its service writes the rest of the file.
    (file,) = tmp_path.rglob("*.wandb")
    records = []
    for data in chunks(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        records.append(record)
    (begun,) = [x.run for x in records if x.HasField("run")][:1]
    assert (begun.project, begun.display_name) == ("shop", "joint mine")
    config = {x.key or ".".join(x.nested_key): x.value_json for x in begun.config.update}
    assert config["model.width"] == "8"
    assert len(config["kgraft.collection"]) == 64 + 2
    history = [
        {x.key or "/".join(x.nested_key): x.value_json for x in record.history.item}
        for record in records
        if record.HasField("history")
    ]
    losses = [float(x["train/loss"]) for x in history]
    assert losses == pytest.approx([x["loss"] for x in model.log])
    assert any(
        x.key == "model/valid/mrr" or "model/valid/mrr" in "/".join(x.nested_key)
        for record in records
        for x in record.summary.update
    )


@pytest.mark.parametrize("text", ["csv", "csv:", "tensorbord:x", "x"])
def test_a_tracker_that_there_is_not(text: str) -> None:
    with pytest.raises(SettingsError, match=r"--track .*: write one of csv:FILE, tensorboard:DIR"):
        parse_tracker(text)


@pytest.mark.parametrize("kind", ["mlflow", "wandb", "tensorboard"])
def test_a_library_that_is_not_installed(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("kgraft.system.extras.import_module", fails)
    with pytest.raises(KgraftError, match=rf"pip install 'kgraft\[{kind}\]'"):
        parse_tracker(f"{kind}:x")
    assert {*tracking.TRACKERS} == {"csv", "mlflow", "wandb", "tensorboard"}
