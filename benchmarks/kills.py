"""Stop commands at random moments, and check that nothing is lost.

Usage: python benchmarks/kills.py COMMAND HOW --times 14 --out kills.json

COMMAND is train, pretrain, retrain, graft, retrain-many, benchmark, align, audit, complete, check,
questions, fetch, import or texts, on a small synthetic collection; HOW

kill
    SIGKILL at a random moment, then ``--resume``.
end
    SIGTERM at a random moment: the run says how to go on; then ``--resume``. Signals that arrive
    before kgraft has started are also counted in ``before_it_began``.
full
    The disk is full: files cannot grow beyond a random size; then ``--resume`` without the limit.
damage
    SIGKILL, then a file of the run is truncated or a bit of it flips: this is reported and refused.
second
    A second run into the same directory while the first one goes on: it is refused.

An earlier model is in the place each time. A time is survived if the earlier result, or the whole
new one, is there after the stop, if the resumed run ends in the same bytes as one that was never
stopped (except for logged times), if no other file is left, and if no traceback was printed.

Commands from align on have no checkpoint, but for fetch, and write to an empty place: after a stop
there is nothing or the whole result, and the same command starts anew, or finds the result and is
refused.

Checkpoints are written every twentieth of a second here, not every 30 seconds.
"""

from __future__ import annotations

import fcntl
import math
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from io import FileIO
from pathlib import Path
from random import Random
from typing import Any

import stopped_commands
from common import IN_MEMORY, options_of
from stopped_commands import COMMANDS, ONCE

import kgraft.cli.main  # noqa: F401 - imported once, before processes are forked
import kgraft_command
from kgraft.pipeline import run
from kgraft.training import checkpoint
from kgraft_experiments.benchmark.plan import write_report

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


