"""Processes that train one model together, by torch.distributed: Gloo on CPUs, NCCL on GPUs."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor

from kgraft.errors import KgraftError, first_line
from kgraft.system.messages import FAILED, SIGNALLED

TIMEOUT_VARIABLE = "KGRAFT_WORKER_TIMEOUT"
"""Environment variable: seconds that a worker waits for the others; by default ``TIMEOUT``."""

TIMEOUT = 600.0

GRACE = 2.0
"""Seconds in which a worker that fails can say why before another reports that it is gone."""

STARTS, START = "kgraft/starts", "kgraft/start"
"""Keys of the number of starts with one store, and of the name of the last one."""

REPORTED = "kgraft/reported"
"""Counter of messages about the end of a run; the first one is shown."""

RESTARTS_VARIABLE = "TORCHELASTIC_RESTART_COUNT"
"""Environment variable of torchrun: how often it has started the workers again."""


class WorkerLostError(KgraftError):
    """Another worker has ended, or does not answer."""


@dataclass(eq=False)
class Workers:
    """The processes that train a model together, one of which is this one.

    Row ``i`` of a sharded table is row ``i // count`` of worker ``i % count``.

    Args:
        number: This worker's number, from 0.
        count: Number of workers; the only one does without torch.distributed.
        device: Device of the tensors that are sent.
        sent: Bytes sent to other workers so far, by kind.
        restarted: Whether torchrun has started them again after one had failed.
    """

    number: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    sent: dict[str, int] = field(default_factory=dict)
    restarted: bool = False

    def n_own(self, n_rows: int) -> int:
        """Return the number of this worker's rows of a table."""
        return len(range(self.number, n_rows, self.count))

    @property
    def on_this_machine(self) -> int:
        """Number of workers that share this machine's memory."""
        return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if self.count > 1 else 1

    def exchange(
        self, rows: Tensor, sent: Sequence[int], received: Sequence[int], kind: str
    ) -> Tensor:
        """Send rows to each worker, and return the rows received, in the workers' order.

        Args:
            rows: ``(sum(sent), ...)``.
            sent: Number of rows for each worker.
            received: Number of rows of each worker.
            kind: Kind that their bytes count as.
        """
        return self.start_exchange(rows, sent, received, kind)()

    def start_exchange(
        self, rows: Tensor, sent: Sequence[int], received: Sequence[int], kind: str
    ) -> Callable[[], Tensor]:
        """Begin ``exchange``, and return the function that ends it."""
        found = rows.new_empty((sum(received), *rows.shape[1:]))
        size = rows[:1].numel() * rows.itemsize
        self._count(kind, (sum(sent) - sent[self.number]) * size)
        wait = self._all_to_all(found, rows.contiguous(), list(received), list(sent))

        def end() -> Tensor:
            wait()
            return found

        return end

    def sum(self, values: Tensor, kind: str = "sums") -> Tensor:
        """Return the sum of all workers' values, which replaces them; alone, they stay."""
        return self._reduced(values, torch.distributed.ReduceOp.SUM, kind)

    def max(self, values: Tensor, kind: str = "sums") -> Tensor:
        """Return the maximum of all workers' values, which replaces them; alone, they stay."""
        return self._reduced(values, torch.distributed.ReduceOp.MAX, kind)

    def mean_of_each(self, tensors: Sequence[Tensor]) -> None:
        """Overwrite tensors with the means of all workers' ones."""
        if self.count > 1 and tensors:
            flat = torch.cat([x.flatten() for x in tensors])
            means = self.sum(flat, "encoder").div_(self.count)
            for x, mean in zip(
                tensors, torch.split(means, [x.numel() for x in tensors]), strict=True
            ):
                x.copy_(mean.view_as(x))

    def any(self, *flags: bool) -> list[bool]:
        """Return for each flag if any worker has it set."""
        if self.count == 1:
            return list(flags)
        return [x > 0 for x in self.max(torch.tensor(flags, dtype=torch.int32)).tolist()]

    def barrier(self) -> None:
        """Wait until all workers are here."""
        self.any(False)

    def copy_from_first(self, values: Tensor) -> None:
        """Overwrite values with those of the first worker."""
        if self.count > 1:
            self._broadcast(values)

    def one_by_one(self, work: Callable[[], None]) -> None:
        """Do a work in the first worker, then in the others, and wait until all have done it."""
        for is_first in (True, False):
            if is_first == (self.number == 0):
                work()
            self.barrier()

    def _reduced(self, values: Tensor, how: Any, kind: str) -> Tensor:
        if self.count == 1:
            return values
        # Each part of a ring goes round twice, but for one hop.
        self._count(kind, 2 * (self.count - 1) * values.numel() * values.itemsize // self.count)
        sent = values.to(self.device)
        self._all_reduce(sent, how)
        return values.copy_(sent)

    def _all_to_all(
        self, found: Tensor, rows: Tensor, received: list[int], sent: list[int]
    ) -> Callable[[], None]:
        """Begin to send rows, and return the function that waits for those received."""
        with _peers():
            work = torch.distributed.all_to_all_single(found, rows, received, sent, async_op=True)

        def wait() -> None:
            with _peers():
                work.wait()

        return wait

    def _all_reduce(self, values: Tensor, how: Any) -> None:
        with _peers():
            torch.distributed.all_reduce(values, how)

    def _broadcast(self, values: Tensor) -> None:
        with _peers():
            torch.distributed.broadcast(values, 0)

    def _count(self, kind: str, size: int) -> None:
        self.sent[kind] = self.sent.get(kind, 0) + size


ALONE = Workers()


def current() -> Workers:
    """Return the workers of torch.distributed's process group; without one this process alone."""
    import torch.distributed as group

    if not group.is_available() or not group.is_initialized() or group.get_world_size() == 1:
        return ALONE
    on_gpu = group.get_backend() == "nccl"
    device = torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")
    return Workers(group.get_rank(), group.get_world_size(), device)


def started_together() -> bool:
    """Return True in a process that torchrun has started along with others."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def joined(device: str = "cpu") -> Iterator[Workers]:
    """Join the workers that torchrun has started along with this process, if it has.

    An error, also of several workers, is shown by one of them: in the others the block ends with
    the exit status alone.

    Args:
        device: What the workers train on: ``cpu``, or ``cuda`` for a GPU each.

    Raises:
        WorkerLostError: If another worker ends, or does not answer.
    """
    restarted = int(os.environ.get(RESTARTS_VARIABLE, "0")) > 0
    if not started_together():
        yield Workers(restarted=restarted)
        return
    import torch.distributed as group
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    on_gpu = device.startswith("cuda")
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    with _peers():
        timeout = timedelta(seconds=float(os.environ.get(TIMEOUT_VARIABLE, TIMEOUT)))
        shared, number, count = next(rendezvous("env://"))
        # On other machines than that of the failure, torchrun counts no restart.
        restarted |= number == 0 and shared.add(STARTS, 1) > 1
        store = PrefixStore(_name_of_start(shared, number, count, timeout), shared)
        group.init_process_group(
            "nccl" if on_gpu else "gloo",
            store=store,
            rank=number,
            world_size=count,
            timeout=timeout,
        )
    try:
        yield replace(current(), restarted=restarted)
    except Exception as error:
        if isinstance(error, WorkerLostError):
            time.sleep(GRACE)
        if not _is_first_to_report(store):
            raise SystemExit(FAILED) from error
        raise
    except KeyboardInterrupt as stop:
        # Torchrun ends the others too when one has ended: a second signal would be shown as well.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if not _is_first_to_report(store):
            raise SystemExit(SIGNALLED + (stop.args[0] if stop.args else 2)) from stop
        raise
    finally:
        with suppress(RuntimeError):
            group.destroy_process_group()


def _name_of_start(store: Any, number: int, count: int, timeout: timedelta) -> str:
    """Return a name that all workers of this start agree on.

    What those of an earlier start have left in the store, such as their addresses, is under others.
    """
    own = uuid.uuid4().hex
    if number == 0:
        store.set(START, own)
        others = [store.get(f"{own}/{other}").decode() for other in range(1, count)]
        store.set(f"{own}/all", " ".join(others))
        return own
    end = time.monotonic() + timeout.total_seconds()
    while time.monotonic() < end:
        name: str = store.get(START).decode()
        store.set(f"{name}/{number}", own)
        if store.check([f"{name}/all"]) and own in store.get(f"{name}/all").decode().split():
            return name
        time.sleep(0.05)
    raise RuntimeError("the first worker has not begun")


def _is_first_to_report(store: Any) -> bool:
    """Return True if no other worker has shown why the run ends."""
    try:
        return int(store.add(REPORTED, 1)) == 1
    except RuntimeError:  # What keeps the store has ended.
        return True


@contextmanager
def _peers() -> Iterator[None]:
    """Raise what goes wrong between workers as an error that says so."""
    try:
        yield
    except RuntimeError as error:
        raise WorkerLostError(
            f"another worker of this run has ended, or did not answer in time "
            f"({first_line(error)[:200]}). The same command with --resume continues from "
            "the last saved state, with any number of workers."
        ) from error
