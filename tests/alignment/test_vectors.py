"""Trained vectors as one more witness."""

from __future__ import annotations

import numpy as np

from kgraft.alignment.align import align
from kgraft.alignment.settings import AlignSettings

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
