"""Stop runs of the command line at any moment, and see that nothing is lost by it.

Usage: python benchmarks/kills.py VERB HOW --times 14 --out kills.json

VERB is train, pretrain, retrain, benchmark, align or audit, on a small synthetic collection. HOW is

kill
    SIGKILL at a random moment, then ``--resume``.
end
    SIGTERM at a random moment: the run says how to go on; then ``--resume``. Where it came before
    kgraft had begun, nothing has been made; such times are counted in ``before_it_began``, too.
full
    The disk fills up: files cannot grow beyond a random size; then room is made, and ``--resume``.
damage
    SIGKILL, then what was kept is cut off or a bit of it flips: that is told, and not gone on with.
second
    A second run into the same directory while the first one goes on: it is refused.

Each time an earlier model stands in the place. A time is survived if the earlier result, or the
whole new one, is there after the stop, if the resumed run ends in the same bytes as one that was
never stopped, log times aside, if nothing is left beside it, and if nobody saw a traceback.

align and audit keep no run, and write where nothing stands: after a stop there is
nothing or the whole, and the same command begins anew, or finds the whole and is refused.

Runs are kept every twentieth of a second here, not every 30 seconds, so that there is more to hit.
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
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from io import FileIO
from pathlib import Path
from random import Random
from typing import Any

from fuzz import IN_MEMORY

import kgraft.cli.main  # noqa: F401 - so that processes which are forked have all
import kgraft_command
from kgraft.pipeline import run
from kgraft.training import checkpoint
from kgraft_experiments.benchmark.plan import write_report

SMALL = ("model.width=32", "training.epochs=20", "training.min_steps=0", "training.patience=30")
COLLECTION = ("target.entities=200", "target.facts=1000", "background.facts=2000")
VERBS = ("train", "pretrain", "retrain", "benchmark", "align", "audit")
TIMING = (
    "training.jsonl",
    "README.md",
    "manifest.json",
    "report.html",
    "results.json",
    "results.html",
    ".lock",
)
"""Files of a result that tell times, or are no result."""

WORDS = 1 << 20
"""Bytes of a run's words that wait to be read; there are fewer."""


@dataclass
class Child:
    """The command line in a process of its own, forked from this one, which has all imported."""

    pid: int
    words: FileIO
    """The end of a pipe by which its words come: no full disk cuts them off."""
    text: bytes = b""
    begin: float = field(default_factory=time.perf_counter)
    status: int | None = None
    handled: bool = True
    """Whether it had a handler for the signal when it was given one."""

    def give(self, number: int, *, whole: bool = False) -> None:
        """Give it a signal, or to it and all processes that it has started."""
        self.handled = _handles(self.pid, number)
        (os.killpg if whole else os.kill)(self.pid, number)
        self.wait()

    def wait(self, seconds: float = math.inf) -> int | None:
        """Wait for its end at most so long; return its status, negative for a signal."""
        until = time.perf_counter() + seconds
        while self.status is None and time.perf_counter() < until:
            pid, status = os.waitpid(self.pid, os.WNOHANG if seconds < math.inf else 0)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            else:
                time.sleep(0.002)
        return self.status

    def said(self) -> str:
        """Return the last of what it has said."""
        self.text += self.words.read() or b""
        return self.text.decode(errors="replace")[-500:]


