"""A synthetic collection on disk reads back as it was, and is whole or not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from kgraft.errors import DataError
from kgraft.graph.knowledge_graph import SPLITS, KnowledgeGraph
from kgraft.io.read_collection import read_collection
from kgraft.linking.collection import Collection
from kgraft.linking.links import Links
from kgraft.toml_settings import read_settings
from kgraft_experiments.synthesis import write_synthetic as writing
from kgraft_experiments.synthesis.settings import SynthSettings
from kgraft_experiments.synthesis.synthesize import Synthetic, synthesize
from kgraft_experiments.synthesis.write_synthetic import write_synthetic


@pytest.fixture(scope="module")
def synthetic() -> Synthetic:
    changes = {
        "target.entities": 300,
        "target.facts": 1500,
        "background.facts": 4000,
        "background.vocabulary": "private",
        "links.wrong": 0.2,
    }
    return synthesize(read_settings(SynthSettings, changes=changes))


def facts(graph: KnowledgeGraph, split: str) -> list[tuple[str, str, str]]:
    heads, relations, tails = getattr(graph, split).T
    return list(
        zip(
            graph.entities.names_of(heads),
            graph.relations.names_of(relations),
            graph.entities.names_of(tails),
            strict=True,
        )
    )


def linked(links: Links, collection: Collection) -> list[tuple[str, str, float]]:
    left, right = (collection.graphs[name].entities for name in (links.left, links.right))
    names = left.names_of(links.pairs[:, 0]), right.names_of(links.pairs[:, 1])
    return list(zip(*names, links.confidence.tolist(), strict=True))


@pytest.mark.parametrize("written_as", ["parquet", "tsv"])
def test_what_is_written_reads_back(
    synthetic: Synthetic, tmp_path: Path, written_as: Literal["parquet", "tsv"]
) -> None:
    write_synthetic(synthetic, tmp_path / "made", format=written_as)
    made, back = synthetic.collection, read_collection(tmp_path / "made" / "collection.toml")
    assert (back.name, back.target, list(back.graphs)) == (made.name, "target", list(made.graphs))
    for name, graph in made.graphs.items():
        read = back.graphs[name]
        assert all(facts(read, split) == sorted(facts(graph, split)) for split in SPLITS)
        assert set(read.entities.names) == set(graph.entities.names)
        assert read.label(0) == graph.label(graph.entities.row(read.entities.name(0)))
    for one, other in zip(made.links, back.links, strict=True):
        assert linked(one, made) == linked(other, back)


def test_rules_are_written_in_the_targets_names(synthetic: Synthetic, tmp_path: Path) -> None:
    write_synthetic(synthetic, tmp_path / "made")
    rules = json.loads((tmp_path / "made" / "rules.json").read_text())
    target = synthetic.collection.target_graph
    assert [rule["confidence"] for rule in rules] == [x.confidence for x in synthetic.rules]
    for rule in rules:
        for head, relation, tail in [rule["head"], *rule["body"]]:
            assert relation in target.relations
            assert all(end.startswith("?") or end in target.entities for end in (head, tail))


def test_what_is_there_already_is_kept(synthetic: Synthetic, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="there is something here already"):
        write_synthetic(synthetic, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_nothing_is_left_of_a_failed_writing(
    synthetic: Synthetic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(writing, "_write_links", fail)
    with pytest.raises(OSError, match="the disk is full"):
        write_synthetic(synthetic, tmp_path / "made")
    assert list(tmp_path.iterdir()) == []


def test_two_writings_are_alike(synthetic: Synthetic, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_synthetic(synthetic, tmp_path / name, format="tsv")
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert "target-train.tsv" in files
    contents = [[(tmp_path / x / name).read_bytes() for name in files] for x in ("one", "two")]
    assert np.array_equal(contents[0], contents[1])
