"""Links: pairs of equal entities, or relations, of two graphs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kgraft.errors import counted
from kgraft.system.terminal import visible

LinkKind = Literal["entity", "relation"]


@dataclass(frozen=True, eq=False)
class Links:
    """Pairs of entities, or of relations, of two named graphs that mean the same.

    Args:
        left: Name of the graph of the first column.
        right: Name of the graph of the second column.
        pairs: int64 ``(n, 2)``: a row of ``left`` and a row of ``right``.
        confidence: float32 ``(n,)``, each in (0, 1].
        kind: Kind of the rows.
        provenance: Where the links come from, for people to read.

    Raises:
        ValueError: If shapes do not agree or a confidence lies outside (0, 1].
    """

    left: str
    right: str
    pairs: NDArray[np.int64]
    confidence: NDArray[np.float32]
    kind: LinkKind = "entity"
    provenance: str = ""

    def __post_init__(self) -> None:
        if self.left == self.right:
            raise ValueError(f"links join two graphs, not {self.left!r} with itself")
        if self.pairs.ndim != 2 or self.pairs.shape[1] != 2:
            raise ValueError(f"links have shape (n, 2), not {self.pairs.shape}")
        if self.confidence.shape != (len(self.pairs),):
            raise ValueError("each link has one confidence")
        if len(self) and not ((self.confidence > 0) & (self.confidence <= 1)).all():
            raise ValueError("a confidence lies above 0 and at most at 1")

    def __repr__(self) -> str:
        return visible(
            f"<Links {self.left} - {self.right}: {counted(len(self), f'{self.kind} link')}>"
        )

    def __len__(self) -> int:
        return len(self.pairs)

    def joins(self, name: str) -> bool:
        """Return True if the links have an end in the named graph."""
        return name in (self.left, self.right)

    def between(self, one: str, other: str) -> bool:
        """Return True if the links join the two named graphs, in either order."""
        return {self.left, self.right} == {one, other}

    def reversed(self) -> Links:
        """Return the same links with left and right exchanged."""
        pairs = np.ascontiguousarray(self.pairs[:, ::-1])
        return replace(self, left=self.right, right=self.left, pairs=pairs)
