"""Two graphs, and links between them read from a file, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kgraft.errors import DataError
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.read_links import read_links
from kgraft.linking.links import Links

FACT = np.array([[0, 0, 1]])
LEFT = KnowledgeGraph(
    "el",
    Vocabulary.of([f"http://el/{x}" for x in "abc"] + ["both", "too"]),
    Vocabulary.of(["http://el/in", "http://el/of", "shared"]),
    FACT,
)
RIGHT = KnowledgeGraph(
    "en",
    Vocabulary.of([f"http://en/{x}" for x in "ABCD"] + ["both", "too"]),
    Vocabulary.of(["http://en/IN", "shared"]),
    FACT,
)


def read(path: Path, **how: object) -> Links:
    return read_links(path, LEFT, RIGHT, **how)  # type: ignore[arg-type]


def as_text(links: Links) -> list[str]:
    """Write links as ``a=A:0.5``, by the last letters of the names."""
    names = [(x.entities if links.kind == "entity" else x.relations).names for x in (LEFT, RIGHT)]
    return [
        f"{names[0][left].split('/')[-1]}={names[1][right].split('/')[-1]}:{confidence:g}"
        for (left, right), confidence in zip(
            links.pairs.tolist(), links.confidence.tolist(), strict=True
        )
    ]


def refused(path: Path, line: int | None, *parts: str, **how: object) -> None:
    """Check that the file is refused with its path, the line, and words of problem and remedy."""
    with pytest.raises(DataError) as caught:
        read(path, **how)
    assert (caught.value.path, caught.value.line) == (str(path), line)
    assert caught.value.remedy
    for part in parts:
        assert part in str(caught.value)
