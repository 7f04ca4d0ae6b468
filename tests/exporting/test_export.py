"""Where exports go: chosen by name or by the place, whole or not at all, nothing lost."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from polars.exceptions import PolarsError
from safetensors import SafetensorError

from kgraft.errors import DataError, KgraftError
from kgraft.exporting.export import ABOUT, _write, export
from kgraft.exporting.formats import FORMATS, Format, format_of, shown
from kgraft.exporting.selection import Selection, merge_prior
from kgraft.model.trained_model import TrainedModel


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("a/el.npz", "numpy"),
        ("EL.PARQUET", "parquet"),
        ("el.safetensors", "safetensors"),
        ("el.txt", "word2vec"),
        ("el.vec.gz", "word2vec"),
        ("el.usearch", "usearch"),
        ("el.lancedb", "lancedb"),
        ("el.qdrant", "qdrant"),
        ("http://localhost:6333", "qdrant"),
        ("postgresql:///kg", "pgvector"),
        ("hf://me/el", "hub"),
    ],
)
def test_a_place_tells_its_form(place: str, expected: str) -> None:
    assert format_of(place) == expected


def test_a_form_is_chosen_by_name_whatever_the_place_is_called() -> None:
    assert format_of("el.npz", "pykeen") == "pykeen"
    with pytest.raises(DataError, match=r"there is no format 'faiss'. Name one of numpy, parquet"):
        format_of("el", "faiss")
    with pytest.raises(DataError, match=r"el: its ending names no format. Name one of numpy"):
        format_of("el")


def test_an_export_returns_a_summary(student: TrainedModel, tmp_path: Path) -> None:
    done = export(student, tmp_path / "el.npz")
    n = len(student.graph.parts["mine"].entities)
    assert (done.format, done.sources, done.entities) == ("numpy", ("mine",), n)
    assert (done.relations, done.width) == (10, merge_prior(student.kge).settings.width)


def test_a_file_is_replaced_only_if_it_may_be(student: TrainedModel, tmp_path: Path) -> None:
    path = tmp_path / "el.npz"
    path.write_text("mine")
    with pytest.raises(DataError, match=r"el.npz: there is a file already"):
        export(student, path)
    assert path.read_text() == "mine"
    export(student, path, overwrite=True)
    assert path.read_bytes()[:2] == b"PK"
    with pytest.raises(DataError, match="this is a directory"):
        export(student, tmp_path, format="numpy")


def test_a_directory_is_replaced_only_if_an_export_wrote_it(
    student: TrainedModel, tmp_path: Path
) -> None:
    directory = tmp_path / "el.usearch"
    export(student, directory)
    with pytest.raises(DataError, match="there is an export already"):
        export(student, directory)
    export(student, directory, overwrite=True)
    (directory / ABOUT).unlink()
    with pytest.raises(DataError, match="this directory is not an export of kgraft"):
        export(student, directory, overwrite=True)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match="this is a file"):
        export(student, tmp_path / "file", format="usearch", overwrite=True)


@pytest.mark.parametrize("kind", ["to_file", "to_directory"])
def test_nothing_is_left_of_an_export_that_fails(
    student: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def fail(_: object, path: Path) -> None:
        (path / "part" if path.is_dir() else path).write_text("part")
        raise OSError("the disk is full")

    monkeypatch.setitem(FORMATS, "numpy", Format(**{kind: fail}))  # type: ignore[misc]
    with pytest.raises(OSError, match="full"):
        export(student, tmp_path / "el", format="numpy")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_does_not_suit_the_form_is_refused(
    student: TrainedModel, tmp_path: Path
) -> None:
    with pytest.raises(
        DataError, match=r"pgvector is not written to a path. It goes to postgresql"
    ):
        export(student, tmp_path / "el", format="pgvector")
    with pytest.raises(DataError, match=r"qdrant cannot be exported to this address"):
        export(student, "postgresql:///x", format="qdrant")
    with pytest.raises(
        DataError, match=r"numpy cannot be exported to this address. It goes to a path"
    ):
        export(student, "http://x", format="numpy")
    with pytest.raises(DataError, match=r"pykeen takes the whole model. Leave the sources out"):
        export(student, tmp_path / "el", format="pykeen", sources=["mine"])


def test_names_that_two_sources_share_cannot_be_words(
    teacher: TrainedModel, tmp_path: Path
) -> None:
    graph = teacher.graph
    same = {**graph.parts, "cards": graph.parts["atlas"]}
    model = replace(teacher, graph=replace(graph, parts=same))
    with pytest.raises(DataError, match="two rows have the name 'atlas:"):
        export(model, tmp_path / "el.txt")
    assert list(tmp_path.iterdir()) == []
    export(model, tmp_path / "el.txt", sources=["atlas"])


def test_a_missing_extra_is_named(
    student: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lancedb", None)
    with pytest.raises(KgraftError, match=r"pip install 'kgraft\[lancedb\]'"):
        export(student, tmp_path / "el.lancedb")
    assert list(tmp_path.iterdir()) == []


def test_a_password_is_not_shown() -> None:
    assert shown("postgresql://me:secret@host/kg") == "postgresql://me@host/kg"
    assert shown("postgresql://host/kg") == "postgresql://host/kg"
    assert shown("el.npz") == "el.npz"


@pytest.mark.parametrize("to", ["file", "directory"])
@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("lance error: No space left on device"),
        PolarsError("underlying IO error: No space left on device"),
        SafetensorError("I/O error: No space left on device"),
        sqlite3.OperationalError("database or disk is full"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_a_full_disk_is_an_error_of_the_system(tmp_path: Path, error: Exception, to: str) -> None:
    def fill(*_: object) -> None:
        raise error

    form = replace(FORMATS["parquet"], to_file=None, to_directory=None)
    form = replace(form, to_file=fill) if to == "file" else replace(form, to_directory=fill)
    nothing = cast("Selection", None)
    with pytest.raises(OSError, match=r"cannot be written .*Make room on the disk"):
        _write(form, nothing, tmp_path / "a", "parquet", overwrite=False)
    assert not list(tmp_path.iterdir())
