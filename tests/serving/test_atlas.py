"""Vectors in two dimensions."""

from __future__ import annotations

import numpy as np
import pytest

from kgraft.serving.atlas import SHOWN, Atlas


def test_the_widest_directions_come_first() -> None:
    draw = np.random.default_rng(0)
    flat = draw.normal(size=(500, 2)) * [10.0, 3.0]
    vectors = np.concatenate([flat[:, ::-1], 0.1 * draw.normal(size=(500, 3))], axis=1)
    atlas = Atlas(vectors.astype(np.float32))
    first = np.corrcoef(atlas.places[:, 0], flat[:, 0])[0, 1]
    second = np.corrcoef(atlas.places[:, 1], flat[:, 1])[0, 1]
    assert abs(first) > 0.99
    assert abs(second) > 0.99
    assert atlas.explained == pytest.approx((100 / 109, 9 / 109), abs=0.03)
    assert np.abs(atlas.places).max() == 1.0


@pytest.mark.parametrize("shape", [(1, 4), (2, 1), (3, 2), (5, 4)])
def test_few_vectors_have_places_too(shape: tuple[int, int]) -> None:
    atlas = Atlas(np.ones(shape, dtype=np.float32))
    assert atlas.places.shape == (shape[0], 2)
    assert np.isfinite(atlas.places).all()
    assert atlas.shown.tolist() == list(range(shape[0]))


def test_of_very_many_some_are_drawn() -> None:
    atlas = Atlas(np.random.default_rng(0).normal(size=(5 * SHOWN, 3)).astype(np.float32))
    assert len(atlas.shown) == SHOWN
    assert len(np.unique(atlas.shown)) == SHOWN
