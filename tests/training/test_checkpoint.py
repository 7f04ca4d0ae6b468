"""A run on disk: what comes back, and what is not taken for it."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from kgraft.training.checkpoint import Checkpoint, fingerprint

STATE = {"entities": torch.arange(6.0).reshape(3, 2), "dense.0.step": torch.tensor(4.0)}
BEST = {"entities": torch.ones(3, 2)}
RUN = {"log": [{"epoch": 1, "loss": 0.1 + 0.2}], "best_epoch": 1, "best_mrr": None, "waited": 0}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A checkpoint of the run ``it``."""
    Checkpoint(tmp_path / "run", "it", every_seconds=0.0).save_if_due(STATE, BEST, RUN)
    return tmp_path / "run"


def test_everything_comes_back(path: Path) -> None:
    saved = Checkpoint(path, "it").load()
    assert saved is not None
    assert saved.run == RUN
    for own, given in ((saved.state, STATE), (saved.best, BEST)):
        assert own.keys() == given.keys()
        assert all(own[name].equal(value) for name, value in given.items())


def test_a_run_without_a_best_state_comes_back(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run", "it", every_seconds=0.0)
    checkpoint.save_if_due(STATE, {}, RUN)
    saved = checkpoint.load()
    assert saved is not None
    assert saved.best == {}


def test_nothing_is_no_run(tmp_path: Path) -> None:
    assert Checkpoint(tmp_path / "run", "it").load() is None


def test_another_run_is_not_taken_for_this(path: Path) -> None:
    assert Checkpoint(path, "another").load() is None


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_cut_off_file_is_no_run(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert Checkpoint(path, "it").load() is None


@pytest.mark.parametrize("metadata", [None, {"other": "x"}, {"run": "{"}, {"run": "{}"}], ids=str)
def test_a_file_of_something_else_is_no_run(
    tmp_path: Path, metadata: dict[str, str] | None
) -> None:
    save_file(STATE, tmp_path / "run", metadata=metadata)
    assert Checkpoint(tmp_path / "run", "it").load() is None


def test_a_run_is_kept_only_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    checkpoint = Checkpoint(tmp_path / "run", "it", every_seconds=30.0)
    for now, waited in ((129.0, 1), (130.0, 2), (159.0, 3), (160.0, 4)):
        clock[0] = now
        checkpoint.save_if_due(STATE, BEST, {"waited": waited})
        saved = checkpoint.load()
        expected = {1: None, 2: 2, 3: 2, 4: 4}[waited]
        assert (None if saved is None else saved.run["waited"]) == expected


def test_a_removed_run_is_gone(path: Path) -> None:
    checkpoint = Checkpoint(path, "it")
    checkpoint.remove()
    checkpoint.remove()
    assert not path.exists()


def test_a_fingerprint_names_settings_facts_and_their_shape() -> None:
    facts = np.arange(6).reshape(2, 3)
    same = fingerprint("a", facts)
    assert fingerprint("a", facts.copy(order="F")) == same
    others = [
        fingerprint("b", facts),
        fingerprint("a", facts + 1),
        fingerprint("a", facts.reshape(3, 2)),
        fingerprint("a", facts, facts),
        fingerprint("a"),
    ]
    assert len({same, *others}) == 6
