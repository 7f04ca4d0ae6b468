"""Work side by side: the results in order, in as many threads as torch has, or one ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from kgraft.system.threads import prefetch, thread_map


@pytest.mark.parametrize("number", [1, 3])
def test_results_come_in_order(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: number)
    there = threading.Barrier(number)

    def work(part: int) -> int:
        there.wait(timeout=60)  # None goes on before as many are at work.
        return part**2

    with thread_map() as each:
        assert list(each(work, range(6))) == [0, 1, 4, 9, 16, 25]


def test_what_goes_wrong_is_raised() -> None:
    with thread_map() as each, pytest.raises(ZeroDivisionError):
        list(each(lambda part: 1 // part, [1, 0]))


@pytest.mark.parametrize("most", [1, 3, 100])
def test_what_is_made_ahead_comes_in_order(most: int) -> None:
    assert list(prefetch(iter(range(10)), most)) == list(range(10))
    assert list(prefetch([], most)) == []


def test_items_are_made_before_they_are_asked_for_but_not_more_than_may_wait() -> None:
    made: list[int] = []
    there = threading.Semaphore(0)

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            there.release()
            yield number

    taken = prefetch(items(), 3)
    assert next(taken) == 0
    for _ in range(3):
        assert there.acquire(timeout=60)
    assert len(made) <= 4
    assert next(taken) == 1
    taken.close()
    assert len(made) <= 5


def test_an_error_comes_where_its_item_would_have_been() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError

    taken = prefetch(items(), 5)
    assert next(taken) == 1
    with pytest.raises(ZeroDivisionError):
        next(taken)
