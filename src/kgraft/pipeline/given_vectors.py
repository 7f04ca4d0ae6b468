"""Teachers without facts: their links to a target, and their vectors in the form that is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from kgraft.errors import DataError
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Rows
from kgraft.io.read_links import links_by_name
from kgraft.linking.joint_graph import JointGraph
from kgraft.linking.linked_subgraph import LinkedSubgraph
from kgraft.linking.links import Links
from kgraft.model.encoders import principal_directions
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.settings import ModelSettings, RetrainSettings

MAX_GIVEN = 256
"""The most numbers of a given vector that are used, its principal ones."""

SMALLEST = 1e-4
"""Least standard deviation of a direction that is used, as a share of the largest."""


def has_facts(teacher: TrainedModel) -> bool:
    """Return True for a teacher that has learned from facts, False for one of given vectors."""
    return teacher.graph.n_relations > 0


def links_to_vectors(
    own: KnowledgeGraph, given: Sequence[Links], teacher: JointGraph
) -> list[Links]:
    """Return the links of a target to a teacher without facts: the given ones, else equal names.

    Args:
        own: The target.
        given: Links in the rows of the teacher's sources.
        teacher: The teacher's names.
    """
    linked = {x.right if x.left == own.name else x.left for x in given if x.joins(own.name)}
    named = [links_by_name(own, x) for x in teacher.graphs().values() if x.name not in linked]
    return [*given, *(x for x in named if len(x))]


def given_teacher(teacher: KgeModel, subgraph: LinkedSubgraph) -> tuple[KgeModel, LinkedSubgraph]:
    """Return a teacher of the linked vectors alone, a row for each entity, and the subgraph to it.

    Args:
        teacher: The teacher.
        subgraph: The subgraph, in the teacher's rows.
    """
    rows = subgraph.teacher_entities
    given = normalised(teacher, rows)
    width = given.shape[1]
    kge = KgeModel(ModelSettings(width=width), given, torch.zeros(0, width))
    own = np.where(rows >= 0, np.arange(len(rows)), -1)
    return kge, replace(subgraph, teacher_entities=own)


def normalised(teacher: KgeModel, wanted: Rows) -> Tensor:
    """Return rows of given vectors in one form, ``(n, d)`` with an even ``d``, 0 where none is.

    They are centred, turned to their principal directions, whose standard deviations are brought
    half-way to each other, and scaled to a mean squared norm of 1.

    Args:
        teacher: The vectors.
        wanted: The row of each entity among them, or -1, ``(n,)``.
    """
    known = torch.from_numpy(wanted >= 0)
    linked = teacher.entity_rows(wanted[wanted >= 0]).float()
    centred = linked - linked.mean(0)
    turned = centred @ principal_directions(centred, min(MAX_GIVEN, centred.shape[1]))
    std = turned.square().mean(0).sqrt()
    kept = std > SMALLEST * std.max()
    turned = turned[:, kept] / std[kept].sqrt()
    norm = turned.square().sum(1).mean().sqrt().clamp(min=1e-12)
    # Vectors that are all the same have no direction.
    found = torch.zeros(len(wanted), max(2, turned.shape[1] + turned.shape[1] % 2))
    found[known, : turned.shape[1]] = turned / norm
    return found


def given_for(
    teacher: KgeModel, student: KgeModel, settings: RetrainSettings
) -> tuple[Tensor, int] | None:
    """Return the given vectors of a student's entities and the width of their read-out.

    None where the settings leave it out, or scores are not sums over coordinates.
    """
    width = settings.distillation.readout
    if not width or student.settings.encoder != "complex":
        return None
    return teacher.entities[: student.n_entities], width


def no_vector(own: KnowledgeGraph, teacher: JointGraph) -> DataError:
    """Return the error that no entity of a target has a given vector."""
    known = next(iter(teacher.parts.values())).entities
    return DataError(
        f"none of the {len(own.entities):,} entities of {own.name!r}, such as "
        f"{own.entities.name(0)!r}, has the name of one of the {len(known):,} vectors, such as "
        f"{known.name(0)!r}",
        remedy="Import vectors under the names of the graph, or give links: a [[links]] of the "
        "collection, or kgraft graft --links",
    )
