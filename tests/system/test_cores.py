"""The cores that a container's quota leaves, and thread pools that sleep while they wait."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kgraft.system import cores
from kgraft.system.cores import usable_cores


@pytest.fixture
def of_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of 8 cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def group_file(place: Path, name: str, content: str) -> None:
    file = place / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


def usable(place: Path, own_group: str = "0::/\n") -> int:
    (place / "own").write_text(own_group)
    return usable_cores(str(place), str(place / "own"))


@pytest.mark.usefixtures("of_machine")
@pytest.mark.parametrize(
    ("quota", "wanted"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("9900000 100000", 8),
        ("", 8),
        ("no numbers", 8),
        ("0 0", 8),
    ],
)
def test_a_quota_bounds_the_cores(tmp_path: Path, quota: str, wanted: int) -> None:
    group_file(tmp_path, "cpu.max", f"{quota}\n")
    assert usable(tmp_path) == wanted


@pytest.mark.usefixtures("of_machine")
def test_the_least_quota_of_all_groups_above_counts(tmp_path: Path) -> None:
    group_file(tmp_path, "pod/cpu.max", "300000 100000\n")
    group_file(tmp_path, "pod/box/cpu.max", "max 100000\n")
    assert usable(tmp_path, "1:name=systemd:/\n0::/pod/box\n") == 3
    group_file(tmp_path, "pod/box/cpu.max", "100000 50000\n")
    assert usable(tmp_path, "0::/pod/box\n") == 2


@pytest.mark.usefixtures("of_machine")
def test_quotas_of_version_1_count_too(tmp_path: Path) -> None:
    group_file(tmp_path, "cpu/cpu.cfs_quota_us", "400000\n")
    group_file(tmp_path, "cpu/cpu.cfs_period_us", "100000\n")
    assert usable(tmp_path) == 4
    group_file(tmp_path, "cpu/cpu.cfs_quota_us", "-1\n")
    assert usable(tmp_path) == 8


def test_affinity_counts_rather_than_the_cores_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert usable(tmp_path) == 2


def imported(**environment: str) -> list[str]:
    """Return the variables of thread pools after ``import kgraft``."""
    names = ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "GOMP_SPINCOUNT")
    given = {name: x for name, x in os.environ.items() if name not in names} | environment
    program = f"import kgraft, os; print(*(os.environ.get(x, '-') for x in {names!r}))"
    found = subprocess.run(
        [sys.executable, "-c", program], env=given, check=True, capture_output=True, text=True
    )
    return found.stdout.split()


def test_threads_sleep_while_they_wait_unless_the_user_wants_otherwise() -> None:
    assert imported()[0] == "PASSIVE"
    assert imported(OMP_WAIT_POLICY="ACTIVE")[0] == "ACTIVE"
    assert imported(GOMP_SPINCOUNT="1000")[::2] == ["-", "1000"]
    assert imported(OMP_NUM_THREADS="3")[1] == "3"


def test_torch_takes_as_many_threads_as_the_container_has_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(cores, "usable_cores", lambda: 2)
    # A pool that is there already is left as it is.
    cores.share_cores()
    assert "OMP_NUM_THREADS" not in os.environ
    monkeypatch.delitem(sys.modules, "torch")
    cores.share_cores()
    assert os.environ["OMP_NUM_THREADS"] == "2"
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.delenv("OMP_WAIT_POLICY")
