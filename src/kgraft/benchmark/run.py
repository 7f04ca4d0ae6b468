"""A benchmark: pieces run one after the other, kept as they finish, and put together."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from kgraft.benchmark.piece import Piece
from kgraft.benchmark.settings import SYSTEMS, BenchmarkSettings, System
from kgraft.errors import KgraftError, UnknownNameError
from kgraft.files import write_atomically
from kgraft.linking.collection import Collection
from kgraft.linking.read_collection import read_collection
from kgraft.training.checkpoint import fingerprint


def benchmark(
    path: str | Path,
    out: Path,
    *,
    targets: Sequence[str] | None = None,
    systems: Sequence[System] = SYSTEMS,
    settings: BenchmarkSettings | None = None,
    seed: int = 0,
    threads: int | None = None,
) -> dict[str, Any]:
    """Compare systems on targets, each pair in a process of its own.

    Finished pieces are kept in ``out``; a benchmark that is started again with the same data and
    settings goes on where it stopped.

    Args:
        path: The collection.
        out: Directory for ``results.json``, the pieces, and the teachers and students.
        targets: Graphs to measure; by default the collection's target, or every graph where it
            names none.
        systems: What to compare; a student brings its teacher along.
        settings: The settings of each system.
        seed: Seeds every system.
        threads: Threads of the matrix products; by default one a core.

    Returns:
        What ``results.json`` holds: settings, machine, and a list each of quality and cost.

    Raises:
        UnknownNameError: If a target is not in the collection.
        KgraftError: If a piece fails; what has finished is kept.
    """
    collection = read_collection(path)
    chosen = _targets(collection, targets)
    settings = (settings or BenchmarkSettings()).seeded(seed)
    threads = threads or os.cpu_count() or 1
    pieces = [
        _piece(str(path), collection, target, system, settings, threads, out)
        for target in chosen
        for system in _in_order(systems)
    ]
    results = list(_run(pieces))
    shown = [result for result in results if result["cost"]["system"] in systems]
    report = {
        "settings": {
            "collection": collection.name,
            "targets": chosen,
            "systems": list(systems),
            "seed": seed,
            "threads": threads,
            **settings.model_dump(mode="json"),
        },
        "machine": _machine(),
        "quality": [row for result in shown for row in result["quality"]],
        "cost": [result["cost"] for result in shown],
    }
    with write_atomically(out / "results.json") as temporary:
        temporary.write_text(json.dumps(report, indent=1), encoding="utf-8")
    return report


def _targets(collection: Collection, asked: Sequence[str] | None) -> list[str]:
    if asked is None:
        return [collection.target] if collection.target else list(collection.graphs)
    for name in asked:
        if name not in collection.graphs:
            known = ", ".join(collection.graphs)
            raise UnknownNameError(f"no source is called {name!r}; there are {known}")
    return list(asked)


def _in_order(systems: Sequence[System]) -> list[System]:
    """Return the systems to run, a teacher before its student."""
    needed = {*systems, "teacher"} if "student" in systems else {*systems}
    return [system for system in SYSTEMS if system in needed]


def _piece(
    path: str,
    collection: Collection,
    target: str,
    system: System,
    settings: BenchmarkSettings,
    threads: int,
    out: Path,
) -> Piece:
    arrays: list[NDArray[Any]] = [
        x for graph in collection.graphs.values() for x in (graph.train, graph.valid, graph.test)
    ]
    arrays += [x for links in collection.links for x in (links.pairs, links.confidence)]
    parts = " ".join(part.model_dump_json() for part in settings.of(system))
    what = f"{version('kgraft')} {target} {system} {threads} {parts}"
    return Piece(
        collection=path,
        target=target,
        system=system,
        settings=settings,
        threads=threads,
        models=out / "models" / target,
        result=out / "pieces" / f"{target}-{system}.json",
        fingerprint=fingerprint(what, *arrays),
    )


def _run(pieces: Sequence[Piece]) -> Iterator[dict[str, Any]]:
    for place, piece in enumerate(pieces, start=1):
        result = _finished(piece)
        if result is None:
            print(f"[{place}/{len(pieces)}] {piece.target}: {piece.system}", file=sys.stderr)
            _start(piece)
            result = _finished(piece)
        if result is None:
            raise KgraftError(f"{piece.result}: the piece that should be here was not written")
        yield result


def _finished(piece: Piece) -> dict[str, Any] | None:
    """Return a piece's result where it has run with this data and these settings."""
    try:
        result: dict[str, Any] = json.loads(piece.result.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return result if result.get("fingerprint") == piece.fingerprint else None


def _start(piece: Piece) -> None:
    description = piece.result.with_suffix(".piece.json")
    with write_atomically(description) as temporary:
        temporary.write_text(piece.model_dump_json(), encoding="utf-8")
    program = "import sys; from kgraft.benchmark.piece import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", program, str(description)]
    threads = {name: str(piece.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    finished = subprocess.run(command, env={**os.environ, **threads}, check=False)  # noqa: S603
    if finished.returncode:
        raise KgraftError(
            f"{piece.system} for {piece.target} failed; what came before is kept in "
            f"{piece.result.parent}, and the same command goes on from there"
        )
    description.unlink()


def _machine() -> dict[str, Any]:
    return {
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
