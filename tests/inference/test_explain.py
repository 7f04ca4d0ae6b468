"""Why a fact is plausible: statements, rules, paths, and what is left without them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from kgraft.errors import UnknownNameError
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.inference.explain import Explainer, explain
from kgraft.inference.explanation import Node, WithoutSupport
from kgraft.inference.names import StatedFact, Statement
from kgraft.inference.predict import Predictor, predict
from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.model.calibration import Calibration
from kgraft.model.ensemble import DEFAULT_WEIGHTS
from kgraft.model.ensemble import RULE_SCALE as LEAST
from kgraft.model.evidence import By, Evidence
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.rules.rule_answers import CONFIDENCE_OFFSET, NO_ANSWER_ODDS
from kgraft.rules.rules import rules_from
from kgraft.settings import ModelSettings, RetrainSettings

ANN, BOB, CAY, DAN, EVE, Z = range(6)
LIKES, KNOWS, SEES = range(3)
M = 3
RULES = (
    {"relation": LIKES, "first": LIKES, "second": KNOWS, "confidence": 0.5},
    {"relation": LIKES, "first": LIKES, "answer": DAN, "confidence": 0.25},
)


@pytest.fixture
def model(tiny: Collection) -> TrainedModel:
    """Mine and big together: ann likes bob (both say so) and cay (big), bob knows cay and sees Z
    (big), cay likes dan. The two rules say whom somebody likes. Ann to eve are 1 to 5; Z has no
    vector.
    """
    settings = RetrainSettings(model=ModelSettings(width=2))
    graph = join(list(tiny.graphs.values()), tiny.links)
    entities = torch.tensor([[x, 0.0] for x in (1.0, 2.0, 3.0, 4.0, 5.0)])
    relations = torch.tensor([[x, 0.0] for x in (1.0, 2.0, 3.0, -1.0, -2.0, -3.0)])
    parts = [pl.DataFrame([{"support": 2} | rule]) for rule in RULES]
    # mine's three facts, then big's: ann likes cay, ann likes bob, bob sees Z
    agreement = np.array([1.0, 1.0, 1.0, 0.6, 0.9, 0.5])
    mrr: dict[By, float] = {"rules": 1.0}
    evidence = Evidence(
        rules_from(parts, M), agreement, torch.ones(2 * M, len(DEFAULT_WEIGHTS)), mrr
    )
    kge = KgeModel(settings.model, entities, relations)
    return TrainedModel("student", kge, graph, "mine", settings, evidence=evidence)


def share(own: float, *others: float) -> float:
    """Return the probability of an answer by its confidence and those of the other answers."""
    return (own + CONFIDENCE_OFFSET) / (
        own + sum(others) + CONFIDENCE_OFFSET * (1 + len(others)) + NO_ANSWER_ODDS
    )


def test_a_copy_that_a_rule_infers_too(model: TrainedModel) -> None:
    found = explain(model, "Ann", "likes", "cay")
    assert (found.head, found.relation, found.tail) == ("ann", "likes", "cay")
    assert found.labels == ("Ann", "likes", "Sam")
    copy = Statement("big", "A", "likes", "C", ("Ann", "likes", "Sam"))
    assert (found.copied, found.stated_by) == (True, (copy,))
    # The rules give cay and dan; big's statement counts 0.6.
    either = 1 - (1 - share(0.5, 0.25)) * (1 - 0.6)
    assert (found.by, found.score) == ("rules", pytest.approx(either))
    assert (found.rank, found.candidates, found.probability) == (1, 5, None)
    (rule,) = found.rules
    assert (rule.rule, rule.confidence) == ("likes(X, Y) if likes(X, A) and knows(A, Y)", 0.5)
    assert rule.facts == (
        StatedFact("Ann", "likes", "Bob", ("mine", "big"), ("ann", "likes", "bob")),
        StatedFact("Bob", "knows", "Sam", ("mine",), ("bob", "knows", "cay")),
    )
    assert rule.score_without == pytest.approx(0.6)
    # Mine's own facts are no support by a linked source.
    assert found.supports == (copy, Statement("big", "A", "likes", "B", ("Ann", "likes", "Bob")))
    assert found.without == WithoutSupport(
        "statement", "stated by big", pytest.approx(share(0.5, 0.25)), None, 1
    )


def test_a_rule_that_holds_for_other_reasons_too_stays(model: TrainedModel) -> None:
    # Whoever likes anybody likes dan: ann likes bob, and cay. Without one the rule still holds.
    found = explain(model, "ann", "likes", "dan")
    own = pytest.approx(share(0.25, 0.5))
    assert (found.copied, found.stated_by, found.score) == (False, (), own)
    assert found.rank == 2  # after cay
    (rule,) = found.rules
    assert rule.facts[0].tail in ("Bob", "Sam")
    assert rule.score_without == pytest.approx(0.0)
    assert found.without is not None
    assert (found.without.support, found.without.score) == ("body", own)


def test_all_rules_that_need_a_fact_fall_with_it(model: TrainedModel) -> None:
    # bob knows cay: of a predicted fact that nobody states, both rules need one fact.
    assert model.evidence is not None
    needing = [
        {"relation": KNOWS, "first": KNOWS + M, "support": 2, "confidence": 0.5},
        {"relation": KNOWS, "first": KNOWS + M, "entity": BOB, "answer": BOB, "support": 2,
         "confidence": 0.25},
    ]  # fmt: skip
    rules = rules_from([pl.DataFrame([rule]) for rule in needing], M)
    both = replace(model, evidence=replace(model.evidence, rules=rules))
    found = explain(both, "cay", "knows", "bob")
    assert found.score == pytest.approx(share(1 - 0.5 * 0.75))
    left = [share(0.25), share(0.5)]
    assert [rule.score_without for rule in found.rules] == pytest.approx(left)
    assert found.without == WithoutSupport(
        "body", "knows(Bob, Sam), mine", pytest.approx(0.0), None, 1
    )


def test_both_ways_together(model: TrainedModel) -> None:
    found = explain(model, "ann", "likes", "cay", by="both")
    assert found.score == predict(model, head="ann", relation="likes", by="both")[0].score
    # All weigh 1: what the rule says counts again with the vectors' score of 3.
    left = found.score - np.log(1 + share(0.5, 0.25) / LEAST) * (1 + 0.2 * 3)
    assert found.rules[0].score_without == pytest.approx(left, rel=1e-4)
    assert found.without is not None
    assert (found.without.support, found.without.score) == ("body", pytest.approx(left, rel=1e-4))


def test_vectors_alone_have_no_single_support(model: TrainedModel) -> None:
    for alone in (model, replace(model, evidence=None)):
        found = explain(alone, "ann", "likes", "cay", by="vectors")
        assert (found.by, found.score, found.rules, found.without) == ("vectors", 3.0, (), None)
        # dan and eve score higher, and so does nobody whom mine says she likes
        assert found.rank == 3
        assert found.copied
        assert [x.source for x in found.supports] == ["big"]


def test_paths_and_similar_facts_are_named(model: TrainedModel) -> None:
    found = explain(model, "ann", "likes", "cay")
    assert [[(x.head, x.relation, x.tail) for x in path.facts] for path in found.paths] == [
        [("Ann", "likes", "Bob"), ("Bob", "knows", "Sam")]
    ]
    assert found.paths[0].weight == pytest.approx(1.0)
    assert [x.fact.names for x in found.similar] == [
        ("ann", "likes", "bob"), ("cay", "likes", "dan")
    ]  # fmt: skip


def test_all_entities_are_listed_with_who_has_them(model: TrainedModel) -> None:
    found = explain(model, "ann", "likes", "cay")
    assert found.entities == (
        Node("ann", "Ann", ("mine", "big")),
        Node("cay", "Sam", ("mine", "big")),
        Node("bob", "Bob", ("mine", "big")),
        Node("dan", "Sam", ("mine",)),
    )
    facts = [*(x for rule in found.rules for x in rule.facts), *(x.fact for x in found.similar)]
    facts += [x for path in found.paths for x in path.facts]
    assert {name for x in facts for name in x.names[::2]} <= {x.name for x in found.entities}


def test_a_fact_of_the_target_is_no_copy(model: TrainedModel) -> None:
    found = explain(model, "ann", "likes", "bob")
    assert [x.source for x in found.stated_by] == ["mine", "big"]
    assert (found.copied, [x.source for x in found.supports]) == (False, ["big"])


def test_probabilities_with_and_without(model: TrainedModel) -> None:
    steep = Calibration(((-50.0, -50.0), (50.0, 50.0)))
    found = explain(replace(model, calibration={"rules": steep}), "ann", "likes", "cay")
    assert found.without is not None
    # Of cay with and without big's statement, of dan, hardly of ann and eve; bob is known.
    cay, dan = share(0.5, 0.25), share(0.25, 0.5)
    told = (
        (1 - (1 - cay) * (1 - 0.6), found.probability_if_asked),
        (cay, found.without.probability_if_asked),
    )
    for chance, probability in told:
        chances = np.array([chance, dan, 0.001, 0.001])
        odds = chances / (1 - chances)
        own = odds[0] / odds.sum()
        assert probability == pytest.approx(own / (1 + own), rel=1e-4)


def test_another_source_is_explained_in_its_names(model: TrainedModel) -> None:
    found = explain(model, "A", "likes", "C", source="big")
    assert (found.head, found.copied, found.candidates) == ("A", False, 3)
    assert [x.source for x in found.stated_by] == ["big"]
    assert found.rules[0].facts[0].names == ("A", "likes", "B")
    assert found.rules[0].facts[1].names == ("B", "knows", "C")  # a relation of mine's


def test_all_of_it_is_json(model: TrainedModel) -> None:
    found = asdict(explain(model, "ann", "likes", "cay"))
    assert json.loads(json.dumps(found))["stated_by"][0]["head"] == "A"


def test_one_explainer_explains_many_facts(model: TrainedModel) -> None:
    explainer = Explainer(Predictor(model))
    for tail in ("bob", "cay", "eve"):
        assert explainer.explain("ann", "likes", tail) == explain(model, "ann", "likes", tail)


@pytest.mark.parametrize(
    ("fact", "complaint"),
    [
        (("anne", "likes", "bob"), "'anne'; did you mean 'ann'"),
        (("ann", "like", "bob"), "'like'; did you mean 'likes'"),
        (("ann", "likes", "Sam"), "label of 2 entities"),
    ],
)
def test_names_have_to_be_known(
    model: TrainedModel, fact: tuple[str, str, str], complaint: str
) -> None:
    with pytest.raises(UnknownNameError, match=complaint):
        explain(model, *fact)


def test_what_has_no_vector_cannot_be_explained(model: TrainedModel) -> None:
    with pytest.raises(UnknownNameError, match="no vector for 'Z'"):
        explain(model, "B", "sees", "Z", source="big")


def test_a_lonely_fact_has_nothing_to_explain_it(by_size: Callable[..., Any]) -> None:
    graph = KnowledgeGraph(
        "one", Vocabulary.of(["a", "b", "c"]), Vocabulary.of(["r", "s"]), np.array([[0, 0, 1]])
    )
    found = explain(by_size(graph, [1, 2, 3], [1, 1]), "c", "s", "a")
    assert (found.stated_by, found.supports, found.rules) == ((), (), ())
    assert (found.paths, found.similar, found.without) == ((), (), None)
    assert [x.name for x in found.entities] == ["c", "a"]


def test_a_trained_student_explains_what_it_predicts(student: TrainedModel) -> None:
    part = student.graph.part("mine")
    explainer = Explainer(Predictor(student))
    for head in part.entities.names_of(range(5)):
        best = predict(student, head=head, relation="r1", k=1)[0]
        found = explainer.explain(best.head, best.relation, best.tail)
        assert found.score == pytest.approx(best.score, abs=1e-4)
        assert found.probability == pytest.approx(best.probability, abs=1e-4)
        assert tuple(x.source for x in found.stated_by) == best.stated_by
