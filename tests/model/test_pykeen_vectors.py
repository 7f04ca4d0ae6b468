"""Vectors of PyKEEN's pipeline, read from a pickle of which no code runs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from kgraft.errors import DataError
from kgraft.graph.vocabulary import Vocabulary
from kgraft.model.pykeen_vectors import read_pykeen_vectors


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """What PyKEEN writes of a ComplEx, and its vectors, real parts first."""
    from pykeen.models import ComplEx
    from pykeen.triples import TriplesFactory

    place = tmp_path_factory.mktemp("pykeen")
    facts = np.array([["a", "r", "b"], ["b", "s", "c"], ["c", "r", "ä ö"]])
    factory = TriplesFactory.from_labeled_triples(facts)
    model = ComplEx(triples_factory=factory, embedding_dim=3, random_seed=0)
    torch.save(model, place / "trained_model.pkl")
    factory.to_path_binary(place / "training_triples")
    vectors = model.entity_representations[0](None).detach()
    return place, torch.cat([vectors.real, vectors.imag], dim=1).numpy()


def test_entity_vectors_are_read_with_their_names(saved: tuple[Path, np.ndarray]) -> None:
    place, expected = saved
    found = read_pykeen_vectors(place)
    assert found.names.names.to_list() == ["a", "b", "c", "ä ö"]
    order = np.argsort(found.rows[0]), np.argsort(expected[0])
    assert np.allclose(found.rows[:, order[0]], expected[:, order[1]])
    assert read_pykeen_vectors(place, only=Vocabulary.of(["c"])).rows.shape == (1, 6)


class _Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("evil",)


def test_no_code_of_the_file_runs(
    saved: tuple[Path, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(_Evil(), tmp_path / "trained_model.pkl")
    with pytest.raises(DataError, match="no table of entity vectors|cannot be read"):
        read_pykeen_vectors(tmp_path)
    assert not (tmp_path / "evil").exists()
    (tmp_path / "trained_model.pkl").write_bytes(b"nothing")
    with pytest.raises(DataError, match="cannot be read"):
        read_pykeen_vectors(tmp_path)
