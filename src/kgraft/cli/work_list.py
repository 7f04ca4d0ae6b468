"""A list of students to train: read from a file, run in processes of their own, resumed.

Each target is trained by ``retrain`` or ``graft`` in a process that ends with this one, and logs to
a file beside its student. A student's directory has, in ``task.json``, the fingerprint of what it
was made from. It is written with the student, whole or not at all, so a finished task is never run
again, whenever this process ends, and a task of other data, settings or another teacher is.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from kgraft.cli.clusters import LocalProcesses, Place
from kgraft.cli.training import TASK_FILE, TASK_VARIABLE
from kgraft.errors import DataError, KgraftError
from kgraft.io.collection_file import (
    line_of,
    numbered,
    parse_collection_file,
    parse_tables,
    placed,
)
from kgraft.io.outside import is_outside, outside
from kgraft.model.manifest import MANIFEST
from kgraft.system.files import read_text
from kgraft.system.outputs import exclusive_lock, lock_of, run_of, write_atomically

PATIENCE: Final = 1.0
"""Seconds between looks at a task that another process works on."""

Status = Literal["done", "kept", "failed", "stopped"]
"""``kept``: it was done before."""


TABLES: Final = "[[target]]"
"""The tables of a list."""


class Target(BaseModel):
    """One ``[[target]]``: the data of a student.

    Args:
        name: Name of the student's directory; by default that of the data's file, or of its
            directory where the file is called ``collection.toml``.
        data: A collection, or a graph in any format.
        target: The graph of a collection that the student is for; by default its target.
        align: Whether to look for links, as ``graft`` does; by default for a graph only.
        compare: Whether to train without links beside it; by default as ``retrain`` and ``graft``.
        links: Files of further links, for ``graft``.
        set: Changes of settings, ``PART.NAME=VALUE``, after those of all targets.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = Field(None, pattern=r"^[\w][\w.-]*$")
    data: Path
    target: str | None = None
    align: bool | None = None
    compare: bool | None = None
    links: tuple[Path, ...] = ()
    set: tuple[str, ...] = ()

    @property
    def called(self) -> str:
        """The name of the student's directory."""
        if self.name:
            return self.name
        plain = self.data.name.partition(".")[0]
        return self.data.resolve().parent.name if plain == "collection" else plain

    @property
    def is_grafted(self) -> bool:
        """True if links are looked for."""
        return self.data.suffix.lower() != ".toml" if self.align is None else self.align


class WorkFile(BaseModel):
    """The whole file, its targets numbered from 1.

    Args:
        target: The targets.
        settings: A file of settings for all.
        set: Changes of settings for all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: Annotated[dict[int, Target], BeforeValidator(partial(numbered, examples=TABLES))] = (
        Field(min_length=1)
    )
    settings: Path | None = None
    set: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """A student to train.

    Args:
        name: Name of its directory.
        directory: The directory.
        words: The command that trains it, without the program.
        fingerprint: Of all that it depends on.
    """

    name: str
    directory: Path
    words: tuple[str, ...]
    fingerprint: str

    @property
    def log(self) -> Path:
        """The file of what the command says."""
        return self.directory.with_name(f"{self.directory.name}.log")

    @property
    def is_done(self) -> bool:
        """True if the student is there, and made from the same."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            made = json.loads((self.directory / TASK_FILE).read_text(encoding="utf-8"))
            return made["task"] == self.fingerprint and (self.directory / MANIFEST).is_file()
        return False


@dataclass(frozen=True)
class Result:
    """Outcome of a task.

    Args:
        name: The task's name.
        status: As ``Status`` says.
        seconds: Time that it took.
        validation_mrr: Validation MRR by the default way to answer, where it was measured.
        gained: What grafting gained over that of training alone, where it was measured.
        reason: The last line of the log of a task that failed.
    """

    name: str
    status: Status
    seconds: float
    validation_mrr: float | None = None
    gained: float | None = None
    reason: str = ""

    @property
    def line(self) -> str:
        """The result as text."""
        if self.status == "failed":
            return f"failed after {self.seconds:,.0f} s: {self.reason}"
        done = "done before" if self.status == "kept" else f"done in {self.seconds:,.0f} s"
        shown = "stopped" if self.status == "stopped" else done
        if self.validation_mrr is None:
            return shown
        return f"{shown}, validation MRR {100 * self.validation_mrr:.1f}"


def read_work(path: Path, teacher: str, out: Path, *, allow_outside: bool = False) -> list[Task]:
    """Read a file of targets; paths in it begin at its directory.

    Args:
        path: The file.
        teacher: The teacher of all.
        out: Directory of the students.
        allow_outside: Whether the list, and collections in it, may name files elsewhere.

    Raises:
        DataError: With the line, if it is not well-formed, a key is wrong, a student has no name
            or that of another, there is no such data, or a file lies outside.
    """
    text = read_text(path)
    work = parse_tables(WorkFile, path, text, TABLES)
    tasks: dict[str, Task] = {}
    for number, target in work.target.items():
        own = target.model_copy(update={"data": path.parent / target.data})
        line = line_of(text, "target", number)
        if not own.data.exists():
            raise DataError(f"there is no {own.data}", remedy="Mend 'data'", path=path, line=line)
        named = [own.data, *(path.parent / x for x in (*own.links, *_settings(work)))]
        for file in () if allow_outside else named:
            if is_outside(file, path.parent):
                raise outside(f"{file} lies outside of this list's directory", path, line)
        if not own.called or own.called in tasks:
            raise DataError(
                f"two students are called {own.called!r}" if own.called else "this has no name",
                remedy="Give one of them a 'name'",
                path=path,
                line=line,
            )
        task = _task(own, work, path.parent, teacher, out)
        words = (*task.words, "--allow-outside") if allow_outside else task.words
        tasks[own.called] = replace(task, words=words)
    return list(tasks.values())


