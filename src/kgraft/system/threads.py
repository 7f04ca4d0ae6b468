"""Maps over threads, and prefetching in a thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")

END = object()
"""Mark of the end."""


class Map(Protocol):
    """A function like ``map``."""

    def __call__(self, work: Callable[[T], R], parts: Iterable[T], /) -> Iterator[R]:
        """Return an iterator over ``work`` of each part."""
        ...


@contextmanager
def thread_map() -> Iterator[Map]:
    """Yield a ``map`` over as many threads as torch uses, which end with the block."""
    from torch import get_num_threads  # A caller that is given a ``Map`` needs no torch.

    if get_num_threads() == 1:
        yield map
        return
    with ThreadPoolExecutor(get_num_threads()) as pool:
        yield pool.map


def prefetch(items: Iterable[T], most: int) -> Iterator[T]:
    """Yield items in order, up to ``most`` of them made in advance by another thread.

    An error while making an item is raised in its place. A closed iterator makes no more items.
    """
    source = iter(items)
    with ThreadPoolExecutor(1) as thread:
        waiting: deque[Future[T | object]] = deque()
        try:
            while True:
                while len(waiting) < most:
                    waiting.append(thread.submit(next, source, END))
                item = waiting.popleft().result()
                if item is END:
                    return
                yield item  # type: ignore[misc]
        finally:
            for future in waiting:
                future.cancel()
