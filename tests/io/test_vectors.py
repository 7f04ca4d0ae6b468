"""Vectors of other tools: every format gives the same, and bad input an error that says where."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from kgraft.errors import DataError
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io import vectors, word_vectors
from kgraft.io.vectors import read_vectors

NAMES = ["http://x/Ann", "Bob Bee", "日本", "d"]
ROWS = np.array([[1, 2.5, -3e-2], [0, 0, 1], [4, 5, 6], [-1, -2, -3]], dtype=np.float32)

Written = tuple[Path, Path | None]


def _lines(header: bool) -> str:
    lines = [
        " ".join([name, *map(str, row.tolist())]) for name, row in zip(NAMES, ROWS, strict=True)
    ]
    return "\n".join([*(["4 3"] if header else []), *lines]) + "\n"


def _word2vec(place: Path) -> Written:
    (place / "v.vec").write_text(_lines(header=True))
    return place / "v.vec", None


def _glove(place: Path) -> Written:
    (place / "v.txt.gz").write_bytes(gzip.compress(_lines(header=False).encode()))
    return place / "v.txt.gz", None


def _names(place: Path) -> Path:
    (place / "names.txt").write_text("\n".join(NAMES) + "\n")
    return place / "names.txt"


def _npy(place: Path) -> Written:
    np.save(place / "v.npy", ROWS.astype(np.float64))
    return place / "v.npy", _names(place)


def _lists(place: Path) -> Written:
    frame = pl.DataFrame({"text": ["x"] * 4, "entity": NAMES, "vector": ROWS.tolist()})
    frame.write_parquet(place / "v.parquet")
    return place / "v.parquet", None


def _columns(place: Path) -> Written:
    numbers = {f"dim{i}": ROWS[:, i] for i in range(3)}
    pl.DataFrame({"entity": NAMES, **numbers}).write_parquet(place / "v.parquet")
    return place / "v.parquet", None


def _safetensors(place: Path) -> Written:
    save_file({"bias": np.zeros(4), "emb": ROWS.astype(np.float16)}, place / "v.safetensors")
    return place / "v.safetensors", _names(place)


def _pbg(place: Path) -> Written:
    """Two partitions, and an older version that does not count."""
    for part, rows in enumerate((ROWS[:1], ROWS[1:])):
        for version, found in ((4, rows + 1), (10, rows)):
            with h5py.File(place / f"embeddings_all_{part}.v{version}.h5", "w") as file:
                file["embeddings"] = found
    for part, names in enumerate((NAMES[:1], NAMES[1:])):
        (place / f"entity_names_all_{part}.json").write_text(json.dumps(names))
    return place, None


FORMATS = [_word2vec, _glove, _npy, _lists, _columns, _safetensors, _pbg]


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_the_same_names_and_numbers_in_slices_too(
    form: Callable[[Path], Written], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "SLICE", 3)
    monkeypatch.setattr(word_vectors, "LINES", 3)
    path, names = form(tmp_path)
    found = read_vectors(path, names)
    assert found.names.names.to_list() == NAMES
    assert found.rows.dtype == np.float32
    assert np.allclose(found.rows, ROWS, rtol=1e-3)
    some = read_vectors(path, names, only=Vocabulary.of(["d", "other", "Bob Bee"]))
    assert some.names.names.to_list() == ["Bob Bee", "d"]
    assert np.allclose(some.rows, ROWS[[1, 3]], rtol=1e-3)


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    for text in ("a 1 2\nb 3 4\n", "2 2\na 1 2\nb 3 4\n"):
        path = tmp_path / "marked.txt"
        path.write_text(text, encoding="utf-8-sig")
        found = read_vectors(path)
        assert found.names.names.to_list() == ["a", "b"]
        assert found.rows.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a 1 2\nb 1 2 3\nc 4 nan\n", "line 3: the vector of 'c' has a number that is not finite"),
        ("a 1 2\nb 1\n", "line 2: it has 1 numbers behind a name, not 2"),
        ("a 1 2\nb 1 x\n", "line 2: 'x' is no number"),
        ("a 1 2\n\nb 1 2\na 3 4\n", "1 name are repeated, such as 'a'"),
        ("3 2\na 1 2\nb 1 2\n", "line 1: the first line counts 3 vectors, and 2 follow"),
        ("", "this is no name with numbers"),
        ("word\n", "line 1: this is no name with numbers"),
        (b"a 1 2\n\xff 1 2\n", "line 2: the name is not UTF-8"),
    ],
)
def test_a_bad_line_is_named(text: str | bytes, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "v.vec"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=re.escape(expected).replace("1\\ name\\ are", "1 name.*")):
        read_vectors(path)


def _cut(place: Path) -> Written:
    path, names = _npy(place)
    path.write_bytes(path.read_bytes()[:-20])
    return path, names


def _fewer_names(place: Path) -> Written:
    path, _ = _npy(place)
    (place / "few.txt").write_text("a\nb\n")
    return path, place / "few.txt"


def _one_vector(place: Path) -> Written:
    np.save(place / "v.npy", ROWS[0])
    return place / "v.npy", _names(place)


def _no_names(place: Path) -> Written:
    return _npy(place)[0], None


def _objects(place: Path) -> Written:
    np.save(place / "v.npy", np.array([[{}]], dtype=object))
    return place / "v.npy", _names(place)


def _unequal(place: Path) -> Written:
    lists = [[1.0, 2.0], [3.0, 4.0], [5.0], [6.0, 7.0]]
    pl.DataFrame({"entity": NAMES, "vector": lists}).write_parquet(place / "v.parquet")
    return place / "v.parquet", None


def _empty_name(place: Path) -> Written:
    names = [*NAMES[:3], None]
    frame = pl.DataFrame({"entity": names, "vector": ROWS.tolist()})
    frame.write_parquet(place / "v.parquet")
    return place / "v.parquet", None


def _only_text(place: Path) -> Written:
    pl.DataFrame({"entity": NAMES}).write_parquet(place / "v.parquet")
    return place / "v.parquet", None


def _two_matrices(place: Path) -> Written:
    save_file({"a": ROWS, "b": ROWS}, place / "v.safetensors")
    return place / "v.safetensors", _names(place)


def _not_finite(place: Path) -> Written:
    np.save(place / "v.npy", np.where(ROWS == 5, np.inf, ROWS))
    return place / "v.npy", _names(place)


def _pbg_without_names(place: Path) -> Written:
    path, _ = _pbg(place)
    (place / "entity_names_all_1.json").unlink()
    return path, None


def _npy_of(header: bytes | None) -> Callable[[Path], Written]:
    """Return a writer of a file with another header, None for an empty file."""

    def make(place: Path) -> Written:
        path, names = _npy(place)
        whole = path.read_bytes()
        path.write_bytes(b"" if header is None else whole[:10] + header.ljust(118) + whole[128:])
        return path, names

    return make


def _pbg_damaged(signature: bytes) -> Callable[[Path], Written]:
    """Return a writer of a checkpoint in which a part of HDF5's structure is damaged."""

    def make(place: Path) -> Written:
        path, _ = _pbg(place)
        file = place / "embeddings_all_0.v10.h5"
        assert signature in file.read_bytes()
        file.write_bytes(file.read_bytes().replace(signature, b"xxxx"))
        return path, None

    return make


