"""Places for the tasks of a list: processes here, a Ray cluster, or jobs of Slurm.

All need the same files under the same paths: a cluster shares its file system.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any, Final, Protocol

from kgraft.errors import KgraftError, SettingsError, first_line
from kgraft.system.extras import import_extra

PROGRAM: Final = """\
from kgraft.system.child_process import end_with_parent
end_with_parent()
from kgraft_command import main
main()
"""
"""The program of a task's process."""

PATIENCE: Final = 1.0
"""Seconds between looks at a job of a cluster."""

SHARED: Final = ("name", "timeout_min", "mem_gb", "nodes", "gpus_per_node", "stderr_to_stdout")
"""Parameters of submitit that are not Slurm's alone."""


class Place(Protocol):
    """Runs a command, and returns its exit status.

    A command that is stopped saves its work first.
    """

    def run(
        self, words: tuple[str, ...], environment: Mapping[str, str], log: Path, stop: Event
    ) -> int:
        """Run ``kgraft`` with some words, its output added to a log, until ``stop`` is set."""

    def close(self) -> None:
        """Leave the place."""


def run_command(words: tuple[str, ...], environment: Mapping[str, str], log: str) -> int:
    """Run a command in a process that ends with this one, and return its exit status."""
    with _started(words, environment, Path(log)) as process:
        return process.wait()


@contextmanager
def _started(
    words: tuple[str, ...], environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command, which ends, once its work is saved, with the block."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("ab") as file,
        subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", PROGRAM, *words],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=file,
        ) as process,
    ):
        try:
            yield process
        finally:
            assert process.stdin is not None  # noqa: S101 (a pipe, as asked for)
            process.stdin.close()


class LocalProcesses:
    """Processes of this machine."""

    def run(
        self, words: tuple[str, ...], environment: Mapping[str, str], log: Path, stop: Event
    ) -> int:
        """Run a command, see ``Place``."""
        with _started(words, environment, log) as process:
            while process.poll() is None and not stop.wait(0.1):
                pass
        return process.returncode

    def close(self) -> None:
        """Do nothing."""


class RayCluster:
    """Tasks of a Ray cluster, each begun again by Ray where its worker is lost.

    Args:
        address: Of the cluster, ``auto`` for the one of this machine, or ``local`` for a new one.
        threads: Cores of each task.
    """

    def __init__(self, address: str, threads: int) -> None:
        self._ray: Any = import_extra("ray", extra="ray")
        try:
            self._ray.init(address=address, log_to_driver=False, include_dashboard=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise KgraftError(
                f"no Ray cluster answers at {address} ({first_line(error)[:200]}). "
                "Start one with ray start --head, or give its address."
            ) from error
        self._remote = self._ray.remote(num_cpus=threads, max_retries=3)(run_command)

    def run(
        self, words: tuple[str, ...], environment: Mapping[str, str], log: Path, stop: Event
    ) -> int:
        """Run a command on one of the cluster's nodes, see ``Place``."""
        job = self._remote.remote(words, dict(environment), str(log.resolve()))
        while True:
            ready, _ = self._ray.wait([job], timeout=PATIENCE)
            try:
                if ready:
                    return int(self._ray.get(job))
                if stop.is_set():
                    self._ray.cancel(job)
                    return 1
            except self._ray.exceptions.RayError:
                return 1  # The node is gone; the same command goes on.

    def close(self) -> None:
        """Leave the cluster, and end one that was begun."""
        self._ray.shutdown()


class SlurmJobs:
    """Jobs of Slurm, submitted by submitit.

    Args:
        directory: Where submitit keeps its files, on the shared file system.
        parameters: ``NAME=VALUE`` of submitit, or of Slurm's ``sbatch``, as ``partition=short``;
            ``cluster=local`` runs them here.
        threads: Cores of each job.
    """

    def __init__(self, directory: Path, parameters: str, threads: int) -> None:
        submitit = import_extra("submitit", extra="slurm")
        given = _parsed(parameters)
        cluster = given.pop("cluster", "slurm")
        try:
            self._executor = submitit.AutoExecutor(folder=directory, cluster=cluster)
            named = {x if x in SHARED else f"slurm_{x}": y for x, y in given.items()}
            self._executor.update_parameters(cpus_per_task=threads, **named)
        except (RuntimeError, ValueError, NameError, TypeError) as error:
            raise KgraftError(
                f"Slurm cannot be used ({first_line(error)[:200]}). "
                "Start this where sbatch is, and check the parameters of --slurm."
            ) from error

    def run(
        self, words: tuple[str, ...], environment: Mapping[str, str], log: Path, stop: Event
    ) -> int:
        """Run a command as a job, see ``Place``."""
        job = self._executor.submit(run_command, words, dict(environment), str(log.resolve()))
        while not job.done():
            if stop.wait(PATIENCE):
                job.cancel()
                return 1
        return 1 if job.exception() is not None else int(job.result())

    def close(self) -> None:
        """Do nothing: jobs end by themselves."""


def _parsed(parameters: str) -> dict[str, Any]:
    """Return ``NAME=VALUE,...`` as a table, with whole numbers as such."""
    found: dict[str, Any] = {}
    for item in filter(None, (x.strip() for x in parameters.split(","))):
        name, equals, value = item.partition("=")
        if not equals:
            raise SettingsError(f"--slurm {item}: write NAME=VALUE, as partition=short")
        found[name] = int(value) if value.isdecimal() else value
    return found
