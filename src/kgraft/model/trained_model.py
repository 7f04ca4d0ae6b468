"""A trained model with all that it takes to use it: names, facts, settings, what training did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgraft.graph.known_facts import Side
from kgraft.graph.vocabulary import Rows
from kgraft.linking.collection import Collection
from kgraft.linking.joint_graph import JointGraph
from kgraft.linking.linked_subgraph import connect
from kgraft.model.calibration import Calibration
from kgraft.model.evidence import By, Evidence
from kgraft.model.kge import KgeModel
from kgraft.model.scorer import Scorer
from kgraft.settings import TrainSettings
from kgraft.system.devices import device_called

Kind = Literal["single", "joint", "teacher", "student"]
"""``single``: one graph alone; ``joint``: all from scratch; ``teacher``: to be re-trained from;
``student``: re-trained for a target."""


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A model and what belongs to it.

    Args:
        kind: What it was trained as.
        kge: Weights and encoder.
        graph: The id space of its rows, their names, and the facts that it has learned from. It may
            have more entities than the model has vectors: only rules speak of the last ones.
        target: The graph that it is for; a teacher has none.
        settings: What it was trained by.
        log: One entry an epoch: mean loss terms, validation MRR, seconds.
        metrics: What was measured, by name.
        evidence: What it knows besides its vectors, where it has rules.
        calibration: What the scores of each way to answer say about truth, where validation facts
            could tell.
    """

    kind: Kind
    kge: KgeModel
    graph: JointGraph
    target: str | None
    settings: TrainSettings
    log: Sequence[Mapping[str, Any]] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    evidence: Evidence | None = None
    calibration: Mapping[By, Calibration] = field(default_factory=dict)

    @property
    def answers_by(self) -> By:
        """What the model answers by unless it is told: what its validation facts favour."""
        return "vectors" if self.evidence is None else self.evidence.best

    def on(self, device: str | torch.device) -> TrainedModel:
        """Return the model with its vectors on a device, as ``kgraft.system.devices`` calls it.

        There it can be measured; what else is done with a model takes it on the CPU.

        Raises:
            SettingsError: If there is no such device.
        """
        return replace(self, kge=self.kge.on(device_called(device)))

    def scorer(self, by: By | None = None) -> Scorer:
        """Return what scores candidates, in the model's rows.

        Args:
            by: What answers go by; by default ``answers_by``.

        Raises:
            ValueError: If the model has no rules to answer by.
        """
        by = by or self.answers_by
        if by == "vectors":
            return self.kge
        evidence, target = self.ruled()
        return evidence.scorer(by, self.kge, evidence.witnesses(self.graph, target))

    def ruled(self) -> tuple[Evidence, str]:
        """Return what the model knows besides its vectors, and the target that it knows it of.

        Raises:
            ValueError: If the model has no rules.
        """
        if self.evidence is None or self.target is None:
            raise ValueError(
                f"this {self.kind} has no rules to answer by; students have, "
                "unless rules.longest is 0"
            )
        return self.evidence, self.target

    def facing(self, collection: Collection, name: str, by: By | None = None) -> FacingModel:
        """Return the model as it answers in the rows of one of a collection's graphs.

        A graph that the model was trained on is found by its name, its entities and relations by
        theirs. Any other graph is met through the collection's links to the model's sources, as a
        teacher meets a target that it has never seen.
        """
        graph, part = collection.graphs[name], self.graph.parts.get(name)
        if part is None:
            links = self.graph.adopt(collection.links, collection.graphs)
            subgraph = connect(graph, links, self.graph, budget=0)
            own = subgraph.graph.parts[name]
            entities = subgraph.teacher_entities[own.entity_rows]
            relations = subgraph.teacher_relations[own.relation_rows]
        else:
            entities = part.entity_rows_of(graph.entities.names)
            relations = part.relation_rows_of(graph.relations.names)
        entities = np.where(entities < self.kge.n_entities, entities, -1)
        return FacingModel(self.scorer(by), entities, relations)


class FacingModel:
    """A model in the rows of a graph, of which it may know only some entities and relations.

    Args:
        scorer: Scores in the model's rows.
        entities: For each entity of the graph its row in the model, or -1, int64 ``(n,)``.
        relations: For each relation of the graph its row in the model, or -1, int64 ``(m,)``.
    """

    def __init__(self, scorer: Scorer, entities: Rows, relations: Rows) -> None:
        self._scorer = scorer
        self._entities = torch.from_numpy(entities)
        self._relations = torch.from_numpy(relations)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which of the graph's entities the model knows, bool ``(n,)``."""
        return (self._entities >= 0).numpy()

    def score(
        self,
        anchors: Tensor,
        relations: Tensor,
        *,
        side: Side,
        candidates: Tensor | None = None,
        out: Tensor | None = None,
    ) -> Tensor:
        """Score candidates as ``KgeModel.score`` does, all ids being rows of the graph.

        A candidate that the model does not know scores -inf; a query that it cannot understand
        scores all candidates that it knows alike.
        """
        rows = self._entities if candidates is None else self._entities[candidates]
        own_anchors, own_relations = self._entities[anchors], self._relations[relations]
        known = rows >= 0
        scores = self._scorer.score(
            own_anchors.clamp(min=0),
            own_relations.clamp(min=0),
            side=side,
            candidates=rows[known],
            out=out if known.all() else None,
        )
        if not known.all():
            of_known = scores
            scores = of_known.new_full((len(anchors), len(rows)), float("-inf"))
            scores[:, known.to(scores.device)] = of_known
        not_understood = ((own_anchors < 0) | (own_relations < 0)).to(scores.device)
        scores[not_understood] = torch.where(known, 0.0, float("-inf")).to(scores)
        return scores
