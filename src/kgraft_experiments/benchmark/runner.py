"""Cases run one after the other, each in a process of its own, and kept as they finish."""

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
from numpy.typing import NDArray

from kgraft.errors import KgraftError
from kgraft.linking.collection import Collection
from kgraft.system.devices import CPU
from kgraft.system.files import alone, clear_up, write_atomically
from kgraft.system.terminal import visible
from kgraft.training.checkpoint import fingerprint
from kgraft_experiments.benchmark.cases import Case
from kgraft_experiments.benchmark.piece import Piece


@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Args:
        case: The case.
        quality: A row for each target, side, filter and part of the facts.
        cost: What it took, by name.
    """

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
    """Run cases, each after its teacher's, and return what came of each.

    A piece is named after all that its result depends on: data, settings, teacher, threads and
    device. So what has finished once is not run again, whichever benchmark in ``out`` asks for it
    and whatever it calls it, and a teacher is trained once.

    Args:
        path: The collection, for the processes to read.
        collection: The same as it was read.
        cases: What to run.
        out: Directory for the pieces and the models.
        threads: Threads of the matrix products.
        device: Where models are trained.

    Raises:
        KgraftError: If a piece fails, or another benchmark writes to ``out``; what has finished is
            kept.
    """
    data = _data_fingerprint(collection)
    by_case: dict[Case, Piece] = {}
    by_name: dict[str, Piece] = {}
    for case in _teachers_first(cases):
        teacher = None if case.teacher is None else by_case[case.teacher]
        piece = _piece(str(path), data, case, teacher, out, threads, str(device))
        by_case[case] = by_name.setdefault(piece.name, piece)
    with alone(out / ".lock") as lock:
        # A piece that outlives this process holds the lock on.
        os.set_inheritable(lock, True)
        results = dict(_run(list(by_name.values())))
    named = [(case, results[by_case[case].name]) for case in cases]
    return [Outcome(case, result["quality"], result["cost"]) for case, result in named]


def _teachers_first(cases: Sequence[Case]) -> Iterator[Case]:
    for case in cases:
        if case.teacher is not None:
            yield case.teacher
        yield case


def _data_fingerprint(collection: Collection) -> str:
    """Return a name for all that the collection's graphs and links say, their names included."""
    arrays: list[NDArray[Any]] = []
    names: list[Any] = []
    for graph in collection.graphs.values():
        arrays += [graph.train, graph.valid, graph.test]
        names += [graph.name, graph.entities.names.to_list(), graph.relations.names.to_list()]
    for links in collection.links:
        arrays += [links.pairs, links.confidence]
        names.append([links.left, links.right, links.kind])
    return fingerprint(json.dumps(names), *arrays)


def _piece(
    path: str,
    data: str,
    case: Case,
    teacher: Piece | None,
    out: Path,
    threads: int,
    device: str,
) -> Piece:
    taught_by = "" if teacher is None else teacher.fingerprint
    about = [data, case.targets, case.system, case.share, threads, device, taught_by]
    what = [version("kgraft"), *about]
    mark = fingerprint(json.dumps(what) + case.settings.model_dump_json())
    subject = re.sub(r"[^\w.-]+", "_", case.target) if len(case.targets) == 1 else "shared"
    return Piece(
        case=case,
        collection=path,
        threads=threads,
        device=device,
        out=out,
        name=f"{subject}-{case.system}-{mark[:12]}",
        teacher=None if teacher is None else teacher.name,
        fingerprint=mark,
    )


def _run(pieces: Sequence[Piece]) -> Iterator[tuple[str, dict[str, Any]]]:
    for place, piece in enumerate(pieces, start=1):
        result = _finished(piece)
        if result is None:
            clear_up(piece.result, piece.checkpoint, piece.model)
            print(f"[{place}/{len(pieces)}] {visible(str(piece.case))}", file=sys.stderr)
            _start(piece)
            result = _finished(piece)
        if result is None:
            raise KgraftError(f"{piece.result}: the piece that should be here was not written")
        yield piece.name, result


def _finished(piece: Piece) -> dict[str, Any] | None:
    """Return a piece's result where it has run, and has left the model that it should."""
    if piece.case.keeps_model and not piece.model.is_dir():
        return None
    try:
        result: dict[str, Any] = json.loads(piece.result.read_text(encoding="utf-8"))
        return result if result["fingerprint"] == piece.fingerprint else None
    except (FileNotFoundError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _start(piece: Piece) -> None:
    description = piece.result.with_suffix(".piece.json")
    with write_atomically(description) as temporary:
        temporary.write_text(piece.model_dump_json(), encoding="utf-8")
    program = "import sys; from kgraft_experiments.benchmark.piece import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", program, str(description)]
    threads = {name: str(piece.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    with subprocess.Popen(  # noqa: S603
        command, env={**os.environ, **threads}, stdin=subprocess.PIPE, close_fds=False
    ) as process:
        try:
            failed = process.wait()
        except KeyboardInterrupt:
            # The piece ends with its standard input, once it has kept its run.
            process.communicate()
            raise
    if failed:
        raise KgraftError(
            f"{piece.case} failed; what came before is kept in {piece.result.parent}, "
            "and the same command goes on from there"
        )
    description.unlink()


def machine(device: torch.device = CPU) -> dict[str, Any]:
    """Return what the figures were measured on and with."""
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
