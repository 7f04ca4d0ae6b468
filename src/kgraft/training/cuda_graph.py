"""Training steps as CUDA graphs: captured once for samples of one size, then replayed.

A step is some eighty small kernels, which take longer to launch one by one than to run.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from kgraft.system.threads import prefetch
from kgraft.training.batch import Batch, SampledBatch
from kgraft.training.collator import BatchCollator, PaddingSizes

PREFETCHED = 32
"""Samples made ahead of the GPU."""

MOST_ANSWERS = 2**24
"""Samples with more true answers, hub queries not counted, are collated on the CPU."""


@dataclass(frozen=True, eq=False)
class StepResult:
    """The numbers of a training step.

    Args:
        names: Names of its loss terms.
        numbers: The loss terms, then the sum of each gradient.
        queries: Number of its queries.
        memory: Work memory that a captured step must keep.
    """

    names: Sequence[str]
    numbers: Tensor
    queries: int
    memory: Sequence[Tensor] = ()


@dataclass(frozen=True, eq=False)
class _CapturedStep:
    graph: torch.cuda.CUDAGraph
    sampled: SampledBatch
    result: StepResult


class CudaGraphStep:
    """Training on samples by CUDA graphs, without synchronising with the GPU.

    Args:
        collator: Collates on the CPU.
        step: Takes a training step on a batch on the GPU.
        device: The GPU.
    """

    def __init__(
        self, collator: BatchCollator, step: Callable[[Batch], StepResult], device: torch.device
    ) -> None:
        self.collator = collator
        self._on_device = collator.to(device)
        self._step = step
        self._device = device
        self._captured: dict[Hashable, _CapturedStep | None] = {}
        self._key: Hashable = None
        self._pool = torch.cuda.graph_pool_handle()

    def train(
        self, samples: Iterable[SampledBatch], key: Hashable
    ) -> Iterator[tuple[SampledBatch, StepResult]]:
        """Take a step on each sample; a result is valid until the next one.

        Args:
            samples: Samples on the CPU.
            key: What a step depends on beside its sample; a new key captures anew.
        """
        if key != self._key:
            self._key = key
            self._captured.clear()
        sized = ((x.pin_memory(), self.collator.padding_sizes(x)) for x in samples)
        for sampled, sizes in prefetch(sized, PREFETCHED):
            if sizes.answers > MOST_ANSWERS:
                yield sampled, self._step(self.collator.collate(sampled).to(self._device))
            else:
                yield sampled, self._padded(sampled, _rounded_up(sizes, sampled.size))

    def _padded(self, sampled: SampledBatch, sizes: PaddingSizes) -> StepResult:
        kind = sampled.has_pseudo_facts, sampled.has_known_false
        key = (sampled.size, len(sampled.ids), kind, sizes)
        if key not in self._captured:
            # The first step of a size runs uncaptured: it may be the last, and warms kernels up.
            self._captured[key] = None
            on_device = sampled.to(self._device)
            return self._step(self._on_device.collate_padded(on_device, sizes))
        captured = self._captured[key]
        if captured is None:
            captured = self._captured[key] = self._capture(sampled, sizes)
        captured.sampled.copy_from(sampled)
        captured.graph.replay()
        return captured.result

    def _capture(self, sampled: SampledBatch, sizes: PaddingSizes) -> _CapturedStep:
        on_device, graph = sampled.to(self._device), torch.cuda.CUDAGraph()
        # Thread-local: the prefetching thread may use CUDA meanwhile.
        capture = torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local")
        with no_garbage_collection(), capture:
            result = self._step(self._on_device.collate_padded(on_device, sizes))
        return _CapturedStep(graph, on_device, result)


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Suspend garbage collection: freeing an earlier graph would spoil a capture."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _rounded_up(sizes: PaddingSizes, n_queries: int) -> PaddingSizes:
    """Round up to powers of two less one, so that few sizes are captured."""
    answers, hub_queries, hubs = (2 ** number.bit_length() - 1 for number in sizes)
    return PaddingSizes(answers, min(hub_queries, n_queries), min(hubs, n_queries))
