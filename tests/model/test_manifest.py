"""Files of a model that change or never end: what is loaded is what was verified."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kgraft.errors import ModelDirectoryError
from kgraft.linking.collection import Collection
from kgraft.model import weight_files
from kgraft.model.directory import FILES, load_model, save_model
from kgraft.model.manifest import MANIFEST
from kgraft.model.trained_model import TrainedModel
from kgraft.model.weight_files import WEIGHTS


@pytest.fixture
def saved(tiny: Collection, by_size: Callable[..., TrainedModel], tmp_path: Path) -> Path:
    """The directory of a model of five people."""
    save_model(by_size(tiny.graphs["mine"], range(5), range(2)), tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("name", ["pipe", "/dev/zero", "/proc/kmsg"])
def test_a_manifest_that_never_ends_is_refused(saved: Path, name: str) -> None:
    (saved / MANIFEST).unlink()
    if name == "pipe":
        os.mkfifo(saved / MANIFEST)
    elif os.access(name, os.R_OK):
        (saved / MANIFEST).symlink_to(name)
    else:
        pytest.skip(f"{name} cannot be read here")
    with pytest.raises(ModelDirectoryError, match=r"manifest\.json: this cannot be read"):
        load_model(saved)


def test_a_manifest_that_is_huge_is_refused(saved: Path) -> None:
    with (saved / MANIFEST).open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(ModelDirectoryError, match=r"1,099,511,627,776 bytes; a manifest has"):
        load_model(saved)


@pytest.mark.parametrize("name", [*FILES, WEIGHTS])
def test_a_pipe_in_place_of_a_file_is_refused(saved: Path, name: str) -> None:
    (saved / name).unlink()
    os.mkfifo(saved / name)
    with pytest.raises(ModelDirectoryError, match=f"{name}: this file is missing"):
        load_model(saved)


def test_a_loaded_model_stays_what_it_was_when_its_files_change(saved: Path) -> None:
    loaded = load_model(saved)
    before = {name: x.clone() for name, x in loaded.kge.tensors().items()}
    for path in saved.iterdir():
        # In place: the file stays the same one.
        with path.open("r+b") as file:
            file.write(bytes(path.stat().st_size))
            file.truncate(path.stat().st_size // 2)
    assert all(x.equal(before[name]) for name, x in loaded.kge.tensors().items())


@pytest.mark.parametrize("name", ["entities.parquet", "settings.toml", "weights.safetensors"])
def test_a_file_that_changes_while_it_is_read_is_an_error(
    saved: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    real = weight_files.read_verified_tensors

    def read(path: Path, known: Any, **how: Any) -> Any:
        # All files have been verified; this one is another while its content is taken.
        content = (saved / name).read_bytes()
        (saved / name).write_bytes(bytes([content[0] ^ 1]) + content[1:])
        return real(path, known, **how)

    monkeypatch.setattr(weight_files, "read_verified_tensors", read)
    with pytest.raises(ModelDirectoryError, match=f"{name}: this file was changed or cut off"):
        load_model(saved)


def test_weights_larger_than_the_free_memory_are_refused(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_files, "available", lambda: 100)
    with pytest.raises(ModelDirectoryError, match=r"weights\.safetensors: the weights take .*free"):
        load_model(saved)
