"""What all benchmarks share: whom they measure, by which settings and seeds, and who teaches."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import torch

from kgraft.io.read_collection import read_collection
from kgraft.linking.collection import Collection
from kgraft.system.devices import device_called
from kgraft.system.files import write_atomically
from kgraft_experiments.benchmark.cases import Case, TeacherOf, chosen_targets, teachers
from kgraft_experiments.benchmark.runner import Outcome, machine, run_cases
from kgraft_experiments.benchmark.settings import BenchmarkSettings


class Options(TypedDict, total=False):
    """What every benchmark may be told, by keyword.

    Args:
        targets: Graphs to measure; by default the collection's target, or every graph where it
            names none.
        settings: The settings of each system; by default ``BenchmarkSettings()``.
        seed: The first seed, and the only one of the teachers; by default 0.
        seeds: With how many seeds all other systems are trained, ``seed`` and those after it; by
            default 1 to compare systems, and 3 where a spread is shown.
        reuse_teacher: Whether one teacher, of all sources that are no targets, serves all targets;
            by default each has its own, of all sources but itself.
        threads: Threads of the matrix products; by default one a core.
        device: Where models are trained, as ``kgraft.system.devices`` calls it; by default the CPU.
    """

    targets: Sequence[str] | None
    settings: BenchmarkSettings | None
    seed: int
    seeds: int | None
    reuse_teacher: bool
    threads: int | None
    device: str


@dataclass(frozen=True, eq=False)
class Setup:
    """A collection, and how it is measured.

    Args:
        path: The collection, for the processes to read.
        collection: The same as it was read.
        targets: The graphs to measure.
        settings: The settings of each system, with the first seed.
        seeds: The seeds of all systems but the teachers.
        reuse_teacher: Whether all targets have one teacher.
        teacher_of: The teacher of each target.
        threads: Threads of the matrix products.
        device: Where models are trained.
    """

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
        """Run cases, as ``run_cases`` does."""
        return run_cases(
            self.path, self.collection, cases, out, threads=self.threads, device=self.device
        )

    def report(self, path: Path, own: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        """Write a report and return it: settings, the benchmark's own among them, machine, body."""
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


def add_to_report(path: Path, figures: Mapping[str, Any]) -> None:
    """Write figures into a report, beside those of other scripts that it holds already."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    write_report(path, {**known, **figures})


def prepare(
    path: str | Path,
    *,
    usual_seeds: int,
    targets: Sequence[str] | None = None,
    settings: BenchmarkSettings | None = None,
    seed: int = 0,
    seeds: int | None = None,
    reuse_teacher: bool = False,
    threads: int | None = None,
    device: str = "cpu",
) -> Setup:
    """Read a collection and see whether the options suit it.

    Args:
        path: The collection.
        usual_seeds: How many seeds to take where ``seeds`` does not say.
        targets: As in ``Options``, and so are all others.
        settings: Of each system.
        seed: The first.
        seeds: How many.
        reuse_teacher: Whether one serves all targets.
        threads: Of the matrix products.
        device: Where models are trained.

    Raises:
        SettingsError: If there is no such device.
        UnknownNameError: If a target is not in the collection.
        ValueError: If there is no seed, or no source left for one teacher of all targets.
    """
    count = usual_seeds if seeds is None else seeds
    if count < 1:
        raise ValueError(f"a benchmark takes at least one seed, not {count}")
    collection = read_collection(path)
    chosen = chosen_targets(collection, targets)
    seeded = (settings or BenchmarkSettings()).seeded(seed)
    return Setup(
        path=str(path),
        collection=collection,
        targets=chosen,
        settings=seeded,
        seeds=list(range(seed, seed + count)),
        reuse_teacher=reuse_teacher,
        teacher_of=teachers(collection, chosen, seeded.pretrain, reuse=reuse_teacher),
        threads=threads or os.cpu_count() or 1,
        device=device_called(device),
    )