def start(arguments: Sequence[str | Path], *, largest: int | None = None) -> Child:
    """Start a command; it can write no file larger than ``largest`` bytes."""
    output, its_end = os.pipe()
    fcntl.fcntl(its_end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.set_blocking(output, False)
    pid = os.fork()
    if pid:
        os.close(its_end)
        return Child(pid, FileIO(output))
    status = 1
    try:
        os.setsid()
        for stream in (1, 2):
            os.dup2(its_end, stream)
        if largest is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
        checkpoint.TIME_SHARE = math.inf
        often = partial(checkpoint.Checkpoint, every_seconds=0.05)
        run.Checkpoint = often  # type: ignore[attr-defined]
        sys.argv = ["kgraft", *map(str, arguments)]
        kgraft_command.main()
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class Place:
    """A directory in which runs of one command are stopped."""

    def __init__(self, root: Path, command: str) -> None:
        self.root = root
        self.command = command
        self.once = command in ONCE
        self.before_it_began = 0
        self.out = root / "out" / ONCE.get(command, "result")
        stopped_commands.prepare(command, root, self._must)
        self.address, self.end = "", lambda: None
        if command == "fetch":
            self.address, self.end = stopped_commands.endpoint()
        begin = time.perf_counter()
        self.run(seed=0)
        self.seconds = time.perf_counter() - begin
        self.expected = result(self.out)
        (root / "out").rename(root / "expected")
        if self.once:
            (root / "earlier").mkdir()
        else:
            self.run(seed=1)
            (root / "out").rename(root / "earlier")
        self.earlier = result(root / "earlier" / self.out.name)

    def _must(self, arguments: Sequence[str | Path]) -> None:
        child = start(arguments)
        if child.wait():
            raise RuntimeError(f"{arguments[0]} failed: {child.said()}")

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
        return start(self.arguments(), **options)

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
        if not (kept or there == self.expected or self._students_are_whole(there)):
            found.append("the earlier result is damaged")
        again = self._go_on()
        refused = self.once and not kept and any(x in again.said() for x in REFUSALS)
        if again.status and not refused:
            return [*found, f"it does not go on: {again.said()}"]
        now = result(self.out)
        if {name: now.get(name) for name in self.expected} != self.expected:
            found.append("it ends in another result")
        if left := [x.name for x in self.out.parent.iterdir() if x != self.out]:
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
            again = start(self.arguments())
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
    return {x.relative_to(out).as_posix(): x.read_bytes() for x in paths if "jobs" not in x.parts}


def stopped(place: Place, draw: Random, number: int) -> Child:
    """Start runs until one is alive at its random moment; send it a signal then."""
    while True:
        child = place.begin()
        if child.wait(draw.uniform(0, place.seconds)) is None:
            child.send(number, whole=number == signal.SIGKILL and draw.random() < 0.3)
            return child


def kill(place: Place, draw: Random) -> list[str]:
    return place.problems(stopped(place, draw, signal.SIGKILL))


def end(place: Place, draw: Random) -> list[str]:
    child = stopped(place, draw, signal.SIGTERM)
    found = []
    nothing = not child.handled and child.status == -signal.SIGTERM and not child.said()
    if (nothing or child.said() == "Stopped.\n") and place.untouched():
        place.before_it_began += 1
        return place.problems(child)
    if child.status not in (0, 128 + signal.SIGTERM):
        found.append(f"it ended with status {child.status}: {child.said()}")
    if child.status and "Stopped. The same command" not in child.said():
        found.append(f"it does not say how to go on: {child.said()}")
    return [*found, *place.problems(child)]


def full(place: Place, draw: Random) -> list[str]:
    largest = max(len(x) for x in place.expected.values())
    child = place.begin(largest=draw.randrange(100, largest))
    child.wait()
    found = []
    if child.status == 0:
        # The checkpoint is larger than the model, and the run goes on without.
        found += [] if result(place.out) == place.expected else ["it ends in another result"]
    elif child.status != 1 or "Error: " not in child.said():
        found.append(f"it ended with status {child.status}: {child.said()}")
    return [*found, *place.problems(child)]


def damage(place: Place, draw: Random) -> list[str]:
    kept: list[Path] = []
    while not kept:
        stopped(place, draw, signal.SIGKILL)
        kept = sorted(place.out.parent.glob(".result.run/*.safetensors"))
    file = draw.choice(kept)
    whole = file.read_bytes()
    at = draw.randrange(len(whole))
    flipped = whole[:at] + bytes([whole[at] ^ 1 << draw.randrange(8)]) + whole[at + 1 :]
    file.write_bytes(flipped if draw.random() < 0.5 else whole[:at])
    child = place._go_on()
    found = [] if child.status == 1 else [f"it ended with status {child.status}: {child.said()}"]
    if "is damaged" not in child.said():
        found.append(f"damage at byte {at} was not told: {child.said()}")
    file.write_bytes(whole)
    return [*found, *place.problems(child)]


def second(place: Place, draw: Random) -> list[str]:
    lock = (
        place.out / ".lock" if place.command == "benchmark" else place.out.with_name(".result.lock")
    )
    first = place.begin()
    while not lock.exists() and first.wait(0.01) is None:
        pass
    time.sleep(draw.uniform(0, place.seconds / 4))
    other = start(place.arguments())
    other.wait()
    found = [] if first.wait() == 0 else [f"the first failed: {first.said()}"]
    if other.status != 1 or "another run writes here" not in other.said():
        found.append(f"the second was not refused: {other.said()}")
    return [*found, *place.problems(first)]


WAYS = {"kill": kill, "end": end, "full": full, "damage": damage, "second": second}


def measured(asked: Namespace) -> dict[str, Any]:
    """Stop runs ``--times`` times, and return the outcome."""
    problems = []
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as scratch:
        place = Place(Path(scratch), asked.command)
        try:
            for number in range(asked.times):
                draw = Random(f"{asked.seed} {number}")
                for problem in WAYS[asked.how](place, draw):
                    problems.append({"time": number, "problem": problem})
                    print(f"{asked.command} {asked.how} {number}: {problem}", file=sys.stderr)
        finally:
            place.end()
    return {
        "tried": asked.times,
        "survived": asked.times - len({x["time"] for x in problems}),
        "before_it_began": place.before_it_began,
        "problems": problems,
        "run_seconds": round(place.seconds, 2),
        "seconds": round(time.perf_counter() - begin, 1),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options_of(__doc__, out=Path("kills.json"), threads=None, times=10, seed=0)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("how", choices=WAYS)
    asked = parser.parse_args(arguments)
    write_report(asked.out, measured(asked))


if __name__ == "__main__":
    main()
