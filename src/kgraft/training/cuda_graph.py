"""A step as one launch of a GPU: recorded once for draws of one size, then replayed for others.

A step is some eighty small kernels, and to launch them one by one takes longer than to run them.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from kgraft.system.threads import prefetch
from kgraft.training.batch import Batch, Draw
from kgraft.training.collator import BatchCollator, Room

AHEAD = 32
"""Draws that are made ahead."""

MOST_ANSWERS = 2**24
"""A draw whose queries have more true answers, those of hubs not counted, is made on the CPU."""


@dataclass(frozen=True, eq=False)
class Computed:
    """What a step has computed before it moves anything.

    Args:
        names: The names of its loss terms.
        numbers: The loss terms and the sum of each gradient.
        gradients: What it moves by; the first is of the rows, the others are the encoder's own.
        rows: The rows that it moves.
        memory: What it works in, besides.
    """

    names: Sequence[str]
    numbers: Tensor
    gradients: Sequence[Tensor]
    rows: Tensor
    memory: Sequence[Tensor] = ()


@dataclass(frozen=True, eq=False)
class _Recording:
    """A step to be replayed; while it is kept, nobody else gets the memory that it works in."""

    graph: torch.cuda.CUDAGraph
    draw: Draw
    computed: Computed


class CudaGraphStep:
    """Learns from draws on a GPU, without waiting for it.

    Args:
        maker: Makes batches on the CPU.
        step: Learns from a batch on the GPU.
        device: The GPU.
    """

    def __init__(
        self, maker: BatchCollator, step: Callable[[Batch], Computed], device: torch.device
    ) -> None:
        self.maker = maker
        self._there = maker.on(device)
        self._step = step
        self._device = device
        self._recordings: dict[Hashable, _Recording | None] = {}
        self._mark: Hashable = None
        self._pool = torch.cuda.graph_pool_handle()

    def learn(self, draws: Iterable[Draw], mark: Hashable) -> Iterator[tuple[Draw, Computed]]:
        """Learn from draws on the CPU, one at a turn; what is computed holds until the next turn.

        Args:
            draws: What to learn from.
            mark: What a step depends on besides its draw; by another, steps are recorded anew.
        """
        if mark != self._mark:
            self._mark = mark
            self._recordings.clear()
        counted = ((draw.pinned(), self.maker.room(draw)) for draw in draws)
        for draw, room in prefetch(counted, AHEAD):
            if room.answers > MOST_ANSWERS:
                yield draw, self._step(self.maker.make(draw).on(self._device))
            else:
                yield draw, self._padded(draw, _larger(room, draw.size))

    def _padded(self, draw: Draw, room: Room) -> Computed:
        key = (draw.size, len(draw.ids), draw.infers, room)
        if key not in self._recordings:
            # The first of its size is not recorded: it may be the last, and first calls may wait.
            self._recordings[key] = None
            return self._step(self._there.padded(draw.on(self._device), room))
        recording = self._recordings[key]
        if recording is None:
            recording = self._recordings[key] = self._record(draw, room)
        recording.draw.copy_from(draw)
        recording.graph.replay()
        return recording.computed

    def _record(self, draw: Draw, room: Room) -> _Recording:
        there, graph = draw.on(self._device), torch.cuda.CUDAGraph()
        # What the thread that makes draws does meanwhile is no part of it.
        record = torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local")
        with nothing_collected(), record:
            computed = self._step(self._there.padded(there, room))
        return _Recording(graph, there, computed)


@contextmanager
def nothing_collected() -> Iterator[None]:
    """Leave garbage where it is: a recording among it, given up now, would spoil another."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _larger(room: Room, most: int) -> Room:
    """Return room for up to twice as much, so that few steps are recorded.

    Args:
        room: What there has to be room for.
        most: Queries that may be about hubs.
    """
    answers, asked, hubs = (2 ** number.bit_length() - 1 for number in room)
    return Room(answers, min(asked, most), min(hubs, most))
