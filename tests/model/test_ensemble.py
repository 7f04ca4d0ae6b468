"""Answers by rules and statements, and mixed with vectors."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

from kgraft.graph.grouped_index import Ints
from kgraft.graph.known_facts import Side
from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.linking.joint_graph import JointGraph
from kgraft.model.ensemble import (
    DEFAULT_WEIGHTS,
    RULE_SCALE,
    EnsembleScorer,
    EvidenceScorer,
    Features,
    ensemble_scores,
    evidence_probability,
)
from kgraft.model.kge import KgeModel
from kgraft.rules.evidence_index import EvidenceIndex
from kgraft.rules.rule_answers import QueryAnswers
from kgraft.rules.rules import Rules, rules_from
from kgraft.settings import ModelSettings

ANN, BOB, CAY, DAN, EVE, Z = range(6)
LIKES, KNOWS, SEES = range(3)
M = 3
SIDES: tuple[Side, ...] = ("tail", "head")


def rules_of(*rules: dict[str, Any]) -> Rules:
    return rules_from([pl.DataFrame([{"support": 2} | rule]) for rule in rules], M)


RULES = rules_of(
    {"relation": LIKES, "first": LIKES, "second": KNOWS, "confidence": 0.5},
    {"relation": LIKES, "first": LIKES, "answer": DAN, "confidence": 0.25},
)


@pytest.fixture
def graph(tiny: Collection) -> JointGraph:
    """Ann likes bob, bob knows cay, cay likes dan; another says ann likes cay, bob sees cay.

    It says too that bob sees Z, which is none of mine's entities.
    """
    joint = join(list(tiny.graphs.values()), tiny.links)
    return replace(
        joint,
        triples=np.concatenate([joint.triples, [[BOB, SEES, CAY]]]),
        triple_sources=np.append(joint.triple_sources, np.int16(1)),
    )


@pytest.fixture
def rules(graph: JointGraph) -> EvidenceScorer:
    # ann likes cay with a probability of 0.75, bob sees cay with one of 0.125
    agreement = np.array([1.0, 1.0, 1.0, 0.75, 1.0, 0.5, 0.125])
    return EvidenceScorer(EvidenceIndex(graph, "mine", RULES, agreement), graph.n_entities, M)


@pytest.fixture
def kge() -> KgeModel:
    """Ann to eve are 1 to 5, Z is 9; likes is 1, knows 2, sees 3, inverses are negative."""
    entities, relations = (
        torch.tensor([[number, 0.0] for number in numbers])
        for numbers in ([1.0, 2.0, 3.0, 4.0, 5.0, 9.0], [1.0, 2.0, 3.0, -1.0, -2.0, -3.0])
    )
    return KgeModel(ModelSettings(width=2), entities, relations)


def ids(*values: int) -> Tensor:
    return torch.tensor(values)


def weights(*one: float) -> Tensor:
    return torch.tensor(one).repeat(2 * M, 1)


def probabilities(*confidences: float) -> list[float]:
    """Return the probabilities of the answers of rules to one query."""
    odds = [0.01 + x for x in confidences]
    return [x / (sum(odds) + 0.3) for x in odds]


(BY_RULE, TOO), (ALONE,) = probabilities(0.5, 0.25), probabilities(0.25)
BY_BOTH = 1 - (1 - BY_RULE) * (1 - 0.75)

# ann and cay like dan because they like anything; ann likes cay by a rule and by a statement
BY_RULES = [
    [0.0, 0.0, BY_BOTH, TOO, 0.0, 0.0],
    [0.0, 0.0, 0.0, ALONE, 0.0, 0.0],
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
]


def test_mixed_by_hand() -> None:
    features = Features(
        vectors=torch.tensor([[2.0, -1.0], [2.0, 0.0]]),
        inferred=torch.tensor([[0.5, 1.0], [0.0, 3.0]]),
        stated=torch.tensor([[1.0, 0.0], [0.0, 0.0]]),
        reliability=torch.tensor([[-2.0, 0.0], [0.0, 0.0]]),
        unstated=torch.tensor([[0.25], [1.0]]),
        joined=torch.tensor([[1.0, 0.0], [0.0, 0.0]]),
        frequency=torch.tensor([[0.0, 0.5], [4.0, 0.0]]),
        degree=torch.tensor([[2.0, 1.0], [2.0, 1.0]]),
        linked=torch.tensor([[1.0, 0.0], [1.0, 0.0]]),
        both_linked=torch.tensor([[1.0, 0.0], [0.0, 0.0]]),
    )
    each = torch.tensor(
        [[1.0, 2, 3, 4, 6, 10, 7, 8, 9, 20, 50], [1.0, 10, 0, 0, 2, 0, 0, 0.5, 0, 0, 30]]
    )
    one = (1 + 6 / 4) * 2 + (2 + 0.2 * 10 * 2) * 0.5 + 3 - 8 + 7 + 9 * 2 + 20 + 50
    other = (1 + 6 / 4) * -1 + (2 - 0.2 * 10) * 1 + 8 * 0.5 + 9
    found = ensemble_scores(features, each)
    assert found.numpy() == pytest.approx(np.array([[one, other], [(1 + 2) * 2 + 2, 10 * 3]]))


def test_rules_and_statements_answer_for_tails(rules: EvidenceScorer) -> None:
    scores = rules.score(ids(ANN, CAY, EVE), ids(LIKES, LIKES, LIKES), side="tail")
    assert scores.numpy() == pytest.approx(np.array(BY_RULES))
    assert rules.score(ids(BOB), ids(SEES), side="tail").tolist() == [[0, 0, 0.125, 0, 0, 0]]


def test_rules_and_statements_answer_for_heads(rules: EvidenceScorer) -> None:
    scores = rules.score(ids(CAY, CAY, DAN), ids(LIKES, SEES, LIKES), side="head")
    # who likes dan: a rule that names dan does not say
    either = 1 - (1 - probabilities(0.5)[0]) * (1 - 0.75)
    wanted = [[either, 0, 0, 0, 0, 0], [0, 0.125, 0, 0, 0, 0], [0] * 6]
    assert scores.numpy() == pytest.approx(np.array(wanted))


def test_statements_about_entities_that_the_target_does_not_have_say_nothing(
    rules: EvidenceScorer, kge: KgeModel
) -> None:
    assert rules.score(ids(Z), ids(SEES), side="head").tolist() == [[0.0] * 6]
    features = EnsembleScorer(kge, rules, weights(*DEFAULT_WEIGHTS)).features
    found = features(ids(BOB), ids(SEES), side="tail", candidates=ids(CAY, Z))
    assert found.stated.tolist() == [[1.0, 0.0]]
    # nor do they count for unstated
    assert found.unstated.tolist() == [[1 - 0.125]]
    assert features(ids(Z), ids(SEES), side="head", candidates=None).unstated.tolist() == [[1.0]]


def test_only_the_first_entities_are_candidates(graph: JointGraph, kge: KgeModel) -> None:
    seen = rules_of({"relation": KNOWS, "first": SEES, "confidence": 0.5})
    index = EvidenceIndex(graph, "mine", seen, np.ones(7))
    of_all = EvidenceScorer(index, 6, M).score(ids(BOB), ids(KNOWS), side="tail")
    (half,) = probabilities(0.5)  # Z is none of mine's entities
    assert of_all.numpy() == pytest.approx(np.array([[0.0, 0.0, half, 0.0, 0.0, 0.0]]))
    some = EvidenceScorer(index, 5, M)
    for candidates in (None, torch.arange(5)):
        found = some.score(ids(BOB), ids(KNOWS), side="tail", candidates=candidates)
        assert found.numpy() == pytest.approx(np.array([[0.0, 0.0, half, 0.0, 0.0]]))
    assert some.score(ids(BOB), ids(KNOWS), side="tail", candidates=ids(ANN)).tolist() == [[0.0]]
    fewer = EnsembleScorer(
        KgeModel(kge.settings, kge.entities[:5], kge.relations), some, weights(*DEFAULT_WEIGHTS)
    )
    inferred = fewer.features(ids(BOB), ids(KNOWS), side="tail", candidates=None).inferred
    assert (inferred > 0).tolist() == [[False, False, True, False, False]]


def test_candidates_have_columns_in_their_order(rules: EvidenceScorer) -> None:
    some = ids(DAN, EVE, CAY)
    scores = rules.score(ids(ANN, CAY), ids(LIKES, LIKES), side="tail", candidates=some)
    assert scores.numpy() == pytest.approx(np.array([[TOO, 0.0, BY_BOTH], [ALONE, 0.0, 0.0]]))
    none = rules.score(ids(ANN), ids(LIKES), side="tail", candidates=ids(EVE, Z))
    assert none.tolist() == [[0.0, 0.0]]


def test_repeated_queries_have_repeated_scores(rules: EvidenceScorer, kge: KgeModel) -> None:
    asked = ids(CAY, ANN, CAY, ANN, ANN), torch.full((5,), LIKES)
    wanted = torch.tensor(BY_RULES)[[1, 0, 1, 0, 0]]
    assert rules.score(*asked, side="tail").numpy() == pytest.approx(wanted.numpy())
    scores = EnsembleScorer(kge, rules, weights(*DEFAULT_WEIGHTS)).score(*asked, side="tail")
    assert scores[1].equal(scores[3])
    assert scores[0].equal(scores[2])
    assert not scores[0].equal(scores[1])


def test_features_by_hand(rules: EvidenceScorer, kge: KgeModel) -> None:
    scorer = EnsembleScorer(kge, rules, weights(*DEFAULT_WEIGHTS))
    some = ids(CAY, DAN)
    found = scorer.features(ids(ANN, CAY), ids(LIKES, LIKES), side="tail", candidates=some)
    assert found.vectors.tolist() == [[3.0, 4.0], [9.0, 12.0]]
    surely, hardly, alone = (math.log(1 + x / RULE_SCALE) for x in (BY_RULE, TOO, ALONE))
    assert found.inferred.numpy() == pytest.approx(np.array([[surely, hardly], [0.0, alone]]))
    assert found.stated.tolist() == [[1.0, 0.0], [0.0, 0.0]]
    assert found.reliability.numpy() == pytest.approx(np.array([[math.log(3), 0.0], [0.0, 0.0]]))
    assert found.unstated.tolist() == [[0.25], [1.0]]
    # another source states that ann likes cay, and that cay likes dan
    assert found.joined.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    # mine states of dan alone that he is liked; four facts are about cay, one about dan
    assert found.frequency.numpy() == pytest.approx(np.array([[0.0, math.log(2)]] * 2))
    assert found.degree.numpy() == pytest.approx(np.log1p([[4, 1]] * 2))
    # the other source has ann, bob and cay; Z is none of mine's
    assert found.linked.tolist() == [[1.0, 0.0], [1.0, 0.0]]
    assert found.both_linked.tolist() == [[1.0, 0.0], [1.0, 0.0]]
    found = scorer.features(ids(DAN), ids(LIKES), side="tail", candidates=ids(CAY, DAN, Z))
    assert found.linked.tolist() == [[1.0, 0.0, 0.0]]
    assert found.both_linked.tolist() == [[0.0, 0.0, 0.0]]


def test_what_is_stated_counts_even_where_it_is_no_candidate(
    rules: EvidenceScorer, kge: KgeModel
) -> None:
    scorer = EnsembleScorer(kge, rules, weights(*DEFAULT_WEIGHTS))
    found = scorer.features(ids(ANN), ids(LIKES), side="tail", candidates=ids(DAN))
    assert (found.stated.tolist(), found.unstated.tolist()) == ([[0.0]], [[0.25]])


@pytest.mark.parametrize(("agreement", "counted"), [(1.0, 0.99), (0.0, 0.01)])
def test_no_statement_is_certain(
    graph: JointGraph, kge: KgeModel, agreement: float, counted: float
) -> None:
    rules = EvidenceScorer(EvidenceIndex(graph, "mine", RULES, np.full(7, agreement)), 6, M)
    scorer = EnsembleScorer(kge, rules, weights(*DEFAULT_WEIGHTS))
    found = scorer.features(ids(BOB), ids(SEES), side="tail", candidates=ids(CAY))
    assert found.reliability.item() == pytest.approx(math.log(counted / (1 - counted)), rel=1e-4)


@pytest.mark.parametrize("side", SIDES)
def test_the_vectors_alone_score_as_their_model(
    rules: EvidenceScorer, kge: KgeModel, side: Side
) -> None:
    scorer = EnsembleScorer(kge, rules, weights(1, *[0] * 10))
    asked = ids(ANN, CAY, EVE), ids(LIKES, LIKES, SEES)
    assert scorer.n_entities == 6
    assert scorer.score(*asked, side=side).equal(kge.score(*asked, side=side))


def test_each_relation_and_inverse_has_weights_of_its_own(
    rules: EvidenceScorer, kge: KgeModel
) -> None:
    own = torch.zeros(2 * M, len(DEFAULT_WEIGHTS))
    own[:, 0] = torch.arange(1.0, 7.0)
    scorer = EnsembleScorer(kge, rules, own)
    asked = ids(ANN, BOB, CAY), ids(LIKES, KNOWS, SEES)
    for side, factors in (("tail", [1.0, 2.0, 3.0]), ("head", [4.0, 5.0, 6.0])):
        wanted = kge.score(*asked, side=side) * torch.tensor(factors)[:, None]  # type: ignore[arg-type]
        assert scorer.score(*asked, side=side).equal(wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize("side", SIDES)
def test_blocks_of_candidates_are_columns_of_the_whole(
    rules: EvidenceScorer, kge: KgeModel, side: Side
) -> None:
    asked = ids(ANN, BOB, CAY, Z), ids(LIKES, SEES, LIKES, SEES)
    for scorer in (rules, EnsembleScorer(kge, rules, weights(*DEFAULT_WEIGHTS))):
        whole = scorer.score(*asked, side=side)
        for block in (torch.arange(2), torch.arange(2, 6), ids(5, 0, 3)):
            part = scorer.score(*asked, side=side, candidates=block)
            assert part.numpy() == pytest.approx(whole[:, block].numpy())


def test_blocks_of_candidates_look_evidence_up_once(
    rules: EvidenceScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, stated = [], EvidenceIndex.stated

    def counting(self: EvidenceIndex, entities: Ints, relations: Ints) -> QueryAnswers:
        asked.append(entities.tolist())
        return stated(self, entities, relations)

    monkeypatch.setattr(EvidenceIndex, "stated", counting)
    for query in ([ANN, BOB], [ANN, CAY], [ANN, BOB]):
        for block in (torch.arange(2), torch.arange(2, 6)):
            rules.score(ids(*query), ids(LIKES, LIKES), side="tail", candidates=block)
    assert asked == [[ANN, BOB], [ANN, CAY], [ANN, BOB]]


@pytest.mark.parametrize("side", SIDES)
def test_the_probability_of_features_is_what_rules_score(
    rules: EvidenceScorer, kge: KgeModel, side: Side
) -> None:
    asked = ids(ANN, BOB, CAY, Z), ids(LIKES, SEES, LIKES, SEES)
    scorer = EnsembleScorer(kge, rules, weights(*DEFAULT_WEIGHTS))
    found = evidence_probability(scorer.features(*asked, side=side, candidates=None))
    scores = rules.score(*asked, side=side)
    assert scores.max() > 0
    assert found.numpy() == pytest.approx(scores.numpy(), abs=1e-6)


def test_the_likeliest_statement_says_whether_any_will_do(graph: JointGraph, kge: KgeModel) -> None:
    # big says that ann likes cay, dan and eve
    facts = np.array([[ANN, LIKES, tail] for tail in (CAY, DAN, EVE)])
    several = replace(graph, triples=facts, triple_sources=np.ones(3, dtype=np.int16))
    agreement = np.array([0.25, 0.75, 0.5])
    scorer = EvidenceScorer(EvidenceIndex(several, "mine", rules_of(), agreement), 6, M)
    found = EnsembleScorer(kge, scorer, weights(*DEFAULT_WEIGHTS)).features(
        ids(EVE, ANN), ids(LIKES, LIKES), side="tail", candidates=None
    )
    assert found.unstated.tolist() == [[1.0], [0.25]]
