"""Evidence for answers: statements of other sources, and rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from kgraft.graph.grouped_index import Ints
from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.linking.joint_graph import JointGraph
from kgraft.rules import evidence_index
from kgraft.rules.edges import Edges
from kgraft.rules.evidence_index import EvidenceIndex
from kgraft.rules.rule_answers import (
    CONFIDENCE_OFFSET,
    NO_ANSWER_ODDS,
    QueryAnswers,
    RuleApplier,
    combine_rules,
)
from kgraft.rules.rules import Rules, rules_from

RulesOf = Callable[..., Rules]
ANN, BOB, CAY, DAN, EVE, Z = range(6)
LIKES, KNOWS, SEES = range(3)
M = 3
PATH = {"relation": LIKES, "first": LIKES, "second": KNOWS}
EVERYTHING = [(x, relation) for x in range(6) for relation in range(2 * M)]


def asked(*rows: tuple[int, int]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"x": pl.Int32, "relation": pl.Int32}, orient="row")


def answers(
    find: Callable[..., QueryAnswers], *queries: tuple[int, int]
) -> list[tuple[int, int, int, float]]:
    """Return the answers of ``inferred`` or ``stated``: entity, relation, answer, probability."""
    columns = np.array(queries, dtype=np.int64).reshape(-1, 2).T
    return [
        (*queries[at], entity, probability)
        for at, entity, probability in zip(*(x.tolist() for x in find(*columns)), strict=True)
    ]


def alone(confidence: float) -> float:
    """Return the probability of an only answer."""
    return (confidence + CONFIDENCE_OFFSET) / (confidence + CONFIDENCE_OFFSET + NO_ANSWER_ODDS)


@pytest.fixture
def graph(tiny: Collection) -> JointGraph:
    """Mine states ann likes bob, as big does, bob knows cay, cay likes dan.

    Big states besides: ann likes cay, bob sees Z, which mine does not have, and bob sees cay.
    """
    joint = join(list(tiny.graphs.values()), tiny.links)
    return replace(
        joint,
        triples=np.concatenate([joint.triples, [[BOB, SEES, CAY]]]),
        triple_sources=np.append(joint.triple_sources, np.int16(1)),
    )


def stating(
    graph: JointGraph, *rows: tuple[int, int], target: str = "mine"
) -> list[tuple[int, int, int, float]]:
    # mine's three facts; A likes C, A likes B, B sees Z, B sees C
    agreement = np.array([1.0, 1.0, 1.0, 0.5, 0.75, 0.875, 0.25])
    return answers(EvidenceIndex(graph, target, rules_from([], M), agreement).stated, *rows)


def test_statements_are_read_both_ways(graph: JointGraph) -> None:
    found = stating(graph, (ANN, LIKES), (CAY, LIKES + M), (BOB, SEES), (CAY, SEES + M))
    assert sorted(found) == [
        (ANN, LIKES, CAY, 0.5), (BOB, SEES, CAY, 0.25), (CAY, LIKES + M, ANN, 0.5),
        (CAY, SEES + M, BOB, 0.25),
    ]  # fmt: skip


def test_statements_about_entities_that_the_target_does_not_have_are_left_out(
    graph: JointGraph,
) -> None:
    assert not stating(graph, (Z, SEES + M))
    assert stating(graph, (BOB, SEES)) == [(BOB, SEES, CAY, 0.25)]
    turned = replace(graph, triples=np.append(graph.triples[:-1], [[Z, SEES, BOB]], axis=0))
    assert not stating(turned, (Z, SEES), (BOB, SEES + M))
    # big has neither dan nor eve: that cay likes dan, as mine says, is none of its business
    assert not stating(graph, (CAY, LIKES), (DAN, LIKES + M), target="big")


def test_what_the_target_states_is_left_out_whoever_else_states_it(graph: JointGraph) -> None:
    found = stating(graph, *EVERYTHING)
    assert not {(ANN, LIKES, BOB), (BOB, LIKES + M, ANN)} & {row[:3] for row in found}
    assert len(found) == 4
    # asked for big, it is mine's other fact about its entities that is a statement
    found = stating(graph, *EVERYTHING, target="big")
    assert [row for row in found if row[1] < M] == [(BOB, KNOWS, CAY, 1.0)]


def test_only_what_is_asked_for_is_returned(graph: JointGraph) -> None:
    assert not stating(graph, (ANN, KNOWS), (CAY, LIKES), (EVE, SEES))
    assert not stating(graph)


@pytest.mark.parametrize("reliabilities", [(0.25, 0.75, 0.5), (0.75, 0.5, 0.25)])
def test_where_several_state_a_fact_the_largest_agreement_counts(
    graph: JointGraph, reliabilities: tuple[float, float, float]
) -> None:
    several = replace(
        graph,
        parts={**graph.parts, "more": graph.parts["big"], "most": graph.parts["big"]},
        triples=np.array([[ANN, LIKES, CAY]] * 3),
        triple_sources=np.array([1, 2, 3], dtype=np.int16),
    )
    stated = EvidenceIndex(several, "mine", rules_from([], M), np.array(reliabilities)).stated
    assert answers(stated, (ANN, LIKES)) == [(ANN, LIKES, CAY, 0.75)]
    assert answers(stated, (CAY, LIKES + M)) == [(CAY, LIKES + M, ANN, 0.75)]


@pytest.mark.parametrize("at_once", [1, 500])
def test_rules_answer_from_all_facts_with_combined_confidence(
    graph: JointGraph, rules_of: RulesOf, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(evidence_index, "BATCH_QUERIES", at_once)
    rules = rules_of(
        {"relation": LIKES, "first": LIKES, "second": KNOWS, "confidence": 0.5},
        {"relation": LIKES, "first": LIKES, "answer": CAY, "confidence": 0.25},
        {"relation": KNOWS, "first": SEES, "confidence": 0.125},
    )
    index = EvidenceIndex(graph, "mine", rules, np.ones(7))
    found = answers(index.inferred, *EVERYTHING)
    wanted = {
        (ANN, LIKES, CAY): 1 - 0.5 * 0.75,
        (BOB, KNOWS, CAY): 0.125,  # Z is none of mine's entities
        (CAY, LIKES, CAY): 0.25,
        (CAY, LIKES + M, ANN): 0.5,  # rules about cay answer for tails only
        (CAY, KNOWS + M, BOB): 0.125,
        (Z, KNOWS + M, BOB): 0.125,
    }
    assert sorted(row[:3] for row in found) == sorted(wanted)
    for *answer, probability in found:
        assert probability == pytest.approx(alone(wanted[tuple(answer)]))
    by_definition = combine_rules(
        RuleApplier(rules, Edges.of(graph)).answers(asked(*EVERYTHING)).filter(pl.col("y") != Z)
    ).drop("confidence")
    assert sorted(found) == sorted(by_definition.rows())
    again = EVERYTHING[::-3] + EVERYTHING[:9]
    wanted_again = [row for query in again for row in found if row[:2] == query]
    assert answers(index.inferred, *again) == wanted_again


def test_without_rules_or_queries_nothing_is_inferred(graph: JointGraph, rules_of: RulesOf) -> None:
    rule = rules_of({"relation": LIKES, "first": KNOWS, "confidence": 0.5})
    for rules, rows in ((rules_from([], M), EVERYTHING), (rule, [])):
        assert not answers(EvidenceIndex(graph, "mine", rules, np.ones(7)).inferred, *rows)


def test_queries_that_are_asked_again_are_not_looked_up_again(
    graph: JointGraph, rules_of: RulesOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = EvidenceIndex(graph, "mine", rules_of({**PATH, "confidence": 0.5}), np.ones(7))
    applied, probabilities = list[list[int]](), RuleApplier.probabilities

    def counting(self: RuleApplier, x: Ints, along: Ints) -> QueryAnswers:
        applied.append(x.tolist())
        return probabilities(self, x, along)

    monkeypatch.setattr(RuleApplier, "probabilities", counting)
    queries = [(EVE, LIKES), (ANN, LIKES), (EVE, LIKES)]
    first = answers(index.inferred, *queries)
    assert answers(index.inferred, *queries, (BOB, LIKES)) == first
    assert applied == [[ANN, EVE], [BOB]]  # those without an answer too


# ---------------------------------------------------------------------------- without some evidence


@pytest.fixture
def several(graph: JointGraph, rules_of: RulesOf) -> EvidenceIndex:
    """Two rules say whom ann likes: cay, by 0.5 and 0.25."""
    rules = rules_of(
        {"relation": LIKES, "first": LIKES, "second": KNOWS, "confidence": 0.5},
        {"relation": LIKES, "first": LIKES, "answer": CAY, "confidence": 0.25},
    )
    return EvidenceIndex(graph, "mine", rules, np.array([1.0, 1.0, 1.0, 0.5, 0.75, 0.875, 0.25]))


def test_scores_hold_the_evidence_of_the_index(several: EvidenceIndex) -> None:
    query = ANN, LIKES
    evidence = several.scores_of(asked(query))
    assert answers(evidence.inferred, query) == answers(several.inferred, query)
    assert answers(evidence.stated, query) == answers(several.stated, query)
    assert not answers(evidence.inferred, (BOB, KNOWS))
    assert not answers(evidence.stated, (BOB, KNOWS))


def test_evidence_may_be_removed(several: EvidenceIndex) -> None:
    query = ANN, LIKES
    evidence = several.scores_of(asked(query))
    for left_out, confidence in (([], 1 - 0.5 * 0.75), ([0], 0.25), ([1], 0.5)):
        left = evidence.without_rules(left_out, CAY)
        ((*answer, probability),) = answers(left.inferred, query)
        assert answer == [ANN, LIKES, CAY]
        assert probability == pytest.approx(alone(confidence))
    assert not answers(evidence.without_rules([0, 1], CAY).inferred, query)
    inferred = answers(evidence.inferred, query)
    assert answers(evidence.without_rules([0], DAN).inferred, query) == inferred
    assert not answers(evidence.without_statement(CAY).stated, query)
    assert answers(evidence.without_statement(CAY).inferred, query) == inferred
    assert answers(evidence.without_statement(DAN).stated, query) == [(ANN, LIKES, CAY, 0.5)]
