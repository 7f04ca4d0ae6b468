"""The model: scores by hand on both sides, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from kgraft.model.kge import KgeModel
from kgraft.settings import ModelSettings

TWO = ModelSettings(width=2)


@pytest.fixture
def model() -> KgeModel:
    """Three entities, two relations with their inverses, one complex number each."""
    entities = torch.tensor([[1.0, 2.0], [0.0, 1.0], [3.0, -1.0]])  # 1 + 2i, i, 3 - i
    relations = torch.tensor([[2.0, 0.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 0.0]])  # 2, 1+i, i, -1
    return KgeModel(TWO, entities, relations)


def test_tails_are_scored_by_the_relation(model: KgeModel) -> None:
    scores = model.score(torch.tensor([0, 2]), torch.tensor([0, 1]), side="tail")
    # (1 + 2i) 2 = 2 + 4i: Re with conj(1 + 2i) = 10, conj(i) = 4, conj(3 - i) = 2
    # (3 - i)(1 + i) = 4 + 2i: 8, 2, 10
    assert scores.tolist() == [[10.0, 4.0, 2.0], [8.0, 2.0, 10.0]]


def test_heads_are_scored_by_the_inverse_relation(model: KgeModel) -> None:
    scores = model.score(torch.tensor([0, 2]), torch.tensor([0, 1]), side="head")
    # (1 + 2i) i = -2 + i: 0, 1, -7; (3 - i)(-1) = -3 + i: -1, 1, -10
    assert scores.tolist() == [[0.0, 1.0, -7.0], [-1.0, 1.0, -10.0]]


def test_a_row_of_an_inverse_asks_the_other_way_round(model: KgeModel) -> None:
    anchors, relations = torch.tensor([0, 2]), torch.tensor([0, 1])
    for side, other in (("tail", "head"), ("head", "tail")):
        turned = model.score(anchors, relations + 2, side=side)
        assert turned.equal(model.score(anchors, relations, side=other))


def test_candidates_are_scored_in_their_order(model: KgeModel) -> None:
    scores = model.score(
        torch.tensor([0]), torch.tensor([0]), side="tail", candidates=torch.tensor([2, 0])
    )
    assert scores.tolist() == [[2.0, 10.0]]


@pytest.mark.parametrize("rows", [[], [1], [0, 1, 2], [1, 2], [2, 1], [1, 1], [0, 2, 1]])
def test_candidates_that_follow_each_other_are_candidates_like_others(
    model: KgeModel, rows: list[int]
) -> None:
    asked, candidates = (torch.tensor([0]), torch.tensor([0])), torch.tensor(rows).long()
    scores = model.score(*asked, side="tail", candidates=candidates)
    assert scores.equal(model.score(*asked, side="tail")[:, candidates])


def test_sizes(model: KgeModel) -> None:
    assert (model.n_entities, model.n_relations, model.n_parameters) == (3, 2, 14)


def test_queries_are_products(model: KgeModel) -> None:
    queries = model.queries(torch.tensor([0, 0]), torch.tensor([1, 3]))
    # (1 + 2i)(1 + i) = -1 + 3i; (1 + 2i)(-1)
    assert queries.tolist() == [[-1.0, 3.0], [-1.0, -2.0]]


def test_create_depends_on_the_seed_alone() -> None:
    settings = ModelSettings(width=50, init_scale=0.5)
    one, same = (KgeModel.create(settings, 200, 3, seed=4) for _ in range(2))
    other = KgeModel.create(settings, 200, 3, seed=5)
    assert one.entities.equal(same.entities)
    assert one.relations.equal(same.relations)
    assert not one.entities.equal(other.entities)
    assert one.relations.shape == (6, 50)
    assert float(one.entities.std()) == pytest.approx(0.5, rel=0.05)


def test_copies_share_nothing(model: KgeModel) -> None:
    copy = KgeModel.create(TWO, 3, 2)
    copy.copy_from(model.tensors())
    assert copy.entities.equal(model.entities)
    assert copy.relations.equal(model.relations)
    copy.entities[0] = 0.0
    assert model.entities[0].tolist() == [1.0, 2.0]


def test_tensors_share_memory_with_the_model(model: KgeModel) -> None:
    model.tensors()["entities"][1] = 7.0
    assert model.entities[1].tolist() == [7.0, 7.0]


@pytest.mark.parametrize(
    ("entities", "relations"), [((3, 4), (4, 2)), ((3, 2), (4, 4)), ((3,), (4, 2))]
)
def test_tables_of_another_width_are_refused(
    entities: tuple[int, ...], relations: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="do not have the width 2"):
        KgeModel(TWO, torch.zeros(entities), torch.zeros(relations))


def test_a_relation_without_an_inverse_is_refused() -> None:
    with pytest.raises(ValueError, match="inverse row"):
        KgeModel(TWO, torch.zeros(3, 2), torch.zeros(5, 2))
