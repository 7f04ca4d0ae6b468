"""A student to export, and how its scores follow from exported rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kgraft.model.trained_model import TrainedModel

Floats = NDArray[np.float32]
Check = Callable[[Floats, Floats], None]


@pytest.fixture(scope="session")
def check_scores(student: TrainedModel) -> Check:
    """Assert that exported rows of entities and relations give the student's scores, both ways.

    By the formula of the documentation, in NumPy; entities are the target's in their order,
    relations the target's and then their inverses.
    """

    def check(entities: Floats, relations: Floats) -> None:
        part = student.graph.parts["mine"]
        n, m = len(part.entities), len(part.relations)
        assert student.kge.prior is not None
        half = 16 + student.kge.prior.entities.shape[1]
        assert entities.shape == (n, 2 * half)
        assert relations.shape == (2 * m, 2 * half)
        anchors = torch.arange(n).repeat(m)
        asked = torch.from_numpy(part.relation_rows).repeat_interleave(n)
        for side, offset in (("tail", 0), ("head", m)):
            expected = student.kge.score(anchors, asked, side=side, candidates=torch.arange(n))
            e, r = (x[:, :half] + 1j * x[:, half:] for x in (entities, relations))
            query = np.tile(e, (m, 1)) * np.repeat(r[offset : offset + m], n, axis=0)
            scores = (query @ e.conj().T).real
            np.testing.assert_allclose(scores, expected.numpy(), atol=1e-5)

    return check
