"""What is around an entity, worked out by hand on the five people of ``tiny``."""

from __future__ import annotations

import pytest
import torch

from kgraft.errors import UnknownNameError
from kgraft.inference.names import ModelNames
from kgraft.linking.collection import Collection
from kgraft.linking.joint_graph import join
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.serving.entity_view import Neighbourhood, Question, Thing, Verb
from kgraft.settings import ModelSettings, TrainSettings


@pytest.fixture
def around(tiny: Collection) -> Neighbourhood:
    """Mine and big together: Z has a vector, but no name in mine."""
    joint = join(list(tiny.graphs.values()), tiny.links)
    settings = TrainSettings(model=ModelSettings(width=2))
    entities = torch.tensor([[1.0, x] for x in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)])
    kge = KgeModel(settings.model, entities, torch.ones(6, 2))
    return Neighbourhood(ModelNames(TrainedModel("joint", kge, joint, "mine", settings)))


def test_facts_of_the_target_come_first_and_each_once(around: Neighbourhood) -> None:
    found = around.around("bob", 10)
    facts = [(x.head.name, x.relation.name, x.tail.name, x.stated_by) for x in found.facts]
    assert facts == [
        ("ann", "likes", "bob", ("mine", "big")),
        ("bob", "knows", "cay", ("mine",)),
        ("bob", "sees", "Z", ("big",)),
    ]
    assert found.n_facts == 3
    assert (found.name, found.label) == ("bob", "Bob")
    assert found.named_by == {"mine": "bob", "big": "B"}


def test_what_only_a_background_has_cannot_be_asked_about(around: Neighbourhood) -> None:
    things = {x.tail.name: x.tail for x in around.around("bob", 10).facts}
    assert things["Z"] == Thing("Z", "Z", askable=False)
    assert things["cay"] == Thing("cay", "Sam", askable=True)
    with pytest.raises(UnknownNameError):
        around.around("Z", 10)


def test_of_many_facts_some_are_listed_and_all_counted(around: Neighbourhood) -> None:
    found = around.around("bob", 2)
    assert len(found.facts) == 2
    assert found.n_facts == 3


def test_questions_are_those_that_similar_entities_answer(around: Neighbourhood) -> None:
    found = around.around("eve", 10)
    assert found.facts == ()
    likes, knows = Verb("likes", "likes"), Verb("knows", "knows")
    # cay and bob are liked; ann and cay like somebody; bob knows cay. sees is none of mine's.
    assert set(found.questions) == {
        Question(likes, "tail", 2),
        Question(likes, "head", 3),
        Question(knows, "tail", 1),
        Question(knows, "head", 1),
    }
    assert found.questions[0] == Question(likes, "head", 3)


def test_examples_have_facts_of_the_most_relations(around: Neighbourhood) -> None:
    # bob is liked and knows, cay is known and likes; the others have one relation.
    assert [x.name for x in around.examples()] == ["bob", "cay", "ann", "dan"]
