"""A prepared directory is read as it was written, or not at all, and only what is asked for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kgraft.errors import DataError
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.io.read_collection import read_collection
from kgraft.pipeline.prepare import prepare
from kgraft.system.files import checksum_of_pieces
from kgraft.system.threads import thread_map

pytest.importorskip("duckdb", reason="duckdb is not installed")


def read_whole(place: Path) -> list[KnowledgeGraph]:
    """Read a prepared collection and each of its sources."""
    return [*read_collection(place).graphs.values()]


def test_a_source_that_nobody_asks_for_is_not_read(tmp_path: Path) -> None:
    prepare("world", tmp_path / "prepared", memory=1 << 29)
    names = [*read_collection(tmp_path / "prepared").graphs]
    asked, *others = names
    for number in range(1, len(names)):
        path = tmp_path / "prepared" / f"{number}-train.npy"
        path.write_bytes(bytes(path.stat().st_size))
    found = read_collection(tmp_path / "prepared")
    assert len(found.graphs[asked].train)
    for name in others:
        with pytest.raises(DataError, match=r"train\.npy: this file was changed"):
            found.graphs[name]


@pytest.mark.parametrize("file", ["0-train.npy", "joint-facts.npy", "0-entities.parquet"])
def test_a_damaged_file_is_refused(tmp_path: Path, file: str) -> None:
    prepare("world", tmp_path / "prepared", memory=1 << 29)
    path = tmp_path / "prepared" / file
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(DataError, match=f"{file}: this file was changed"):
        read_whole(tmp_path / "prepared")
    path.write_bytes(data[:-1])
    with pytest.raises(DataError, match=f"{file}: this file was changed or cut off"):
        read_collection(tmp_path / "prepared")
    path.unlink()
    with pytest.raises(DataError, match=f"{file}: this file is missing"):
        read_collection(tmp_path / "prepared")


def test_a_file_elsewhere_is_refused_unless_that_is_allowed(tmp_path: Path) -> None:
    prepare("world", tmp_path / "prepared", memory=1 << 29)
    path = tmp_path / "prepared" / "0-relations.parquet"
    path.rename(tmp_path / "elsewhere.parquet")
    path.symlink_to(tmp_path / "elsewhere.parquet")
    with pytest.raises(DataError, match=r"0-relations\.parquet: this link leads outside"):
        read_collection(tmp_path / "prepared")
    assert len(read_collection(tmp_path / "prepared", allow_outside=True).graphs) == 3


@pytest.mark.parametrize(
    ("file", "rows"),
    [
        ("0-train.npy", np.array([[0, 0, 1_000_000]])),
        ("0-train.npy", np.array([[0, -1, 0]])),
        ("0-train.npy", np.array([[0.0, 0.0, 0.0]])),
        ("1-valid.npy", np.array([0, 0, 0])),
        ("joint-facts.npy", np.array([[0, 1_000_000, 0]])),
        ("joint-0-entities.npy", np.array([1_000_000])),
        ("joint-sources.npy", np.array([2], dtype=np.int16)),
    ],
)
def test_rows_that_are_not_there_are_refused(
    tmp_path: Path, file: str, rows: NDArray[np.generic]
) -> None:
    prepare("world", tmp_path / "prepared", memory=1 << 29)
    path, manifest = tmp_path / "prepared" / file, tmp_path / "prepared" / "manifest.json"
    np.save(path, rows)
    about = json.loads(manifest.read_text())
    with thread_map() as over_threads:
        about["files"][file] = checksum_of_pieces(path, over_threads)
    manifest.write_text(json.dumps(about, indent=1))
    with pytest.raises(DataError, match=f"do not fit together .{file}"):
        read_whole(tmp_path / "prepared")


def test_another_format_is_refused(tmp_path: Path) -> None:
    prepare("world", tmp_path / "prepared", memory=1 << 29)
    path = tmp_path / "prepared" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 0}, indent=1))
    with pytest.raises(DataError, match="this has format 0"):
        read_collection(tmp_path / "prepared")


def test_a_source_stays_readable_when_its_directory_is_gone(tmp_path: Path) -> None:
    prepare("world", tmp_path / "prepared", memory=1 << 29)
    found = read_collection(tmp_path / "prepared")
    assert len(found.graphs["geonames"].train)
    shutil.rmtree(tmp_path / "prepared")
    assert len(found.graphs["geonames"].train.sum(axis=0)) == 3
