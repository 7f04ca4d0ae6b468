"""Work side by side in as many threads as torch's products have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


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
