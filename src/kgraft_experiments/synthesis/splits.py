"""Splits of synthetic facts, of exact sizes."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from kgraft.errors import KgraftWarning, describe
from kgraft.graph.knowledge_graph import Triples
from kgraft.io.source import Split


def split_triples(train: Triples, split: Split) -> tuple[Triples, Triples, Triples]:
    """Draw valid and test facts from ``train``.

    In an order drawn from the seed, the first fact of each entity and relation stays in train, so
    that all of them are seen. The last of the other facts are held out.

    Args:
        train: All facts, ``(n, 3)``, without repeats.
        split: The shares of ``n`` to hold out, and the seed.

    Returns:
        train, valid, test: disjoint, together all facts, each in the order of ``train``.

    Warns:
        KgraftWarning: When too few facts can be held out; valid and test then shrink alike.
    """
    order = np.random.default_rng(split.seed).permutation(len(train))
    drawn = train[order]
    needed = np.zeros(len(train), dtype=bool)
    needed[_first_rows(np.stack([drawn[:, 0], drawn[:, 2]], axis=1))] = True
    needed[_first_rows(drawn[:, 1:2])] = True
    spare = order[~needed]
    n_valid, n_test = round(len(train) * split.valid), round(len(train) * split.test)
    wanted = n_valid + n_test
    if wanted > len(spare):
        n_valid = n_valid * len(spare) // wanted
        n_test = min(n_test, len(spare) - n_valid)
        warnings.warn(
            describe(
                f"only {len(spare)} of {len(train)} facts can be held out, not {wanted}: "
                "each other one is needed to learn one of its entities or its relation",
                remedy="Ask for smaller shares to silence this",
            ),
            KgraftWarning,
            stacklevel=2,
        )
    role = np.zeros(len(train), dtype=np.int8)
    role[spare[len(spare) - n_valid - n_test : len(spare) - n_test]] = 1
    role[spare[len(spare) - n_test :]] = 2
    return train[role == 0], train[role == 1], train[role == 2]


def _first_rows(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first row of each distinct value in ``(n, k)``."""
    _, first = np.unique(values.ravel(), return_index=True)
    rows: NDArray[np.int64] = first // values.shape[1]
    return rows
