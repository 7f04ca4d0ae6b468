"""Biased walks: they follow facts, prefer what they should, and repeat themselves on request."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgraft.training.random_walks import WalkBias, Walker

N_RELATIONS = 3


def random_facts(seed: int, size: int = 60, n_entities: int = 12) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return np.unique(draw.integers(0, (n_entities, N_RELATIONS, n_entities), (size, 3)), axis=0)


def directed(facts: np.ndarray) -> np.ndarray:
    return np.concatenate([facts, facts[:, ::-1] + [0, N_RELATIONS, 0]])


def paths(
    facts: np.ndarray,
    first: np.ndarray,
    length: int,
    *,
    sources: np.ndarray | None = None,
    first_sources: np.ndarray | None = None,
    bias: WalkBias | None = None,
    seed: int = 0,
) -> np.ndarray:
    stated = np.zeros(len(facts), dtype=np.int16) if sources is None else sources
    came_from = np.zeros(len(first), dtype=np.int16) if first_sources is None else first_sources
    walker = Walker(facts, stated, int(facts[:, ::2].max()) + 1, N_RELATIONS, bias)
    return walker.extend(first, came_from, length, np.random.default_rng(seed))


@given(seed=st.integers(0, 1000), length=st.integers(1, 5))
def test_every_step_is_a_fact_that_begins_where_the_last_one_ends(seed: int, length: int) -> None:
    facts = random_facts(seed)
    first = directed(facts)
    walked = paths(facts, first, length, seed=seed)
    assert walked.shape == (len(first), length, 3)
    np.testing.assert_array_equal(walked[:, 0], first)
    np.testing.assert_array_equal(walked[:, 1:, 0], walked[:, :-1, 2])
    known = set(map(tuple, first.tolist()))
    assert {tuple(fact) for fact in walked.reshape(-1, 3).tolist()} <= known


def test_the_same_generator_walks_the_same_paths() -> None:
    facts = random_facts(1)
    first = directed(facts)
    np.testing.assert_array_equal(paths(facts, first, 4), paths(facts, first, 4))
    assert (paths(facts, first, 4) != paths(facts, first, 4, seed=1)).any()


def test_a_dead_end_leads_back() -> None:
    facts = np.array([[0, 0, 1]])
    walked = paths(facts, facts, 3)
    assert walked[0].tolist() == [[0, 0, 1], [1, N_RELATIONS, 0], [0, 0, 1]]


def test_walkers_seldom_step_back() -> None:
    """From the end of 0-1, entity 1 leads to 0 and to 2; back costs, both are in one source."""
    facts = np.array([[0, 0, 1], [1, 1, 2]])
    first = np.tile(facts[:1], (4000, 1))
    ahead = paths(facts, first, 2, bias=WalkBias(stay=1.0, back=0.05, shallow=1.0))[:, 1, 2]
    # Odds 1 to 0.05, up to the few who run out of tries.
    assert (ahead == 0).mean() == pytest.approx(0.05 / 1.05, abs=0.02)
    alike = paths(facts, first, 2, bias=WalkBias(stay=1.0, back=1.0, shallow=1.0))[:, 1, 2]
    assert (alike == 0).mean() == pytest.approx(0.5, abs=0.03)


def test_walkers_prefer_to_cross_between_sources() -> None:
    facts = np.array([[0, 0, 1], [1, 1, 2], [1, 1, 3]])
    sources = np.array([0, 0, 1], dtype=np.int16)
    bias = WalkBias(stay=0.25, back=0.01, shallow=1.0)
    first = np.tile(facts[:1], (4000, 1))
    goal = paths(facts, first, 2, sources=sources, bias=bias)[:, 1, 2]
    assert (goal == 3).sum() / (goal != 0).sum() == pytest.approx(1 / 1.25, abs=0.03)
    other = np.ones(4000, dtype=np.int16)
    goal = paths(facts, first, 2, sources=sources, first_sources=other, bias=bias)[:, 1, 2]
    assert (goal == 2).sum() / (goal != 0).sum() == pytest.approx(1 / 1.25, abs=0.03)


def test_walkers_prefer_depth() -> None:
    """Entity 2 is a neighbour of 0, where the walker came from; entity 3 is not."""
    facts = np.array([[0, 0, 1], [1, 1, 2], [1, 1, 3], [0, 2, 2]])
    bias = WalkBias(stay=1.0, back=0.01, shallow=0.25)
    goal = paths(facts, np.tile(facts[:1], (4000, 1)), 2, bias=bias)[:, 1, 2]
    assert (goal == 3).sum() / (goal != 0).sum() == pytest.approx(1 / 1.25, abs=0.03)


@pytest.mark.parametrize("name", ["stay", "back", "shallow"])
@pytest.mark.parametrize("probability", [0.0, -0.1, 1.1])
def test_a_bias_is_a_probability(name: str, probability: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is a probability"):
        WalkBias(**{name: probability})