def _handles(pid: int, number: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return True
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def start(arguments: Sequence[str | Path], *, largest: int | None = None) -> Child:
    """Start the command line; it can write no file larger than ``largest``."""
    words, said = os.pipe()
    fcntl.fcntl(said, fcntl.F_SETPIPE_SZ, WORDS)
    os.set_blocking(words, False)
    pid = os.fork()
    if pid:
        os.close(said)
        return Child(pid, FileIO(words))
    status = 1
    try:
        os.setsid()
        for stream in (1, 2):
            os.dup2(said, stream)
        if largest is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
        checkpoint.SHARE = math.inf
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
    """A directory in which runs of one verb are stopped."""

    def __init__(self, root: Path, verb: str) -> None:
        self.root = root
        self.verb = verb
        self.once = verb in ("align", "audit")
        self.before_it_began = 0
        self.out = root / "out" / "result"
        self._must(["synth", "-o", root / "made", *_set(COLLECTION)])
        if verb == "retrain":
            self._must(["pretrain", root / "made", "-o", root / "teacher", *self.settings()])
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

    def settings(self, seed: int = 0) -> list[str]:
        return [*_set([*SMALL, f"training.seed={seed}"]), "--threads", "1"]

    def arguments(self, seed: int = 0) -> list[str | Path]:
        """Return the command, which goes on where it is resumed."""
        if self.verb == "benchmark":
            small = self.root / "settings.toml"
            parts = ("alone", "joint", "pretrain", "retrain")
            table = "[{0}.model]\nwidth = 8\n[{0}.training]\nepochs = 3\nmin_steps = 0\n"
            small.write_text("".join(table.format(part) for part in parts), encoding="utf-8")
            systems = ["--systems", "target-only,student", "--settings", small]
            seeds = ["--seed", str(seed), "--threads", "1"]
            return ["benchmark", self.root / "made", "-o", self.out, *systems, *seeds]
        if self.once:
            return [self.verb, self.root / "made", "-o", self.out]
        taught = ["--teacher", self.root / "teacher"] if self.verb == "retrain" else []
        own = [self.verb, self.root / "made", *taught, "-o", self.out, "--overwrite"]
        return [*own, "--resume", *self.settings(seed)]

    def run(self, seed: int) -> None:
        """Run to the end."""
        self._must(self.arguments(seed))

    def begin(self, **options: Any) -> Child:
        """Put the earlier result in the place and start a run."""
        shutil.rmtree(self.root / "out", ignore_errors=True)
        shutil.copytree(self.root / "earlier", self.root / "out")
        return start(self.arguments(), **options)

    def untouched(self) -> bool:
        """Say whether all is as it was before a run."""
        only = {x.name for x in self.out.parent.iterdir()} <= {self.out.name}
        return only and result(self.out) == self.earlier

    def problems(self, stopped: Child) -> list[str]:
        """Return what is wrong after a stop, and after the run that goes on from there."""
        found = [f"a traceback: {stopped.said()}"] if "Traceback" in stopped.said() else []
        there = result(self.out)
        kept = {name: there.get(name) for name in self.earlier} == self.earlier
        if self.once:
            kept = not self.out.exists()
        if not kept and there != self.expected:
            found.append("the earlier result is damaged")
        again = self._go_on()
        refused = self.once and not kept and "there is something here already" in again.said()
        if again.status and not refused:
            return [*found, f"it does not go on: {again.said()}"]
        now = result(self.out)
        if {name: now.get(name) for name in self.expected} != self.expected:
            found.append("it ends in another result")
        if left := [x.name for x in self.out.parent.iterdir() if x != self.out]:
            found.append(f"left behind: {left}")
        return found

    def _go_on(self) -> Child:
        """Resume; a job of a benchmark may outlive its parent by the step that it is at."""
        for _ in range(100):
            again = start(self.arguments())
            again.wait()
            if "another run writes here" not in again.said():
                break
            time.sleep(0.2)
        return again


def result(out: Path) -> dict[str, bytes]:
    """Return what a run has left: a model's files, or a benchmark's models."""
    paths = (x for x in sorted(out.rglob("*")) if x.is_file() and x.name not in TIMING)
    return {x.relative_to(out).as_posix(): x.read_bytes() for x in paths if "jobs" not in x.parts}


def _set(changes: Sequence[str]) -> list[str]:
    return [part for change in changes for part in ("--set", change)]


def stopped(place: Place, draw: Random, number: int) -> Child:
    """Start runs until one is alive at its random moment; give it a signal there."""
    while True:
        child = place.begin()
        if child.wait(draw.uniform(0, place.seconds)) is None:
            child.give(number, whole=number == signal.SIGKILL and draw.random() < 0.3)
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
        # What keeps the run is larger than the model, and the run goes on without.
        found += [] if result(place.out) == place.expected else ["it ends in another result"]
    elif child.status != 1 or "Error: " not in child.said():
        found.append(f"it ended with status {child.status}: {child.said()}")
    return [*found, *place.problems(child)]


def damage(place: Place, draw: Random) -> list[str]:
    kept: list[Path] = []
    while not kept:
        stopped(place, draw, signal.SIGKILL)
        kept = list(place.out.parent.glob(".result.checkpoint.safetensors"))
    whole = kept[0].read_bytes()
    at = draw.randrange(len(whole))
    flipped = whole[:at] + bytes([whole[at] ^ 1 << draw.randrange(8)]) + whole[at + 1 :]
    kept[0].write_bytes(flipped if draw.random() < 0.5 else whole[:at])
    child = place._go_on()
    found = [] if child.status == 1 else [f"it ended with status {child.status}: {child.said()}"]
    if "is damaged" not in child.said():
        found.append(f"damage at byte {at} was not told: {child.said()}")
    kept[0].write_bytes(whole)
    return [*found, *place.problems(child)]


def second(place: Place, draw: Random) -> list[str]:
    lock = place.out / ".lock" if place.verb == "benchmark" else place.out.with_name(".result.lock")
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
    """Stop runs as often as asked for, and tell what came of it."""
    problems = []
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as scratch:
        place = Place(Path(scratch), asked.verb)
        for number in range(asked.times):
            draw = Random(f"{asked.seed} {number}")
            for problem in WAYS[asked.how](place, draw):
                problems.append({"time": number, "problem": problem})
                print(f"{asked.verb} {asked.how} {number}: {problem}", file=sys.stderr)
    return {
        "tried": asked.times,
        "survived": asked.times - len({x["time"] for x in problems}),
        "before_it_began": place.before_it_began,
        "problems": problems,
        "run_seconds": round(place.seconds, 2),
        "seconds": round(time.perf_counter() - begin, 1),
    }


def options() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__, prog="kills.py")
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("how", choices=WAYS)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("kills.json"))
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    asked = options().parse_args(arguments)
    write_report(asked.out, measured(asked))


if __name__ == "__main__":
    main()
