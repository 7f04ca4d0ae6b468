from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kgraft.rules import constant_rules
from kgraft.rules.edges import Edges
from kgraft.rules.mining import mine_rules
from kgraft.rules.rules import Rules
from kgraft.settings import RuleSettings

EdgesOf = Callable[..., Edges]
Mined = Callable[[Rules], dict[tuple[Any, ...], tuple[int, float]]]

# 1, 2 and 3 live (relation 1) in 10, 4 in 11; 1 and 2 speak (relation 0) 20, 4 speaks 21
LIVES = [(1, 1, 10), (2, 1, 10), (3, 1, 10), (4, 1, 11)]
SPEAKS = [(1, 0, 20), (2, 0, 20), (4, 0, 21)]


def constant(relation: int, answer: int, first: int, entity: int | None = None) -> Any:
    return (relation, first, None, None, entity, answer)


def test_what_entities_share_says_what_else_they_share(
    edges_of: EdgesOf, mined: Mined, everything: RuleSettings
) -> None:
    rules = mined(mine_rules(edges_of(LIVES + SPEAKS), np.array([0]), everything))
    assert rules[constant(0, 20, 1, 10)] == (2, pytest.approx(2 / (3 + 5)))
    assert rules[constant(0, 20, 1)] == (2, pytest.approx(2 / (4 + 5)))
    assert rules[constant(0, 21, 1, 11)] == (1, pytest.approx(1 / (1 + 5)))


def test_the_answer_can_be_the_head(
    edges_of: EdgesOf, mined: Mined, everything: RuleSettings
) -> None:
    # who is spoken by (relation 3) 1: the languages taught (relation 2) in 30
    facts = [(1, 0, 20), (1, 0, 21), (20, 2, 30), (21, 2, 30), (22, 2, 30)]
    rules = mined(mine_rules(edges_of(facts), np.array([0]), everything))
    # knowing that it is 30 is no surer than that it is anything
    assert rules[constant(3, 1, 2)] == (2, pytest.approx(2 / (3 + 5)))
    assert constant(3, 1, 2, 30) not in rules


def test_a_property_is_not_explained_by_itself(
    edges_of: EdgesOf, mined: Mined, everything: RuleSettings
) -> None:
    rules = mined(
        mine_rules(edges_of([(1, 0, 20), (2, 0, 20), (1, 0, 21)]), np.array([0]), everything)
    )
    assert constant(0, 20, 0, 20) not in rules
    assert rules[constant(0, 20, 0, 21)] == (1, pytest.approx(1 / (1 + 5)))
    assert not [key for key in rules if key[0] == key[1] and key[4] is None]


def test_slices_hold_whole_answers(
    edges_of: EdgesOf, mined: Mined, everything: RuleSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    edges = edges_of([(i, r, 40 + i // (r + 3)) for i in range(40) for r in range(3)])
    whole = mine_rules(edges, np.arange(3), everything)
    monkeypatch.setattr(constant_rules, "SLICE_FACTS", 5)
    assert mine_rules(edges, np.arange(3), everything).frame.equals(whole.frame)
    facts = edges.frame.with_columns(weight=1.0)
    parts = list(constant_rules._by_answer(facts, 2))
    assert len(parts) > 5
    answers = [set(part.select("relation", "answer").rows()) for part in parts]
    assert sum(map(len, answers)) == len(set.union(*answers))
    assert all(len(part) < 5 + 40 for part in parts)


def test_rare_answers_make_no_rules(edges_of: EdgesOf) -> None:
    edges = edges_of([(0, 0, 1), (2, 1, 3)])
    assert len(mine_rules(edges, np.arange(3), RuleSettings(support=2))) == 0
