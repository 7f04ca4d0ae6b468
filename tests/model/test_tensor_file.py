"""Tensors read from safetensors files: the library's, held in memory, and damage found."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from kgraft.errors import DataError
from kgraft.model.tensor_file import TYPES, read_tensor_file


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a tensor of each type, an empty one, a number, and a text."""
    draw = torch.Generator().manual_seed(0)
    tensors = {
        name: torch.randint(0, 2, (3, 5), generator=draw).to(kind) for name, kind in TYPES.items()
    }
    tensors |= {"empty": torch.empty(0, 4), "number": torch.tensor(2.5)}
    path = tmp_path_factory.mktemp("tensors") / "x.safetensors"
    save_file(tensors, path, metadata={"about": "é"})
    return path


def test_all_is_read_that_the_library_reads(file: Path) -> None:
    expected, found = load_file(file), read_tensor_file(file)
    assert found.tensors.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert found.tensors[name].shape == tensor.shape
        assert found.tensors[name].equal(tensor)
    assert found.metadata == {"about": "é"}
    content = file.read_bytes()
    assert (found.size, found.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_tensors_stay_what_they_were_when_the_file_changes(tmp_path: Path) -> None:
    save_file({"x": torch.ones(100_000)}, tmp_path / "x")
    tensor = read_tensor_file(tmp_path / "x").tensors["x"]
    (tmp_path / "x").write_bytes(bytes(1000))
    assert tensor.equal(torch.ones(100_000))


def _written(header: object, body: bytes, path: Path) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


def _entry(first: object, last: object, shape: object = (1,), kind: str = "F32") -> object:
    return {"dtype": kind, "shape": shape, "data_offsets": [first, last]}


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ({"x": _entry(0, 4)}, b"123"),
        ({"x": _entry(0, 4)}, b"12345"),
        ({"x": _entry(4, 8)}, b"12345678"),
        ({"x": _entry(0, 4), "y": _entry(0, 4)}, b"1234"),
        ({"x": _entry(0, 4, (2,))}, b"1234"),
        ({"x": _entry(0, 4, (-1, -1))}, b"1234"),
        ({"x": _entry(0, 1 << 60, (1 << 58,))}, b"1234"),
        ({"x": _entry(0, 4, (1.0,))}, b"1234"),
        ({"x": _entry(0, 4, kind="F9")}, b"1234"),
        ({"x": 1}, b"1234"),
        ([1], b""),
        (b"{", b""),
    ],
    ids=str,
)
def test_what_is_no_tensor_file_is_refused(tmp_path: Path, header: object, body: bytes) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        read_tensor_file(_written(header, body, tmp_path / "x"))


@pytest.mark.slow
@given(data=st.data())
@settings(max_examples=300)
def test_damage_is_an_error_or_changes_the_digest(file: Path, data: st.DataObject) -> None:
    whole = file.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda x: x != whole[at]))
    damaged = file.with_name("damaged")
    damaged.write_bytes(whole[:at] + bytes([other]) + whole[at + 1 :])
    try:
        found = read_tensor_file(damaged)
    except (ValueError, TypeError, KeyError, AttributeError):
        return
    assert found.sha256 == hashlib.sha256(damaged.read_bytes()).hexdigest()
    assert found.sha256 != hashlib.sha256(whole).hexdigest()


def test_a_pipe_is_refused_without_a_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x")
    with pytest.raises(DataError, match="no regular file"):
        read_tensor_file(tmp_path / "x")
