"""Entity vectors in two dimensions."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from kgraft.reporting.entity_map import MAX_POINTS
from kgraft.serving.served_model import Projection


def test_places_fill_the_map_by_one_scale_and_what_is_far_out_stands_at_its_edge() -> None:
    # 999 points on a line from -1 to 1 in the first direction, a tenth of that in the second, and
    # one that is far out.
    line = torch.linspace(-1, 1, 999)
    wave = 0.1 * torch.sign(torch.sin(100 * line))
    vectors = torch.cat([torch.stack([line, wave, 0 * line], dim=1), torch.tensor([[50.0, 0, 0]])])
    projection = Projection(vectors)
    assert projection.positions[-1, 0] == 1.0
    across, down = np.abs(projection.positions[:-1]).max(axis=0)
    assert 0.9 < across <= 1.0
    assert down / across == pytest.approx(0.1, rel=0.1)
    assert projection.explained_variance[0] > projection.explained_variance[1] > 0


@pytest.mark.parametrize("shape", [(1, 4), (2, 2), (3, 2), (5, 4)])
def test_few_vectors_have_places_too(shape: tuple[int, int]) -> None:
    projection = Projection(torch.ones(shape))
    assert projection.positions.shape == (shape[0], 2)
    assert np.isfinite(projection.positions).all()
    assert len(json.loads(projection.json())["points"]) == shape[0]


def test_of_very_many_some_are_drawn() -> None:
    projection = Projection(
        torch.randn(5 * MAX_POINTS, 3, generator=torch.Generator().manual_seed(0))
    )
    points = json.loads(projection.json())["points"]
    assert len(points) == MAX_POINTS
    assert points[-1] == projection.positions[-1].round(3).tolist()
