"""Jobs answered in blocks, in order, by a queue of limited length."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from kgraft.serving.request_queue import Batcher, BusyError


class Work:
    """Doubles numbers, once it is allowed to, and keeps what it was given at once."""

    def __init__(self) -> None:
        self.blocks: list[list[int]] = []
        self.allowed = threading.Event()

    def __call__(self, jobs: Sequence[int]) -> list[int | Exception]:
        self.allowed.wait()
        self.blocks.append(list(jobs))
        if 13 in jobs:
            raise OSError("the whole block")
        return [ValueError("odd") if job % 2 else 2 * job for job in jobs]


def ask(jobs: Sequence[int], sizes: Sequence[int], *, room: int = 100) -> tuple[list, list]:
    """Ask for all jobs while the first is being worked on; return results and blocks."""
    work = Work()
    batcher = Batcher[int, int](work, max_size=10, max_waiting=room, name="test")

    async def session() -> list[int | BaseException]:
        asked = []
        for job, size in zip(jobs, sizes, strict=True):
            asked.append(asyncio.ensure_future(batcher.submit(job, size)))
            await asyncio.sleep(0)
            while not work.blocks and len(asked) == 1 and len(batcher):
                await asyncio.sleep(0.001)
        work.allowed.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    results = asyncio.run(session())
    batcher.close()
    return results, work.blocks


def test_what_waits_is_answered_in_one_block() -> None:
    results, blocks = ask([2, 4, 6, 8], [1, 1, 1, 1])
    assert results == [4, 8, 12, 16]
    assert blocks == [[2], [4, 6, 8]]


def test_blocks_hold_no_more_than_fits_and_a_large_job_comes_alone() -> None:
    results, blocks = ask([2, 4, 6, 8, 10], [1, 6, 6, 50, 1])
    assert results == [4, 8, 12, 16, 20]
    assert blocks == [[2], [4], [6], [8], [10]]


def test_an_error_is_its_own_jobs() -> None:
    results, _ = ask([2, 3, 4], [1, 1, 1])
    assert results[0] == 4
    assert isinstance(results[1], ValueError)
    assert results[2] == 8


def test_a_block_that_fails_leaves_the_thread_alive() -> None:
    results, blocks = ask([13, 4, 6], [1, 1, 1])
    assert isinstance(results[0], OSError)
    assert results[1:] == [8, 12]
    assert blocks == [[13], [4, 6]]


def test_one_too_many_is_sent_away() -> None:
    results, _ = ask([2, 4, 6, 8], [1, 1, 1, 1], room=2)
    assert results[:3] == [4, 8, 12]
    assert isinstance(results[3], BusyError)


def test_who_has_gone_is_not_worked_for() -> None:
    work = Work()
    batcher = Batcher[int, int](work, max_size=10, max_waiting=10, name="test")

    async def session() -> None:
        first = asyncio.ensure_future(batcher.submit(2))
        while not len(batcher):
            await asyncio.sleep(0)
        while len(batcher):
            await asyncio.sleep(0.001)
        gone, stays = (asyncio.ensure_future(batcher.submit(job)) for job in (4, 6))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        work.allowed.set()
        assert (await first, await stays) == (4, 12)

    asyncio.run(session())
    batcher.close()
    assert work.blocks == [[2], [6]]


def test_closed_it_takes_nothing_more() -> None:
    work = Work()
    work.allowed.set()
    batcher = Batcher[int, int](work, max_size=10, max_waiting=10, name="test")
    batcher.close()
    with pytest.raises(BusyError):
        asyncio.run(batcher.submit(2))
