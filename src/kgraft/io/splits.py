"""Drawing of validation and test facts."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kgraft.errors import KgraftWarning, describe
from kgraft.graph.knowledge_graph import SPLITS, KnowledgeGraph, Triples
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.source import Split

Hashes = NDArray[np.uint64]


def draw_splits(graph: KnowledgeGraph, split: Split) -> KnowledgeGraph:
    """Draw valid and test facts from a graph's training facts.

    Each fact has a number from 0 to 1 that its names and the seed alone decide: a fact below the
    share of test is a test fact, a fact below both shares together a validation fact. Of an entity
    or relation that would not be seen in training, the fact of the largest number is trained on.
    So the order of facts plays no part, and a new fact leaves each other fact in its split, except
    one that was kept for an entity or relation that the new fact lets train see.

    Args:
        graph: All facts in ``train``, without repeats.
        split: The shares to hold out, met on average, and the seed.

    Returns:
        The graph with its facts in three splits, each in the order of ``train``.

    Warns:
        KgraftWarning: When a split gets less than half of its share.
    """
    facts = graph.train
    numbers = _numbers(graph, split.seed)
    # A float64 has 53 bits.
    place = (numbers >> np.uint64(11)) * 2.0**-53
    role = np.where(place < split.test, 2, np.where(place < split.test + split.valid, 1, 0))
    role[_needed(facts[:, [0, 2]], len(graph.entities), numbers)] = 0
    role[_needed(facts[:, 1:2], len(graph.relations), numbers)] = 0
    masks = {name: role == x for x, name in enumerate(SPLITS)}
    found = {name: facts[mask] for name, mask in masks.items()}
    for name, share in (("valid", split.valid), ("test", split.test)):
        wanted = round(share * len(facts))
        if 2 * len(found[name]) < wanted:
            warnings.warn(
                describe(
                    f"only {len(found[name])} of {len(facts)} facts of {graph.name!r} are drawn "
                    f"for {name}, not about {wanted}: most others are needed to learn one of their "
                    "entities or their relation",
                    remedy=f"Ask for a larger share, or name a file for {name}",
                ),
                KgraftWarning,
                stacklevel=3,
            )
    given = graph.confidence_of("train")
    confidence = {name: given[mask] for name, mask in masks.items()}
    return replace(graph, **found, confidence=confidence)


def _needed(rows: Triples, n_rows: int, numbers: Hashes) -> NDArray[np.bool_]:
    """Mask the fact of the largest number of each row in ``(n, k)``."""
    largest = np.zeros(n_rows, dtype=np.uint64)
    for column in rows.T:
        np.maximum.at(largest, column, numbers)
    mask = np.zeros(len(rows), dtype=np.bool_)
    for column in rows.T:
        mask |= numbers == largest[column]
    return mask


def _numbers(graph: KnowledgeGraph, seed: int) -> Hashes:
    """Return a number of each training fact, uint64 ``(n,)``, by its names and the seed."""
    heads, relations, tails = graph.train.T
    entities = _hashes(graph.entities, seed)
    found = _scrambled(entities[heads])
    found = _scrambled(found ^ _hashes(graph.relations, seed)[relations])
    return _scrambled(found ^ entities[tails])


def _hashes(names: Vocabulary, seed: int) -> Hashes:
    """Return a hash of each name, the same on every machine, uint64 ``(n,)``."""
    begin = hashlib.blake2b(f"{seed} ".encode(), digest_size=8)
    found = bytearray()
    for name in names.names:
        each = begin.copy()
        each.update(name.encode())
        found += each.digest()
    return np.frombuffer(bytes(found), dtype="<u8").astype(np.uint64)


def _scrambled(values: Hashes) -> Hashes:
    """Return the values, each bit of which changes about half of the bits (SplitMix64)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
