"""A run on disk: what comes back, and what is not taken for it."""

from __future__ import annotations

import errno
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import save_file

from kgraft.errors import DataError, KgraftWarning
from kgraft.graph import vocabulary
from kgraft.graph.vocabulary import Vocabulary
from kgraft.training import checkpoint as module
from kgraft.training.checkpoint import Checkpoint, Fingerprint

STATE = {
    "entities": torch.arange(6.0).reshape(3, 2),
    "narrow": torch.arange(6.0).reshape(3, 2).bfloat16(),
    "dense.0.step": torch.tensor(4.0),
}
BEST = {"entities": torch.ones(3, 2)}
RUN = {"log": [{"epoch": 1, "loss": 0.1 + 0.2}], "best_epoch": 1, "best_mrr": None, "waited": 0}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A checkpoint of the run ``it``."""
    Checkpoint(tmp_path / "run", "it", every_seconds=0.0).save(STATE, BEST, RUN)
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
    checkpoint.save(STATE, {}, RUN)
    saved = checkpoint.load()
    assert saved is not None
    assert saved.best == {}


def test_nothing_is_no_run(tmp_path: Path) -> None:
    assert Checkpoint(tmp_path / "run", "it").load() is None


def test_another_run_is_not_taken_for_this(path: Path) -> None:
    with pytest.raises(DataError, match="belongs to another run"):
        Checkpoint(path, "another").load()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_cut_off_file_is_told(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match="is damaged"):
        Checkpoint(path, "it").load()


def test_a_flipped_bit_is_told_wherever_it_is(path: Path) -> None:
    content = path.read_bytes()
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(DataError, match="is damaged"):
            Checkpoint(path, "it").load()


@pytest.mark.parametrize(
    "metadata",
    [None, {"other": "x"}, {"run": "{"}, {"run": "{}"}, {"run": "[]"}, {"run": "[" * 100_000}],
    ids=["nothing", "other", "cut", "empty", "list", "deep"],
)
def test_a_file_of_something_else_is_told(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    save_file(STATE, tmp_path / "run", metadata=metadata)
    with pytest.raises(DataError, match="is damaged"):
        Checkpoint(tmp_path / "run", "it").load()


def test_a_run_is_kept_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    checkpoint = Checkpoint(tmp_path / "run", "it", every_seconds=30.0)
    due = {}
    for clock[0] in (129.0, 130.0):
        due[clock[0]] = checkpoint.due
    checkpoint.save(STATE, BEST, RUN)
    for clock[0] in (159.0, 160.0):
        due[clock[0]] = checkpoint.due
    assert due == {129.0: False, 130.0: True, 159.0: False, 160.0: True}


def test_keeping_a_large_run_takes_a_twentieth_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]

    def slowly(*arguments: object, **options: object) -> None:
        clock[0] += 10.0
        Path(str(arguments[1])).touch()

    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(module, "save_file", slowly)
    checkpoint = Checkpoint(tmp_path / "run", "it", every_seconds=30.0)
    checkpoint.save(STATE, BEST, RUN)
    clock[0] = 309.0
    assert not checkpoint.due
    clock[0] = 310.0
    assert checkpoint.due


def test_a_run_that_cannot_be_kept_goes_on_and_keeps_what_was_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = path.read_bytes()
    monkeypatch.setattr(module, "save_file", full)
    with pytest.warns(KgraftWarning, match=r"could not be saved \(.*No space left.*make room"):
        Checkpoint(path, "it").save(STATE, BEST, RUN)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_fingerprint_names_settings_facts_and_their_shape() -> None:
    facts = np.arange(6).reshape(2, 3)

    def fingerprint(*values: Any) -> str:
        return str(Fingerprint().add(*values))

    same = fingerprint("a", facts)
    assert fingerprint("a", facts.copy(order="F")) == same
    assert fingerprint("a", facts.astype(np.int32)) == same
    others = [
        fingerprint("b", facts),
        fingerprint("a", facts + 1),
        fingerprint("a", facts.reshape(3, 2)),
        fingerprint("a", facts, facts),
        fingerprint("a"),
        fingerprint("a", None, facts),
        fingerprint("", "a", facts),
        fingerprint(facts, "a"),
        fingerprint("a", facts.astype(np.float64)),
        fingerprint("a", pl.Series(["ab", "c"])),
        fingerprint("a", pl.Series(["a", "bc"])),
        fingerprint("a", pl.Series(["a", None, "bc"])),
        fingerprint("a", torch.ones(3, dtype=torch.bfloat16)),
        fingerprint("a", torch.ones(3, dtype=torch.float16)),
    ]
    assert len({same, *others}) == 1 + len(others)


def test_a_fingerprint_of_names_is_that_of_their_column(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Vocabulary.of(["a", "bc", "", "é"])
    expected = str(Fingerprint().add(names.names))
    monkeypatch.setattr(vocabulary, "PIECE", 3)
    assert [len(x) for x in names.pieces()] == [3, 1]
    assert str(Fingerprint().add(names)) == expected
