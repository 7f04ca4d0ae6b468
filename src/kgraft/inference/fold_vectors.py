"""Vectors of new entities by their facts, with all that a model has learned left as it is.

The loss is that of training: each fact is asked for from both ends, the answer against the target's
entities; and in the queries of other facts the new entity is a wrong answer. For one entity it is a
small, smooth problem: for ComplEx all scores are linear in its vector. It starts from the mean of
the entities that have the same relations.

Shapes: K facts of an entity, S sampled entities, Q sampled queries, D the width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.known_facts import Ids, KnownFacts
from kgraft.graph.vocabulary import Rows
from kgraft.model.encoders import ComplEx, complex_product
from kgraft.model.kge import KgeModel
from kgraft.model.products import product
from kgraft.training.losses import n3

Floats = NDArray[np.float64]

MAX_SAMPLED = 1024
"""Entities that an answer is compared with: all, or an even sample of more."""

MAX_QUERIES = 512
"""Queries of other facts: all, or an even sample of more."""

STEPS = 10
"""Steps of L-BFGS."""

REGULARIZATION = 0.3
"""Factor on the setting of training."""


@dataclass(frozen=True, eq=False)
class FactsOfOne:
    """Facts of one entity, seen from it.

    Args:
        along: Directed relations, int64 ``(K,)``.
        others: Rows of the other ends, which have a vector, ``(K,)``.
        weights: Weight of each fact, float ``(K,)``.
    """

    along: Ids
    others: Rows
    weights: Floats


@dataclass(frozen=True, eq=False)
class Compared:
    """Entities and queries of a model that new entities are compared with.

    Args:
        entities: Sampled rows, ascending, ``(S,)``.
        vectors: Their vectors, ``(S, D)``.
        shift: Log of the number of entities that each stands for.
        queries: Sampled queries, ``(Q, D)``.
        rest: Log-sum-exp of the scores of entities for each, ``(Q,)``.
        count: Number of queries that each stands for.
    """

    entities: Rows
    vectors: Tensor
    shift: float
    queries: Tensor
    rest: Tensor
    count: float

    @classmethod
    def of(cls, kge: KgeModel, entities: Rows, facts: Triples) -> Compared:
        """Sample entities, in ascending rows, and the queries that facts ``(n, 3)`` answer."""
        step = max(1, -(-len(entities) // MAX_SAMPLED))
        sampled, shift = entities[::step], float(np.log(step))
        vectors = kge.vectors(torch.from_numpy(sampled))
        heads, relations, tails = facts.T
        anchors = np.concatenate([heads, tails])
        along = np.concatenate([relations, relations + kge.n_relations])
        there = np.flatnonzero(kge.has_vector(anchors))
        chosen = there[:: max(1, -(-len(there) // MAX_QUERIES))]
        queries = kge.queries(*(torch.from_numpy(x[chosen]) for x in (anchors, along)))
        rest = (product(queries, vectors) + shift).logsumexp(1)
        return cls(sampled, vectors, shift, queries, rest, len(there) / max(len(chosen), 1))


class VectorFolder:
    """Finds vectors of entities that a model was not trained on.

    Args:
        kge: The vectors.
        compared: Entities and queries to compare with.
        known: An index of the target's facts, those of new entities too.
        regularization: The setting of training.
    """

    def __init__(
        self, kge: KgeModel, compared: Compared, known: KnownFacts, regularization: float
    ) -> None:
        self._kge, self._compared, self._known = kge, compared, known
        self._weight = REGULARIZATION * regularization

    def vector(self, facts: FactsOfOne, start: Tensor) -> Tensor:
        """Return the vector ``(D,)`` of an entity by its facts, and a start ``(D,)``."""
        loss = self._loss(facts)
        found = minimize(
            loss, start.double().numpy(), jac=True, method="L-BFGS-B", options={"maxiter": STEPS}
        )
        return torch.from_numpy(found.x).to(start.dtype)

    def _loss(self, facts: FactsOfOne) -> Callable[[Floats], tuple[float, Floats]]:
        compared, m = self._compared, self._kge.n_relations
        back = (facts.along + m) % (2 * m)
        relations = self._kge.relations[torch.from_numpy(facts.along)]
        others = self._kge.vectors(torch.from_numpy(facts.others))
        weights = torch.from_numpy(facts.weights).to(others.dtype)
        asked = self._kge.queries(torch.from_numpy(facts.others), torch.from_numpy(back))
        of_others = product(asked, compared.vectors) + compared.shift
        of_others.masked_fill_(self._answers(facts.others, back), -torch.inf)
        rest = of_others.logsumexp(1)
        # Other answers of the same query are right, too.
        same = facts.along[:, None] == facts.along
        mask = same.astype(np.float32) @ (facts.others[:, None] == compared.entities)
        hidden = torch.from_numpy(mask > 0)
        count = weights.sum()[None] * 2
        parts = self._kge.encoder.parts

        def loss(x: Floats) -> tuple[float, Floats]:
            own = torch.from_numpy(x).to(others.dtype)
            queries, vjp = self._queries(own, relations)
            scores = (product(queries, compared.vectors) + compared.shift).masked_fill_(
                hidden, -torch.inf
            )
            right = (queries * others).sum(1)
            total = torch.logaddexp(scores.logsumexp(1), right)
            value = ((total - right) * weights).sum()
            shares = torch.exp(scores - total[:, None])
            slopes = shares @ compared.vectors
            slopes += (torch.exp(right - total) - 1)[:, None] * others
            gradient = vjp(slopes * weights[:, None])
            answer = asked @ own
            total = torch.logaddexp(answer, rest)
            value += ((total - answer) * weights).sum()
            gradient += ((torch.exp(answer - total) - 1) * weights) @ asked
            wrong = compared.queries @ own
            value += compared.count * (torch.logaddexp(wrong, compared.rest) - compared.rest).sum()
            gradient += compared.count * torch.sigmoid(wrong - compared.rest) @ compared.queries
            if self._weight:
                slope = torch.empty_like(own)[None]
                value += self._weight * n3(
                    own[None], count, parts=parts, weight=self._weight, gradient_ND=slope
                )
                gradient += slope[0]
            return float(value), gradient.double().numpy()

        return loss

    def _queries(self, own: Tensor, relations: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return the entity's query along each relation, and its vector-Jacobian product."""
        encoder = self._kge.encoder
        if isinstance(encoder, ComplEx):
            queries = complex_product(own.expand_as(relations), relations)
            return queries, lambda x: complex_product(x, relations, conjugate=True).sum(0)
        with torch.enable_grad():
            leaf = own.detach().requires_grad_()
            found = encoder(leaf.expand_as(relations)[:, None], relations[:, None])[:, 0]
        return found.detach(), lambda x: torch.autograd.grad(found, leaf, x)[0]

    def _answers(self, anchors: Rows, along: Ids) -> Tensor:
        """Mask the sampled entities that answer queries, ``(K, S)``."""
        compared, m = self._compared, self._kge.n_relations
        found = torch.zeros(len(anchors), len(compared.entities), dtype=torch.bool)
        for asks_head in (False, True):
            chosen = np.flatnonzero((along >= m) == asks_head)
            query, entity = self._known.answers(
                anchors[chosen], along[chosen] % m, "head" if asks_head else "tail"
            )
            place = np.searchsorted(compared.entities, entity).clip(max=len(compared.entities) - 1)
            there = compared.entities[place] == entity
            found[chosen[query[there]], place[there]] = True
        return found
