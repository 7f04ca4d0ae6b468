"""The cache of answers of rules."""

from __future__ import annotations

import numpy as np

from kgraft.rules.answer_cache import ENTRY_BYTES, AnswerCache, Answers


def answers(n: int) -> Answers:
    return np.arange(n, dtype=np.int32), np.ones(n, dtype=np.float32)


def test_the_answers_asked_for_longest_ago_are_given_up() -> None:
    cache = AnswerCache(3 * ENTRY_BYTES + 8 * 6)
    one, two, three = answers(1), answers(2), answers(3)
    cache.put([(1, one), (2, two), (3, three)])
    assert cache.get([3, 1, 4]) == [three, one, None]
    cache.put([(4, answers(2)), (1, one)])
    assert [x is not None for x in cache.get([1, 2, 3, 4])] == [True, False, True, True]
    assert cache.bytes == cache.max_bytes == 3 * ENTRY_BYTES + 8 * 6


def test_no_more_is_kept_than_there_is_memory_for() -> None:
    cache = AnswerCache(ENTRY_BYTES + 80)
    for query in range(20):
        cache.put([(query, answers(query))])
        assert cache.bytes <= cache.max_bytes
    assert not len(cache)
    assert cache.bytes == 0
