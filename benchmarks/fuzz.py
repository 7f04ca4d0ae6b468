"""Give each reader damaged input, and see that it ends in a graph or in a sentence.

Usage: python benchmarks/fuzz.py [READER ...] --inputs 100000 --workers 2 --out fuzz.json

Inputs are changed copies of what kgraft itself has written, each made by a seed and its number. A
process of its own reads them, one after the other; where it dies, hangs, or takes more memory than
it may, another one goes on behind the input at fault. Everything but kgraft's own errors is a
crash, and so is a file opened outside the input's directory.

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
import time
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kgraft.errors import KgraftError
from kgraft_experiments.benchmark.plan import write_report

SECONDS = 20
"""That an input may take."""

MEMORY = 2 << 30
"""Bytes that a worker may take beyond what it begins with."""

IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
"""Where files cost little."""

MOST_CRASHES = 50
"""Of a reader, after which it is not given more."""


def work(asked: Namespace) -> None:
    """Read inputs of one reader; what went wrong is appended to a file, line by line."""
    from readers import READERS, quietly

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
    """Return a list that fills with what Python opens beside the inputs, in their vicinity."""
    opened: list[str] = []
    inside, around = os.path.realpath(case), os.path.realpath(case.parent)

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | bytes):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            near = path.startswith(around) and not path.startswith(inside)
            if near or path in ("/etc/passwd", "/dev/zero"):
                opened.append(path)

    sys.addaudithook(hear)
    return opened


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def fuzz(name: str, asked: Namespace) -> dict[str, Any]:
    """Give a reader all inputs, in as many processes as it takes, and tell what came of it."""
    begin = time.perf_counter()
    first, last = asked.first, asked.first + asked.inputs
    crashes: list[dict[str, Any]] = []
    while first < last and len(crashes) < MOST_CRASHES:
        with tempfile.TemporaryDirectory(dir=IN_MEMORY) as scratch:
            place = Path(scratch)
            (place / "progress").write_bytes(first.to_bytes(8, "little"))
            (place / "crashes").touch()
            numbers = [f"--first={first}", f"--inputs={last - first}", f"--seed={asked.seed}"]
            command = [sys.executable, __file__, name, "--work", scratch, *numbers]
            threads = dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
            ended = subprocess.run(  # noqa: S603
                command, env={**os.environ, **threads}, capture_output=True, check=False
            )
            reached = int.from_bytes((place / "progress").read_bytes(), "little")
            crashes += [json.loads(x) for x in (place / "crashes").read_text().splitlines()]
            if ended.returncode:
                how = ended.stderr.decode(errors="replace").strip().splitlines()[-1:]
                what = f"ended with status {ended.returncode}: {' '.join(how)}"
                crashes.append({"number": reached, "what": what})
                reached += 1
            first = reached
    return {
        "reader": name,
        "inputs": min(first, last) - asked.first,
        "crashes": crashes,
        "seconds": round(time.perf_counter() - begin, 1),
        "command": f"python benchmarks/fuzz.py {name} --inputs {asked.inputs} --seed {asked.seed}",
    }


def fuzz_all(asked: Namespace) -> Iterator[dict[str, Any]]:
    """Fuzz all readers that are asked for, some at a time."""
    with ThreadPoolExecutor(asked.workers) as pool:
        yield from pool.map(lambda name: fuzz(name, asked), asked.readers)


def keep(asked: Namespace) -> None:
    """Write an input to a directory, to look at."""
    from readers import READERS

    with tempfile.TemporaryDirectory() as scratch:
        reader = READERS[asked.readers[0]]
        seeds = reader.seeds(Path(scratch))
    _write(reader.input(seeds, asked.seed, asked.first), asked.keep)


def options() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__, prog="fuzz.py")
    parser.add_argument("readers", nargs="*", help="by default all")
    parser.add_argument("--inputs", type=int, default=100_000, help="of each reader")
    parser.add_argument("--first", type=int, default=0, help="the number of the first input")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=Path("fuzz.json"))
    parser.add_argument("--keep", type=Path, help="only write the first input to this directory")
    parser.add_argument("--work", type=Path, help="of a worker: its directory")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    asked = options().parse_args(arguments)
    if asked.work is not None:
        work(asked)
        return
    if asked.keep is not None:
        keep(asked)
        return
    from readers import READERS

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
