"""What the files of a model directory hold is checked when they are loaded, and refused by name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from kgraft.errors import ModelDirectoryError
from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.model import weight_files
from kgraft.model.calibration import Calibration
from kgraft.model.contents import check_encoder, check_manifest, check_rules
from kgraft.model.directory import MANIFEST, load_model, save_model
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.rules.rules import SCHEMA
from kgraft.settings import ModelSettings, TrainSettings


@pytest.fixture
def saved(tiny: Collection, tmp_path: Path) -> Path:
    settings = TrainSettings.model_validate({"model": {"width": 6}})
    graph = join([tiny.graphs["mine"], tiny.graphs["big"]], tiny.links)
    model = TrainedModel(
        "joint",
        KgeModel.create(settings.model, graph.n_entities, graph.n_relations),
        graph,
        "mine",
        settings,
        log=[{"epoch": 1, "loss": 0.5}],
        metrics={"best_epoch": 1, "validation_mrr": 0.5},
        calibration={"vectors": Calibration(((-1.0, 0.0), (0.0, 1.0)))},
    )
    save_model(model, tmp_path / "model")
    return tmp_path / "model"


def put(directory: Path, name: str, content: str | pl.DataFrame) -> None:
    """Replace a file of a model, and what the manifest says of it."""
    path = directory / name
    if isinstance(content, str):
        path.write_text(content)
    else:
        content.write_parquet(path)
    manifest = json.loads((directory / MANIFEST).read_text())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest["files"][name] = {"bytes": path.stat().st_size, "sha256": digest}
    (directory / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("training.jsonl", "1\n", "line 1: this is no entry of an epoch"),
        ("training.jsonl", '{"epoch": 1}\n[]\n', "line 2: this is no entry of an epoch"),
        ("training.jsonl", '{"epoch": 1, "loss": "low"}\n', "line 1: a value is no number"),
        ("training.jsonl", '{"epoch": 1, "loss": NaN}\n', "line 1: NaN is no number"),
        ("metrics.json", '{"validation_mrr": NaN}', r"metrics\.json: NaN is no number"),
        ("metrics.json", '{"more": [1e999]}', r"metrics\.json: a number is infinite"),
        ("metrics.json", '{"validation_mrr": "high"}', "validation_mrr is no number"),
        ("metrics.json", "[]", "this is no table of figures"),
        ("metrics.json", "[" * 100_000, r"metrics\.json: "),
        ("calibration.json", '{"vectors": []}', "vectors has no points of two numbers each"),
        ("calibration.json", '{"vectors": [[0, "a"]]}', "vectors has no points of two numbers"),
        ("calibration.json", '{"vectors": [[1, 0], [0, 1]]}', "points of vectors do not ascend"),
        ("calibration.json", '{"dreams": [[1, 0]]}', "a model answers by one of"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(
    saved: Path, name: str, content: str, problem: str
) -> None:
    load_model(saved)
    put(saved, name, content)
    with pytest.raises(ModelDirectoryError, match=f"do not fit together .*{problem}"):
        load_model(saved)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda x: x.with_columns(label=pl.struct("name")), "the column label is no text"),
        (lambda x: x.with_columns(label=pl.concat_list("name")), "the column label is no text"),
        (lambda x: x.with_columns(name=pl.lit(None, pl.String)), "no source or no name"),
    ],
)
def test_names_that_are_no_text_are_refused(
    saved: Path, change: Callable[[pl.DataFrame], pl.DataFrame], problem: str
) -> None:
    put(saved, "entities.parquet", change(pl.read_parquet(saved / "entities.parquet")))
    with pytest.raises(ModelDirectoryError, match=rf"entities\.parquet: .*{problem}"):
        load_model(saved)


RULE: dict[str, Any] = {
    "relation": 0,
    "first": 1,
    "second": None,
    "third": None,
    "entity": None,
    "answer": None,
    "support": 3,
    "confidence": 0.5,
    "weight": 0.0,
}


@pytest.mark.parametrize(
    "change",
    [
        *({name: None} for name in ("relation", "first", "support", "confidence", "weight")),
        {"third": 1},
        {"entity": 1},
        {"confidence": 1.5},
        {"confidence": float("nan")},
        {"weight": float("inf")},
    ],
    ids=str,
)
def test_rules_that_lack_a_part_are_refused(change: dict[str, Any]) -> None:
    check_rules(pl.DataFrame([RULE], schema=SCHEMA))
    with pytest.raises(ValueError, match="a rule lacks a part"):
        check_rules(pl.DataFrame([RULE, RULE | change], schema=SCHEMA))


def test_doubled_and_very_many_sources_are_refused() -> None:
    def check(sources: Any) -> None:
        check_manifest({"kind": "teacher", "sources": sources, "target": None}, ("teacher",))

    check(["a", "b"])
    for sources, problem in (
        (["a", "b", "a"], "names a source twice"),
        ([f"s{x}" for x in range(20_000)], "names 20,000 sources; 256 are the most"),
        ("ab", "no list of names"),
        ([1, 2], "no list of names"),
    ):
        with pytest.raises(ValueError, match=problem):
            check(sources)


def test_an_encoder_without_weights_is_refused_before_it_is_made() -> None:
    settings = ModelSettings(width=4096, encoder="transformer", layers=64)
    with pytest.raises(ValueError, match="lack those of the encoder, a transformer"):
        check_encoder(settings, {"encoder.out.weight": torch.zeros(4, 4)})


def test_too_little_memory_is_no_damage(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 4 bytes")

    monkeypatch.setattr(weight_files, "read_verified_tensors", fail)
    with pytest.raises(ModelDirectoryError, match=r"too little memory for this .*larger"):
        load_model(saved)
