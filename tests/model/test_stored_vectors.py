"""Vectors that stay in their files: the same numbers, by the rows that are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kgraft.errors import ModelDirectoryError
from kgraft.linking.collection import Collection
from kgraft.model import stored_vectors, weight_files
from kgraft.model.directory import load_model, save_model
from kgraft.model.kge import KgeModel
from kgraft.model.manifest import read_manifest
from kgraft.model.stored_vectors import StoredKge, StoredRows
from kgraft.model.tensor_file import read_tensor_file
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.inputs import fingerprint_of_inputs
from kgraft.pipeline.retrain import retrain
from kgraft.settings import ModelSettings, RetrainSettings

SIZE, WIDTH = 100, 6


def _written(directory: Path, shard_bytes: int, tables: str = "float32") -> KgeModel:
    """Write random vectors, in files of that many bytes of them."""
    kge = KgeModel.create(ModelSettings(width=WIDTH, tables=tables), SIZE, 3, seed=1)  # type: ignore[arg-type]
    weight_files.write_weights(kge.tensors(), directory, shard_bytes)
    return kge


def _stored(directory: Path) -> StoredRows:
    paths = sorted(directory.glob("*.safetensors"))
    files = [read_tensor_file(x, leave=lambda name: name.startswith("entities")) for x in paths]
    return StoredRows([part for x in files for part in x.stored.values()])


@pytest.mark.parametrize(("shard_bytes", "n_files"), [(1 << 20, 1), (30 * WIDTH * 4, 4), (1, SIZE)])
def test_rows_are_those_of_the_table(tmp_path: Path, shard_bytes: int, n_files: int) -> None:
    kge = _written(tmp_path, shard_bytes)
    assert len(list(tmp_path.glob("*.safetensors"))) == n_files
    assert (tmp_path / weight_files.INDEX).exists() == (n_files > 1)
    stored = _stored(tmp_path)
    assert stored.shape == (SIZE, WIDTH)
    assert stored.whole().equal(kge.entities)

    @given(st.lists(st.integers(0, SIZE - 1)), st.integers(1, 400), st.integers(1, 400))
    def check(rows: list[int], gap: int, block: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stored_vectors, "GAP_BYTES", gap)
            patch.setattr(stored_vectors, "BLOCK_BYTES", block)
            asked = np.array(rows, dtype=np.int64)
            assert stored.rows(asked).equal(kge.entities[rows])
            assert stored.whole().equal(kge.entities)

    check()
    for outside in (-1, SIZE):
        with pytest.raises(IndexError, match="outside 0 to 99"):
            stored.rows(np.array([3, outside]))


def test_narrow_rows_stay_narrow(tmp_path: Path) -> None:
    kge = _written(tmp_path, 300, "bfloat16")
    assert _stored(tmp_path).rows(np.array([5, 2])).equal(kge.entities[[5, 2]])


@pytest.mark.parametrize("shard_bytes", [1 << 20, 500])
def test_a_model_is_the_same_in_memory_and_in_its_files(
    teacher: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shard_bytes: int
) -> None:
    monkeypatch.setattr(weight_files.write_weights, "__defaults__", (shard_bytes,))
    save_model(teacher, tmp_path / "model")
    names = weight_files.weight_files(read_manifest(tmp_path / "model")["files"])
    assert (names == [weight_files.WEIGHTS]) == (shard_bytes > 500)
    read, lazy = (load_model(tmp_path / "model", lazy=lazy) for lazy in (False, True))
    assert isinstance(lazy.kge, StoredKge)
    assert not isinstance(read.kge, StoredKge)
    rows = np.array([4, 0, 4, 9])
    assert lazy.kge.entity_rows(rows).equal(teacher.kge.entities[torch.from_numpy(rows)])
    assert lazy.kge.n_parameters == read.kge.n_parameters == teacher.kge.n_parameters
    prints = {
        str(fingerprint_of_inputs("", x.settings, [], [], [x])) for x in (teacher, read, lazy)
    }
    assert len(prints) == 1
    assert "entities" not in vars(lazy.kge)
    for name, value in teacher.kge.tensors().items():
        assert lazy.kge.tensors()[name].equal(value)
        assert read.kge.tensors()[name].equal(value)


def test_retraining_reads_linked_rows_alone(
    generated: Collection, teacher: TrainedModel, fast_student: RetrainSettings, tmp_path: Path
) -> None:
    save_model(teacher, tmp_path / "teacher")
    lazy = load_model(tmp_path / "teacher", lazy=True)
    one = retrain(generated, lazy, fast_student)
    assert "entities" not in vars(lazy.kge)
    assert one.kge.entities.equal(retrain(generated, teacher, fast_student).kge.entities)


def test_files_that_change_are_not_read(
    tiny: Collection, by_size: Callable[..., TrainedModel], tmp_path: Path
) -> None:
    save_model(by_size(tiny.graphs["mine"], range(5), range(2)), tmp_path / "model")
    path = tmp_path / "model" / weight_files.WEIGHTS
    replaced, changed, cut = (load_model(tmp_path / "model", lazy=True).kge for _ in range(3))
    whole = path.read_bytes()
    path.rename(tmp_path / "old")
    path.write_bytes(bytes(len(whole)))
    assert replaced.entity_rows(np.arange(5)).any()  # The file that was verified.
    (tmp_path / "old").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ModelDirectoryError, match="was changed since it was opened"):
        changed.entity_rows(np.arange(5))
    (tmp_path / "old").write_bytes(whole[:100])
    with pytest.raises(ModelDirectoryError, match="Copy or train the model again"):
        cut.entity_rows(np.arange(5))
    with pytest.raises(ModelDirectoryError, match="changed or cut off"):
        load_model(tmp_path / "model", lazy=True)


def test_a_missing_shard_is_named(
    teacher: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_files.write_weights, "__defaults__", (500,))
    save_model(teacher, tmp_path / "model")
    (lost, *_) = sorted((tmp_path / "model").glob("weights-*"))
    lost.unlink()
    with pytest.raises(ModelDirectoryError, match=f"{lost.name}: this file is missing"):
        load_model(tmp_path / "model")


def test_numbers_that_are_not_finite_are_found_in_any_file(
    teacher: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_files.write_weights, "__defaults__", (500,))
    kge = teacher.kge
    kge = KgeModel(kge.settings, kge.entities.clone(), kge.relations, kge.encoder)
    kge.entities[-1, -1] = torch.nan
    save_model(replace(teacher, kge=kge), tmp_path / "model")
    for lazy in (False, True):
        with pytest.raises(ModelDirectoryError, match="no finite numbers"):
            load_model(tmp_path / "model", lazy=lazy)
