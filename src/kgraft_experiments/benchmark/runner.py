"""Cases as jobs, run one after the other in processes of their own, results kept."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from kgraft.errors import KgraftError
from kgraft.linking.collection import Collection
from kgraft.pipeline.inputs import add_data
from kgraft.system.devices import CPU
from kgraft.system.outputs import exclusive_lock, remove_leftovers, write_atomically
from kgraft.system.terminal import visible
from kgraft.training.checkpoint import Fingerprint
from kgraft_experiments.benchmark.cases import Case
from kgraft_experiments.benchmark.job import Job


@dataclass(frozen=True)
class Outcome:
    """A case, its rows of quality (by target, side, filter and part of the facts), and its cost."""

    case: Case
    quality: Sequence[dict[str, Any]]
    cost: dict[str, Any]


def run_cases(
    path: str | Path,
    collection: Collection,
    cases: Sequence[Case],
    out: Path,
    *,
    threads: int,
    device: torch.device,
) -> list[Outcome]:
    """Run cases, each after its teacher's, and return their outcomes.

    A job is named by a fingerprint of data, settings, teacher, threads and device. So a finished
    job is never run again, whichever benchmark in ``out`` needs it, and a teacher is trained once.

    Raises:
        KgraftError: If a job fails, or another benchmark writes to ``out``; finished jobs are kept.
    """
    data = str(add_data(Fingerprint(), collection.graphs.values(), collection.links))
    by_case: dict[Case, Job] = {}
    by_name: dict[str, Job] = {}
    for case in _teachers_first(cases):
        teacher = None if case.teacher is None else by_case[case.teacher]
        job = _job(str(path), data, case, teacher, out, threads, str(device))
        by_case[case] = by_name.setdefault(job.name, job)
    with exclusive_lock(out / ".lock") as lock:
        # A job that outlives this process keeps the lock.
        os.set_inheritable(lock, True)
        results = dict(_run(list(by_name.values())))
    named = [(case, results[by_case[case].name]) for case in cases]
    return [Outcome(case, result["quality"], result["cost"]) for case, result in named]


def _teachers_first(cases: Sequence[Case]) -> Iterator[Case]:
    for case in cases:
        if case.teacher is not None:
            yield case.teacher
        yield case


def _job(
    path: str, data: str, case: Case, teacher: Job | None, out: Path, threads: int, device: str
) -> Job:
    of_teacher = "" if teacher is None else teacher.fingerprint
    depends_on = [data, case.targets, case.system, case.share, threads, device, of_teacher]
    settings = case.settings.model_dump_json()
    own = str(Fingerprint().add(json.dumps([version("kgraft"), *depends_on]), settings))
    subject = re.sub(r"[^\w.-]+", "_", case.target) if len(case.targets) == 1 else "shared"
    return Job(
        case=case,
        collection=path,
        threads=threads,
        device=device,
        out=out,
        name=f"{subject}-{case.system}-{own[:12]}",
        teacher=None if teacher is None else teacher.name,
        fingerprint=own,
    )


def _run(jobs: Sequence[Job]) -> Iterator[tuple[str, dict[str, Any]]]:
    for place, job in enumerate(jobs, start=1):
        result = _finished(job)
        if result is None:
            remove_leftovers(job.result, job.model)
            print(f"[{place}/{len(jobs)}] {visible(str(job.case))}", file=sys.stderr)
            _start(job)
            result = _finished(job)
        if result is None:
            raise KgraftError(f"{job.result}: the job has ended and not written this result")
        yield job.name, result


def _finished(job: Job) -> dict[str, Any] | None:
    """Return a job's result, or ``None`` where it or a model to keep is missing."""
    if job.case.keeps_model and not job.model.is_dir():
        return None
    try:
        result: dict[str, Any] = json.loads(job.result.read_text(encoding="utf-8"))
        return result if result["fingerprint"] == job.fingerprint else None
    except (FileNotFoundError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _start(job: Job) -> None:
    description = job.result.with_suffix(".job.json")
    with write_atomically(description) as temporary:
        temporary.write_text(job.model_dump_json(), encoding="utf-8")
    program = "import sys; from kgraft_experiments.benchmark.job import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", program, str(description)]
    threads = {name: str(job.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    with subprocess.Popen(  # noqa: S603
        command, env={**os.environ, **threads}, stdin=subprocess.PIPE, close_fds=False
    ) as process:
        try:
            failed = process.wait()
        except KeyboardInterrupt:
            # The job ends with its standard input, after a checkpoint.
            process.communicate()
            raise
    if failed:
        raise KgraftError(
            f"{job.case} failed; finished jobs are kept in {job.result.parent}, "
            "and the same command goes on from there"
        )
    description.unlink()


def machine(device: torch.device = CPU) -> dict[str, Any]:
    """Return the processor, the GPU if it is used, and the versions behind figures."""
    gpu = {"gpu": torch.cuda.get_device_name(device)} if device.type == "cuda" else {}
    return {
        **gpu,
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "kgraft": version("kgraft"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
