"""Free memory, and early refusal of runs and files that cannot fit into it."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from kgraft.errors import DataError, KgraftError
from kgraft.settings import OptimizerName, TrainSettings

T = TypeVar("T")

COPIES = 2
"""Copies of the tables: the current and the best state."""

OF_OPTIMIZER: Mapping[OptimizerName, int] = {"adagrad": 1, "rowwise_adagrad": 0, "adam": 2}
"""Tables of the same size in an optimizer's state."""

BYTES = {"float32": 4, "bfloat16": 2}
"""Bytes of a number in the entity table; all else is float32."""

OF_A_FACT = 250
"""Approximate bytes of a fact in training: read, joined, indexed both ways."""

OF_A_PREPARED_FACT = 130
"""The same of a fact that is read through a memory map."""

OF_A_SHARDED_FACT = 50
"""The same by all workers of a machine together, each with the queries that it owns."""

OF_A_FACT_ON_GPU = 40
"""Approximate bytes of a fact's index on a GPU."""

M_ARENA_MAX = -8  # name of glibc

REUSED = 31 * 2**20
"""Bytes of the largest blocks that are used again; glibc's limit is 32 MiB."""

GIVE_BACK_EVERY = 8
"""Parts of a work after which memory is given back."""

CGROUP = Path("/sys/fs/cgroup")
"""Directory of a container's limits on Linux."""


def bytes_of_run(
    settings: TrainSettings,
    n_entities: int,
    n_relations: int,
    n_facts: int,
    *,
    is_prepared: bool = False,
    is_sharded: bool = False,
    is_validated: bool = True,
) -> int:
    """Estimate the peak memory of a run in bytes.

    Args:
        settings: Model and training.
        n_entities: Entity rows.
        n_relations: Relations, inverses not counted.
        n_facts: Facts of the graph.
        is_prepared: The facts stay in a file.
        is_sharded: Several workers of this machine train, on facts that stay in a file.
        is_validated: The best state is kept beside the current one.
    """
    copies = COPIES if is_validated else 1
    of_a_fact = OF_A_PREPARED_FACT if is_prepared else OF_A_FACT
    of_a_fact = OF_A_SHARDED_FACT if is_sharded else of_a_fact
    return _bytes_of_rows(settings, n_entities, n_relations, copies) + of_a_fact * n_facts


def _bytes_of_rows(
    settings: TrainSettings, n_entities: int, n_relations: int, copies: int = COPIES
) -> int:
    """Estimate the bytes of rows and their optimizer's state."""
    state = OF_OPTIMIZER[settings.training.optimizer] * BYTES["float32"]
    of_entity = copies * BYTES[settings.model.tables] + state
    of_relation = copies * BYTES["float32"] + state
    numbers = of_entity * n_entities + of_relation * 2 * n_relations
    return numbers * settings.model.width


def require(
    settings: TrainSettings, n_entities: int, n_relations: int, n_facts: int, **kind: bool
) -> None:
    """Refuse a run that cannot fit into this machine's memory; see ``bytes_of_run``.

    Raises:
        KgraftError: If it needs more than is free.
    """
    asked, free = bytes_of_run(settings, n_entities, n_relations, n_facts, **kind), available()
    if asked > free:
        about = f"memory for {n_entities:,} entities of width {settings.model.width}"
        raise _too_much(asked, f"{about} and {n_facts:,} facts", free, "take a larger machine")


def require_on_gpu(
    settings: TrainSettings, n_entities: int, n_relations: int, n_facts: int, *, free: int
) -> None:
    """Refuse a run whose rows and facts need more than the ``free`` bytes of a GPU.

    Raises:
        KgraftError: If they do.
    """
    asked = _bytes_of_rows(settings, n_entities, n_relations) + OF_A_FACT_ON_GPU * n_facts
    if asked > free:
        about = f"the GPU's memory for {n_entities:,} entities of width {settings.model.width}"
        raise _too_much(asked, f"{about} and {n_facts:,} facts", free, "train on the CPU")


def _too_much(asked: int, of: str, free: int, or_else: str) -> KgraftError:
    return KgraftError(
        f"this run needs about {asked / 2**30:,.1f} GiB of {of}, and {free / 2**30:,.1f} are free. "
        "Lower model.width, set training.optimizer to rowwise_adagrad or model.tables to bfloat16, "
        f"leave out sources, or {or_else}."
    )


def require_for_file(path: Path, size: int) -> None:
    """Refuse a file whose content takes at least ``size`` bytes, if fewer are free.

    Raises:
        DataError: If fewer are free.
    """
    free = available()
    if size > free:
        raise DataError(
            f"the content takes {size / 2**30:,.1f} GiB of memory or more, and "
            f"{free / 2**30:,.1f} are free",
            remedy="Give less of it, RDF, which is read piece by piece, or a larger machine",
            path=path,
        )


def is_used_up(error: BaseException) -> bool:
    """Return True for an error of too little memory, of Python or of a library."""
    of_libraries = "allocate memory", "out of memory", "malloc of size", "memory allocation"
    return isinstance(error, MemoryError) or any(x in str(error) for x in of_libraries)


def available() -> int:
    """Return the bytes of memory that are free for this process."""
    import psutil  # Imported late, which takes a while.

    free = int(psutil.virtual_memory().available)
    left = _left_in_container()
    return free if left is None else max(0, min(free, left))


def giving_back(parts: Iterable[T]) -> Iterator[T]:
    """Yield parts of a work whose memory is given back to the system from time to time."""
    for number, part in enumerate(parts):
        yield part
        if number % GIVE_BACK_EVERY == 0:
            give_back()


def give_back() -> None:
    """Give memory that was freed, but lies between what is in use, back to Linux."""
    trim = getattr(_libc(), "malloc_trim", None)
    if trim is not None:
        trim(0)


@cache
def _libc() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL("libc.so.6")
    except OSError:  # another system
        return None


def peak() -> int | None:
    """Return the most bytes that this process has held, or ``None`` if the system cannot say."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _left_in_container() -> int | None:
    """Return the bytes that a container's limit leaves, file caches not counted as used."""
    try:
        limit, used, stat = (
            (CGROUP / f"memory.{name}").read_text(encoding="ascii")
            for name in ("max", "current", "stat")
        )
        counters = dict(line.split() for line in stat.splitlines())
        return int(limit) - int(used) + int(counters["inactive_file"])
    except (OSError, ValueError, KeyError):
        return None


def reuse_freed_memory() -> None:
    """Let blocks of memory be used again instead of asking the system for new ones each time.

    Arrays of 128 KiB and more are given back to the system when they are freed, and the pages of
    the next one are new, so that clearing them takes longer than a computation's step. Once a block
    was freed, glibc keeps those up to its size, and at most twice as much (``man mallopt``,
    ``M_MMAP_THRESHOLD``). What one thread has freed is used by the others too: else a process whose
    threads come and go grows (``M_ARENA_MAX``). Elsewhere this does nothing.
    """
    options = getattr(_libc(), "mallopt", None)
    if options is not None:
        options(M_ARENA_MAX, 1)
    np.empty(REUSED, dtype=np.uint8)
