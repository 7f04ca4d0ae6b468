"""Work side by side: the results in order, in as many threads as torch has."""

from __future__ import annotations

import threading

import pytest
import torch

from kgraft.threads import threads


@pytest.mark.parametrize("number", [1, 3])
def test_results_come_in_order(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: number)
    there = threading.Barrier(number)

    def work(part: int) -> int:
        there.wait(timeout=60)  # None goes on before as many are at work.
        return part**2

    with threads() as each:
        assert list(each(work, range(6))) == [0, 1, 4, 9, 16, 25]


def test_what_goes_wrong_is_raised() -> None:
    with threads() as each, pytest.raises(ZeroDivisionError):
        list(each(lambda part: 1 // part, [1, 0]))
