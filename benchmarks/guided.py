"""Fuzz readers by inputs that reach new code: coverage-guided, beside the damage of ``fuzz.py``.

Usage: python benchmarks/guided.py [READER ...] --seconds 60 --out guided.json

Needs atheris (``pip install atheris``), which records the branches of kgraft's own modules that an
input takes, and goes on from inputs that take new ones. An input is one file of a reader's valid
inputs with other content. Everything but kgraft's own errors counts as a crash, and so does a file
opened outside the input's directory, an input that takes 20 seconds, or too much memory.

Inputs that reach new code are kept in ``corpus/READER.zip``, the smallest ones first, so that the
next run begins with them; ``--keep 0`` leaves the file as it is.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
import zipfile
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common import IN_MEMORY, ONE_THREAD, options_of
from fuzz import SECONDS, _opened_outside, _write

from kgraft.errors import KgraftError
from kgraft_experiments.benchmark.plan import write_report

CORPUS = Path(__file__).with_name("corpus")

LONGEST = 1 << 14
"""Most bytes of an input."""

KEPT_BYTES = 1 << 14
"""Most bytes of the inputs that are kept for a reader, before compression."""

MEMORY_MIB = 4096
"""Memory that a process may take."""


BEGIN = """
import sys, atheris
sys.path.insert(0, sys.argv.pop(1))
with atheris.instrument_imports(include=["kgraft"]):
    import guided
    guided.main()
"""
"""Starts a worker: modules are recorded that are imported from here on."""


def work(asked: Namespace) -> None:
    """Fuzz one reader in this process, which libFuzzer ends."""
    import atheris

    scratch: Path = asked.work
    case = scratch / "inside" / "case"
    (scratch / "seeds").mkdir()
    case.mkdir(parents=True)
    from more_readers import READERS
    from readers import quietly

    reader = READERS[asked.readers[0]]
    seeds = reader.seeds(scratch / "seeds")
    for seed in seeds:  # What is imported on first use is not what an input reaches.
        _read(lambda: quietly(reader, case), seed, case)
    places = [(seed, name) for seed in seeds for name in sorted(seed)]
    for number, (seed, name) in enumerate(places[:256]):
        (scratch / "corpus" / f"seed{number}").write_bytes(bytes([number]) + seed[name])
    opened, seen = _opened_outside(case), set[str]()

    def one_input(data: bytes) -> None:
        seed, name = places[data[0] % len(places)] if data else places[0]
        what = _read(lambda: quietly(reader, case), {**seed, name: data[1:]}, case)
        if opened and not reader.anywhere:
            what = what or f"opened {opened[0]}"
        opened.clear()
        if what and what not in seen:
            seen.add(what)
            (scratch / "crashes" / str(len(seen))).write_bytes(data)
            with (scratch / "crashes.jsonl").open("a") as file:
                file.write(json.dumps({"input": len(seen), "what": what}) + "\n")

    options = [f"-max_total_time={asked.seconds}", f"-timeout={SECONDS}", f"-max_len={LONGEST}"]
    options += [
        f"-rss_limit_mb={MEMORY_MIB}",
        f"-artifact_prefix={scratch}/",
        f"-seed={asked.seed}",
    ]
    atheris.Setup(
        [sys.argv[0], *options, "-print_final_stats=1", str(scratch / "corpus")], one_input
    )
    atheris.Fuzz()


def _read(read: Callable[[], object], files: dict[str, bytes], case: Path) -> str:
    """Read an input; return its crash with the place of it, or nothing."""
    shutil.rmtree(case, ignore_errors=True)
    case.mkdir()
    _write(files, case)
    try:
        read()
    except KgraftError:
        return ""
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}"
    return ""


def fuzz(name: str, asked: Namespace) -> dict[str, Any]:
    """Fuzz a reader in a process of its own, and return the row."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as directory:
        scratch = Path(directory)
        for place in ("corpus", "crashes"):
            (scratch / place).mkdir()
        archive = CORPUS / f"{name}.zip"
        if archive.exists():
            with zipfile.ZipFile(archive) as kept:
                kept.extractall(scratch / "corpus")
        words = [f"--work={scratch}", f"--seconds={asked.seconds}", f"--seed={asked.seed}"]
        ended = subprocess.run(  # noqa: S603
            [sys.executable, "-c", BEGIN, Path(__file__).parent, name, *words],
            env={**os.environ, **ONE_THREAD},
            capture_output=True,
            check=False,
        )
        said = ended.stderr.decode(errors="replace")
        told = re.findall(r"stat::number_of_executed_units: (\d+)", said)
        reached = re.findall(r"cov: (\d+)", said)
        crashes = scratch / "crashes.jsonl"
        found = (
            [json.loads(x) for x in crashes.read_text().splitlines()] if crashes.exists() else []
        )
        for crash in found:
            crash["data"] = (scratch / "crashes" / str(crash["input"])).read_bytes()[:300].hex()
        if ended.returncode or not told:
            found.append({"what": f"ended with status {ended.returncode}: {said[-600:]}"})
        if asked.keep and not found:
            keep(scratch / "corpus", archive)
    return {
        "reader": name,
        "inputs": int(told[0]) if told else 0,
        "branches": [int(reached[0]), int(reached[-1])] if reached else [],
        "crashes": found,
        "command": f"python benchmarks/guided.py {name} --seconds {asked.seconds}",
    }


def keep(corpus: Path, archive: Path) -> None:
    """Keep the smallest inputs that libFuzzer has found."""
    new = (x for x in corpus.iterdir() if not x.name.startswith("seed"))
    archive.parent.mkdir(exist_ok=True)
    size = 0
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as kept:
        for path in sorted(new, key=lambda x: (x.stat().st_size, x.name)):
            size += path.stat().st_size
            if size > KEPT_BYTES:
                break
            about = zipfile.ZipInfo(path.name)  # the same bytes at any time
            kept.writestr(about, path.read_bytes(), zipfile.ZIP_DEFLATED)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options_of(
        __doc__,
        out=Path("guided.json"),
        threads=None,
        seconds=(60, "for each reader"),
        seed=(1, "of libFuzzer; 0 draws one"),
        keep=(1, "0 leaves the kept inputs as they are"),
        work=(Path, "of a worker: its directory"),
    )
    parser.add_argument("readers", nargs="*", help="by default all")
    asked = parser.parse_args(arguments)
    if asked.work is not None:
        work(asked)
        return
    from more_readers import READERS

    rows = []
    for name in asked.readers or READERS:
        rows.append(row := fuzz(name, asked))
        print(f"{name}: {row['inputs']:,} inputs, branches {row['branches']}", flush=True)
        for crash in row["crashes"]:
            print(f"  {crash}", flush=True)
        write_report(asked.out, {"fuzz": rows})


if __name__ == "__main__":
    main()
