"""A model that knows more than its vectors: its ways to answer, and its directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.known_facts import Side
from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.model.directory import load_model, save_model
from kgraft.model.ensemble import DEFAULT_WEIGHTS, EnsembleScorer, EvidenceScorer
from kgraft.model.evidence import EVIDENCE_METRIC, WAYS, By, Evidence
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.rules.rule_answers import CONFIDENCE_OFFSET, NO_ANSWER_ODDS
from kgraft.rules.rules import SCHEMA, Rules, rules_from
from kgraft.settings import ModelSettings, RetrainSettings

ANN, LIKES, CAY, M = 0, 0, 2, 3
SIDES: tuple[Side, ...] = ("tail", "head")


def some_rules() -> Rules:
    rules = pl.DataFrame(
        [
            {"relation": 0, "first": 0, "second": 1, "support": 3, "confidence": 0.7},
            {"relation": 1, "first": 3, "support": 2, "confidence": 0.1},
        ]
    )
    named = pl.DataFrame(
        {"relation": 4, "first": 0, "entity": 1, "answer": 3, "support": 2, "confidence": 0.3}
    )
    return rules_from([rules, named], M)


def evidence(mrr: Mapping[By, float]) -> Evidence:
    draw = torch.Generator().manual_seed(0)
    mixture = torch.tensor(DEFAULT_WEIGHTS) + torch.rand(
        2 * M, len(DEFAULT_WEIGHTS), generator=draw
    )
    agreement = np.array([1.0, 1.0, 1.0, 1 / 3, 0.6, 0.1])
    return Evidence(some_rules(), agreement, mixture, mrr)


@pytest.fixture
def student(tiny: Collection) -> TrainedModel:
    """Mine and big together, with rules, best by both."""
    settings = RetrainSettings(model=ModelSettings(width=4))
    graph = join(list(tiny.graphs.values()), tiny.links)
    kge = KgeModel.create(settings.model, graph.n_entities, graph.n_relations, seed=1)
    mrr: dict[By, float] = {"vectors": 0.1 + 0.2, "rules": 0.25, "both": 0.5}
    metrics = {"validation_mrr": 0.3, "best_epoch": 1, EVIDENCE_METRIC: mrr}
    return TrainedModel(
        "student", kge, graph, "mine", settings, metrics=metrics, evidence=evidence(mrr)
    )


@pytest.mark.parametrize(
    ("mrr", "best"),
    [
        ({}, "vectors"),
        ({"vectors": 0.5, "rules": 0.25, "both": 0.25}, "vectors"),
        ({"vectors": 0.25, "rules": 0.5, "both": 0.25}, "rules"),
        ({"vectors": 0.25, "rules": 0.5, "both": 0.75}, "both"),
        ({"vectors": 0.5, "rules": 0.5, "both": 0.5}, "vectors"),
        ({"vectors": 0.25, "rules": 0.5, "both": 0.5}, "rules"),
    ],
    ids=str,
)
def test_the_best_way_is_the_simplest_of_the_best(mrr: dict[By, float], best: By) -> None:
    assert evidence(mrr).best == best


def test_a_model_answers_by_what_its_validation_facts_favour(student: TrainedModel) -> None:
    assert student.answers_by == "both"
    assert isinstance(student.scorer(), EnsembleScorer)
    by_rules = replace(student, evidence=evidence({"vectors": 0.25, "rules": 0.5, "both": 0.25}))
    assert by_rules.answers_by == "rules"
    assert isinstance(by_rules.scorer(), EvidenceScorer)
    assert replace(student, evidence=evidence({})).scorer() is student.kge
    assert replace(student, evidence=None).answers_by == "vectors"
    assert replace(student, evidence=None).scorer() is student.kge


def test_a_model_answers_in_the_chosen_way(student: TrainedModel) -> None:
    assert student.scorer("vectors") is student.kge
    asked = torch.tensor([ANN]), torch.tensor([LIKES])
    # A rule says 0.7, and big, with which mine agrees by a third, says so too.
    scores = student.scorer("rules").score(*asked, side="tail", candidates=None)
    by_rule = (0.7 + CONFIDENCE_OFFSET) / (0.7 + CONFIDENCE_OFFSET + NO_ANSWER_ODDS)
    wanted = 1 - (1 - by_rule) * (1 - 1 / 3)
    assert scores.numpy() == pytest.approx(np.array([[0, 0, wanted, 0, 0, 0]]), abs=1e-6)
    both = student.scorer("both").score(*asked, side="tail", candidates=None)
    rest = both - student.kge.score(*asked, side="tail")
    assert rest[0].argmax() == CAY


def test_a_graph_is_answered_by_what_is_asked_for(student: TrainedModel, tiny: Collection) -> None:
    asked = torch.tensor([ANN, 3]), torch.tensor([LIKES, 1])
    for by in WAYS:
        wanted = student.scorer(by).score(*asked, side="tail", candidates=torch.arange(5))
        assert student.scorer_for(tiny, "mine", by).score(*asked, side="tail").equal(wanted)
    by_default = student.scorer_for(tiny, "mine").score(*asked, side="tail")
    assert by_default.equal(student.scorer_for(tiny, "mine", "both").score(*asked, side="tail"))


@pytest.mark.parametrize("by", ["rules", "both"])
def test_without_rules_there_is_nothing_to_answer_by(student: TrainedModel, by: By) -> None:
    with pytest.raises(ValueError, match="this joint has no rules to answer by"):
        replace(student, kind="joint", evidence=None).scorer(by)
    with pytest.raises(ValueError, match="this student has no rules to answer by"):
        replace(student, target=None).scorer(by)


def test_evidence_comes_back_from_a_directory(student: TrainedModel, tmp_path: Path) -> None:
    save_model(student, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert student.evidence is not None
    assert loaded.evidence is not None
    assert loaded.evidence.rules.frame.equals(student.evidence.rules.frame)
    assert dict(loaded.evidence.rules.frame.schema) == SCHEMA
    assert loaded.evidence.rules.n_relations == M
    np.testing.assert_array_equal(loaded.evidence.reliability, student.evidence.reliability)
    assert loaded.evidence.reliability.dtype == np.float64
    assert loaded.evidence.weights.equal(student.evidence.weights)
    assert loaded.evidence.mrr == student.evidence.mrr
    assert loaded.metrics == student.metrics
    assert loaded.answers_by == "both"


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("by", WAYS)
def test_a_loaded_model_answers_the_same(
    student: TrainedModel, tmp_path: Path, by: By, side: Side
) -> None:
    save_model(student, tmp_path / "model")
    asked = torch.arange(6).repeat(M), torch.arange(M).repeat_interleave(6)
    scores = student.scorer(by).score(*asked, side=side, candidates=None)
    assert scores.count_nonzero()
    loaded = load_model(tmp_path / "model").scorer(by)
    assert loaded.score(*asked, side=side, candidates=None).equal(scores)


def test_a_model_without_rules_has_no_file_of_them(student: TrainedModel, tmp_path: Path) -> None:
    save_model(student, tmp_path / "model")
    assert (tmp_path / "model" / "rules.parquet").is_file()
    save_model(replace(student, evidence=None), tmp_path / "model", overwrite=True)
    assert not (tmp_path / "model" / "rules.parquet").exists()
    assert load_model(tmp_path / "model").evidence is None


def test_evidence_without_validation_facts_comes_back(
    student: TrainedModel, tmp_path: Path
) -> None:
    metrics = {**student.metrics, "validation_mrr": None, EVIDENCE_METRIC: {}}
    save_model(replace(student, metrics=metrics, evidence=evidence({})), tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.evidence is not None
    assert (dict(loaded.evidence.mrr), loaded.answers_by) == ({}, "vectors")


@pytest.mark.parametrize("by", ["rules", "both"])
def test_entities_that_came_later_take_no_answers_from_others(
    tiny: Collection, student: TrainedModel, by: By
) -> None:
    mine = tiny.graphs["mine"]
    names = Vocabulary.of([*mine.entities.names, "new"])
    later = KnowledgeGraph("mine", names, mine.relations, mine.train)
    asked = torch.tensor([ANN, CAY]), torch.tensor([LIKES, LIKES])
    for side in SIDES:
        before = student.scorer_for(tiny, "mine", by).score(*asked, side=side)
        scores = student.scorer_for(Collection("c", {"mine": later}), "mine", by).score(
            *asked, side=side
        )
        assert scores[:, :-1].equal(before)
        assert scores[:, -1].tolist() == [-torch.inf] * 2
