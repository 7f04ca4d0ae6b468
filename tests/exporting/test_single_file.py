"""Files: what is read back gives the model's scores and names every row."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors import safe_open

from kgraft.errors import DataError
from kgraft.exporting.export import export
from kgraft.exporting.selection import merge_prior
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.collection import Collection
from kgraft.model.trained_model import TrainedModel


@pytest.fixture
def names(student: TrainedModel) -> list[str]:
    return student.graph.parts["mine"].entities.names.to_list()


def test_numpy_without_pickle(student, names, check_scores, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    export(student, tmp_path / "v.npz")
    with np.load(tmp_path / "v.npz", allow_pickle=False) as read:
        check_scores(read["entities"], read["relations"])
        assert read["entities.name"].tolist() == names
        assert set(read["entities.source"].tolist()) == {"mine"}
        assert read["relations.name"].tolist() == [f"r{x}" for x in range(10)] * 2
        assert read["relations.inverse"].tolist() == [False] * 10 + [True] * 10
        assert "conj" in json.loads(str(read["about"]))["score"]


def test_numpy_refuses_to_pad_thousands_of_texts_to_one_long_label(
    tiny: Collection, by_size: Callable[..., TrainedModel], tmp_path: Path
) -> None:
    n = 1_300
    mine = tiny.graphs["mine"]
    long = replace(
        mine,
        entities=Vocabulary.of([f"e{x}" for x in range(n)]),
        labels=pl.Series(["x" * 100_000, *["short"] * (n - 1)]),
    )
    model = by_size(long, [1.0] * n, (1, 1))
    with pytest.raises(DataError, match=r"label of entities has 100,000 .* 495 MiB.*\.parquet"):
        export(model, tmp_path / "v.npz")
    assert not list(tmp_path.iterdir())
    export(model, tmp_path / "v.parquet")
    less = replace(long, labels=pl.Series(["x" * 10_000, *["short"] * (n - 1)]))
    export(by_size(less, [1.0] * n, (1, 1)), tmp_path / "v.npz")
    with np.load(tmp_path / "v.npz") as read:
        assert len(read["entities.label"][0]) == 10_000


def test_parquet(student, names, check_scores, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    export(student, tmp_path / "v.parquet")
    read = pl.read_parquet(tmp_path / "v.parquet")
    entities, relations = (read.filter(pl.col("kind") == x) for x in ("entity", "relation"))
    check_scores(entities["vector"].to_numpy(), relations["vector"].to_numpy())
    assert entities["name"].to_list() == names
    assert relations["inverse"].to_list() == [False] * 10 + [True] * 10
    assert "real parts" in pl.read_parquet_metadata(tmp_path / "v.parquet")["layout"]


def test_safetensors(student, names, check_scores, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    export(student, tmp_path / "v.safetensors")
    with safe_open(tmp_path / "v.safetensors", framework="np") as read:
        check_scores(read.get_tensor("entities"), read.get_tensor("relations"))
        about = json.loads(read.get_tensor("entities.json").tobytes())
        assert about["name"] == names
        assert about["label"] == [None] * len(names)
        assert read.metadata()["target"] == "mine"


@pytest.mark.parametrize("ending", [".txt", ".vec", ".txt.gz"])
def test_word2vec_text(student, names, check_scores, tmp_path: Path, ending: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / f"v{ending}"
    export(student, path)
    opened = gzip.open if ending.endswith("gz") else open
    with opened(path, "rt", encoding="utf-8") as file:
        head, *lines = file.read().splitlines()
    plain = merge_prior(student.kge)
    assert head == f"{len(names)} {plain.settings.width}"
    cells = [line.split(" ") for line in lines]
    assert [x[0] for x in cells] == names
    vectors = np.array([x[1:] for x in cells], dtype=np.float32)
    np.testing.assert_array_equal(vectors, plain.entities.numpy())
    relations = np.concatenate(
        [plain.relations.numpy()[student.graph.parts["mine"].relation_rows + x] for x in (0, 10)]
    )
    check_scores(vectors, relations)


def people(tiny: Collection, names: list[str]) -> KnowledgeGraph:
    mine = tiny.graphs["mine"]
    return KnowledgeGraph("mine", Vocabulary.of(names), mine.relations, mine.train)


def test_a_name_is_one_word_of_the_text(tiny, by_size, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    names = ["New York", "a\u00a0b\nc", "Zürich", "http://x/%20", "e"]
    export(by_size(people(tiny, names), [1, 2, 3, 4, 5], [1, 1]), tmp_path / "v.txt")
    lines = (tmp_path / "v.txt").read_text(encoding="utf-8").split("\n")
    words = ["New%20York", "a%C2%A0b%0Ac", "Zürich", "http://x/%20", "e"]
    assert lines == ["5 2", *(f"{word} {x} 0" for x, word in enumerate(words, start=1)), ""]


def test_names_that_become_the_same_word_are_refused(tiny, by_size, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    model = by_size(people(tiny, ["a b", "a%20b", "c", "d", "e"]), [1] * 5, [1, 1])
    with pytest.raises(DataError, match="two rows have the name 'a%20b'"):
        export(model, tmp_path / "v.txt")
    assert list(tmp_path.iterdir()) == []
