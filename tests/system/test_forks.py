"""Processes made by a fork, by spawn and by forkserver, before and after kgraft was used."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from kgraft.errors import DataError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

POOLS = """
import multiprocessing as mp, kgraft
def read(path):
    try:
        return len(kgraft.read_collection(path).target_graph.train)
    except kgraft.KgraftError as error:
        return str(error)
def asked(method):
    with mp.get_context(method).Pool(1) as pool:
        return pool.map_async(read, ["facts.tsv"]).get(60)[0]
if __name__ == "__main__":
    print(asked("fork"))
    print(read("facts.tsv"))
    for method in ("fork", "spawn", "forkserver"):
        print(asked(method))
"""

IMPORTED_ONLY = """
import os, time, kgraft, polars
kgraft.read_collection
time.sleep(0.2)
if os.fork() == 0:
    print(len(kgraft.read_collection("facts.tsv").target_graph.train), flush=True)
    os._exit(0)
os.wait()
"""

POLARS_ONLY = """
import os, kgraft, polars
kgraft.read_collection
polars.DataFrame({"a": [1]}).group_by("a").len()
if os.fork() == 0:
    try:
        kgraft.read_collection("facts.tsv")
    except kgraft.KgraftError as error:
        print(error, flush=True)
    os._exit(0)
os.wait()
"""

EVERY_ONE = """
import inspect, os, kgraft
from kgraft.io import interchange, write_graph
from kgraft.inference.complete import complete
from kgraft.inference.predict import Predictor
WITHOUT = {"collect", "read_settings"}  # They use no thread.
found = [getattr(kgraft, name) for name in kgraft.__all__ if name not in WITHOUT]
found = [x for x in found if inspect.isfunction(x)]
found += [interchange.from_arrays, interchange.from_pykeen, write_graph.write_graph, complete]
found += [Predictor.answer]
model = kgraft.TrainedModel
asked = "save fold_in evaluate predict ask explain similar rules report".split()
found += [getattr(model, name) for name in asked]
kgraft.read_collection("facts.tsv")
if os.fork() == 0:
    for work in found:
        required = [x for x in inspect.signature(work).parameters.values()
            if x.default is x.empty and x.kind is x.POSITIONAL_OR_KEYWORD]
        try:
            work(*["nothing"] * len(required)) if required[0].name != "self" else work(
                object.__new__(model), *["nothing"] * (len(required) - 1))
        except kgraft.KgraftError as error:
            assert "forked" in str(error), work
        print(work.__name__, flush=True)
    os._exit(0)
os.wait()
"""


def run(program: str, directory: Path) -> list[str]:
    """Run a program beside a file of facts, and return the lines that it prints."""
    facts = (f"{n}\tr\t{n + 1}" for n in range(20))
    (directory / "facts.tsv").write_text("\n".join(facts), encoding="utf-8")
    (directory / "program.py").write_text(program, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "program.py"],
        cwd=directory,
        capture_output=True,
        check=False,
        text=True,
        timeout=200,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def test_a_fork_before_the_first_use_works_and_one_after_it_is_an_error(tmp_path: Path) -> None:
    early, here, late, spawned, served = run(POOLS, tmp_path)
    assert early == here == spawned == served
    assert here.isdecimal()
    assert "forked" in late
    assert "spawn" in late


def test_a_fork_after_polars_was_used_by_others_is_an_error(tmp_path: Path) -> None:
    if not Path("/proc/self/task").exists():
        pytest.skip("this system does not list threads")
    (error,) = run(POLARS_ONLY, tmp_path)
    assert "forked" in error


def test_a_fork_after_polars_was_imported_works(tmp_path: Path) -> None:
    (facts,) = run(IMPORTED_ONLY, tmp_path)
    assert facts.isdecimal()


def test_every_entry_is_refused(tmp_path: Path) -> None:
    names = run(EVERY_ONE, tmp_path)
    assert {"read_links", "from_frame", "train", "predict", "answer", "save"} <= {*names}
    assert len(names) == 30


def test_errors_go_from_one_process_to_another() -> None:
    """A pool waits for ever for the result of a call whose error cannot be unpickled."""
    given = DataError("no facts", remedy="Give some", path="a.tsv", line=3)
    found = pickle.loads(pickle.dumps(given))  # noqa: S301
    assert str(found) == str(given) == "a.tsv, line 3: no facts. Give some."
    assert (found.problem, found.remedy, found.path, found.line) == (
        ("no facts", "Give some", "a.tsv", 3)
    )
