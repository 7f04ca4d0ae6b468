"""What a teacher adds to a student's training: its first rows, and the three levels' terms."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kgraft.config import DistillationSettings, ModelSettings
from kgraft.linking.subgraph import LinkedSubgraph
from kgraft.model.encoders import principal_directions
from kgraft.model.kge import KgeModel
from kgraft.training.distillation import (
    contrastive_loss,
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
        student: The student's encoder and width.
        settings: Weights, forms and temperature.
        seen: How many facts the teacher has seen about each of its entities, ``(n,)``.
    """

    def __init__(
        self,
        teacher: KgeModel,
        subgraph: LinkedSubgraph,
        student: ModelSettings,
        settings: DistillationSettings,
        seen: Tensor,
    ) -> None:
        super().__init__()
        self._settings = settings
        self._teacher = teacher
        self._entities = torch.from_numpy(subgraph.teacher_entities)
        self._relations = with_inverses(
            torch.from_numpy(subgraph.teacher_relations), teacher.n_relations
        )
        self._trust = seen / (seen + settings.doubt) if settings.doubt else None
        self._relations_too = (
            settings.relation_vectors and student.encoder == teacher.settings.encoder
        )
        linked = self._entities[self._entities >= 0]
        start = first_map(teacher, student, teacher.vectors(linked))
        self.feature_map = nn.Parameter(start.clone())
        self.query_map = nn.Parameter(start.clone())
        if self._relations_too:
            self.relation_map = nn.Parameter(start.clone())

    def weights(self, progress: float) -> dict[str, float]:
        """Return the weight of each level."""
        own = self._settings
        share = 1.0 - progress if own.schedule == "fade" else 1.0
        return {
            "feature": share * own.feature,
            "network": share * own.network,
            "prediction": share * own.prediction,
        }

    def forward(self, step: Step) -> dict[str, Tensor]:
        """Compute the terms whose weight is not 0; a step without linked rows has none."""
        rows_U = self._entities[step.batch.entities]
        linked_U = (rows_U >= 0).nonzero().squeeze(1)
        terms = {}
        if self._settings.feature and len(linked_U):
            terms["feature"] = self._feature(step, rows_U, linked_U)
        if not (self._settings.network or self._settings.prediction):
            return terms
        asked_B, heads_B, teacher_BD = self._teacher_queries(step, rows_U)
        if not len(asked_B):
            return terms
        student_BD = step.queries.index_select(0, asked_B)
        trust_B = self._trusted(heads_B)
        if self._settings.network:
            hint = hint_loss(teacher_BD @ self.query_map, student_BD, trust_B)
            terms["network"] = hint + similarity_loss(teacher_BD, student_BD)
        if self._settings.prediction:
            terms["prediction"] = prediction_loss(
                teacher_BD @ self._teacher.vectors(rows_U[linked_U]).T,
                student_BD @ step.entities.index_select(0, linked_U).T,
                self._settings.temperature,
                trust_B,
            )
        return terms

    def _feature(self, step: Step, rows_U: Tensor, linked_U: Tensor) -> Tensor:
        """Compare the entities' vectors and, where asked for, the relations'."""
        loss = contrastive_loss if self._settings.feature_form == "infonce" else feature_loss
        if len(linked_U) > self._settings.queries:
            linked_U = linked_U[torch.randperm(len(linked_U))[: self._settings.queries]]
        taught = rows_U[linked_U]
        teacher_UD = self._teacher.vectors(taught) @ self.feature_map
        term = loss(teacher_UD, step.entities.index_select(0, linked_U), self._trusted(taught))
        rows_V = self._relations[step.batch.relations]
        known_V = (rows_V >= 0).nonzero().squeeze(1)
        if self._relations_too and len(known_V):
            teacher_VD = self._teacher.relations[rows_V[known_V]] @ self.relation_map
            term = term + loss(teacher_VD, step.relations.index_select(0, known_V))
        return term

    def _trusted(self, teacher_rows: Tensor) -> Tensor | None:
        return None if self._trust is None else self._trust[teacher_rows]

    def _teacher_queries(self, step: Step, rows_U: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return which queries the teacher understands from their path's begin, with its rows of
        their heads and its vectors of them; no more than the settings ask for.
        """  # noqa: D205
        batch = step.batch
        heads = rows_U[batch.heads].view(-1, batch.steps)
        relations = self._relations[batch.relations][batch.predicates].view(-1, batch.steps)
        known = ((heads >= 0) & (relations >= 0)).cummin(dim=1).values
        known[max(1, self._settings.queries // batch.steps) :] = False
        paths = known[:, 0].nonzero().squeeze(1)
        encoded = self._teacher.path_queries(
            heads[paths].clamp(min=0), relations[paths].clamp(min=0)
        )
        return known.flatten().nonzero().squeeze(1), heads[known], encoded[known[paths]]


def with_inverses(relations: Tensor, n_relations: int) -> Tensor:
    """Append each relation's inverse, ``(2 m,)``, to rows ``(m,)`` of a model; -1 stays -1."""
    return torch.cat([relations, torch.where(relations >= 0, relations + n_relations, -1)])


def first_map(teacher: KgeModel, student: ModelSettings, rows_ND: Tensor) -> Tensor:
    """Return the map ``(D, width)`` from the teacher's vectors to the student's, to begin with.

    Between models of one kind and width it is the identity; of one kind, the encoder's own
    projection; else the principal directions of the teacher's ``rows``.
    """
    if teacher.settings.encoder != student.encoder:
        return principal_directions(rows_ND, student.width)
    if teacher.settings.width == student.width:
        return torch.eye(student.width)
    return teacher.encoder.projection(rows_ND, student.width)


@torch.no_grad()
def warm_start(student: KgeModel, teacher: KgeModel, subgraph: LinkedSubgraph) -> None:
    """Start the student from the teacher, as far as its numbers mean the same to both.

    Linked entities start from the teacher's rows; relations that the teacher knows do so between
    encoders of one kind; and the encoder's own weights where they have the same shapes.
    """
    entities = torch.from_numpy(subgraph.teacher_entities)
    relations = with_inverses(torch.from_numpy(subgraph.teacher_relations), teacher.n_relations)
    linked = entities[entities >= 0]
    projection = first_map(teacher, student.settings, teacher.vectors(linked))
    _start_rows(student.entities, teacher.entities, entities[: student.n_entities], projection)
    if student.settings.encoder != teacher.settings.encoder:
        return
    _start_rows(student.relations, teacher.relations, relations, projection)
    weights, own = teacher.encoder.state_dict(), student.encoder.state_dict()
    shapes = [{name: x.shape for name, x in state.items()} for state in (weights, own)]
    if shapes[0] == shapes[1]:
        student.encoder.load_state_dict(weights)


def _start_rows(own: Tensor, taught: Tensor, rows: Tensor, projection: Tensor) -> None:
    known = rows >= 0
    # A wider student keeps its random start in the coordinates that the teacher does not have:
    # where all vectors are 0, so is the gradient.
    kept = projection.any(dim=0)
    start = taught[rows[known]].to(projection) @ projection
    own[known] = torch.where(kept, start.to(own), own[known])
