"""What a teacher adds to a student's training: its first rows, and the three levels' terms."""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from kgraft.linking.linked_subgraph import LinkedSubgraph
from kgraft.model.encoders import principal_directions
from kgraft.model.kge import KgeModel
from kgraft.settings import DistillationSettings, ModelSettings
from kgraft.training.auxiliary_loss import Step, Term
from kgraft.training.batch import Batch
from kgraft.training.distillation_losses import (
    contrastive_loss,
    feature_loss,
    hint_loss,
    prediction_loss,
    similarity_loss,
)


class DistillationLoss(Term):
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
        self._trust = (
            seen / (seen + settings.half_weight_facts) if settings.half_weight_facts else None
        )
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

    def on(self, device: torch.device) -> Self:
        """Move the maps to a device, and take a teacher that is there."""
        self._teacher = self._teacher.on(device)
        return super().on(device)

    def about(self, batch: Batch) -> dict[str, Tensor]:
        """Return which of a batch's rows and queries the teacher knows, and its rows of them.

        The queries are those that it understands from their path's begin, no more than the settings
        ask for; the paths are given whole. Of a batch in which it is not imitated: nothing.
        """
        if batch.number % self._settings.every:
            return {}
        rows_U = self._entities[batch.entities]
        linked_U = (rows_U >= 0).nonzero().squeeze(1)
        found = {"linked": linked_U, "linked_rows": rows_U[linked_U]}
        compared_U = linked_U
        if len(linked_U) > self._settings.queries:
            draw = np.random.default_rng([*batch.seed, batch.number])
            some = draw.choice(len(linked_U), self._settings.queries, replace=False)
            compared_U = linked_U[torch.from_numpy(some)]
        found |= {"compared": compared_U, "compared_rows": rows_U[compared_U]}
        rows_V = self._relations[batch.relations]
        if self._relations_too:
            known_V = (rows_V >= 0).nonzero().squeeze(1)
            found |= {"relations": known_V, "relation_rows": rows_V[known_V]}
        heads = rows_U[batch.heads].view(-1, batch.steps)
        relations = rows_V[batch.predicates].view(-1, batch.steps)
        known = ((heads >= 0) & (relations >= 0)).cummin(dim=1).values
        known[max(1, self._settings.queries // batch.steps) :] = False
        paths = known[:, 0].nonzero().squeeze(1)
        found |= {
            "asked": known.flatten().nonzero().squeeze(1),
            "understood": known[paths].flatten().nonzero().squeeze(1),
            "path_heads": heads[paths].clamp(min=0).flatten(),
            "path_relations": relations[paths].clamp(min=0).flatten(),
        }
        if self._trust is not None:
            found["compared_trust"] = self._trust[found["compared_rows"]]
            found["asked_trust"] = self._trust[heads[known]]
        return found

    def forward(self, step: Step) -> dict[str, Tensor]:
        """Compute the terms whose weight is not 0; a step without linked rows has none."""
        about, settings = step.batch.further, self._settings
        terms: dict[str, Tensor] = {}
        if not about:
            return terms
        if settings.feature and len(about["linked"]):
            terms["feature"] = self._feature(step)
        if (settings.network or settings.prediction) and len(about["asked"]):
            terms |= self._about_queries(step)
        return {name: settings.every * term for name, term in terms.items()}

    def _about_queries(self, step: Step) -> dict[str, Tensor]:
        """Compare the vectors of queries, and what they answer."""
        about, settings = step.batch.further, self._settings
        paths = (about[x].view(-1, step.batch.steps) for x in ("path_heads", "path_relations"))
        encoded_BD = self._teacher.path_queries(*paths).flatten(0, 1)
        teacher_BD = encoded_BD.index_select(0, about["understood"])
        student_BD = step.queries.index_select(0, about["asked"])
        trust_B = about.get("asked_trust")
        terms = {}
        if settings.network:
            hint = hint_loss(teacher_BD @ self.query_map, student_BD, trust_B)
            terms["network"] = hint + similarity_loss(teacher_BD, student_BD)
        if settings.prediction:
            terms["prediction"] = prediction_loss(
                teacher_BD @ self._teacher.vectors(about["linked_rows"]).T,
                student_BD @ step.entities.index_select(0, about["linked"]).T,
                settings.temperature,
                trust_B,
            )
        return terms

    def _feature(self, step: Step) -> Tensor:
        """Compare the entities' vectors and, where asked for, the relations'."""
        about = step.batch.further
        loss = contrastive_loss if self._settings.feature_form == "infonce" else feature_loss
        teacher_UD = self._teacher.vectors(about["compared_rows"]) @ self.feature_map
        student_UD = step.entities.index_select(0, about["compared"])
        term = loss(teacher_UD, student_UD, about.get("compared_trust"))
        if self._relations_too and len(about["relations"]):
            teacher_VD = self._teacher.relations[about["relation_rows"]] @ self.relation_map
            term = term + loss(teacher_VD, step.relations.index_select(0, about["relations"]))
        return term


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
