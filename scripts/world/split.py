"""Splits of a graph whose held-out facts have known entities and no inverse in training."""

from __future__ import annotations

import random
from collections import Counter

from world.facts import Fact

SYMMETRIC = {"borders"}
"""Relations that hold both ways: both facts of one pair go to one split."""


def split(facts: set[Fact], *, valid: float, test: float, seed: int) -> dict[str, list[Fact]]:
    """Return sorted ``train``, ``valid`` and ``test`` facts.

    Each fact (or symmetric pair) is drawn for a split with the given probabilities. It is held
    out only if each of its entities, and its relation, still has a fact in train; so the shares
    hold among the facts that can be held out at all.
    """
    rng = random.Random(seed)  # noqa: S311
    groups: dict[tuple[str, ...], list[Fact]] = {}
    for fact in sorted(facts):
        head, relation, tail = fact
        ends = sorted((head, tail)) if relation in SYMMETRIC else [head, tail]
        groups.setdefault((relation, *ends), []).append(fact)
    order = list(groups.values())
    rng.shuffle(order)

    left = Counter(part for group in order for part in _parts(group))
    splits: dict[str, list[Fact]] = {"train": [], "valid": [], "test": []}
    for group in order:
        draw = rng.random()
        chosen = "test" if draw < test else "valid" if draw < test + valid else "train"
        uses = Counter(_parts(group))
        if chosen != "train" and any(left[part] <= count for part, count in uses.items()):
            chosen = "train"
        if chosen != "train":
            left.subtract(uses)
        splits[chosen] += group
    return {name: sorted(held) for name, held in splits.items()}


def _parts(group: list[Fact]) -> list[tuple[str, str]]:
    """Return what each fact of a group needs to be known: two entities and a relation."""
    return [
        part
        for head, relation, tail in group
        for part in (("entity", head), ("relation", relation), ("entity", tail))
    ]
