"""Kills inside of changes of files: writes are cut off, and a command survives them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None, reason="needs Linux and a C compiler"
)

KILLED = """
import os, sys
from pathlib import Path
from random import Random
from inside_writes import TornWrites, begin_again_with_library
begin_again_with_library()
torn, place = TornWrites(), Path(sys.argv[1])
for at in range(1, 6):
    torn.arm(place / "inside", at, Random(at))
    if not os.fork():
        os.setsid()
        (place / "outside").write_bytes(bytes(1000))
        (place / "inside" / str(at)).mkdir()
        (place / "inside" / str(at)).mkdir(exist_ok=True)
        with (place / "inside" / f"{at}.new").open("wb") as file:
            file.write(bytes(1000))
        (place / "inside" / f"{at}.new").rename(place / "inside" / f"{at}.file")
        (place / "inside" / f"{at}.file").unlink()
        os._exit(0)
    _, status = os.wait()
    torn.disarm()
    print(torn.count, torn.struck or "nothing", os.waitstatus_to_exitcode(status))
torn.remove()
"""


def test_the_change_that_was_chosen_kills(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    ended = subprocess.run(
        [sys.executable, script, tmp_path],
        env={"PYTHONPATH": f"{BENCHMARKS}:{BENCHMARKS.parent / 'src'}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=True,
        text=True,
    )
    assert ended.stdout.splitlines() == [
        "1 mkdir -9",
        "2 write -9",
        "3 rename -9",
        "4 unlink -9",
        "4 nothing 0",
    ]
    assert 0 < (tmp_path / "inside" / "2.new").stat().st_size < 1000


@pytest.mark.slow
def test_a_command_survives_kills_inside_of_its_writes(tmp_path: Path) -> None:
    out = tmp_path / "kills.json"
    command = [BENCHMARKS / "kills.py", "init", "inside", "--times", "3", "--out", out]
    subprocess.run([sys.executable, *command], check=True, cwd=BENCHMARKS.parent)
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["problems"] == []
    assert (found["survived"], sum(found["inside"].values())) == (3, 3)
