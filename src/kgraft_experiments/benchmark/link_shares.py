"""Collections with only a share of the target's links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kgraft.linking.links import Links


def with_share_of_links(
    links: Sequence[Links], target: str, share: float, *, seed: int
) -> tuple[Links, ...]:
    """Keep a share of the entity links that have an end in the target.

    Each pair of graphs keeps the same share, in its order; with one seed, a smaller share is part
    of a larger one. Links of relations and links between other graphs stay, so an entity that keeps
    one of several links may reach other sources through it.
    """
    return tuple(
        _sample(x, share, np.random.default_rng([seed, place]))
        if x.kind == "entity" and x.joins(target)
        else x
        for place, x in enumerate(links)
    )


def _sample(links: Links, share: float, draw: np.random.Generator) -> Links:
    kept = np.sort(draw.permutation(len(links))[: round(share * len(links))])
    return replace(links, pairs=links.pairs[kept], confidence=links.confidence[kept])


def linked_entities(links: Sequence[Links], target: str) -> int:
    """Return the number of the target's entities that have a link."""
    rows = [
        x.pairs[:, 0 if x.left == target else 1]
        for x in links
        if x.kind == "entity" and x.joins(target)
    ]
    return len(np.unique(np.concatenate(rows))) if rows else 0
