from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest

from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.joint_graph import JointGraph, JointSource
from kgraft.rules.edges import Edges
from kgraft.rules.mining import mine_rules
from kgraft.rules.pseudo_facts import PseudoFacts, infer_pseudo_facts
from kgraft.settings import RuleSettings

SETTINGS = RuleSettings(longest=1, support=2, answered_rate=0.25)


def world(facts: Sequence[tuple[int, int, int]], own: int, sources: Sequence[int] = ()) -> Any:
    """Return a graph whose target has the first ``own`` entities and relation 0."""
    triples = np.array(facts, dtype=np.int64).reshape(-1, 3)
    everyone = np.arange(int(triples[:, [0, 2]].max(initial=own - 1)) + 1)
    parts = {
        name: JointSource(
            Vocabulary.of([f"{name} {row}" for row in rows]),
            Vocabulary.of([f"{name} is {row}" for row in relations]),
            np.array(rows),
            np.array(relations),
        )
        for name, rows, relations in (
            ("target", everyone[:own], [0]),
            ("other", everyone, [0, 1]),
        )
    }
    places = np.array(sources or [1] * len(triples), dtype=np.int16)
    return JointGraph(parts, len(everyone), 2, triples, places)


def inferred(
    graph: JointGraph, settings: RuleSettings, seed: int = 0, about: Sequence[int] | None = None
) -> PseudoFacts:
    """Mine for the target's relations and infer facts about its entities, or about some."""
    edges, part = Edges.of(graph), graph.part("target")
    rules = mine_rules(edges, part.relation_rows, settings, seed=seed)
    asked = None if about is None else np.array(about)
    return infer_pseudo_facts(rules, edges, part.entity_rows, settings, about=asked)


# ten pairs of relation 1, five of which are of relation 0: a confidence of 5 / (10 + 5)
PAIRS = [(2 * i, 1, 2 * i + 1) for i in range(10)]
STATED = [(2 * i, 0, 2 * i + 1) for i in range(5)]


def test_probabilities_are_squared_confidences() -> None:
    found = inferred(world(PAIRS + STATED, own=20), SETTINGS)
    assert found.triples.tolist() == [[2 * i, 0, 2 * i + 1] for i in range(5, 10)]
    assert found.triples.dtype == np.int64
    assert found.probabilities == pytest.approx([1 / 9] * 5)


def test_facts_are_inferred_about_some_entities() -> None:
    # As the head of a fact, 12, and as the tail of another one, 17.
    found = inferred(world(PAIRS + STATED, own=20), SETTINGS, about=[12, 17])
    assert found.triples.tolist() == [[12, 0, 13], [16, 0, 17]]
    assert found.probabilities == pytest.approx([1 / 9] * 2)


def test_what_has_a_stated_answer_is_asked_less_often() -> None:
    # 10 has another answer for relation 0; the rule is as sure as before
    found = inferred(world([*PAIRS, *STATED, (10, 0, 20)], own=20), SETTINGS)
    assert found.triples[:, 0].tolist() == [10, 12, 14, 16, 18]
    assert found.probabilities == pytest.approx([1 / 36] + [1 / 9] * 4)


def test_a_lower_rate_lowers_all_probabilities() -> None:
    half = SETTINGS.model_copy(update={"pseudo_fact_rate": 0.5})
    found = inferred(world(PAIRS + STATED, own=20), half)
    assert found.probabilities == pytest.approx([1 / 18] * 5)


def test_only_facts_about_the_target_are_inferred() -> None:
    found = inferred(world(PAIRS + STATED, own=14), SETTINGS)
    assert found.triples.tolist() == [[10, 0, 11], [12, 0, 13]]


def test_a_fact_of_two_sources_counts_once() -> None:
    once = inferred(world(PAIRS + STATED, own=20), SETTINGS)
    sources = [1] * 15 + [0] * 5
    twice = inferred(world(PAIRS + STATED * 2, own=20, sources=sources), SETTINGS)
    assert twice.triples.tolist() == once.triples.tolist()
    assert twice.probabilities.tolist() == once.probabilities.tolist()


def test_unsure_rules_do_not_teach() -> None:
    many = [(2 * i, 1, 2 * i + 1) for i in range(60)]  # 5 / 65 is below a tenth
    found = inferred(world(many + STATED, own=120), SETTINGS)
    assert len(found.triples) == len(found.probabilities) == 0


@pytest.mark.parametrize("settings", [RuleSettings(pseudo_fact_rate=0), RuleSettings(longest=0)])
def test_settings_can_turn_teaching_off(settings: RuleSettings) -> None:
    found = inferred(world(PAIRS + STATED, own=20), settings)
    assert found.triples.shape == (0, 3)
    assert found.probabilities.shape == (0,)


def test_a_graph_without_facts_infers_none() -> None:
    found = inferred(world([], own=3), RuleSettings())
    assert found.triples.shape == (0, 3)
    assert found.triples.dtype == np.int64
    assert found.probabilities.shape == (0,)


def test_the_same_seed_infers_the_same() -> None:
    draw = np.random.default_rng(0)
    facts = np.stack([draw.integers(0, n, 600) for n in (60, 2, 60)], axis=1).tolist()
    settings = RuleSettings(samples=4, facts_per_relation=100)
    one, other, third = (inferred(world(facts, own=60), settings, seed=seed) for seed in (1, 1, 2))
    assert len(one.triples)
    assert pl.DataFrame(one.triples).equals(pl.DataFrame(other.triples))
    assert one.probabilities.tolist() == other.probabilities.tolist()
    assert one.probabilities.tolist() != third.probabilities.tolist()


def test_facts_are_sampled_by_their_probabilities() -> None:
    facts = PseudoFacts(np.array([[0, 0, 1], [1, 0, 2], [2, 0, 3]]), np.array([0.0, 1.0, 0.25]))
    draw = np.random.default_rng(0)
    drawn = np.concatenate([facts.sample(draw) for _ in range(1000)])
    times = np.bincount(drawn[:, 0], minlength=3)
    assert times[:2].tolist() == [0, 1000]
    assert 200 < times[2] < 300  # 250 are expected, with a deviation of 14
