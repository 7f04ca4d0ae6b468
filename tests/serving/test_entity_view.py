"""Entity views, worked out by hand on the five people of ``tiny``."""

from __future__ import annotations

import pytest
import torch

from kgraft.errors import UnknownNameError
from kgraft.inference.names import ModelNames
from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.serving.entity_view import Entity, EntityIndex, Relation, SuggestedQuery
from kgraft.settings import ModelSettings, TrainSettings


@pytest.fixture
def index(tiny: Collection) -> EntityIndex:
    """Mine and big together: Z has a vector, but no name in mine."""
    joint = join(list(tiny.graphs.values()), tiny.links)
    settings = TrainSettings(model=ModelSettings(width=2))
    entities = torch.tensor([[1.0, x] for x in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)])
    kge = KgeModel(settings.model, entities, torch.ones(6, 2))
    return EntityIndex(ModelNames(TrainedModel("joint", kge, joint, "mine", settings)))


def test_facts_of_the_target_come_first_and_each_once(index: EntityIndex) -> None:
    found = index.view("bob", 10)
    facts = [(x.head.name, x.relation.name, x.tail.name, x.stated_by) for x in found.facts]
    assert facts == [
        ("ann", "likes", "bob", ("mine", "big")),
        ("bob", "knows", "cay", ("mine",)),
        ("bob", "sees", "Z", ("big",)),
    ]
    assert found.n_facts == 3
    assert (found.name, found.label) == ("bob", "Bob")
    assert found.names == {"mine": "bob", "big": "B"}


def test_what_only_a_background_has_cannot_be_asked_about(index: EntityIndex) -> None:
    things = {x.tail.name: x.tail for x in index.view("bob", 10).facts}
    assert things["Z"] == Entity("Z", "Z", queryable=False)
    assert things["cay"] == Entity("cay", "Sam", queryable=True)
    with pytest.raises(UnknownNameError):
        index.view("Z", 10)


def test_of_many_facts_some_are_listed_and_all_counted(index: EntityIndex) -> None:
    found = index.view("bob", 2)
    assert len(found.facts) == 2
    assert found.n_facts == 3


def test_questions_are_those_that_similar_entities_answer(index: EntityIndex) -> None:
    found = index.view("eve", 10)
    assert found.facts == ()
    likes, knows = Relation("likes", "likes"), Relation("knows", "knows")
    # cay and bob are liked; ann and cay like another; bob knows cay. sees is none of mine's.
    assert set(found.queries) == {
        SuggestedQuery(likes, "tail", 2),
        SuggestedQuery(likes, "head", 3),
        SuggestedQuery(knows, "tail", 1),
        SuggestedQuery(knows, "head", 1),
    }
    assert found.queries[0] == SuggestedQuery(likes, "head", 3)


def test_examples_have_facts_of_the_most_relations(index: EntityIndex) -> None:
    # bob is liked and knows, cay is known and likes; the others have one relation.
    assert [x.name for x in index.examples()] == ["bob", "cay", "ann", "dan"]


def test_facts_along_one_relation_alone_are_listed(index: EntityIndex) -> None:
    found = index.view("bob", 10, "sees")
    assert [(x.relation.name, x.tail.name) for x in found.facts] == [("sees", "Z")]
    assert found.n_facts == 1
    with pytest.raises(UnknownNameError, match="stated are along knows, likes, sees"):
        index.view("bob", 10, "owns")
    with pytest.raises(UnknownNameError, match="along no relation"):
        index.view("eve", 10, "likes")
