"""Weights that tell right answers from those that surer rules give as well."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from kgraft.rules import rule_weights
from kgraft.rules.edges import Edges
from kgraft.rules.rule_answers import RuleApplier, combine_rules
from kgraft.rules.rule_weights import fit_rule_weights
from kgraft.rules.rules import Rules, rules_from

EdgesOf = Callable[..., Edges]
RulesOf = Callable[..., Rules]
BORN, LIVES, MET = range(3)
PEOPLE, TOWNS = range(300), range(300, 320)


@pytest.fixture
def facts() -> list[tuple[int, int, int]]:
    """Everybody lives where they were born, and has met people who were born elsewhere.

    So a way by whom they have met leads to wrong towns, but for a few.
    """
    draw = np.random.default_rng(0)
    home = draw.choice(TOWNS, size=len(PEOPLE))
    known = [(x, BORN, int(home[x])) for x in PEOPLE] + [(x, LIVES, int(home[x])) for x in PEOPLE]
    met = [(x, MET, int(y)) for x in PEOPLE for y in draw.choice(PEOPLE, size=3) if x != y]
    return sorted({*known, *met})


@pytest.fixture
def rules(rules_of: RulesOf) -> Rules:
    """Two rules of the same confidence."""
    return rules_of(
        {"relation": LIVES, "first": BORN, "confidence": 0.5},
        {"relation": LIVES, "first": MET, "second": LIVES, "confidence": 0.5},
    )


def weights(rules: Rules) -> dict[int, float]:
    return dict(rules.frame.select("first", "weight").iter_rows())


def lives(facts: list[tuple[int, int, int]]) -> np.ndarray:
    return np.array([fact for fact in facts if fact[1] == LIVES])


def test_rules_that_answer_right_gain_and_others_lose(
    edges_of: EdgesOf, rules: Rules, facts: list[tuple[int, int, int]]
) -> None:
    found = fit_rule_weights(rules, edges_of(facts), lives(facts), np.arange(320))
    assert found.frame.drop("weight").equals(rules.frame.drop("weight"))
    assert weights(found)[BORN] > 1.0
    assert weights(found)[MET] < 0.0
    # The mean probability of the right town rises.
    probability = {}
    for name, some in (("before", rules), ("after", found)):
        asked = edges_of(facts).frame.filter(relation=LIVES)
        applier = RuleApplier(some, edges_of(facts))
        answers = combine_rules(applier.answers(asked.select("x", "relation")))
        right = answers.join(asked, on=["x", "relation", "y"], how="semi")
        probability[name] = right["probability"].to_numpy().mean()
    assert probability["after"] > probability["before"] + 0.2


def test_one_step_by_hand(
    edges_of: EdgesOf, rules_of: RulesOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_weights, "EPOCHS", 1)
    graph = edges_of([(0, BORN, 1), (0, MET, 2), (0, LIVES, 1)])
    two = rules_of(
        {"relation": LIVES, "first": BORN, "confidence": 0.5},
        {"relation": LIVES, "first": MET, "confidence": 0.25},
    )
    # Where 0 lives: 1, at odds of 0.51 to 0.26 for 2. Who lives in 1: 0, the only answer.
    slope = 0.51 / 0.77 - 1
    found = fit_rule_weights(two, graph, np.array([[0, LIVES, 1]]), np.arange(3))
    step = rule_weights.RATE / rule_weights.BATCH
    assert weights(found) == pytest.approx({BORN: -step * slope, MET: step * slope})


def test_known_answers_and_other_entities_are_no_rivals(
    edges_of: EdgesOf, rules: Rules, facts: list[tuple[int, int, int]]
) -> None:
    few = [fact for fact in facts if fact[0] < 2]
    asked = np.array([fact for fact in few if fact[1] == LIVES][:1])
    person, _, town = asked[0]
    found = fit_rule_weights(rules, edges_of(few), asked, np.array([person, town]))
    assert set(weights(found).values()) == {0.0}


@pytest.mark.parametrize("none", ["rules", "facts", "answers"])
def test_with_nothing_to_learn_from_weights_are_zero(
    edges_of: EdgesOf, rules: Rules, facts: list[tuple[int, int, int]], none: str
) -> None:
    some = rules_from([], 3) if none == "rules" else rules
    asked = np.empty((0, 3), dtype=np.int64) if none == "facts" else lives(facts)
    graph = edges_of([(0, MET, 1)] if none == "answers" else facts)
    found = fit_rule_weights(some, graph, asked, np.arange(320))
    assert len(found) == len(some)
    assert found.frame["weight"].to_list() == [0.0] * len(some)


def test_the_same_seed_gives_the_same_weights(
    edges_of: EdgesOf, rules: Rules, facts: list[tuple[int, int, int]]
) -> None:
    graph, asked = edges_of(facts), lives(facts)
    one, again, other = (
        weights(fit_rule_weights(rules, graph, asked, np.arange(320), seed=seed))
        for seed in (1, 1, 2)
    )
    assert one == again
    assert one != other


def test_weights_that_rules_have_are_gone_on_from(
    edges_of: EdgesOf, rules: Rules, facts: list[tuple[int, int, int]]
) -> None:
    edges, asked = edges_of(facts), lives(facts)
    once = fit_rule_weights(rules, edges, asked, np.arange(320))
    few, more = (fit_rule_weights(x, edges, asked[:8], np.arange(320)) for x in (rules, once))
    gaps = [weights(x)[BORN] - weights(x)[MET] for x in (few, once, more)]
    assert 0 < gaps[0] < gaps[1] / 4
    assert gaps[2] > gaps[1]
    unused = fit_rule_weights(once, edges, np.array([[0, LIVES, 319]]), np.arange(320))
    assert weights(unused) == weights(once)
