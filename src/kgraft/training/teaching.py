"""What a teacher adds to a student's training: its first rows, and the three levels' terms."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kgraft.config import DistillationSettings
from kgraft.linking.subgraph import LinkedSubgraph
from kgraft.model.kge import KgeModel
from kgraft.training.distillation import (
    feature_loss,
    hint_loss,
    prediction_loss,
    similarity_loss,
)
from kgraft.training.learner import Step, Term


class Teaching(Term):
    """The loss terms of a frozen teacher: feature, network and prediction level.

    Args:
        teacher: The teacher.
        subgraph: Says which of the student's rows the teacher knows, and by which row.
        width: The student's width.
        settings: Weights and temperature.
    """

    def __init__(
        self,
        teacher: KgeModel,
        subgraph: LinkedSubgraph,
        width: int,
        settings: DistillationSettings,
    ) -> None:
        super().__init__()
        self.weights = {
            "feature": settings.feature,
            "network": settings.network,
            "prediction": settings.prediction,
        }
        self._temperature = settings.temperature
        self._teacher = teacher
        self._entities = torch.from_numpy(subgraph.teacher_entities)
        self._relations = with_inverses(
            torch.from_numpy(subgraph.teacher_relations), teacher.n_relations
        )
        linked = self._entities[self._entities >= 0]
        start = teacher.encoder.projection(teacher.entities[linked], width)
        self.feature_map = nn.Parameter(start.clone())
        self.query_map = nn.Parameter(start.clone())

    def forward(self, step: Step) -> dict[str, Tensor]:
        """Compute the terms whose weight is not 0; a step without linked rows has none."""
        batch = step.batch
        rows_U = self._entities[batch.entities]
        linked_U = (rows_U >= 0).nonzero().squeeze(1)
        teacher_UD = self._teacher.entities[rows_U[linked_U]]
        terms = {}
        if self.weights["feature"] and len(linked_U):
            terms["feature"] = feature_loss(teacher_UD @ self.feature_map, step.entities[linked_U])
        heads_B = rows_U[batch.heads]
        relations_B = self._relations[batch.relations][batch.predicates]
        asked_B = ((heads_B >= 0) & (relations_B >= 0)).nonzero().squeeze(1)
        if not len(asked_B) or not (self.weights["network"] or self.weights["prediction"]):
            return terms
        teacher_BD = self._teacher.queries(heads_B[asked_B], relations_B[asked_B])
        student_BD = step.queries[asked_B]
        if self.weights["network"]:
            terms["network"] = hint_loss(teacher_BD @ self.query_map, student_BD) + similarity_loss(
                teacher_BD, student_BD
            )
        if self.weights["prediction"]:
            terms["prediction"] = prediction_loss(
                teacher_BD @ teacher_UD.T, step.scores[asked_B][:, linked_U], self._temperature
            )
        return terms


def with_inverses(relations: Tensor, n_relations: int) -> Tensor:
    """Append each relation's inverse, ``(2 m,)``, to rows ``(m,)`` of a model; -1 stays -1."""
    return torch.cat([relations, torch.where(relations >= 0, relations + n_relations, -1)])


@torch.no_grad()
def warm_start(student: KgeModel, teacher: KgeModel, subgraph: LinkedSubgraph) -> None:
    """Start the student's linked rows, and the relations that the teacher knows, from its rows."""
    rows = torch.from_numpy(subgraph.teacher_entities)
    linked = rows[rows >= 0]
    projection = teacher.encoder.projection(teacher.entities[linked], student.settings.width)
    # A wider student keeps its random start in the coordinates that the teacher does not have:
    # where all vectors are 0, so is the gradient.
    kept = projection.any(dim=0)
    relations = with_inverses(torch.from_numpy(subgraph.teacher_relations), teacher.n_relations)
    for own, taught, row in (
        (student.entities, teacher.entities, rows),
        (student.relations, teacher.relations, relations),
    ):
        known = row >= 0
        own[known] = torch.where(kept, taught[row[known]] @ projection, own[known])
