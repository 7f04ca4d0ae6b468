"""Completeness by the overlap of sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from kgraft.graph.knowledge_graph import Triples, no_triples
from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.completeness import STRENGTH, SplitSizes, estimate_completeness
from kgraft.linking.joint_graph import JointGraph, JointSource

N = 60


def joined(*sources: Sequence[tuple[int, int]], relations: int = 1) -> JointGraph:
    """The target and other sources that all know the same entities; facts of relation 0."""
    names = Vocabulary.of([f"e{number}" for number in range(N)])
    along = Vocabulary.of([f"r{number}" for number in range(relations)])
    part = JointSource(names, along, np.arange(N), np.arange(relations))
    parts = {f"s{number}": part for number in range(len(sources))}
    facts = [(head, 0, tail) for pairs in sources for head, tail in pairs]
    place = [number for number, pairs in enumerate(sources) for _ in pairs]
    triples: Triples = np.array(facts, dtype=np.int64).reshape(-1, 3)
    return JointGraph(parts, N, relations, triples, np.array(place, dtype=np.int16))


def facts(first: int, last: int) -> list[tuple[int, int]]:
    """Different facts with several answers to a query, by number."""
    return [(number // 10, 10 + number % 50) for number in range(first, last)]


def test_two_other_sources_by_capture_and_recapture() -> None:
    # Of what the target lacks, one source states 40, the other 40, and both 20.
    graph = joined(facts(0, 100), facts(100, 140), facts(120, 160))
    graph = joined(facts(0, 100), facts(90, 140), facts(120, 160))
    found = estimate_completeness(graph, "s0", no_triples(), SplitSizes(100, 0, 0))
    assert found.basis == ("sources",)
    once, twice = 40, 20  # 100 to 120 and 140 to 160; 120 to 140
    accuracy = found.accuracy
    unseen = 0.5 * (accuracy * once) * (accuracy * once - 1) / (2 * (accuracy * twice + 1))
    true = 100 + accuracy * 60 + unseen
    assert found.overall[0] == pytest.approx(100 / true)
    # Of 90 that only the target states, and the unseen.
    assert found.linked[0] == pytest.approx(90 / (90 + unseen))
    # Once stated are 90 to 100, which the target states too, and 40 others.
    assert found.by_one[0] == pytest.approx(10 / (accuracy * 50))
    assert found.by_several[0] == 0.001


def test_a_relation_that_only_corresponds_is_no_second_capture() -> None:
    graph = joined(facts(0, 100), facts(90, 140), facts(120, 160))
    graph = replace(graph, found_relations={"s2": np.array([0])})
    found = estimate_completeness(graph, "s0", no_triples(), SplitSizes(100, 0, 0))
    assert found.basis == ("source",)
    # Of the 70 that the others state, the target states 10.
    assert found.overall[0] == pytest.approx(10 / (found.accuracy * 70))


def test_one_other_source_by_its_overlap() -> None:
    found = estimate_completeness(
        joined(facts(0, 100), facts(60, 160)), "s0", no_triples(), SplitSizes(100, 0, 0)
    )
    assert found.basis == ("source",)
    assert found.overall[0] == found.by_one[0] == pytest.approx(40 / (found.accuracy * 100))


@pytest.mark.parametrize("others", [[], [[]], [facts(200, 250)]])
def test_where_nothing_tells_as_many_are_missing_as_are_held_out(
    others: list[list[tuple[int, int]]],
) -> None:
    graph = joined(facts(0, 80), *others)
    found = estimate_completeness(graph, "s0", no_triples(), SplitSizes(80, 10, 10))
    assert found.basis == ("none",)
    assert found.overall[0] == pytest.approx(1 / 1.2)


def test_test_facts_count_by_their_number() -> None:
    graph = joined(facts(0, 80), facts(60, 160))
    found = estimate_completeness(graph, "s0", no_triples(), SplitSizes(80, 0, 20))
    # 20 of 100 statements agree; a fifth of the target's facts are not told from missing ones.
    assert found.overall[0] == pytest.approx(1.25 * 20 / (found.accuracy * 100))


def test_relations_of_few_facts_are_drawn_to_the_share_of_all() -> None:
    graph = joined(facts(0, 100), facts(60, 160), relations=2)
    more = np.array([[1, 1, 2], [1, 1, 2]])
    graph = JointGraph(
        graph.parts,
        N,
        2,
        np.concatenate([graph.triples, more]),
        np.concatenate([graph.triple_sources, [0, 1]]).astype(np.int16),
    )
    found = estimate_completeness(graph, "s0", no_triples(), SplitSizes(101, 0, 0))
    common = 41 / (found.accuracy * 101)
    wanted = (1 + STRENGTH * common) / (found.accuracy + STRENGTH)
    assert found.overall[1] == pytest.approx(wanted)


def test_contradicted_statements_make_sources_less_accurate() -> None:
    one_answer = [(number, (number + 1) % 30) for number in range(30)]
    right, wrong = one_answer[:20], [(number, (number + 7) % 30) for number in range(20, 30)]
    found = estimate_completeness(
        joined(one_answer, right + wrong), "s0", no_triples(), SplitSizes(30, 0, 0)
    )
    # Asked for tails and for heads, 20 of 30 agree, beside 19 of 20 in advance.
    assert found.accuracy == pytest.approx((19 + 40) / (20 + 60))


def test_given_shares_win() -> None:
    graph = joined(facts(0, 100), facts(60, 160), relations=2)
    found = estimate_completeness(graph, "s0", no_triples(), SplitSizes(100, 0, 0))
    given = found.with_given({1: 0.25})
    assert given.overall.tolist() == [found.overall[0], 0.25]
    assert given.basis == (found.basis[0], "given")
    assert "1 as given; 1 by the overlap with one other source" in given.in_words("mine", [0, 1])
