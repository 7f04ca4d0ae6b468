"""Fuzz each reader: damaged input has to end in a graph or in an error message.

Usage: python benchmarks/fuzz.py [READER ...] --inputs 100000 --workers 2 --out fuzz.json

Inputs are changed copies of files that kgraft has written, each made by a seed and its number. A
process of its own reads them one after the other; where it dies, hangs, or exceeds its memory,
another one goes on with the next input. Everything but kgraft's own errors counts as a crash, and
so does a file opened outside the input's directory.

One input again: python benchmarks/fuzz.py READER --first NUMBER --inputs 1 --keep DIRECTORY
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from common import CORES, IN_MEMORY, ONE_THREAD, options_of, timed

from kgraft.errors import KgraftError
from kgraft_experiments.benchmark.plan import write_report

SECONDS = 20
"""Time limit of an input."""

MEMORY = 2 << 30
"""Bytes that a worker may allocate beyond those at its start."""

MOST_CRASHES = 50
"""Crashes of a reader after which it gets no more input."""


def work(asked: Namespace) -> None:
    """Read inputs of one reader, and append crashes to a file, one a line."""
    from more_readers import READERS
    from readers import quietly

    reader = READERS[asked.readers[0]]
    scratch = asked.work
    seeds_at, case = scratch / "seeds", scratch / "inside" / "case"
    seeds_at.mkdir(parents=True)
    seeds = reader.seeds(seeds_at)
    case.parent.mkdir()
    (case.parent / "outside.tsv").write_text("a\tr\tb\n", encoding="utf-8")
    opened = _opened_outside(case)
    _limit_memory()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with (scratch / "progress").open("r+b") as file, (scratch / "crashes").open("a") as crashes:
        progress = mmap.mmap(file.fileno(), 8)
        for number in range(asked.first, asked.first + asked.inputs):
            progress[:] = number.to_bytes(8, "little")
            shutil.rmtree(case, ignore_errors=True)
            case.mkdir()
            _write(reader.input(seeds, asked.seed, number), case)
            signal.setitimer(signal.ITIMER_REAL, SECONDS)
            try:
                quietly(reader, case)
            except KgraftError:
                pass
            except BaseException as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                what = f"{type(error).__name__}: {str(error)[:300]}"
                place = f"{Path(where.filename).name}:{where.lineno}"
                crashes.write(json.dumps({"number": number, "what": what, "at": place}) + "\n")
            signal.setitimer(signal.ITIMER_REAL, 0)
            if opened and not reader.anywhere:
                crashes.write(json.dumps({"number": number, "what": f"opened {opened}"}) + "\n")
            opened.clear()
            crashes.flush()
        progress[:] = (asked.first + asked.inputs).to_bytes(8, "little")


def _write(files: dict[str, bytes], directory: Path) -> None:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _opened_outside(case: Path) -> list[str]:
    """Return a list that fills with files which Python opens beside the inputs."""
    opened: list[str] = []
    inside, around = os.path.realpath(case), os.path.realpath(case.parent)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | bytes):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            near = path.startswith(around) and not path.startswith(inside)
            if near or path in ("/etc/passwd", "/dev/zero"):
                opened.append(path)

    sys.addaudithook(hook)
    return opened


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def fuzz(name: str, asked: Namespace) -> dict[str, Any]:
    """Fuzz a reader with all inputs, in as many processes as it takes, and return the row."""
    seconds, (inputs, crashes) = timed(partial(_fuzzed, name, asked))
    return {
        "reader": name,
        "inputs": inputs,
        "crashes": crashes,
        "seconds": round(seconds, 1),
        "command": f"python benchmarks/fuzz.py {name} --inputs {asked.inputs} --seed {asked.seed}",
    }


def _fuzzed(name: str, asked: Namespace) -> tuple[int, list[dict[str, Any]]]:
    """Return the number of inputs read, and the crashes."""
    first, last = asked.first, asked.first + asked.inputs
    crashes: list[dict[str, Any]] = []
    while first < last and len(crashes) < MOST_CRASHES:
        with tempfile.TemporaryDirectory(dir=IN_MEMORY) as scratch:
            place = Path(scratch)
            (place / "progress").write_bytes(first.to_bytes(8, "little"))
            (place / "crashes").touch()
            numbers = [f"--first={first}", f"--inputs={last - first}", f"--seed={asked.seed}"]
            command = [sys.executable, __file__, name, "--work", scratch, *numbers]
            ended = subprocess.run(  # noqa: S603
                command, env={**os.environ, **ONE_THREAD}, capture_output=True, check=False
            )
            reached = int.from_bytes((place / "progress").read_bytes(), "little")
            crashes += [json.loads(x) for x in (place / "crashes").read_text().splitlines()]
            if ended.returncode:
                how = ended.stderr.decode(errors="replace").strip().splitlines()[-1:]
                what = f"ended with status {ended.returncode}: {' '.join(how)}"
                crashes.append({"number": reached, "what": what})
                reached += 1
            first = reached
    return min(first, last) - asked.first, crashes


def fuzz_all(asked: Namespace) -> Iterator[dict[str, Any]]:
    """Fuzz the chosen readers, some at a time."""
    with ThreadPoolExecutor(asked.workers) as pool:
        yield from pool.map(lambda name: fuzz(name, asked), asked.readers)


def keep(asked: Namespace) -> None:
    """Write an input to a directory, for inspection."""
    from more_readers import READERS

    with tempfile.TemporaryDirectory() as scratch:
        reader = READERS[asked.readers[0]]
        seeds = reader.seeds(Path(scratch))
    _write(reader.input(seeds, asked.seed, asked.first), asked.keep)


def options() -> ArgumentParser:
    parser = options_of(
        __doc__,
        out=Path("fuzz.json"),
        threads=None,
        inputs=(100_000, "of each reader"),
        first=(0, "the number of the first input"),
        seed=0,
        workers=CORES,
        keep=(Path, "only write the first input to this directory"),
        work=(Path, "of a worker: its directory"),
    )
    parser.add_argument("readers", nargs="*", help="by default all")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    asked = options().parse_args(arguments)
    if asked.work is not None:
        work(asked)
        return
    if asked.keep is not None:
        keep(asked)
        return
    from more_readers import READERS

    asked.readers = asked.readers or list(READERS)
    if unknown := set(asked.readers) - READERS.keys():
        raise SystemExit(f"no reader is called {', '.join(sorted(unknown))}")
    rows = []
    for row in fuzz_all(asked):
        rows.append(row)
        rate = f"{row['inputs'] / row['seconds']:.0f} a second"
        print(f"{row['reader']}: {row['inputs']:,} inputs, {rate}, {len(row['crashes'])} crashes")
    write_report(asked.out, {"fuzz": rows})


if __name__ == "__main__":
    main()
