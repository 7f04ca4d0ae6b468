"""Work side by side: in as many threads as torch's products have, or one thread ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")

END = object()
"""Stands for the item after the last one."""


class Map(Protocol):
    """Applies a function to each part, as ``map`` does, and returns the results in order."""

    def __call__(self, work: Callable[[T], R], parts: Iterable[T], /) -> Iterator[R]:
        """Return an iterator over ``work`` of each part."""
        ...


@contextmanager
def threads() -> Iterator[Map]:
    """Give what maps a function in threads, all of them done when the block ends."""
    from torch import get_num_threads  # Who is only handed a ``Map`` needs no torch.

    if get_num_threads() == 1:
        yield map
        return
    with ThreadPoolExecutor(get_num_threads()) as pool:
        yield pool.map


def ahead(items: Iterable[T], most: int) -> Iterator[T]:
    """Yield items in order, some of them made before they are asked for.

    What making an item raises is raised where that item would have been. Once the iterator is
    closed, nothing more is made.

    Args:
        items: Gone through by one other thread.
        most: Items that may wait.
    """
    source = iter(items)
    with ThreadPoolExecutor(1) as maker:
        waiting: deque[Future[T | object]] = deque()
        try:
            while True:
                while len(waiting) < most:
                    waiting.append(maker.submit(next, source, END))
                item = waiting.popleft().result()
                if item is END:
                    return
                yield item  # type: ignore[misc]
        finally:
            for future in waiting:
                future.cancel()
