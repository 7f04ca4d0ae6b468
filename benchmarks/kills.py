"""Stop commands at random moments, and check that nothing is lost.

Usage: python benchmarks/kills.py COMMAND HOW --times 14 --out kills.json

COMMAND is one of those in ``stopped_commands.py``, on a small synthetic collection; HOW

kill
    SIGKILL at a random moment, then ``--resume``.
inside
    SIGKILL inside of a change of files below the directory: a write, which is cut off after a
    random share of its bytes, a rename, a deletion, a flush and so on. The changes of a run are
    counted, and the stops are spread over them. Half of the time all processes of the command are
    killed, else the one that makes the change. ``torn_writes.c`` does it, and needs a C compiler.
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

Some commands have no checkpoint, and write anew over an earlier result. Others write to an empty
place: after a stop there is nothing or all of it, and the same command starts anew, goes on
(fetch), or finds the result and is refused. A server of decisions is sent some and then ended;
after a stop its file holds some of them, in their order, and the same ones end in the same file.

Checkpoints are written every twentieth of a second here, not every 30 seconds.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from common import IN_MEMORY, options_of
from inside_writes import TornWrites, begin_again_with_library
from stopped_commands import COMMANDS
from stopped_place import Child, Place, result, start

from kgraft_experiments.benchmark.plan import write_report


def stopped(place: Place, draw: Random, number: int) -> Child:
    """Start runs until one is alive at its random moment; send it a signal then."""
    while True:
        child = place.begin()
        if child.wait(draw.uniform(0, place.seconds)) is None:
            # What starts the workers is no part of kgraft here, so they end with it.
            all_of_them = place.command == "workers" or draw.random() < 0.3
            child.send(number, whole=number == signal.SIGKILL and all_of_them)
            return child


def kill(place: Place, draw: Random) -> list[str]:
    return place.problems(stopped(place, draw, signal.SIGKILL))


def inside(place: Place, draw: Random) -> list[str]:
    """Kill inside of a change of files; later times choose later changes."""
    call, at = "", place.at
    while not call:
        call, child = place.begin_and_kill_inside(draw, at)
        at *= draw.random()  # How often a run is saved differs from time to time.
    place.calls[call] += 1
    return place.problems(child)


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


WAYS = {
    "kill": kill, "inside": inside, "end": end, "full": full, "damage": damage, "second": second,
}  # fmt: skip


def measured(asked: Namespace) -> dict[str, Any]:
    """Stop runs ``--times`` times, and return the outcome."""
    problems = []
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as scratch:
        place = Place(Path(scratch), asked.command)
        try:
            for number in range(asked.times):
                draw = Random(f"{asked.seed} {number}")
                place.at = (number + draw.random()) / asked.times
                for problem in WAYS[asked.how](place, draw):
                    problems.append({"time": number, "problem": problem})
                    print(f"{asked.command} {asked.how} {number}: {problem}", file=sys.stderr)
        finally:
            place.end()
    return {
        "tried": asked.times,
        "survived": asked.times - len({x["time"] for x in problems}),
        "before_it_began": place.before_it_began,
        **({"inside": dict(place.calls), "changes": place.changes} if place.changes else {}),
        "problems": problems,
        "run_seconds": round(place.seconds, 2),
        "seconds": round(time.perf_counter() - begin, 1),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options_of(__doc__, out=Path("kills.json"), threads=None, times=10, seed=0)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("how", choices=WAYS)
    asked = parser.parse_args(arguments)
    if asked.how == "inside":
        begin_again_with_library()
    try:
        write_report(asked.out, measured(asked))
    finally:
        if TornWrites.is_loaded():
            TornWrites().remove()


if __name__ == "__main__":
    main()
