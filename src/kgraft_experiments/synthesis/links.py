"""Links of a synthetic collection, right and wrong ones."""

from __future__ import annotations

import numpy as np

from kgraft.linking.links import Links
from kgraft_experiments.synthesis.schema import Rows

RIGHT_BETA = (8.0, 2.0)
"""Beta distribution of a right link's confidence where some are wrong; mean 0.8."""

WRONG_BETA = (4.0, 4.0)
"""Beta distribution of a wrong link's confidence; mean 0.5, so that the two overlap."""

LEAST_CONFIDENCE = 0.01
"""Least confidence; all have two decimals."""


def draw_links(
    left: str, right: str, pairs: Rows, groups: Rows, wrong: float, draw: np.random.Generator
) -> Links:
    """Return links of true pairs, a share of them with right ends exchanged.

    Each wrong link takes the right end of the next one, so a single link is never wrong, no entity
    has two links to one source, and only a third source can reveal a wrong one.

    Args:
        left: Name of one source.
        right: Name of the other.
        pairs: Rows of the same entities in both, int64 ``(n, 2)``.
        groups: Group of each pair; ends are exchanged mostly within a group, int64 ``(n,)``.
        wrong: Share of links that are wrong.
        draw: Random numbers.
    """
    exchanged = draw.permutation(len(pairs))[: round(wrong * len(pairs))]
    if not wrong or len(exchanged) < 2:
        return Links(left, right, pairs, np.ones(len(pairs), dtype=np.float32))
    exchanged = exchanged[np.argsort(groups[exchanged], kind="stable")]
    linked = pairs.copy()
    linked[exchanged, 1] = np.roll(pairs[exchanged, 1], 1)
    confidence = draw.beta(*RIGHT_BETA, size=len(pairs))
    confidence[exchanged] = draw.beta(*WRONG_BETA, size=len(exchanged))
    decimals = np.clip(confidence.round(2), LEAST_CONFIDENCE, 1)
    return Links(left, right, linked, decimals.astype(np.float32))
