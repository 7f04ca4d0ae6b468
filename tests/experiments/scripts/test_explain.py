"""Calibration and explained shares of a tiny student, and what counts as an explanation."""

from __future__ import annotations

import json
from importlib import import_module as script
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.read_collection import read_collection
from kgraft.linking.collection import collect
from kgraft.linking.links import Links
from kgraft.model.directory import save_model
from kgraft.pipeline.pretrain import pretrain
from kgraft.pipeline.retrain import retrain
from kgraft.settings import RetrainSettings, TrainSettings
from kgraft.toml_settings import read_settings
from kgraft_experiments.synthesis.settings import SynthSettings
from kgraft_experiments.synthesis.synthesize import synthesize
from kgraft_experiments.synthesis.write_synthetic import write_synthetic

TINY = {"target.entities": 60, "target.facts": 300, "background.facts": 600}


@pytest.mark.slow
def test_probabilities_and_explanations_are_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "made"
    write_synthetic(synthesize(read_settings(SynthSettings, changes=TINY)), made)
    collection = read_collection(made / "collection.toml")
    few = {"model": {"width": 8}, "training": {"epochs": 2, "negatives": 16}}
    teacher = pretrain(collection, TrainSettings.model_validate(few))
    few["training"]["min_steps"] = 0
    student = retrain(collection, teacher, RetrainSettings.model_validate(few))
    save_model(student, tmp_path / "model")
    out = tmp_path / "explain.json"
    script("explain").main([str(tmp_path / "model"), str(made / "collection.toml"), f"--out={out}"])
    report = json.loads(out.read_text(encoding="utf-8"))
    assert len(report["calibration"]) == 3 * 3 * 3
    assert set(report["calibration_error_by_facts"]) == {"all", "covered", "uncovered"}
    assert report["calibration_error"] == report["calibration_error_by_facts"]["all"]
    assert report["covered"] + report["uncovered"] == len(collection.target_graph.test)
    assert report["covered"] > 0
    assert report["explained_share"] == 1.0
    for row in report["calibration"]:
        assert sum(part["count"] for part in row["reliability"]) == row["candidates"]
    assert "explained share of covered 1.0" in capsys.readouterr().out


def test_a_named_fact_has_to_be_one() -> None:
    explain = script("explain")
    mine, big = (
        KnowledgeGraph(
            name,
            Vocabulary.of([f"{name}:a", f"{name}:b"]),
            Vocabulary.of(["r"]),
            np.array([[0, 0, 1]]),
        )
        for name in ("mine", "big")
    )
    same = Links("mine", "big", np.array([[0, 0], [1, 1]]), np.ones(2, dtype=np.float32))
    checked = explain.Checked(collect([mine, big], [same], target="mine"))

    def named(head: str, source: str, *fact: str) -> bool:
        support = SimpleNamespace(
            source=source, **dict(zip(("head", "relation", "tail"), fact, strict=True))
        )
        found = SimpleNamespace(head=head, relation="r", tail="mine:b", supports=[support])
        return bool(checked.names_fact(found, "mine"))

    assert named("mine:a", "big", "big:a", "r", "big:b")
    assert not named("mine:a", "big", "big:b", "r", "big:b")
    assert not named("mine:a", "mine", "mine:a", "r", "mine:b")
    assert not named("mine:b", "big", "big:b", "r", "big:b")  # nobody states it
