"""The frequency prior in scores: by hand, on both sides, saved, and left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kgraft.model import kge as kge_module
from kgraft.model.directory import load_model, save_model
from kgraft.model.frequency_prior import FrequencyPrior
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.settings import ModelSettings

ASKED = torch.tensor([0, 2]), torch.tensor([0, 1])


@pytest.fixture
def plain() -> KgeModel:
    entities = torch.tensor([[1.0, 2.0], [0.0, 1.0], [3.0, -1.0]])
    relations = torch.tensor([[2.0, 0.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 0.0]])
    return KgeModel(ModelSettings(width=2), entities, relations)


@pytest.fixture
def model(plain: KgeModel) -> KgeModel:
    """Two numbers of each entity: 1, 0; 0, 2; 4, 1."""
    entities = torch.tensor([[1.0, 0.0], [0.0, 2.0], [4.0, 1.0]])
    relations = torch.tensor([[1.0, 0.0], [0.0, 10.0], [0.5, 0.0], [1.0, 1.0]])
    return plain.with_prior(FrequencyPrior(entities, relations))


def test_the_answers_row_less_the_askeds_times_the_relations(
    plain: KgeModel, model: KgeModel
) -> None:
    added = model.score(*ASKED, side="tail") - plain.score(*ASKED, side="tail")
    # along the first relation, from 1: 1, 0, 4; along the second, from 1: 0, 2, 1 tenfold
    assert added.tolist() == [[0.0, -1.0, 3.0], [-10.0, 10.0, 0.0]]
    added = model.score(*ASKED, side="head") - plain.score(*ASKED, side="head")
    # along the inverse of the first, from 1: halves of 1, 0, 4; of the second, from 5: 1, 2, 5
    assert added.tolist() == [[0.0, -0.5, 1.5], [-4.0, -3.0, 0.0]]


@pytest.mark.parametrize("rows", [[], [2], [1, 2], [2, 0]])
def test_some_candidates_are_columns_of_the_whole(
    model: KgeModel, rows: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates = torch.tensor(rows, dtype=torch.int64)
    whole = model.score(*ASKED, side="tail")
    assert model.score(*ASKED, side="tail", candidates=candidates).equal(whole[:, candidates])
    monkeypatch.setattr(kge_module, "BLOCK_SCORES", 2)
    room = torch.full((2, 3), torch.nan)
    assert model.score(*ASKED, side="tail", out=room).equal(whole)
    assert room.equal(whole)


def test_facts_are_scored_as_their_tails(model: KgeModel) -> None:
    heads, relations = torch.cartesian_prod(torch.arange(3), torch.arange(2)).T
    tails = torch.tensor([0, 1, 2, 2, 1, 0])
    scores = model.score(heads, relations, side="tail").gather(1, tails[:, None])[:, 0]
    assert model.score_facts(heads, relations, tails).equal(scores)


def test_vectors_and_queries_are_as_they_were(plain: KgeModel, model: KgeModel) -> None:
    assert model.vectors().equal(plain.vectors())
    assert model.queries(*ASKED).equal(plain.queries(*ASKED))
    assert model.with_prior(None).score(*ASKED, side="tail").equal(plain.score(*ASKED, side="tail"))
    assert model.n_parameters == plain.n_parameters + 2 * 3 + 2 * 4


def test_tables_of_another_model_are_refused(plain: KgeModel) -> None:
    for entities, relations in (((2, 1), (4, 1)), ((3, 1), (3, 1)), ((3, 1), (4, 2))):
        with pytest.raises(ValueError, match="does not fit the tables"):
            plain.with_prior(FrequencyPrior(torch.zeros(entities), torch.zeros(relations)))


def test_a_saved_model_scores_alike(student: TrainedModel, tmp_path: Path) -> None:
    assert student.kge.prior is not None
    save_model(student, tmp_path / "student")
    loaded = load_model(tmp_path / "student").kge
    assert loaded.prior is not None
    assert loaded.prior.entities.equal(student.kge.prior.entities)
    assert loaded.score(*ASKED, side="tail").equal(student.kge.score(*ASKED, side="tail"))


def test_a_mixture_weighs_it_itself(student: TrainedModel) -> None:
    other = replace(student, kge=student.kge.with_prior(None))
    one, two = (x.scorer("both").score(*ASKED, side="tail") for x in (student, other))
    assert one.equal(two)
    one, two = (x.scorer("vectors").score(*ASKED, side="tail") for x in (student, other))
    assert not one.equal(two)
