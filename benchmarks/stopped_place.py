"""A place in which one command is stopped again and again, and processes of it."""

from __future__ import annotations

import fcntl
import math
import os
import re
import resource
import shutil
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from io import FileIO
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any, NoReturn

import stopped_commands
from inside_writes import TornWrites
from stopped_commands import ANEW, ONCE, TOGETHER

import kgraft.cli.main  # noqa: F401 - imported once, before processes are forked
import kgraft_command
from kgraft.pipeline import run
from kgraft.training import checkpoint, sharded_checkpoint

TIMING = (
    "training.jsonl",
    "README.md",
    "manifest.json",
    "report.html",
    "results.json",
    "results.html",
    ".lock",
    "one.log",
    "two.log",
    ".one.task",
    ".two.task",
)
"""Files of a result that contain times, or are no result."""

REFUSALS = ("there is something here already", "the file exists", "there is a model already")
"""Parts of what commands say that find a whole result."""

TEMPORARY = re.compile(r"\.[0-9a-f]{32}\..+")
"""Names of files that are being written; after a kill the next run removes them."""

GOOD = (0, 128 + signal.SIGTERM)
"""Statuses of commands that have ended well; a server is ended by SIGTERM."""

PIPE_BYTES = 1 << 20
"""Capacity of the pipe for a run's output, which is smaller."""


@dataclass
class Child:
    """A command in a process forked from this one, which has imported everything."""

    pid: int
    output: FileIO
    """Its output, through a pipe that no full disk cuts off."""
    text: bytes = b""
    begin: float = field(default_factory=time.perf_counter)
    status: int | None = None
    handled: bool = True
    """Whether it handled the signal that it was sent."""

    def send(self, number: int, *, whole: bool = False) -> None:
        """Send a signal, with ``whole`` to its process group."""
        self.handled = _handles(self.pid, number)
        (os.killpg if whole else os.kill)(self.pid, number)
        self.wait()

    def wait(self, seconds: float = math.inf) -> int | None:
        """Wait for its end; return its status, negative for a signal."""
        until = time.perf_counter() + seconds
        while self.status is None and time.perf_counter() < until:
            pid, status = os.waitpid(self.pid, os.WNOHANG if seconds < math.inf else 0)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            else:
                time.sleep(0.002)
        return self.status

    def said(self) -> str:
        """Return the end of its output."""
        self.text += self.output.read() or b""
        return self.text.decode(errors="replace")[-500:]


