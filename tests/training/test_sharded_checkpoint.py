"""Runs of several workers on disk: whole sets of files, and damaged ones named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from thread_workers import together

from kgraft.errors import DataError, KgraftWarning
from kgraft.system.workers import ALONE, Workers
from kgraft.training import sharded_checkpoint
from kgraft.training.checkpoint import Checkpoint
from kgraft.training.sharded_checkpoint import ShardedCheckpoint


def test_a_set_that_one_worker_cannot_write_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = {"log": [], "current": {"steps": 1}}

    def work(workers: Workers) -> None:
        kept = ShardedCheckpoint(tmp_path / "run.safetensors", "it", workers, 5)
        state = {"entities": torch.full((workers.n_own(5), 2), float(workers.number))}
        kept.save(state, {}, run)
        if workers.number == 0:
            write = sharded_checkpoint.write_tensors

            def full(path: Path, *what: object, **how: object) -> None:
                if "-2-of-" in path.name or ".0-2.2-of-" in path.name:
                    raise OSError("no space left")
                write(path, *what, **how)  # type: ignore[arg-type]

            monkeypatch.setattr(sharded_checkpoint, "write_tensors", full)
        workers.barrier()
        later = {"entities": state["entities"] + 9}
        kept.save(later, {}, {"log": [], "current": {"steps": 2}})
        saved = kept.load()
        assert saved is not None
        assert saved.state["entities"].equal(state["entities"])

    with pytest.warns(KgraftWarning, match="could not be saved"):
        together(2, work)


def test_a_missing_or_damaged_part_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"

    def save(workers: Workers) -> None:
        kept = ShardedCheckpoint(path, "it", workers, 5)
        state = {"entities": torch.zeros(workers.n_own(5), 2)}
        kept.save(state, {}, {"log": [], "current": {"steps": 1}})

    together(2, save)
    part = next(tmp_path.glob("run.*2-of-2.safetensors"))
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(DataError, match=part.name):
        ShardedCheckpoint(path, "it", ALONE, 5).load()
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(DataError, match=r"run\.json"):
        ShardedCheckpoint(path, "it", ALONE, 5).load()
    (tmp_path / "run.json").unlink()
    assert ShardedCheckpoint(path, "it", ALONE, 5).load() is None
    Checkpoint(path, "it").save({"entities": torch.ones(5, 2)}, {}, {"log": []})
    saved = ShardedCheckpoint(path, "it", ALONE, 5).load()
    assert saved is not None
    assert saved.state["entities"].equal(torch.ones(5, 2))
