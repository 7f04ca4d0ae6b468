"""Which entities the links of a synthetic collection join, rightly or wrongly."""

from __future__ import annotations

import numpy as np

from kgraft.linking.links import Links
from kgraft_experiments.synthesis.schema import Rows

RIGHT = (8.0, 2.0)
"""Beta distribution of the confidence of right links where some are wrong: 0.8 on average."""

WRONG = (4.0, 4.0)
"""Of wrong ones: 0.5 on average, so that the two overlap."""

LEAST = 0.01
"""No confidence is below it; all have two decimals."""


def draw_links(
    left: str,
    right: str,
    pairs: Rows,
    groups: Rows,
    wrong: float,
    draw: np.random.Generator,
) -> Links:
    """Make links out of true pairs, some of them with each other's right ends.

    Wrong links are as many as ``wrong`` says, but never a single one: each takes the right end of
    the next. So no entity has two links to one source, and only a third source can give a wrong
    one away.

    Args:
        left: Name of one source.
        right: Name of the other.
        pairs: Rows of the same entities in both, int64 ``(n, 2)``.
        groups: What wrong links confuse: the next one is of the same group mostly, int64 ``(n,)``.
        wrong: Share of links that are wrong.
        draw: Makes all draws.
    """
    confused = draw.permutation(len(pairs))[: round(wrong * len(pairs))]
    if not wrong or len(confused) < 2:
        return Links(left, right, pairs, np.ones(len(pairs), dtype=np.float32))
    confused = confused[np.argsort(groups[confused], kind="stable")]
    linked = pairs.copy()
    linked[confused, 1] = np.roll(pairs[confused, 1], 1)
    confidence = draw.beta(*RIGHT, size=len(pairs))
    confidence[confused] = draw.beta(*WRONG, size=len(confused))
    decimals = np.clip(confidence.round(2), LEAST, 1)
    return Links(left, right, linked, decimals.astype(np.float32))