def _pbg_elsewhere(way: str) -> Callable[[Path], Written]:
    """Return a writer of a checkpoint whose vectors are in another file, or are no data set."""

    def make(place: Path) -> Written:
        shape, other = ROWS.shape, place.parent / f"{way}.h5"
        with h5py.File(other, "w") as file:
            file["embeddings"] = ROWS.astype("<f4")
        with h5py.File(place / "embeddings_all_0.v1.h5", "w") as file:
            if way == "linked":
                file["embeddings"] = h5py.ExternalLink(str(other), "embeddings")
            elif way == "softly":
                file["other"] = h5py.ExternalLink(str(other), "embeddings")
                file["embeddings"] = h5py.SoftLink("/other")
            elif way == "virtual":
                layout = h5py.VirtualLayout(shape, "<f4")
                layout[:] = h5py.VirtualSource(other, "embeddings", shape)
                file.create_virtual_dataset("embeddings", layout)
            elif way == "external":
                raw = [(str(other), 0, ROWS.size * 4)]
                file.create_dataset("embeddings", shape, "<f4", external=raw)
            else:
                file.create_group("embeddings")
        (place / "entity_names_all_0.json").write_text(json.dumps(NAMES))
        return place, None

    return make


@pytest.mark.parametrize("way", ["linked", "softly", "virtual", "external", "group"])
def test_vectors_are_read_from_the_file_itself(way: str, tmp_path: Path) -> None:
    (tmp_path / "pbg").mkdir()
    path, _ = _pbg_elsewhere(way)(tmp_path / "pbg")
    with pytest.raises(DataError, match=r"no data set called embeddings of its own"):
        read_vectors(path)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (_cut, "cannot be read"),
        (_fewer_names, "2 names for 4 vectors. Give one name for each row of v.npy"),
        (_one_vector, r"its shape is \(3,\)"),
        (_no_names, "holds no names. Give a list of them by --names"),
        (_objects, "cannot be read"),
        (_unequal, "row 3 has 1 numbers, where others have 2"),
        (_empty_name, "row 4 lacks a name or numbers"),
        (_only_text, "columns entity are not one of names"),
        (_two_matrices, "the matrices are a, b. Name one by --tensor"),
        (_not_finite, "the vector of '日本' has a number that is not finite"),
        (_pbg_without_names, "names of the entities cannot be read"),
        (_npy_of(None), "v.npy: the vectors cannot be read"),
        (_npy_of(b"{'descr': ("), "v.npy: the vectors cannot be read"),
        (_npy_of(b"{'descr': '<f4', 'shape': (9"), "v.npy: the vectors cannot be read"),
        (_pbg_damaged(b"HEAP"), "v10.h5: the vectors cannot be read"),
        (_pbg_damaged(b"SNOD"), "v10.h5: the vectors cannot be read"),
        (_pbg_damaged(b"TREE"), "v10.h5: the vectors cannot be read"),
    ],
)
def test_what_cannot_be_used_is_an_error_with_the_remedy(
    made: Callable[[Path], Written], expected: str, tmp_path: Path
) -> None:
    path, names = made(tmp_path)
    with pytest.raises(DataError, match=expected):
        read_vectors(path, names)


