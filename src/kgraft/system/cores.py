"""The cores that this process may use, and thread pools that leave them to others.

It imports nothing but what Python has loaded already, since ``import kgraft`` calls it.
"""

from __future__ import annotations

import os
import sys

CGROUPS = "/sys/fs/cgroup"
"""The directory of control groups on Linux, which give a container a share of the cores."""

OWN_GROUP = "/proc/self/cgroup"
"""The file that names this process's control groups."""


def usable_cores(cgroups: str = CGROUPS, own_group: str = OWN_GROUP) -> int:
    """Return the number of cores that this process may use, by affinity and a container's quota.

    Args:
        cgroups: Where control groups are mounted.
        own_group: The file that names this process's.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        cores = os.cpu_count() or 1
    shares = [cores, *_quotas(cgroups, own_group)]
    return max(1, -int(-min(shares) // 1))


def _quotas(cgroups: str, own_group: str) -> list[float]:
    """Return the cores of each quota that applies, of versions 1 and 2 of control groups."""
    found = []
    group = ""
    for line in _lines(own_group):
        if line.startswith("0::"):
            group = line[3:].strip().strip("/")
    # A quota of a group is one of all groups within it.
    parts = group.split("/") if group else []
    for depth in range(len(parts) + 1):
        folder = "/".join([cgroups, *parts[:depth]])
        found.append(" ".join(_lines(f"{folder}/cpu.max")).split())
    old = f"{cgroups}/cpu"
    given = (_lines(f"{old}/cpu.cfs_{name}_us") for name in ("quota", "period"))
    found.append(" ".join(line for lines in given for line in lines).split())
    cores = []
    for words in found:
        try:
            quota, period = float(words[0]), float(words[1])
        except (IndexError, ValueError):  # none, or "max"
            continue
        if quota > 0 and period > 0:
            cores.append(quota / period)
    return cores


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib would have to be loaded
            return file.read().splitlines()
    except (OSError, ValueError):
        return []


def share_cores() -> None:
    """Set what PyTorch's thread pool reads when it is loaded, unless the user has, or it is.

    Its threads then sleep while they wait for each other, where by default they keep their cores
    busy, so that the thread they wait for may have none. They are as many as ``usable_cores`` where
    a container has fewer than the machine.
    """
    if "torch" in sys.modules:
        return
    if "GOMP_SPINCOUNT" not in os.environ:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    cores = usable_cores()
    if cores < (os.cpu_count() or 1):
        os.environ.setdefault("OMP_NUM_THREADS", str(cores))
