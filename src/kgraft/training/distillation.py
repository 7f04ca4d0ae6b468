"""Distillation: a student starts from its teacher and imitates it on three levels."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from kgraft.linking.linked_subgraph import LinkedSubgraph
from kgraft.model.encoders import principal_directions
from kgraft.model.kge import KgeModel
from kgraft.model.scorer import directed
from kgraft.settings import DistillationSettings, ModelSettings
from kgraft.training.auxiliary_loss import AuxiliaryLoss, StepState
from kgraft.training.batch import Batch
from kgraft.training.distillation_losses import (
    contrastive_loss,
    feature_loss,
    hint_loss,
    prediction_loss,
    similarity_loss,
)

CANDIDATES = 4
"""The most linked entities that answers are compared on, for each query of a step."""


class DistillationLoss(AuxiliaryLoss):
    """The loss terms of a frozen teacher: feature, network and prediction level.

    Args:
        teacher: The teacher.
        subgraph: Says which of the student's rows the teacher knows, and by which row.
        student: The student's encoder and width.
        settings: Weights, forms and temperature.
        fact_counts: Number of the teacher's facts about each of its entities, ``(n,)``.
    """

    def __init__(
        self,
        teacher: KgeModel,
        subgraph: LinkedSubgraph,
        student: ModelSettings,
        settings: DistillationSettings,
        fact_counts: Tensor,
    ) -> None:
        super().__init__()
        self._settings = settings
        self._teacher = teacher
        self._entities = torch.from_numpy(subgraph.teacher_entities)
        self._relations = with_inverses(
            torch.from_numpy(subgraph.teacher_relations), teacher.n_relations
        )
        half = settings.half_weight_facts
        self._row_weights = fact_counts / (fact_counts + half) if half else None
        self._with_relations = (
            settings.relation_vectors and student.encoder == teacher.settings.encoder
        )
        linked = self._entities[self._entities >= 0]
        start = initial_map(teacher, student, teacher.vectors(linked))
        self.feature_map = nn.Parameter(start.clone())
        self.query_map = nn.Parameter(start.clone())
        if self._with_relations:
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

    def to_device(self, device: torch.device) -> Self:
        """Move the maps and the teacher to a device."""
        self._teacher = self._teacher.on(device)
        return super().to_device(device)

    def prepare_batch(self, batch: Batch) -> dict[str, Tensor]:
        """Return the batch's rows and queries that the teacher knows, and its rows for them.

        A query is known if the teacher knows its path from the beginning. At most ``queries`` of
        the settings are taken. Empty for the steps that ``every`` leaves out.
        """
        if batch.number % self._settings.every:
            return {}
        rows_U = self._entities[batch.entities]
        linked_U = (rows_U >= 0).nonzero().squeeze(1)
        draw = np.random.default_rng([*batch.seed, batch.number])
        drawn_U = linked_U[torch.from_numpy(draw.permutation(len(linked_U)))]
        compared_U = drawn_U[: self._settings.queries]
        candidates_U = drawn_U[: CANDIDATES * self._settings.queries]
        found = {
            "compared": compared_U,
            "compared_rows": rows_U[compared_U],
            "candidates": candidates_U,
            "candidate_rows": rows_U[candidates_U],
        }
        rows_V = self._relations[batch.relations]
        if self._with_relations:
            known_V = (rows_V >= 0).nonzero().squeeze(1)
            found |= {"relations": known_V, "relation_rows": rows_V[known_V]}
        heads = rows_U[batch.heads].view(-1, batch.path_length)
        relations = rows_V[batch.relation_positions].view(-1, batch.path_length)
        known = ((heads >= 0) & (relations >= 0)).cummin(dim=1).values
        known[max(1, self._settings.queries // batch.path_length) :] = False
        paths = known[:, 0].nonzero().squeeze(1)
        found |= {
            "queries": known.flatten().nonzero().squeeze(1),
            "queries_of_paths": known[paths].flatten().nonzero().squeeze(1),
            "path_heads": heads[paths].clamp(min=0).flatten(),
            "path_relations": relations[paths].clamp(min=0).flatten(),
        }
        if self._row_weights is not None:
            found["compared_weights"] = self._row_weights[found["compared_rows"]]
            found["query_weights"] = self._row_weights[heads[known]]
        return found

    def forward(self, state: StepState) -> dict[str, Tensor]:
        """Compute the terms whose weight is not 0; a step without linked rows has none."""
        known, settings = state.batch.auxiliary, self._settings
        terms: dict[str, Tensor] = {}
        if not known:
            return terms
        if settings.feature and len(known["compared"]):
            terms["feature"] = self._feature_term(state)
        if (settings.network or settings.prediction) and len(known["queries"]):
            terms |= self._query_terms(state)
        return {name: settings.every * term for name, term in terms.items()}

    def _query_terms(self, state: StepState) -> dict[str, Tensor]:
        """Compare query vectors (network level) and their answers (prediction level)."""
        known, settings = state.batch.auxiliary, self._settings
        shape = (-1, state.batch.path_length)
        paths = (known[x].view(shape) for x in ("path_heads", "path_relations"))
        encoded_BD = self._teacher.path_queries(*paths).flatten(0, 1)
        teacher_BD = encoded_BD.index_select(0, known["queries_of_paths"])
        student_BD = state.queries.index_select(0, known["queries"])
        weights_B = known.get("query_weights")
        terms = {}
        if settings.network:
            hint = hint_loss(teacher_BD @ self.query_map, student_BD, weights_B)
            terms["network"] = hint + similarity_loss(teacher_BD, student_BD)
        if settings.prediction:
            terms["prediction"] = prediction_loss(
                teacher_BD @ self._teacher.vectors(known["candidate_rows"]).T,
                student_BD @ state.entities.index_select(0, known["candidates"]).T,
                settings.temperature,
                weights_B,
            )
        return terms

    def _feature_term(self, state: StepState) -> Tensor:
        """Compare entity vectors and, if the settings ask for it, relation vectors."""
        known = state.batch.auxiliary
        loss = contrastive_loss if self._settings.feature_form == "infonce" else feature_loss
        teacher_UD = self._teacher.vectors(known["compared_rows"]) @ self.feature_map
        student_UD = state.entities.index_select(0, known["compared"])
        term = loss(teacher_UD, student_UD, known.get("compared_weights"))
        if self._with_relations and len(known["relations"]):
            teacher_VD = self._teacher.relations[known["relation_rows"]] @ self.relation_map
            term = term + loss(teacher_VD, state.relations.index_select(0, known["relations"]))
        return term


def with_inverses(relations: Tensor, n_relations: int) -> Tensor:
    """Append the row of each relation's inverse, ``(2 m,)``, to rows ``(m,)``; -1 stays -1."""
    inverses = directed(relations, "head", n_relations)
    return torch.cat([relations, torch.where(relations >= 0, inverses, -1)])