def test_names_that_match_none_are_shown_with_an_example_of_each_side(tmp_path: Path) -> None:
    path, _ = _word2vec(tmp_path)
    with pytest.raises(DataError, match=r"none of its names, such as 'http://x/Ann', .* 'Q1'"):
        read_vectors(path, only=Vocabulary.of(["Q1", "Q2"]))


def test_the_tensor_is_chosen_by_name(tmp_path: Path) -> None:
    path, names = _two_matrices(tmp_path)
    assert np.array_equal(read_vectors(path, names, tensor="b").rows, ROWS)


def test_pykeens_pickle_is_not_opened_and_its_names_are_read(tmp_path: Path) -> None:
    from pykeen.triples import TriplesFactory

    facts = np.array([["b", "r", "a"], ["b", "s", "ä ö"], ["c", "r", "ä ö"]])
    TriplesFactory.from_labeled_triples(facts).to_path_binary(tmp_path / "training_triples")
    (tmp_path / "trained_model.pkl").write_bytes(b"anything")
    with pytest.raises(DataError, match=r"may run any code\. Save its vectors .*entity_to_id"):
        read_vectors(tmp_path)
    np.save(tmp_path / "v.npy", ROWS + 1j * ROWS[::-1])
    found = read_vectors(tmp_path / "v.npy", tmp_path / "training_triples/entity_to_id.tsv.gz")
    assert found.names.names.to_list() == ["a", "b", "c", "ä ö"]
    assert np.array_equal(found.rows, np.concatenate([ROWS, ROWS[::-1]], axis=1))
