"""CQD-beam (Arakelyan et al., ICLR 2021): queries answered by a link predictor, with no facts.

A fact's score becomes a number from 0 to 1 by the logistic function or by the least and largest
score of its query. Of a projection's start the best few entities go on; intersections are products,
unions ``1 - (1 - a)(1 - b)``, and negations, which the paper lacks, ``1 - a`` (CQD-A). With
``stated`` facts of number 1 it is the paper's variant for graphs that are partly known (CQD-hybrid,
arXiv 2410.12537).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from query_sets import Node

from kgraft.graph.known_facts import KnownFacts, Side
from kgraft.model.kge import KgeModel

Floats = NDArray[np.float32]
Scale = Literal["logistic", "range"]


@dataclass(eq=False)
class BeamAnswerer:
    """Answers made queries by vectors.

    Args:
        kge: The vectors; its rows are those of the queries.
        beam: Entities that go on.
        scale: How scores become numbers from 0 to 1.
        stated: Facts that count 1, if any.
    """

    kge: KgeModel
    beam: int
    scale: Scale
    stated: KnownFacts | None = None

    def scores(self, node: Node) -> Floats:
        """Return the score of each entity as an answer, ``(C,)``."""
        kind = node[0]
        if kind == "p":
            return self._projected(node)
        if kind == "n":
            return 1 - self.scores(node[1])
        parts = np.stack([self.scores(x) for x in node[1]])
        found: Floats = parts.prod(0) if kind == "i" else 1 - (1 - parts).prod(0)
        return found

    def _projected(self, node: Node) -> Floats:
        _, relation, inner = node
        if inner[0] == "e":
            return self._facts(np.array([inner[1]]), relation)[0]
        starts = self.scores(inner)
        best = np.argsort(-starts, kind="stable")[: self.beam]
        found: Floats = (self._facts(best, relation) * starts[best, None]).max(0)
        return found

    @torch.inference_mode()
    def _facts(self, starts: NDArray[np.int64], along: int) -> Floats:
        back, relation = divmod(along, self.kge.n_relations)
        side: Side = "head" if back else "tail"
        relations = np.full(len(starts), relation)
        found = self.kge.score(torch.from_numpy(starts), torch.from_numpy(relations), side=side)
        if self.scale == "logistic":
            values = found.sigmoid()
        else:
            low, high = found.amin(1, keepdim=True), found.amax(1, keepdim=True)
            values = (found - low) / (high - low).clamp(min=1e-9)
        numbers: Floats = values.numpy().copy()
        if self.stated is not None:
            numbers[self.stated.answers(starts, relations, side)] = 1
        return numbers
