"""Teachers trained by several processes on the command line: ended, killed, and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import kgraft
from kgraft.linking.collection import Collection

pytestmark = pytest.mark.slow

SCRIPT = """
import os, sys
from pathlib import Path
from kgraft.training.sharded_checkpoint import ShardedCheckpoint
import kgraft.training.sharded_checkpoint as module
import kgraft.training.loop as loop
import time
ShardedCheckpoint.__init__.__defaults__ = (0.5,)
module.Checkpoint.__init__.__defaults__ = (0.5,)
from kgraft.training.step import Trainer
step = Trainer.step
def slow(self, batch):
    time.sleep(float(os.environ.get("SLOW", "0")))
    return step(self, batch)
Trainer.step = slow
number, again = os.environ.get("RANK", "0"), os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
Path(f"{number}.{again}.pid").write_text(str(os.getpid()))
from kgraft_command import main
main()
"""

FAST = ["--set", "model.width=16", "--set", "training.batch_size=64", "--threads", "1"]


@pytest.fixture(scope="module")
def collection(generated: Collection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generated collection on disk."""
    place, lines = tmp_path_factory.mktemp("collection"), ["target = 'mine'"]
    for name, graph in generated.graphs.items():
        lines += ["[[source]]", f"name = '{name}'"]
        for split in ("train", "valid"):
            rows = getattr(graph, split)
            named = [
                [graph.entities.name(h), graph.relations.name(r), graph.entities.name(t)]
                for h, r, t in rows.tolist()
            ]
            text = "\n".join("\t".join(x) for x in named)
            (place / f"{name}-{split}.tsv").write_text(text + "\n")
            lines.append(f"{split} = '{name}-{split}.tsv'")
    for links in generated.links:
        if links.kind == "entity":
            left, right = (generated.graphs[x].entities for x in (links.left, links.right))
            text = "\n".join(f"{left.name(a)}\t{right.name(b)}" for a, b in links.pairs.tolist())
            file = f"{links.left}-{links.right}.tsv"
            (place / file).write_text(text + "\n")
            lines += ["[[links]]", f"left = '{links.left}'", f"right = '{links.right}'"]
            lines += [f"path = '{file}'", "unknown = 'skip'"]
    (place / "collection.toml").write_text("\n".join(lines) + "\n")
    return place / "collection.toml"


