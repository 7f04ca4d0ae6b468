"""The servers that ``soak.py`` asks, how their model is replaced, and figures of what they use."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from common import ONE_THREAD

PARTS = 3
"""Parts of the time: the first is the warm-up, the second is compared with the last."""

ROWS = 60
"""Rows of the report over the whole time."""

OTHER_SOCKETS = 8
"""Sockets of a server beside one for each client: it listens, and connections are closing."""

USED = ("resident_mib", "open_files", "sockets", "threads")
"""Figures of a look at a server; open files are those that are no sockets."""

MADE = ("target.entities=500", "target.facts=3000", "background.facts=6000")
SMALL = ("model.width=64", "training.epochs=10")


@dataclass
class Server:
    """A server in a process of its own.

    Args:
        process: The process.
        port: Its port.
        samples: Second, and figures of each look, in the order of ``USED``.
    """

    process: subprocess.Popen[str]
    port: int
    samples: list[tuple[float, ...]] = field(default_factory=list)

    def look(self, second: float) -> None:
        """Note what it uses."""
        about = Path(f"/proc/{self.process.pid}")
        status = dict(x.split(":", 1) for x in (about / "status").read_text().splitlines())
        open_ones = [str(x.readlink()) for x in (about / "fd").iterdir() if x.is_symlink()]
        sockets = sum(x.startswith("socket:") for x in open_ones)
        mib, files = int(status["VmRSS"].split()[0]) / 1024, len(open_ones) - sockets
        self.samples.append((second, mib, files, sockets, int(status["Threads"])))

    def seconds(self) -> float:
        """Return the processor time that it has taken."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def kgraft_command(*arguments: str | Path) -> list[str]:
    """Return a command of kgraft, with one thread where it computes."""
    return [sys.executable, "-m", "kgraft", *map(str, arguments)]


def made(root: Path) -> Path:
    """Make a collection and train its teacher and its student; return the student's directory."""
    changes = [part for x in MADE for part in ("--set", x)]
    small = [part for x in SMALL for part in ("--set", x)]
    student = root / "student"
    for command in (
        ["synth", "-o", root / "made", *changes],
        ["pretrain", root / "made", "-o", root / "teacher", *small, "--threads", "1"],
        replacement(root, 0),
    ):
        subprocess.run(  # noqa: S603
            kgraft_command(*command), check=True, capture_output=True, env=environment()
        )
    return student


def replacement(root: Path, number: int) -> list[str | Path]:
    """Return the command that makes the next model: in turn a re-training and an update."""
    own: list[str | Path] = ["retrain", root / "made", "-o", root / "student"]
    own += ["--teacher", root / "teacher", "--overwrite", "--threads", "1"]
    if number % 2:
        return [*own, "--from", root / "student"]
    return [*own, "--set", SMALL[0], "--set", f"training.seed={number}"]


def environment() -> dict[str, str]:
    """Return that of a process with one thread."""
    return {**os.environ, **ONE_THREAD, "PYTHONUNBUFFERED": "1"}


def compared(samples: Sequence[tuple[float, ...]], seconds: float) -> dict[str, Any]:
    """Compare the part after the warm-up with the last one, by medians."""
    first, last = (
        np.median([x[1:] for x in samples if low <= x[0] * PARTS / seconds < low + 1], axis=0)
        for low in (1, PARTS - 1)
    )
    found: dict[str, Any] = {
        name: [round(one, 1), round(other, 1)]
        for name, one, other in zip(USED, first.tolist(), last.tolist(), strict=True)
    }
    found["growth_percent"] = round(float(100 * (last[0] / first[0] - 1)), 2)
    found["largest_mib"] = round(max(x[1] for x in samples), 1)
    return found


def over_time(
    servers: Mapping[str, Server], times: Sequence[tuple[float, float]], seconds: float
) -> list[dict[str, Any]]:
    """Return the rows of the report, each of an equal part of the time.

    Args:
        servers: The servers, by name.
        times: Second of each request, and milliseconds until its response.
        seconds: The whole time.
    """
    rows = []
    for number in range(ROWS):
        low, high = (seconds * x / ROWS for x in (number, number + 1))
        taken = [ms for at, ms in times if low <= at < high]
        row: dict[str, Any] = {"minutes": round(high / 60, 2), "requests": len(taken)}
        for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99)):
            row[name] = round(float(np.quantile(taken, share)), 1) if taken else None
        for name, server in servers.items():
            if seen := [x[1:] for x in server.samples if low <= x[0] < high]:
                values = np.median(seen, axis=0).round(1).tolist()
                row[name] = dict(zip(USED, values, strict=True))
        rows.append(row)
    return rows


def floors(found: dict[str, Any], growth: float, clients: int) -> dict[str, bool]:
    """Return whether each floor holds."""
    held = {"no error": not found["errors"]}
    for name, server in found["servers"].items():
        held[f"{name}: memory"] = server["growth_percent"] < growth
        for what in ("open_files", "threads"):
            held[f"{name}: {what}"] = server[what][1] <= server[what][0]
        held[f"{name}: sockets"] = server["sockets"][1] <= clients + OTHER_SOCKETS
    return held
