"""Trained vectors as evidence; nearest vectors, exactly and by lists."""

from __future__ import annotations

import numpy as np
import pytest

from kgraft.alignment import vectors
from kgraft.alignment.align import align
from kgraft.alignment.settings import AlignSettings
from kgraft.alignment.vectors import mutual_neighbours, nearest

SETTINGS = {"labels": {"use": False}, "vectors": {"rounds": 1, "width": 16, "epochs": 3}}


def ring(name: str, size: int) -> str:
    return ", ".join(
        f"{name}{i} r{step} {name}{(i + step) % size}" for i in range(size) for step in (1, 2)
    )


def test_vectors_propose_pairs_of_open_entities_only(collection_of, pairs_of) -> None:
    made = collection_of({"a": ring("a", 12), "b": ring("b", 12)}, {"a b": "a0=b0 a1=b1"})
    found = align(made, AlignSettings.model_validate(SETTINGS))
    assert {f"a{i}=b{i}" for i in range(2, 12)} == pairs_of(found)


def test_what_vectors_say_is_told(collection_of) -> None:
    made = collection_of({"a": ring("a", 12), "b": ring("b", 12)}, {"a b": "a0=b0"})
    rounds = {"structure": {"rounds": 1}, "accept": {"first_threshold": 0.3, "threshold": 0.3}}
    sure = {**SETTINGS, **rounds, "vectors": {**SETTINGS["vectors"], "mutual": 0.9}}
    found = align(made, AlignSettings.model_validate(sure))
    told = [why for x in found.proposed for why in x.evidence]
    assert any("neighbouring vectors" in why for why in told)
    assert np.unique(found.clusters * 2 + found.nodes.source_of).size == len(found.clusters)


def unit(rows: object) -> np.ndarray:
    found = np.array(rows, dtype=np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_pairs_are_mutual_or_of_one_side() -> None:
    left = unit([[1, 0], [0, 1]])
    right = unit([[1, 0.1], [0.1, 1], [1, 0.8]])
    pairs, mutual = mutual_neighbours(left, right)
    known = {tuple(pair): bool(both) for pair, both in zip(pairs.tolist(), mutual, strict=True)}
    assert known[0, 0]
    assert known[1, 1]
    assert not known.get((0, 2), False)
    assert {pair[1] for pair in known} == {0, 1, 2}


def test_a_hub_is_pushed_back() -> None:
    # The hub is nearest to everything by cosine, and so is special to nothing.
    left = unit([[1, 0, 0.55], [0, 1, 0.55], [-1, 0, 0.55], [0, -1, 0.55]])
    right = unit([[0, 0, 1], [1, 0, -0.6], [0, 1, -0.6], [-1, 0, -0.6], [0, -1, -0.6]])
    pairs, mutual = mutual_neighbours(left, right)
    assert {(0, 1), (1, 2), (2, 3), (3, 4)} <= {tuple(x) for x in pairs[mutual].tolist()}


def test_nobody_has_no_neighbours() -> None:
    pairs, mutual = mutual_neighbours(unit([[1, 0]]), np.empty((0, 2), dtype=np.float32))
    assert pairs.shape == (0, 2)
    assert mutual.shape == (0,)


def test_lists_find_nearly_what_all_pairs_do(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(40, 16))
    among = unit(centres[draw.integers(40, size=2000)] + 0.3 * draw.normal(size=(2000, 16)))
    asked = unit(among[:300] + 0.02 * draw.normal(size=(300, 16)))
    exactly, _ = nearest(asked, among)
    monkeypatch.setattr(vectors, "EXACT", 100)
    by_lists, cosine = nearest(asked, among)
    keys = [pairs[:, 0] * 2000 + pairs[:, 1] for pairs in (exactly, by_lists)]
    assert np.isin(keys[0], keys[1]).mean() > 0.9
    best = by_lists[np.searchsorted(by_lists[:, 0], np.arange(300))]
    assert (best[:, 1] == np.arange(300)).mean() > 0.95
    assert cosine.max() <= 1 + 1e-5
