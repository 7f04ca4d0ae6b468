import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgraft.errors import KgraftWarning
from kgraft.io.source import Split
from kgraft_experiments.synthesis.splits import split_triples


def dense(n_entities: int = 20) -> np.ndarray:
    """All facts of one relation between any two entities, and a second relation used once."""
    pairs = [(h, 0, t) for h in range(n_entities) for t in range(n_entities)]
    return np.array([*pairs, (0, 1, 0)])


def test_shares_are_met_and_every_fact_is_in_one_split() -> None:
    facts = dense()
    parts = split_triples(facts, Split(valid=0.1, test=0.2, seed=3))
    assert [len(part) for part in parts] == [401 - 40 - 80, 40, 80]
    assert sorted(map(tuple, np.concatenate(parts).tolist())) == sorted(map(tuple, facts.tolist()))


def test_one_seed_gives_one_split_and_another_seed_another() -> None:
    first, again, other = (split_triples(dense(), Split(seed=seed)) for seed in (1, 1, 2))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert first[2].tolist() != other[2].tolist()


def test_a_fact_that_alone_mentions_something_stays_in_train() -> None:
    chain = np.array([(i, 0, i + 1) for i in range(9)] + [(0, 1, 9), (0, 0, 9), (0, 0, 5)])
    for seed in range(20):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", KgraftWarning)
            train, _, _ = split_triples(chain, Split(valid=0.2, test=0.2, seed=seed))
        assert [0, 1, 9] in train.tolist()


def test_too_few_spare_facts_shrink_both_with_a_warning() -> None:
    # Each fact has entities of its own; only repeats of (0, 0, 1) by relation 0 can be spared.
    facts = np.array([(2 * i, 0, 2 * i + 1) for i in range(10)])
    with pytest.warns(KgraftWarning, match="only 0 of 10 facts can be held out, not 4"):
        train, valid, test = split_triples(facts, Split(valid=0.2, test=0.2))
    assert (len(train), len(valid), len(test)) == (10, 0, 0)


def test_no_share_holds_out_nothing() -> None:
    train, valid, test = split_triples(dense(), Split(valid=0.0, test=0.0))
    assert (len(train), len(valid), len(test)) == (401, 0, 0)


@given(
    st.sets(st.tuples(st.integers(0, 6), st.integers(0, 2), st.integers(0, 6)), max_size=60),
    st.floats(0, 0.49),
    st.floats(0, 0.49),
    st.integers(0, 5),
)
def test_all_that_is_asked_about_was_seen(
    facts: set[tuple[int, int, int]], valid_share: float, test_share: float, seed: int
) -> None:
    triples = np.array(sorted(facts), dtype=np.int64).reshape(-1, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KgraftWarning)
        train, valid, test = split_triples(
            triples, Split(valid=valid_share, test=test_share, seed=seed)
        )
    assert len(train) + len(valid) + len(test) == len(facts)
    for held_out in (valid, test):
        assert set(held_out[:, [0, 2]].ravel()) <= set(train[:, [0, 2]].ravel())
        assert set(held_out[:, 1]) <= set(train[:, 1])
