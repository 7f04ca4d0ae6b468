"""Entity typing: the split, and ranks worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import entity_types
import numpy as np
import polars as pl
import pytest
import torch
from entity_types import TypeRanks, frequencies, read_facts, two_sources, with_types

import kgraft


class Flat:
    """A scorer to which all answers are the same."""

    def score(self, anchors: torch.Tensor, *_: Any, candidates: torch.Tensor, **__: Any) -> Any:
        return torch.zeros(len(anchors), len(candidates))


@pytest.fixture
def codex(tmp_path: Path) -> Path:
    (tmp_path / "codex-s").mkdir()
    lines = [f"Q{n}\tP1\tQ{(n + 1) % 100}" for n in range(100)]
    for split, part in (("train", lines[:80]), ("valid", lines[80:90]), ("test", lines[90:])):
        (tmp_path / "codex-s" / f"{split}.txt").write_text("\n".join(part) + "\n")
    types = {f"Q{n}": ["Q5"] if n % 2 else ["Q900", "Q901"] for n in range(100)}
    types["Q9999"] = ["Q902"]  # of another graph
    (tmp_path / "entity2types.json").write_text(json.dumps(types))
    return tmp_path


def test_types_alone_are_held_out_a_tenth_each(codex: Path) -> None:
    graph = with_types(*read_facts(codex, "s"), 0)
    relation = graph.relations.row("type")
    for split in (graph.valid, graph.test):
        assert len(split) == 15
        assert (split[:, 1] == relation).all()
    assert (graph.train[:, 1] == relation).sum() == 120
    assert len(graph.train) == 100 + 120
    assert "Q902" not in graph.entities.names.to_list()
    again = with_types(*read_facts(codex, "s"), 0)
    assert np.array_equal(graph.test, again.test)
    assert not np.array_equal(graph.test, with_types(*read_facts(codex, "s"), 1).test)


def test_a_held_out_type_of_the_target_is_stated_by_neither_source(codex: Path) -> None:
    collection = two_sources(codex, "s", 0)
    target, other = collection.target_graph, collection.graphs["other"]

    def typed(graph: kgraft.KnowledgeGraph, split: str) -> set[str]:
        facts = getattr(graph, split)
        facts = facts[facts[:, 1] == graph.relations.row("type")]
        return {graph.entities.name(x) for x in facts[:, 0].tolist()}

    own = typed(target, "train") | typed(target, "valid") | typed(target, "test")
    assert 45 <= len(own) <= 50  # An entity without another fact is left out.
    assert own.isdisjoint(typed(other, "train"))
    assert len(typed(other, "train")) == 50
    assert 120 <= len(other.train) <= 130  # Half of the facts, and types of 50 entities.
    assert len(collection.links) == 1
    assert len(collection.links[0].pairs) > 50


def test_ranks_are_filtered_without_humans_and_ties_count_half() -> None:
    def typed(*pairs: tuple[str, str]) -> pl.DataFrame:
        rows = [(entity, "type", x) for entity, x in pairs]
        return pl.DataFrame(rows, schema=["head", "relation", "tail"], orient="row")

    graph = kgraft.from_frame(
        "codex",
        typed(*[(f"e{n}", "Q5") for n in range(3)], ("e3", "city"), ("e4", "city"), ("e5", "town"),
              ("e6", "river"), ("e0", "city")),
        test=typed(("e1", "city"), ("e6", "town"), ("e5", "Q5"), ("e3", "river")),
    )  # fmt: skip
    ranks = TypeRanks(graph)
    figures = ranks.figures(frequencies(ranks), "test")
    # Q5 and city 3, town and river 1. city of e1: its Q5 is left out, rank 1. town of e6: its
    # river is left out, behind Q5 and city: 3. river of e3: its city is left out, behind Q5, and
    # ties with town: 2.5.
    assert figures["mrr"] == pytest.approx((1 + 1 / 3 + 1 / 2.5) / 3, abs=1e-4)
    assert figures["macro_mrr"] == figures["mrr"]
    assert figures["hits@1"] == pytest.approx(1 / 3, abs=1e-4)
    assert figures["hits@3"] == 1


@pytest.mark.slow
def test_the_report_has_all_three_systems(
    codex: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pykeen", reason="needs the extra 'pykeen'")
    settings = tmp_path / "settings.toml"
    settings.write_text(
        "[model]\nwidth = 8\n[training]\nepochs = 1\nmin_steps = 0\n[rules]\nlongest = 1\n"
    )
    monkeypatch.setattr(entity_types, "pykeen_curve", lambda *given: [(1.0, given[3](Flat()))])
    out = tmp_path / "typing.json"
    options = [
        "--size",
        "s",
        "--seeds",
        "0",
        "1",
        "--threads",
        "1",
        "--settings",
        str(settings),
        "--out",
        str(out),
    ]
    (codex / "codex-s").rename(codex / "codex-m")
    options[1] = "m"
    entity_types.main([str(codex), *options])
    entity_types.main([str(codex), *options, "--grafted", "1"])
    report = json.loads(out.read_text())
    assert {"mrr", "frequency_mrr", "pykeen_mrr"} <= report.keys()
    splits = report["m"]["splits"]
    assert [x["seed"] for x in splits] == [0, 1]
    assert report["mrr"] == pytest.approx(np.mean([x["kgraft"]["mrr"] for x in splits]), abs=1e-4)
    assert all(x["test_facts_without_human"] <= 15 for x in splits)
    figures = report["m_grafted"]["figures"]
    assert set(figures) == {"alone", "grafted", "frequency", "pykeen"}
    assert all(set(x) >= {"mrr", "macro_mrr", "hits@1", "hits@10"} for x in figures.values())
    assert str(tmp_path) not in out.read_text()
