"""Known answers: found for every query, whatever the size of the ids."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgraft.graph.known_facts import KnownFacts, distinct_queries, queries

FACTS = np.array([[0, 0, 1], [0, 0, 2], [3, 1, 2], [0, 1, 2]])
FACT = st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 5))


def answers(
    known: KnownFacts, anchors: list[int], relations: list[int], side: str
) -> list[tuple[int, int]]:
    query, entity = known.answers(np.array(anchors), np.array(relations), side)
    assert query.dtype == entity.dtype == np.int64
    return list(zip(query.tolist(), entity.tolist(), strict=True))


def test_answers_of_both_sides() -> None:
    known = KnownFacts(FACTS)
    assert answers(known, [0, 3, 0], [0, 0, 1], "tail") == [(0, 1), (0, 2), (2, 2)]
    assert answers(known, [2, 2, 1], [1, 0, 0], "head") == [(0, 0), (0, 3), (1, 0), (2, 0)]


def test_several_arrays_and_duplicates_make_one_index() -> None:
    known = KnownFacts(FACTS[:3], FACTS[1:], FACTS[::-1])
    assert len(known) == 4
    assert answers(known, [0], [0], "tail") == [(0, 1), (0, 2)]


def test_ids_beyond_the_index_have_no_answers() -> None:
    # Key arithmetic alone would take (0, relation 3) for (1, relation 1) and (-1, 3) for (0, 1).
    known = KnownFacts([[1, 1, 0], [0, 1, 0]])
    assert answers(known, [0, -1, 2, 1, 2**62], [3, 3, 0, -1, 0], "tail") == []
    beyond = [[0, 3, 0], [-1, 3, 0], [2, 1, 0], [1, 1, -1], [1, 1, 2], [0, 1, 2**62]]
    assert not known.contains(beyond).any()


def test_an_empty_index_knows_nothing() -> None:
    for known in (KnownFacts(), KnownFacts(np.empty((0, 3), dtype=np.int64))):
        assert len(known) == 0
        assert answers(known, [0, 1], [0, 1], "head") == []
        assert known.contains(FACTS).tolist() == [False] * 4
    assert KnownFacts(FACTS).contains(np.empty((0, 3))).tolist() == []


def test_large_ids() -> None:
    entity, relation = 10**8, 10**6
    known = KnownFacts([[entity, relation, entity - 1], [entity - 1, relation, entity]])
    assert answers(known, [entity, entity - 1], [relation] * 2, "tail") == [
        (0, entity - 1),
        (1, entity),
    ]
    assert known.contains(
        [[entity, relation, entity - 1], [entity, relation, entity]]
    ).tolist() == [
        True,
        False,
    ]


def test_ids_that_cannot_be_indexed() -> None:
    with pytest.raises(ValueError, match="too large"):
        KnownFacts([[2**40, 2**30, 0]])
    with pytest.raises(ValueError, match="not negative"):
        KnownFacts([[0, -1, 0]])


def test_distinct_queries() -> None:
    assert distinct_queries(FACTS, "tail").tolist() == [[0, 0], [0, 1], [3, 1]]
    assert distinct_queries(FACTS, "head").tolist() == [[1, 0], [2, 0], [2, 1]]
    assert distinct_queries(FACTS[:0], "head").shape == (0, 2)


def test_unknown_side() -> None:
    with pytest.raises(ValueError, match="head or tail"):
        queries(FACTS, "relation")


@pytest.mark.parametrize("scale", [1, 2**29])
@given(facts=st.lists(FACT), asked=st.lists(FACT))
def test_agrees_with_a_set(facts: list, asked: list, scale: int) -> None:
    # Numbers of entities and relations beyond 2 ** 64 when multiplied take another way.
    facts, asked = ([(h * scale, r, t * scale) for h, r, t in x] for x in (facts, asked))
    known, truth = KnownFacts(facts), set(facts)
    assert len(known) == len(truth)
    assert known.contains(asked).tolist() == [fact in truth for fact in asked]
    anchors, relations = [fact[0] for fact in asked], [fact[1] for fact in asked]
    if asked:
        assert answers(known, anchors, relations, "tail") == [
            (i, t)
            for i, (h, r, _) in enumerate(asked)
            for t in sorted(c for a, b, c in truth if (a, b) == (h, r))
        ]
        assert answers(known, anchors, relations, "head") == [
            (i, h)
            for i, (t, r, _) in enumerate(asked)
            for h in sorted(a for a, b, c in truth if (c, b) == (t, r))
        ]
