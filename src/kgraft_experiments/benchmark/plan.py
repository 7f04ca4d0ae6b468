"""Options and setup that all benchmarks share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import torch

from kgraft.errors import DataError
from kgraft.io.read_collection import read_collection
from kgraft.linking.collection import Collection
from kgraft.system.cores import usable_cores
from kgraft.system.devices import parse_device
from kgraft.system.outputs import write_atomically
from kgraft_experiments.benchmark.cases import Case, TeacherOf, chosen_targets, teachers
from kgraft_experiments.benchmark.runner import Outcome, machine, run_cases
from kgraft_experiments.benchmark.settings import BenchmarkSettings


class BenchmarkOptions(TypedDict, total=False):
    """Keyword arguments of every benchmark.

    Args:
        targets: Graphs to measure; by default the collection's target, or every graph where it
            names none.
        settings: Settings of each system; by default ``BenchmarkSettings()``.
        seed: First seed, and the only one of the teachers; by default 0.
        seeds: Number of seeds of all other systems, from ``seed`` on; by default 1 to compare
            systems, and 3 where standard deviations are shown.
        reuse_teacher: Whether one teacher, of all sources that are no targets, serves all targets;
            by default each has its own, of all sources but itself.
        threads: Threads of the matrix products; by default one per core.
        device: Device that models are trained on, such as ``cuda``; by default the CPU.
        allow_outside: Whether files outside of the collection's directory are read too.
    """

    targets: Sequence[str] | None
    settings: BenchmarkSettings | None
    seed: int
    seeds: int | None
    reuse_teacher: bool
    threads: int | None
    device: str
    allow_outside: bool


@dataclass(frozen=True, eq=False)
class Setup:
    """A collection, read from ``path``, and the options of its benchmark with all defaults."""

    path: str
    collection: Collection
    targets: list[str]
    settings: BenchmarkSettings
    seeds: list[int]
    reuse_teacher: bool
    teacher_of: TeacherOf
    threads: int
    device: torch.device

    def run(self, cases: Sequence[Case], out: Path) -> list[Outcome]:
        """Run cases as ``run_cases`` does."""
        return run_cases(
            self.path, self.collection, cases, out, threads=self.threads, device=self.device
        )

    def report(self, path: Path, own: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        """Write and return a report: settings, with the benchmark's ``own``, machine and body."""
        settings = {
            "collection": self.collection.name,
            "targets": self.targets,
            **own,
            "seed": self.seeds[0],
            "seeds": self.seeds,
            "teacher_seed": self.seeds[0],
            "reuse_teacher": self.reuse_teacher,
            "threads": self.threads,
            "device": str(self.device),
            **self.settings.model_dump(mode="json"),
        }
        report = {"settings": settings, "machine": machine(self.device), **body}
        write_report(path, report)
        return report


def write_report(path: Path, report: dict[str, Any]) -> None:
    """Write a report as JSON, whole or not at all."""
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def prepare(path: str | Path, options: BenchmarkOptions, *, default_seeds: int) -> Setup:
    """Read a collection and check the options against it.

    Raises:
        SettingsError: If there is no such device.
        UnknownNameError: If a target is not in the collection.
        DataError: If a target has no test facts.
        ValueError: If there is no seed, or no source left for one teacher of all targets.
    """
    count, first = options.get("seeds"), options.get("seed", 0)
    count = default_seeds if count is None else count
    if count < 1:
        raise ValueError(f"a benchmark takes at least one seed, not {count}")
    collection = read_collection(path, allow_outside=options.get("allow_outside", False))
    chosen = chosen_targets(collection, options.get("targets"))
    for target in chosen:
        if not len(collection.graphs[target].test):
            raise DataError(
                f"{target!r} has no test facts to measure on",
                remedy="Name a file for 'test' in the collection, or let split make one",
            )
    settings = (options.get("settings") or BenchmarkSettings()).seeded(first)
    reuse = options.get("reuse_teacher", False)
    return Setup(
        path=str(path),
        collection=collection,
        targets=chosen,
        settings=settings,
        seeds=list(range(first, first + count)),
        reuse_teacher=reuse,
        teacher_of=teachers(collection, chosen, settings.pretrain, reuse=reuse),
        threads=options.get("threads") or usable_cores(),
        device=parse_device(options.get("device", "cpu")),
    )
