"""A model that faces a graph: in its own names, or through links."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.collection import Collection, collect
from kgraft.linking.join import join
from kgraft.linking.links import Links
from kgraft.model.kge import KgeModel
from kgraft.model.scorer import MappedScorer
from kgraft.model.trained_model import TrainedModel
from kgraft.settings import ModelSettings, TrainSettings


def small_kge() -> KgeModel:
    """Entity ``i`` is the number ``i + 1``, relation ``r`` is ``r + 1``, inverses are negative."""
    entities = torch.tensor([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [4.0, 0.0]])
    relations = torch.tensor([[1.0, 0.0], [2.0, 0.0], [-1.0, 0.0], [-2.0, 0.0]])
    return KgeModel(ModelSettings(width=2), entities, relations)


def ids(*values: int) -> torch.Tensor:
    return torch.tensor(values)


INF = float("inf")


def test_scores_come_in_the_rows_of_the_graph() -> None:
    scorer = MappedScorer(small_kge(), np.array([3, 0, 1]), np.array([1, 0]))
    # Entities are 4, 1, 2 and relations 2, 1.
    assert scorer.score(ids(0, 2), ids(0, 1), side="tail").tolist() == [[32, 8, 16], [8, 2, 4]]
    assert scorer.score(ids(1), ids(0), side="head").tolist() == [[-8, -2, -4]]
    assert scorer.known.tolist() == [True, True, True]


def test_unknown_candidates_come_last() -> None:
    scorer = MappedScorer(small_kge(), np.array([3, -1, 1]), np.array([0]))
    assert scorer.score(ids(2), ids(0), side="tail").tolist() == [[8.0, -INF, 4.0]]
    some = scorer.score(ids(2), ids(0), side="head", candidates=ids(2, 1))
    assert some.tolist() == [[-4.0, -INF]]
    assert scorer.known.tolist() == [True, False, True]


def test_a_query_that_is_not_understood_ties_all_known_candidates() -> None:
    scorer = MappedScorer(small_kge(), np.array([3, -1, 1]), np.array([0, -1]))
    scores = scorer.score(ids(1, 0, 0), ids(0, 1, 0), side="tail")
    assert scores.tolist() == [[0.0, -INF, 0.0], [0.0, -INF, 0.0], [16.0, -INF, 8.0]]


def teacher_of_big(tiny: Collection) -> TrainedModel:
    """A model of big alone: Z, C, B, A are 1, 2, 3, 4; sees is 1, likes is 2."""
    settings = TrainSettings(model=ModelSettings(width=2))
    return TrainedModel("teacher", small_kge(), join([tiny.graphs["big"]]), None, settings)


def test_a_teacher_meets_a_target_through_links(tiny: Collection) -> None:
    scorer = teacher_of_big(tiny).scorer_for(tiny, "mine")
    assert scorer.known.tolist() == [True, True, True, False, False]
    # ann is A = 4, bob is B = 3, cay is C = 2; mine's relation 0, likes, is big's by name.
    scores = scorer.score(ids(0), ids(0), side="tail")
    assert scores.tolist() == [[32.0, 24.0, 16.0, -INF, -INF]]
    # big does not know "knows"
    assert scorer.score(ids(0), ids(1), side="tail").tolist() == [[0.0, 0.0, 0.0, -INF, -INF]]


def test_links_are_followed_by_name_when_the_collection_numbers_a_source_anew(
    tiny: Collection,
) -> None:
    teacher = teacher_of_big(tiny)
    big = tiny.graphs["big"]
    turned = KnowledgeGraph(
        "big", Vocabulary(big.entities.names.reverse()), big.relations, train=np.empty((0, 3))
    )
    pairs = tiny.links[0].pairs * [1, -1] + [0, 3]
    moved = collect([tiny.graphs["mine"], turned], [replace(tiny.links[0], pairs=pairs)])
    queries = ids(0, 1, 2), ids(0, 0, 0)
    expected = teacher.scorer_for(tiny, "mine").score(*queries, side="tail")
    assert teacher.scorer_for(moved, "mine").score(*queries, side="tail").equal(expected)


def test_entities_without_vectors_are_unknown(tiny: Collection) -> None:
    # Of big, the model has vectors of C, B and A, which are mine's cay, bob and ann, not of Z.
    settings = TrainSettings(model=ModelSettings(width=2))
    joint = join([tiny.graphs["mine"], tiny.graphs["big"]], tiny.links)
    entities = torch.tensor([[number, 0.0] for number in (1.0, 2.0, 3.0, 4.0, 5.0)])
    relations = torch.tensor([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]).repeat(2, 1)
    kge = KgeModel(settings.model, entities, relations)
    model = TrainedModel("student", kge, joint, "mine", settings)
    assert model.scorer_for(tiny, "mine").known.all()
    scorer = model.scorer_for(tiny, "big")
    assert scorer.known.tolist() == [False, True, True, True]
    # B sees what? And Z? Sees is 3.
    scores = scorer.score(ids(2, 0), ids(0, 0), side="tail")
    assert scores.tolist() == [[-INF, 18.0, 12.0, 6.0], [-INF, 0.0, 0.0, 0.0]]
    # Who comes by links to an entity without a vector is as unknown as that one.
    other = KnowledgeGraph(
        "other", Vocabulary.of(["z", "a"]), Vocabulary.of(["sees"]), np.array([])
    )
    links = Links("other", "big", np.array([[0, 0], [1, 3]]), np.ones(2, dtype=np.float32))
    through_links = model.scorer_for(collect([other, tiny.graphs["big"]], [links]), "other")
    assert through_links.known.tolist() == [False, True]
    assert through_links.score(ids(1), ids(0), side="tail").tolist() == [[-INF, 3.0]]


def test_a_graph_that_the_model_was_trained_on_is_found_by_names(tiny: Collection) -> None:
    settings = TrainSettings(model=ModelSettings(width=2))
    mine = KnowledgeGraph(
        "mine", Vocabulary.of(["eve", "new", "ann"]), Vocabulary.of(["knows", "new"]), np.array([])
    )
    joint = join([tiny.graphs["mine"], tiny.graphs["big"]], tiny.links)
    kge = KgeModel.create(settings.model, joint.n_entities, joint.n_relations, seed=1)
    model = TrainedModel("joint", kge, joint, "mine", settings)
    scorer = model.scorer_for(Collection("other", {"mine": mine}), "mine")
    scores = scorer.score(ids(2), ids(0), side="tail")[0]
    own = kge.score(ids(0), ids(1), side="tail")[0]
    assert scores.tolist() == [float(own[4]), -INF, float(own[0])]
    assert scorer.score(ids(2), ids(1), side="tail").tolist() == [[0.0, -INF, 0.0]]
