"""Shared parts of the measuring scripts: options, reports, processes and clocks."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, count
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import torch

from kgraft.system.cores import usable_cores
from kgraft.system.memory import peak
from kgraft.system.messages import report_errors
from kgraft.training.batch import Batch
from kgraft.training.sampler import TripleSampler
from kgraft.training.step import Trainer
from kgraft_experiments.benchmark.plan import write_report
from kgraft_experiments.benchmark.runner import machine

ONE_THREAD = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
"""Environment of a process that computes with one thread."""

IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
"""Directory for many small files, or the default one."""

CORES = usable_cores()


def options_of(doc: str | None, *positional: str, **options: Any) -> ArgumentParser:
    """Return a parser with ``--out``, ``--threads`` and further options.

    Args:
        doc: The script's docstring; its first line is the description.
        positional: Required arguments.
        options: Default of each option, or a pair of default and help text. The default gives the
            type: a list takes several values, a type has no default, ``None`` drops the option. By
            default ``--out`` is required, and ``--threads`` the number of cores.
    """
    parser = ArgumentParser(description=(doc or "").splitlines()[0])
    for name in positional:
        parser.add_argument(name)
    for name, given in ({"out": Path, "threads": CORES} | options).items():
        if given is None:
            continue
        default, text = given if isinstance(given, tuple) else (given, None)
        kind = default if isinstance(default, type) else type(default)
        more: dict[str, Any] = {"type": kind, "default": default}
        if isinstance(default, list):
            more |= {"type": type(default[0]), "nargs": "+"}
        elif kind is default:
            more = {"type": kind, "required": name == "out"}
        parser.add_argument("--" + name.replace("_", "-"), help=text, **more)
    return parser


def run(
    parser: ArgumentParser,
    measure: Callable[[Namespace], dict[str, Any]],
    arguments: Sequence[str] | None = None,
    *,
    write: Callable[[Path, dict[str, Any]], None] | None = None,
    again: str | None = None,
) -> dict[str, Any]:
    """Parse arguments, measure, write the report to ``--out``, and return it.

    Args:
        parser: As ``options_of`` returns it.
        measure: Returns the body of the report; its own ``settings`` are added to those given.
        arguments: By default the command line's.
        write: By default ``write_report``, after settings and machine.
        again: Advice for a run that was interrupted.
    """
    asked = parser.parse_args(arguments)
    if "threads" in asked:
        torch.set_num_threads(asked.threads)
    with report_errors(again):
        report = measure(asked)
        if write is None:
            settings = settings_of(asked) | report.pop("settings", {})
            report = {"settings": settings, "machine": machine(), **report}
        (write or write_report)(asked.out, report)
    return report


def settings_of(asked: Namespace) -> dict[str, Any]:
    """Return the arguments that a report records: all but paths, and those not given."""
    return {
        name: value
        for name, value in vars(asked).items()
        if value is not None and not isinstance(value, Path)
    }


def add_to_report(path: Path, figures: Mapping[str, Any]) -> None:
    """Write figures into a report, beside those of other scripts that it holds."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    write_report(path, {**known, **figures})


def add_part(part: str, path: Path, figures: Mapping[str, Any]) -> None:
    """Write figures, among them ``command``, into a report of several scripts' parts.

    Its ``commands`` and ``machines`` have an entry for each part.
    """
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    rest = {name: value for name, value in figures.items() if name != "command"}
    commands = {**known.get("commands", {}), part: figures["command"]}
    machines = {**known.get("machines", {}), part: machine()}
    add_to_report(path, {**rest, "commands": commands, "machines": machines})


def apart(do: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a process of its own, and return its result."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(do, *arguments).result()


def peak_gib() -> float:
    """Return the peak memory of this process; NaN where the system does not tell."""
    return round((peak() or math.nan) / 2**30, 3)


def kgraft_run(
    arguments: Sequence[str], environment: Mapping[str, str] | None = None
) -> tuple[float, Any]:
    """Run the command line to its end; return its seconds, and the resources that it used."""
    command = [sys.executable, "-m", "kgraft", *arguments]
    begin = time.perf_counter()
    child = subprocess.Popen(command, env=environment)  # noqa: S603 (our own command)
    _, status, used = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise SystemExit(f"kgraft {arguments[0]} ended with status {child.returncode}")
    return seconds, used


def timed(do: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """Return the seconds that a call takes, and its result."""
    begin = time.perf_counter()
    result = do(*arguments)
    return time.perf_counter() - begin, result


def in_turns(work: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Call each function once to warm up and then in turns; return the seconds of each call."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for number in range(repeats + 1):
        for name, do in work.items():
            taken, _ = timed(do)
            if number:
                seconds[name].append(taken)
    return seconds


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> dict[str, float]:
    """Return the median, least and largest ratio of figures of the same rounds."""
    found = [one / other for one, other in zip(numerators, denominators, strict=True)]
    values = {"median": median(found), "least": min(found), "largest": max(found)}
    return {name: round(value, 4) for name, value in values.items()}


def one_step(trainer: Trainer, batch: Batch) -> None:
    """Take a training step, and read its losses."""
    trainer.step(batch)
    trainer.metrics.flush()


def endless(batches: TripleSampler) -> Iterator[Batch]:
    """Yield the batches of one epoch after the other."""
    return chain.from_iterable(batches.epoch(number) for number in count(1))
