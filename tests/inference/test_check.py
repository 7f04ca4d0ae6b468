"""Stated facts that are probably wrong, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.known_facts import KnownFacts
from kgraft.graph.vocabulary import Vocabulary
from kgraft.inference import error_probability, left_out
from kgraft.inference.fact_counts import FactCounts, JudgedFacts
from kgraft.inference.monotone_regression import MonotoneRegression
from kgraft.inference.planted_facts import WAYS, plant_facts
from kgraft.linking.collection import Collection, collect
from kgraft.linking.links import Links
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.train import train
from kgraft.settings import TrainSettings

PEOPLE, CITIES, FIRMS = 60, 6, 6
LIVES, WORKS, SEAT = range(3)


@pytest.fixture(autouse=True, scope="module")
def _quick() -> Iterator[None]:
    """Train vectors of the check in a moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(left_out, "MIN_STEPS", 20)
        patch.setattr(error_probability, "MIN_PLANTED", 500)
        yield


def _facts() -> list[tuple[int, int, int]]:
    """People live in a city and work for its firm, which has its seat there."""
    facts = []
    for person in range(PEOPLE):
        city = PEOPLE + person % CITIES
        facts += [(person, LIVES, city), (person, WORKS, city + CITIES)]
    return facts + [(PEOPLE + CITIES + x, SEAT, PEOPLE + x) for x in range(FIRMS)]


def _graph(name: str, facts: list[tuple[int, int, int]]) -> KnowledgeGraph:
    names = [f"person{x}" for x in range(PEOPLE)]
    names += [f"city{x}" for x in range(CITIES)] + [f"firm{x}" for x in range(FIRMS)]
    relations = Vocabulary.of(["lives", "works", "seat"])
    return KnowledgeGraph(
        name, Vocabulary.of(f"{name}:{x}" for x in names), relations, train=np.array(facts)
    )


WRONG = (0, LIVES, PEOPLE + CITIES + 3)
"""A person who lives in a firm."""


@pytest.fixture(scope="module")
def collection() -> Collection:
    """A graph with one wrong fact, and another source that states the right one."""
    right = _facts()
    mine = [WRONG if x[:2] == WRONG[:2] else x for x in right]
    same = np.stack([np.arange(PEOPLE + CITIES + FIRMS)] * 2, axis=1)
    return collect(
        [_graph("mine", mine), _graph("big", right[::3])],
        [Links("mine", "big", same, np.ones(len(same), dtype=np.float32))],
        target="mine",
    )


@pytest.fixture(scope="module")
def model(collection: Collection, fast: TrainSettings) -> TrainedModel:
    return train(collection, fast)


@pytest.fixture(scope="module")
def alone(collection: Collection, fast: TrainSettings) -> TrainedModel:
    return train(collection, fast, alone=True)


def test_a_wrong_fact_comes_first_with_what_another_source_states(model: TrainedModel) -> None:
    first = model.check(k=1)[0]
    assert (first.head, first.relation, first.tail) == ("mine:person0", "lives", "mine:firm3")
    assert any("are not those of a tail of lives" in x for x in first.evidence)
    assert "big states mine:city0" in first.evidence


def test_a_graph_without_other_sources_is_checked_too(alone: TrainedModel) -> None:
    found = alone.check(k=None)
    assert len(found) == len(_facts())
    assert (found[0].head, found[0].tail) == ("mine:person0", "mine:firm3")
    probabilities = [x.error_probability for x in found]
    assert probabilities == sorted(probabilities, reverse=True)
    assert found.to_frame().columns[:4] == ["head", "relation", "tail", "error_probability"]
    least = probabilities[3]
    assert len(alone.check(min_probability=least)) == sum(x >= least for x in probabilities)
    assert not [x for x in found if any("states" in y for y in x.evidence if "big" in y)]


def test_the_same_seed_finds_the_same(alone: TrainedModel) -> None:
    assert alone.check(k=5) == alone.check(k=5)


def test_held_out_facts_are_checked_like_all_others(
    collection: Collection, fast: TrainSettings
) -> None:
    own = collection.graphs["mine"]
    split = replace(own, train=own.train[:-20], valid=own.train[-20:-10], test=own.train[-10:])
    model = train(collect([split]), fast)
    assert len(model.check(k=None)) == len(own.train)