def _settings(work: WorkFile) -> list[Path]:
    return [] if work.settings is None else [work.settings]


def _task(target: Target, work: WorkFile, base: Path, teacher: str, out: Path) -> Task:
    directory = out / target.called
    graft = target.is_grafted
    data = str(target.data)
    data = f".{os.sep}{data}" if data.startswith("-") else data  # Not an option.
    words = ["graft" if graft else "retrain", data, "--onto" if graft else "--teacher"]
    words += [teacher, "-o", str(directory), "--resume", "--overwrite"]
    files = [*_files_of(target.data), *(base / x for x in target.links)]
    if target.target is not None:
        words += ["--target", target.target]
    if target.compare is not None and target.compare != graft:
        words.append("--no-compare" if graft else "--compare-alone")
    for link in target.links:
        words += ["--links", str(base / link)]
    for settings in _settings(work):
        words += ["--settings", str(base / settings)]
        files.append(base / settings)
    for change in (*work.set, *target.set):
        words += ["--set", change]
    print_of = hashlib.sha256(json.dumps(words).encode())
    for file in [*files, Path(teacher) / MANIFEST]:
        print_of.update(_state(file))
    return Task(target.called, directory, tuple(words), print_of.hexdigest())


def _files_of(data: Path, above: tuple[Path, ...] = ()) -> list[Path]:
    """Return the files of a collection, its base and its graphs, of a directory, or of a graph."""
    if data.is_dir():
        return sorted(path for path in data.rglob("*") if path.is_file())
    if data.suffix.lower() != ".toml":
        return [data]
    described = parse_collection_file(data, read_text(data))
    files, here = [data], (*above, data.resolve())
    if described.base is not None and (base := data.parent / described.base).is_file():
        files += [] if base.resolve() in here else _files_of(base, here)
    for source in described.source.values():
        for value in dict(placed(source, data.parent)).values():
            files += [
                x for x in (value if isinstance(value, tuple) else (value,)) if isinstance(x, Path)
            ]
    files += [data.parent / x.path for x in described.links.values() if x.path is not None]
    return files


def _state(path: Path) -> bytes:
    """Return what changes with a file: its content if it is small, else size and time of change."""
    if not path.is_file():
        return b"none"
    about = path.stat()
    if about.st_size <= 1 << 24:
        return hashlib.sha256(path.read_bytes()).digest()
    return f"{about.st_size} {about.st_mtime_ns}".encode()


def run_tasks(
    tasks: Sequence[Task],
    *,
    workers: int,
    threads: int,
    finished: Callable[[Result], None],
    place: Place | None = None,
) -> list[Result]:
    """Run tasks, some at a time, and return their results in order.

    Args:
        tasks: The tasks.
        workers: Number of tasks at a time.
        threads: Threads of each.
        finished: Is called with each result.
        place: Where they run; by default in processes here.

    Raises:
        KeyboardInterrupt: Once all processes have ended, if one comes; they are resumed later.
    """
    stop = Event()

    def work(task: Task) -> Result:
        result = _result(task, stop, threads, place or LocalProcesses())
        finished(result)
        return result

    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(work, task) for task in tasks]
        try:
            return [future.result() for future in futures]
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _result(task: Task, stop: Event, threads: int, place: Place) -> Result:
    begun = time.monotonic()
    if not _wait_for(task, stop):
        return Result(task.name, "stopped", 0.0)
    if task.is_done:
        return Result(task.name, "kept", 0.0, *_measured(task))
    _begin(task)
    environment = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    environment |= {TASK_VARIABLE: task.fingerprint, "NO_COLOR": "1"}
    status = place.run(task.words, environment, task.log, stop)
    seconds = time.monotonic() - begun
    if task.is_done:
        return Result(task.name, "done", seconds, *_measured(task))
    if stop.is_set():
        return Result(task.name, "stopped", seconds)
    return Result(task.name, "failed", seconds, reason=_last_line(task.log) or f"status {status}")


def _wait_for(task: Task, stop: Event) -> bool:
    """Wait while another process, which an earlier run may have left, works on a task."""
    while not stop.is_set():
        try:
            with exclusive_lock(lock_of(task.directory)):
                return True
        except KgraftError:
            stop.wait(PATIENCE)
    return False


def _begin(task: Task) -> None:
    """Note which task a run is of, and remove the interrupted run of another one."""
    note = task.directory.with_name(f".{task.directory.name}.task")
    note.parent.mkdir(parents=True, exist_ok=True)
    known = note.read_text(encoding="utf-8") if note.is_file() else None
    if known != task.fingerprint:
        shutil.rmtree(run_of(task.directory), ignore_errors=True)
        note.write_text(task.fingerprint, encoding="utf-8")


def _measured(task: Task) -> tuple[float | None, float | None]:
    """Return a student's validation MRR and what it gained, from its metrics."""
    from kgraft.model.gain import gains_of

    metrics = json.loads((task.directory / "metrics.json").read_text(encoding="utf-8"))
    by = metrics.get("validation_mrr_by") or {}
    mrr = max(by.values()) if by else metrics.get("validation_mrr")
    gain = gains_of(metrics).get("all")
    return mrr, None if gain is None else gain.gain


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def write_results(path: Path, results: Sequence[Result]) -> None:
    """Write results as JSON, whole or not at all."""
    with write_atomically(path) as temporary:
        rows = [vars(x) for x in sorted(results, key=lambda x: x.name)]
        temporary.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