def initial_map(teacher: KgeModel, student: ModelSettings, rows_ND: Tensor) -> Tensor:
    """Return the initial map ``(D, width)`` from the teacher's vectors to the student's.

    Between models of one encoder and width it is the identity; of one encoder, the encoder's own
    projection; else, and from a teacher without relations, whose numbers may mean anything, the
    principal directions of the teacher's ``rows_ND``.
    """
    if not teacher.n_relations or teacher.settings.encoder != student.encoder:
        return principal_directions(rows_ND, student.width)
    if teacher.settings.width == student.width:
        return torch.eye(student.width)
    return teacher.encoder.projection(rows_ND, student.width)


def linked_teacher(teacher: KgeModel, subgraph: LinkedSubgraph) -> tuple[KgeModel, LinkedSubgraph]:
    """Return a teacher of the subgraph's linked entities alone, and the subgraph in its rows."""
    rows = subgraph.teacher_entities
    known = rows >= 0
    kge = KgeModel(
        teacher.settings, teacher.entity_rows(rows[known]), teacher.relations, teacher.encoder
    )
    own = np.where(known, np.cumsum(known) - 1, -1)
    return kge, replace(subgraph, teacher_entities=own)


@torch.no_grad()
def warm_start(student: KgeModel, teacher: KgeModel, subgraph: LinkedSubgraph) -> None:
    """Initialise the student from the teacher, as far as its numbers mean the same to both.

    Linked entities start from the teacher's rows; between models of one encoder, so do relations
    that the teacher knows, and the encoder's own weights if their shapes agree.
    """
    entities = torch.from_numpy(subgraph.teacher_entities)
    relations = with_inverses(torch.from_numpy(subgraph.teacher_relations), teacher.n_relations)
    linked = entities[entities >= 0]
    projection = initial_map(teacher, student.settings, teacher.vectors(linked))
    _start_rows(student.entities, teacher.entities, entities[: student.n_entities], projection)
    if student.settings.encoder != teacher.settings.encoder or not teacher.n_relations:
        return
    _start_rows(student.relations, teacher.relations, relations, projection)
    weights, own = teacher.encoder.state_dict(), student.encoder.state_dict()
    shapes = [{name: x.shape for name, x in state.items()} for state in (weights, own)]
    if shapes[0] == shapes[1]:
        student.encoder.load_state_dict(weights)


def _start_rows(own: Tensor, teacher_rows: Tensor, rows: Tensor, projection: Tensor) -> None:
    known = rows >= 0
    # A wider student keeps its random start in the coordinates that the teacher lacks: where all
    # vectors are 0, so is the gradient.
    kept = projection.any(dim=0)
    start = teacher_rows[rows[known]].to(projection) @ projection
    own[known] = torch.where(kept, start.to(own), own[known])