def _handles(pid: int, number: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return True
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def start(
    arguments: Sequence[str | Path],
    *,
    largest: int | None = None,
    beside: Callable[[], None] | None = None,
    modules: Path | None = None,
) -> Child:
    """Start a command.

    Args:
        arguments: Those of the command line.
        largest: It can write no file larger than so many bytes.
        beside: Runs in a thread of the command's process.
        modules: File for the names of the modules that it has imported when it ends.
    """
    output, its_end = os.pipe()
    fcntl.fcntl(its_end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.set_blocking(output, False)
    pid = os.fork()
    if pid:
        os.close(its_end)
        return Child(pid, FileIO(output))
    os.setsid()
    for stream in (1, 2):
        os.dup2(its_end, stream)
    if largest is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    if beside is not None:
        Thread(target=beside, daemon=True).start()
    return _end(_together if TOGETHER in arguments else _run, arguments, modules)


def _end(
    do: Callable[[Sequence[str | Path]], int],
    arguments: Sequence[str | Path],
    modules: Path | None = None,
) -> NoReturn:
    """End this process with the status that a function returns."""
    status = 1
    try:
        status = do(arguments)
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        if modules is not None:
            modules.write_text("\n".join(sys.modules), encoding="utf-8")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _run(arguments: Sequence[str | Path]) -> int:
    checkpoint.TIME_SHARE = math.inf
    for name, kind in (
        ("Checkpoint", checkpoint.Checkpoint),
        ("ShardedCheckpoint", sharded_checkpoint.ShardedCheckpoint),
    ):
        setattr(run, name, partial(kind, every_seconds=0.05))
    sys.argv = ["kgraft", *map(str, arguments)]
    kgraft_command.main()
    return 0


def _together(arguments: Sequence[str | Path]) -> int:
    """Run a command in as many workers as ``--workers`` says, as torchrun does."""
    place = arguments.index(TOGETHER)
    count = int(str(arguments[place + 1]))
    own = [*arguments[:place], *arguments[place + 2 :]]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    workers = []
    for rank in range(count):
        pid = os.fork()
        if not pid:
            os.environ |= {
                **{x: str(count) for x in ("WORLD_SIZE", "LOCAL_WORLD_SIZE")},
                **{x: str(rank) for x in ("RANK", "LOCAL_RANK")},
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            }
            _end(_run, own)
        workers.append(pid)
    ended = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers]
    return max(abs(status) for status in ended)


class Place:
    """A directory in which runs of one command are stopped."""

    def __init__(self, root: Path, command: str) -> None:
        self.root = root
        self.command = command
        self.once = command in ONCE
        self.before_it_began = 0
        self.changes = 0
        self.calls: Counter[str] = Counter()
        self.at = 0.0
        self.out = root / "out" / (ONCE | ANEW).get(command, "result")
        stopped_commands.prepare(command, root, self._must)
        self.address, self.end = "", lambda: None
        if command == "fetch":
            self.address, self.end = stopped_commands.endpoint()
        self.torn = TornWrites() if TornWrites.is_loaded() else None
        begin = time.perf_counter()
        self._count_changes(partial(self.run, seed=0))
        self.seconds = time.perf_counter() - begin
        self.expected = result(self.out)
        self.between = [result(x) for x in (root / "between").glob("*")]
        (root / "out").rename(root / "expected")
        if self.once:
            (root / "earlier").mkdir()
        else:
            self.run(seed=1)
            (root / "out").rename(root / "earlier")
        self.earlier = result(root / "earlier" / self.out.name)

    def _count_changes(self, do: Callable[[], None]) -> None:
        """Run a command, and count the changes of files that it makes."""
        (self.root / "out").mkdir(exist_ok=True)
        if self.torn is None:
            do()
            return
        self.torn.arm(self.root / "out")
        do()
        self.torn.disarm()
        self.changes = self.torn.count

    def _start(self, arguments: Sequence[str | Path], **options: Any) -> Child:
        if arguments[0] == "serve":
            options["beside"] = partial(stopped_commands.decide, self.root, arguments)
        return start(arguments, **options)

    def _must(self, arguments: Sequence[str | Path]) -> None:
        modules = self.root / "modules"
        child = self._start(arguments, modules=modules)
        if child.wait() not in GOOD:
            raise RuntimeError(f"{arguments[0]} failed: {child.said()}")
        # Imported here, they need not be in each process: that takes half of its time.
        for name in modules.read_text(encoding="utf-8").split("\n"):
            with suppress(ImportError):
                import_module(name)

    def arguments(self, seed: int = 0) -> list[str | Path]:
        """Return the command, which goes on where it is resumed."""
        return stopped_commands.arguments(self.command, self.root, self.out, seed, self.address)

    def run(self, seed: int) -> None:
        """Run to the end."""
        self._must(self.arguments(seed))

    def begin(self, **options: Any) -> Child:
        """Put the earlier result in the place and start a run."""
        shutil.rmtree(self.root / "out", ignore_errors=True)
        shutil.copytree(self.root / "earlier", self.root / "out")
        return self._start(self.arguments(), **options)

    def begin_and_kill_inside(self, draw: Random, at: float) -> tuple[str, Child]:
        """Put the earlier result in the place, start a run, and kill it inside of a change.

        Args:
            draw: Draws the share of a write, and whether all processes are killed.
            at: Place of the change among all of a run, from 0 to 1.

        Returns:
            The name of the call, empty if the run made fewer changes, and the process.
        """
        if self.torn is None:
            raise RuntimeError("the library that kills inside of writes is not loaded")
        shutil.rmtree(self.root / "out", ignore_errors=True)
        shutil.copytree(self.root / "earlier", self.root / "out")
        self.torn.arm(self.root / "out", 1 + int(at * self.changes), draw)
        child = self._start(self.arguments())
        child.wait()
        self.torn.disarm()
        return self.torn.struck, child

    def untouched(self) -> bool:
        """Return whether all is as before a run."""
        only = {x.name for x in self.out.parent.iterdir()} <= {self.out.name}
        return only and result(self.out) == self.earlier

    def problems(self, stopped: Child) -> list[str]:
        """Return the problems after a stop, and after the run that goes on from there."""
        found = [f"a traceback: {stopped.said()}"] if "Traceback" in stopped.said() else []
        there = result(self.out)
        kept = {name: there.get(name) for name in self.earlier} == self.earlier
        if self.once:
            kept = not self.out.exists()
        whole = there == self.expected or there in self.between
        if not (kept or whole or self._students_are_whole(there)):
            found.append("the earlier result is damaged")
        again = self._go_on()
        refused = self.once and not kept and any(x in again.said() for x in REFUSALS)
        if again.status not in GOOD and not refused:
            return [*found, f"it does not go on: {again.said()}"]
        now = result(self.out)
        if {name: now.get(name) for name in self.expected} != self.expected:
            found.append("it ends in another result")
        as_ever = {x.name for x in (self.root / "expected").iterdir()} | {self.out.name}
        left = [x.name for x in self.out.parent.iterdir() if x.name not in as_ever]
        left += [x.name for x in self.out.rglob("*") if TEMPORARY.fullmatch(x.name)]
        if left:
            found.append(f"left behind: {left}")
        return found

    def _students_are_whole(self, there: dict[str, bytes]) -> bool:
        """Tell whether each student of a list is the earlier or the new one."""

        def of(student: str, files: dict[str, bytes]) -> dict[str, bytes]:
            return {x: y for x, y in files.items() if x.startswith(f"{student}/")}

        both = self.earlier, self.expected
        return self.command == "retrain-many" and all(
            any(of(x, there) == of(x, whole) for whole in both) for x in ("one", "two")
        )

    def _go_on(self) -> Child:
        """Resume; a benchmark's job may outlive its parent until its step ends."""
        for _ in range(100):
            again = self._start(self.arguments())
            again.wait()
            if "another run writes here" not in again.said():
                break
            time.sleep(0.2)
        return again


def result(out: Path) -> dict[str, bytes]:
    """Return the files of a result: a model's, a benchmark's models, or the one that it is."""
    if out.is_file():
        return {out.name: out.read_bytes()}
    paths = (x for x in sorted(out.rglob("*")) if x.is_file() and x.name not in TIMING)
    paths = (x for x in paths if not TEMPORARY.fullmatch(x.name))
    return {x.relative_to(out).as_posix(): x.read_bytes() for x in paths if "jobs" not in x.parts}
