"""A model directory: all comes back, nothing damaged is loaded, nothing is half-written."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from kgraft.errors import ModelDirectoryError
from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.linking.joint_graph import JointGraph
from kgraft.model import directory as model_directory
from kgraft.model.calibration import Calibration
from kgraft.model.directory import FORMAT, MANIFEST, check_free, load_model, save_model
from kgraft.model.evidence import By
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import Kind, TrainedModel
from kgraft.settings import RetrainSettings, TrainSettings

FILES = [
    "README.md",
    "entities.parquet",
    "facts.parquet",
    "manifest.json",
    "metrics.json",
    "relations.parquet",
    "settings.toml",
    "training.jsonl",
    "weights.safetensors",
]


def made(tiny: Collection, kind: Kind = "joint", n_vectors: int = 6) -> TrainedModel:
    settings = RetrainSettings() if kind == "student" else TrainSettings()
    settings = settings.model_copy(update={"model": settings.model.model_copy(update={"width": 6})})
    graph = join([tiny.graphs["mine"], tiny.graphs["big"]], tiny.links)
    return TrainedModel(
        kind,
        KgeModel.create(settings.model, n_vectors, graph.n_relations, seed=3),
        graph,
        None if kind == "teacher" else "mine",
        settings,
        log=[{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.1 + 0.2, "validation_mrr": 0.25}],
        metrics={"best_epoch": 2, "validation_mrr": None},
    )


@pytest.fixture
def model(tiny: Collection) -> TrainedModel:
    return made(tiny)


@pytest.fixture
def saved(model: TrainedModel, tmp_path: Path) -> Path:
    save_model(model, tmp_path / "model")
    return tmp_path / "model"


def assert_same_graph(one: JointGraph, other: JointGraph) -> None:
    assert one.sources == other.sources
    assert (one.n_entities, one.n_relations) == (other.n_entities, other.n_relations)
    np.testing.assert_array_equal(one.triples, other.triples)
    np.testing.assert_array_equal(one.triple_sources, other.triple_sources)
    assert one.triples.dtype == other.triples.dtype
    assert one.triple_sources.dtype == other.triple_sources.dtype
    for source, part in one.parts.items():
        same = other.parts[source]
        assert part.entities == same.entities
        assert part.relations == same.relations
        np.testing.assert_array_equal(part.entity_rows, same.entity_rows)
        np.testing.assert_array_equal(part.relation_rows, same.relation_rows)
        if part.labels is None:
            assert same.labels is None
        else:
            assert same.labels is not None
            assert part.labels.to_list() == same.labels.to_list()


@pytest.mark.parametrize("kind", ["single", "joint", "teacher", "student"])
def test_everything_comes_back(tiny: Collection, tmp_path: Path, kind: Kind) -> None:
    model = made(tiny, kind)
    save_model(model, tmp_path / "deep" / "model")
    loaded = load_model(tmp_path / "deep" / "model")
    assert (loaded.kind, loaded.target, loaded.settings) == (kind, model.target, model.settings)
    assert loaded.log == model.log
    assert loaded.metrics == model.metrics
    assert loaded.kge.tensors().keys() == model.kge.tensors().keys()
    for name, value in model.kge.tensors().items():
        assert loaded.kge.tensors()[name].equal(value)
    assert_same_graph(model.graph, loaded.graph)


def test_calibration_comes_back_and_may_be_missing(tiny: Collection, tmp_path: Path) -> None:
    curves: dict[By, Calibration] = {
        "vectors": Calibration(((-4.5, -3.25), (0.1 + 0.2, 1.0))),
        "both": Calibration(((0.0, 0.5),)),
    }
    model = replace(made(tiny, "student"), calibration=curves)
    save_model(model, tmp_path / "model")
    assert load_model(tmp_path / "model").calibration == curves
    (tmp_path / "model" / "calibration.json").unlink()
    with pytest.raises(ModelDirectoryError, match=r"calibration\.json: this file is missing"):
        load_model(tmp_path / "model")
    # What an earlier kgraft has written has none.
    save_model(made(tiny, "student"), tmp_path / "older")
    assert load_model(tmp_path / "older").calibration == {}


def test_a_loaded_model_answers_as_the_saved_one(
    saved: Path, model: TrainedModel, tiny: Collection
) -> None:
    asked = torch.tensor([0, 1]), torch.tensor([0, 1])
    for side in ("head", "tail"):
        one, other = (
            x.scorer_for(tiny, "mine").score(*asked, side=side) for x in (model, load_model(saved))
        )
        assert one.equal(other)


def test_entities_without_vectors_come_back_too(tiny: Collection, tmp_path: Path) -> None:
    model = made(tiny, "student", n_vectors=5)  # all but Z, which mine does not have
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert (loaded.kge.n_entities, loaded.graph.n_entities) == (5, 6)
    assert loaded.kge.entities.equal(model.kge.entities)
    assert_same_graph(model.graph, loaded.graph)
    for name in ("mine", "big"):
        asked = torch.tensor([1, 2]), torch.tensor([0, 0])
        one, other = (x.scorer_for(tiny, name).score(*asked, side="tail") for x in (model, loaded))
        assert one.equal(other)


@pytest.mark.parametrize("n_vectors", [4, 7])
def test_fewer_vectors_than_the_target_needs_or_more_than_there_are_names_do_not_fit(
    tiny: Collection, tmp_path: Path, n_vectors: int
) -> None:
    save_model(made(tiny, "student", n_vectors=n_vectors), tmp_path / "model")
    with pytest.raises(ModelDirectoryError, match="do not fit together"):
        load_model(tmp_path / "model")


def test_what_is_in_a_directory(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == FILES
    manifest = json.loads((saved / MANIFEST).read_text())
    assert manifest["format"] == FORMAT
    assert sorted([*manifest["files"], MANIFEST]) == FILES
    assert manifest["files"]["README.md"]["bytes"] == (saved / "README.md").stat().st_size


def test_held_out_facts_come_back(model: TrainedModel, tiny: Collection, tmp_path: Path) -> None:
    held_out = model.graph.held_out(tiny.graphs.values())
    assert {name: len(facts) for name, facts in held_out.items()} == {"mine": 5}
    save_model(replace(model, held_out=held_out), tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.held_out["mine"].tolist() == held_out["mine"].tolist()
    assert_same_graph(loaded.graph, model.graph)
    (tmp_path / "model" / "held_out.parquet").unlink()
    with pytest.raises(ModelDirectoryError, match=r"held_out\.parquet: this file is missing"):
        load_model(tmp_path / "model")


def test_other_programs_can_read_it(saved: Path) -> None:
    with safe_open(saved / "weights.safetensors", framework="np") as weights:
        assert weights.get_tensor("entities").shape == (6, 6)
        assert weights.get_tensor("relations").shape == (6, 6)
    names = pl.read_parquet(saved / "entities.parquet")
    assert names.columns == ["source", "name", "label", "row"]
    linked = names.filter(pl.col("row") == 0)
    assert linked.select("source", "name", "label").rows() == [
        ("mine", "ann", "Ann"),
        ("big", "A", None),
    ]
    facts = pl.read_parquet(saved / "facts.parquet")
    assert facts.columns == ["head", "relation", "tail", "source"]
    assert facts["source"].to_list() == ["mine"] * 3 + ["big"] * 3


def test_there_is_no_pickle(
    model: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a pickle")

    for name in ("dump", "dumps", "load", "loads", "Pickler", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    for name in ("save", "load"):
        monkeypatch.setattr(torch, name, refuse)
        monkeypatch.setattr(np, name, refuse)
    save_model(model, tmp_path / "model")
    assert load_model(tmp_path / "model").kind == "joint"


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelDirectoryError, match=r"nowhere: there is no manifest\.json here"):
        load_model(tmp_path / "nowhere")


@pytest.mark.parametrize("name", [name for name in FILES if name != MANIFEST])
def test_a_missing_file_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(ModelDirectoryError, match=f"{name}: this file is missing"):
        load_model(saved)


def _flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("name", [name for name in FILES if name != MANIFEST])
@pytest.mark.parametrize("damage", [_flip, lambda content: content[:-1]], ids=["byte", "cut"])
def test_a_damaged_file_is_named(saved: Path, name: str, damage: Callable[[bytes], bytes]) -> None:
    path = saved / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelDirectoryError, match=f"{name}: this file was changed or cut off"):
        load_model(saved)


def test_a_directory_without_manifest_is_no_model(saved: Path) -> None:
    (saved / MANIFEST).unlink()
    with pytest.raises(ModelDirectoryError, match="Name the directory that train"):
        load_model(saved)


def test_a_cut_off_manifest_is_named(saved: Path) -> None:
    path = saved / MANIFEST
    path.write_text(path.read_text()[:-20])
    with pytest.raises(ModelDirectoryError, match=r"manifest\.json: this cannot be read"):
        load_model(saved)


def _change_manifest(directory: Path, **changes: Any) -> None:
    path = directory / MANIFEST
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: x for name, x in values.items() if x is not None}))


def test_a_newer_format_asks_for_an_upgrade(saved: Path) -> None:
    # Even where the newer manifest says nothing that this version looks for.
    _change_manifest(saved, format=FORMAT + 1, kgraft="9.9", files=None, sources=None)
    with pytest.raises(ModelDirectoryError, match=rf"format {FORMAT + 1}.*9\.9.*Upgrade kgraft"):
        load_model(saved)


def test_an_earlier_format_is_refused(saved: Path) -> None:
    """It may hold the same under other names, and would lose it without a word."""
    _change_manifest(saved, format=FORMAT - 1)
    with pytest.raises(
        ModelDirectoryError, match=rf"format {FORMAT - 1}.*reads format {FORMAT}\. Train the model"
    ):
        load_model(saved)


@pytest.mark.parametrize(
    "changes",
    [
        {"files": None},
        {"entities": 7},
        {"relations": 2},
        {"sources": ["mine"]},
        {"kind": None},
        {"kind": "jount"},
        {"target": "mime"},
    ],
    ids=str,
)
def test_a_manifest_that_does_not_fit_is_an_error(saved: Path, changes: dict[str, Any]) -> None:
    _change_manifest(saved, **changes)
    with pytest.raises(ModelDirectoryError, match="do not fit together"):
        load_model(saved)


@pytest.fixture(scope="module")
def victim(
    tiny: Collection, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainedModel, Path, bytes]:
    """A model, its directory, and its whole manifest."""
    model, directory = made(tiny), tmp_path_factory.mktemp("victim") / "model"
    save_model(model, directory)
    return model, directory, (directory / MANIFEST).read_bytes()


@pytest.mark.slow
@given(data=st.data())
@settings(max_examples=300)
def test_any_damage_to_the_manifest_is_an_error_or_harmless(
    victim: tuple[TrainedModel, Path, bytes], data: st.DataObject
) -> None:
    whole, directory, manifest = victim
    content = bytearray(manifest)
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (directory / MANIFEST).write_bytes(content)
    try:
        loaded = load_model(directory)
    except ModelDirectoryError:
        return
    assert (loaded.kind, loaded.target) == (whole.kind, whole.target)
    assert loaded.kge.entities.equal(whole.kge.entities)
    assert_same_graph(whole.graph, loaded.graph)


def test_an_existing_model_is_kept_unless_overwriting_is_allowed(
    saved: Path, model: TrainedModel
) -> None:
    other = replace(model, metrics={"other": 1})
    with pytest.raises(ModelDirectoryError, match="there is a model already"):
        save_model(other, saved)
    assert load_model(saved).metrics == model.metrics
    (saved / "leftover").write_text("of the old model")
    save_model(other, saved, overwrite=True)
    assert load_model(saved).metrics == {"other": 1}
    assert sorted(path.name for path in saved.iterdir()) == FILES


def test_something_else_is_never_overwritten(tmp_path: Path, model: TrainedModel) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    (tmp_path / "file").write_text("a file")
    for name in ("thesis", "file"):
        with pytest.raises(ModelDirectoryError, match="something else than a model"):
            save_model(model, tmp_path / name, overwrite=True)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"
    assert (tmp_path / "file").read_text() == "a file"


def test_an_empty_directory_is_free(tmp_path: Path, model: TrainedModel) -> None:
    (tmp_path / "empty").mkdir()
    check_free(tmp_path / "empty", overwrite=False)
    save_model(model, tmp_path / "empty")
    assert load_model(tmp_path / "empty").kind == "joint"


@pytest.mark.parametrize("step", ["write_weights", "as_toml", "model_card", "checksum"])
def test_a_save_that_fails_midway_leaves_nothing(
    tmp_path: Path, model: TrainedModel, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(model_directory, step, full)
    with pytest.raises(ModelDirectoryError, match="no space"):
        save_model(model, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_save_that_fails_midway_keeps_the_old_model(
    saved: Path, model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(model_directory, "model_card", full)
        with pytest.raises(ModelDirectoryError, match="no space"):
            save_model(replace(model, metrics={"other": 1}), saved, overwrite=True)
    assert list(saved.parent.iterdir()) == [saved]
    assert load_model(saved).metrics == model.metrics