@pytest.fixture
def start(tmp_path: Path, collection: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start torchrun, whose processes write their numbers to files and save twice a second."""
    (tmp_path / "script.py").write_text(SCRIPT)

    def start(count: int, *arguments: str, restarts: int = 0, **more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += ["--nproc-per-node", str(count), "--max-restarts", str(restarts)]
        command += ["script.py", "pretrain", str(collection), "-o", "teacher", *FAST, *arguments]
        return subprocess.Popen(
            command,
            cwd=tmp_path,
            env=os.environ | {"OMP_NUM_THREADS": "1"} | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, path
        time.sleep(0.05)


def pid(tmp_path: Path, number: int) -> int:
    return int((tmp_path / f"{number}.0.pid").read_text())


def own_lines(text: str) -> list[str]:
    """Return the sentences of kgraft about the end of a run, without those of torchrun."""
    return [x for x in text.splitlines() if x.startswith(("Error:", "Stopped."))]


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, error = process.communicate(timeout=240)
    return process.returncode, out, error


def test_workers_write_a_teacher_that_all_readers_read(collection: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kgraft", "pretrain", str(collection), "-o", "teacher"]
    command += [*FAST, "--workers", "2", "--set", "training.epochs=12"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the model is in teacher") == 1
    assert sorted(x.name for x in tmp_path.iterdir()) == ["teacher"]
    teacher = kgraft.load_model(tmp_path / "teacher")
    lazy = kgraft.load_model(tmp_path / "teacher", lazy=True)
    assert lazy.kge.entity_rows(teacher.graph.parts["atlas"].entity_rows[:3]).shape == (3, 16)
    measured = teacher.evaluate(kgraft.read_collection(collection), target="atlas", split="valid")
    assert measured.ranks
    found = kgraft.retrain(
        kgraft.read_collection(collection),
        lazy,
        kgraft.RetrainSettings.model_validate(
            {"model": {"width": 16}, "training": {"epochs": 2}, "rules": {"longest": 0}}
        ),
    )
    assert found.kind == "student"


def test_bad_input_is_told_once(collection: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kgraft", "pretrain", str(tmp_path / "none.toml"), "-o", "x"]
    done = subprocess.run(
        [*command, "--workers", "2"], cwd=tmp_path, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 1
    assert done.stderr.strip().startswith("Error:")
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_run_goes_on_after_a_killed_worker(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    run = start(2, "--set", "training.epochs=6", restarts=1, SLOW="0.03")
    wait_for(tmp_path / ".teacher.run" / "embeddings.checkpoint.json", run)
    os.kill(pid(tmp_path, 1), signal.SIGKILL)
    status, out, error = finish(run)
    assert status == 0, error
    assert (tmp_path / "0.1.pid").exists()
    assert "the model is in teacher" in out
    assert len(own_lines(error)) == 1  # It is lost, or ended by torchrun; either goes on.
    lines = (tmp_path / "teacher" / "training.jsonl").read_text().splitlines()
    log = [json.loads(x) for x in lines]
    assert [x["epoch"] for x in log] == [1, 2, 3, 4, 5, 6]


def test_other_numbers_of_workers_go_on_after_an_interrupt_of_one(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    run = start(2, "--set", "training.epochs=6", SLOW="0.03")
    index = tmp_path / ".teacher.run" / "embeddings.checkpoint.json"
    wait_for(index, run)
    os.kill(pid(tmp_path, 1), signal.SIGTERM)
    status, _, error = finish(run)
    assert status != 0
    assert len(own_lines(error)) == 1
    assert "Stopped. The same command with --resume continues" in error
    assert len(json.loads(index.read_text())["files"]) == 2
    run = start(4, "--set", "training.epochs=6", "--resume", SLOW="0.03")
    end = time.monotonic() + 120
    while len(json.loads(index.read_text())["files"]) == 2:
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    finish(run)
    command = [sys.executable, "script.py", "pretrain"]
    arguments = run.args[run.args.index("pretrain") + 1 :]  # type: ignore[union-attr, index]
    done = subprocess.run([*command, *arguments], cwd=tmp_path, capture_output=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert kgraft.load_model(tmp_path / "teacher").metrics["best_epoch"] > 0


def test_a_worker_that_does_not_answer_ends_the_run(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    run = start(2, "--set", "training.epochs=50", SLOW="0.03", KGRAFT_WORKER_TIMEOUT="4")
    wait_for(tmp_path / ".teacher.run" / "embeddings.checkpoint.json", run)
    stopped = pid(tmp_path, 1)
    os.kill(stopped, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + 60
        while run.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
            if time.monotonic() > deadline - 50:
                with suppress(ProcessLookupError):
                    os.kill(stopped, signal.SIGCONT)
    finally:
        run.kill()
    assert "did not answer in time" in finish(run)[2]


def test_one_worker_trains_the_same_numbers_as_without_torchrun(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    status, _, error = finish(start(1, "--set", "training.epochs=2"))
    assert status == 0, error
    (tmp_path / "teacher").rename(tmp_path / "one")
    arguments = ["--set", "training.epochs=2"]
    run = start(1, *arguments)
    command = [sys.executable, "-m", "kgraft", *run.args[run.args.index("pretrain") :]]  # type: ignore[union-attr, index]
    run.kill()
    finish(run)
    subprocess.run([x if x != "teacher" else "plain" for x in command], cwd=tmp_path, check=True)
    weights = [(tmp_path / x / "weights.safetensors").read_bytes() for x in ("one", "plain")]
    assert weights[0] == weights[1]