def test_a_number_of_facts_below_one_is_refused(alone: TrainedModel) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        alone.check(k=0)


# ------------------------------------------------------------------------------ counted evidence


def _judged(facts: np.ndarray, absent: np.ndarray) -> JudgedFacts:
    return JudgedFacts(facts, absent, np.zeros(len(facts), dtype=np.int64))


def test_a_fact_is_counted_without_itself() -> None:
    own = np.array([x for x in _facts() if x[1] == LIVES] + [(0, LIVES, PEOPLE + 3)])
    counts = FactCounts(own, own[:0], PEOPLE + CITIES + FIRMS, 3)
    second = counts.features(_judged(own, np.arange(len(own))))["second_tail"]
    # Only person 0 lives in two cities, and each of the two facts sees the other one.
    assert np.flatnonzero(second).tolist() == [0, len(own) - 1]
    assert second[0] > 2
    new = np.array([[5, LIVES, PEOPLE]])
    assert counts.features(_judged(new, np.array([-1])))["second_tail"][0] > 0
    assert counts.features(_judged(new, np.array([5])))["second_tail"][0] == 0


def test_kinds_of_other_facts_tell_if_an_entity_fits() -> None:
    own = np.array(_facts())
    counts = FactCounts(own, own[:0], PEOPLE + CITIES + FIRMS, 3)
    city, firm = PEOPLE, PEOPLE + CITIES
    facts = np.array([[3, LIVES, city], [3, LIVES, firm], [firm, LIVES, city]])
    found = counts.features(_judged(facts, np.full(3, -1)))
    assert found["kind_tail"][0] > 0 > found["kind_tail"][1]
    assert found["kind_head"][0] > 0 > found["kind_head"][2]


def test_other_sources_speak_for_and_against() -> None:
    own = np.array(_facts())
    counts = FactCounts(own, own[::2], PEOPLE + CITIES + FIRMS, 3)
    found = counts.features(_judged(own, np.arange(len(own))))
    assert (found["stated"][::2] > 0).all()
    assert not found["stated"][1::2].any()
    rival = np.array([[0, LIVES, PEOPLE + 3]])
    assert counts.features(_judged(rival, np.array([0])))["rival_tail"][0] > 0


# ---------------------------------------------------------------------- planting and the regression


def test_planted_facts_are_new_and_made_in_every_way() -> None:
    own = np.array(_facts())
    known, entities = KnownFacts(own), np.arange(PEOPLE + CITIES + FIRMS)
    draw = np.random.default_rng(0)
    planted = plant_facts(own, own[:0], entities, 3, known, draw, 600)
    assert not known.contains(planted.facts).any()
    assert set(planted.way.tolist()) == set(range(len(WAYS)))
    base = own[planted.base]
    turned = planted.way == WAYS.index("direction")
    assert (planted.facts[turned] == base[turned][:, ::-1]).all()
    assert planted.replaces[turned].all()
    assert not planted.replaces.all()


def test_symmetric_relations_are_not_turned_round() -> None:
    pairs = [(a, b) for a in range(20) for b in range(a)]
    own = np.array([(a, 0, b) for a, b in pairs] + [(b, 0, a) for a, b in pairs[:-9]])
    draw = np.random.default_rng(0)
    planted = plant_facts(own, own[:0], np.arange(40), 1, KnownFacts(own), draw, 900)
    assert WAYS.index("direction") not in planted.way


def test_a_feature_speaks_one_way_and_levels_off() -> None:
    draw = np.random.default_rng(0)
    labels = np.repeat([0.0, 1.0], 400)
    features = np.stack([labels + draw.normal(size=800), labels + draw.normal(size=800)], axis=1)
    fitted = MonotoneRegression([1, -1]).fit(features, labels, np.ones(800))
    line = np.linspace(-9, 9, 50)
    up, other = (fitted.log_odds(np.stack(x, axis=1)) for x in ((line, 0 * line), (0 * line, line)))
    assert (np.diff(up) >= -1e-12).all()
    assert up[-1] == pytest.approx(fitted.log_odds(np.array([[1e6, 0.0]]))[0])
    assert np.ptp(other) == pytest.approx(0.0, abs=1e-6)
    parts = fitted.parts(features)
    assert np.ptp(fitted.log_odds(features) - parts.sum(1)) == pytest.approx(0.0, abs=1e-9)
