"""Small collections written as sentences, and alignments read back as pairs of names."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sentences import collection_from

from kgraft.alignment.align import Alignment
from kgraft.linking.collection import Collection

CollectionOf = Callable[..., Collection]
PairsOf = Callable[[Alignment], set[str]]


@pytest.fixture(scope="session")
def collection_of() -> CollectionOf:
    """Make a collection from ``{"a": "x likes y, y likes z"}`` and ``{"a b": "x=X y=Y"}``."""
    return collection_from


@pytest.fixture(scope="session")
def pairs_of() -> PairsOf:
    """Return what was found, as ``x=X``."""

    def read(found: Alignment) -> set[str]:
        graphs = {graph.name: graph for graph in found.nodes.graphs}
        return {
            f"{graphs[x.links.left].entities.name(one)}={graphs[x.links.right].entities.name(two)}"
            for x in found.proposed
            for one, two in x.links.pairs.tolist()
        }

    return read
