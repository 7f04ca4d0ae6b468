"""One training step: take the rows, compute the named loss terms, move the rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kgraft.model.kge import KgeModel
from kgraft.training.batches import Batch
from kgraft.training.losses import sampled_softmax
from kgraft.training.optimizer import RowAdagrad


@dataclass(frozen=True, eq=False)
class Step:
    """What a step has computed, for further loss terms.

    Args:
        batch: The batch.
        entities: float ``(U, D)``, the rows of ``batch.entities``.
        relations: float ``(V, D)``, the rows of ``batch.relations``.
        queries: float ``(B, D)``.
        scores: float ``(B, U)``, of every candidate for every query.
    """

    batch: Batch
    entities: Tensor
    relations: Tensor
    queries: Tensor
    scores: Tensor


class Term(ABC, nn.Module):
    """Further loss terms, with weights and perhaps weights of their own to learn."""

    weights: Mapping[str, float]

    @abstractmethod
    def forward(self, step: Step) -> dict[str, Tensor]:
        """Return each term by its name, not yet weighted."""


class Learner:
    """A model, the optimizers of its parts, and the loss that moves them.

    Args:
        model: Trained in place.
        learning_rate: Adagrad's step size.
        regularization: Weight of the encoder's penalty on the rows of each query.
        extra: Further loss terms.
    """

    def __init__(
        self,
        model: KgeModel,
        *,
        learning_rate: float,
        regularization: float,
        extra: Term | None = None,
    ) -> None:
        self.model = model
        self._entities = RowAdagrad(model.entities, learning_rate)
        self._relations = RowAdagrad(model.relations, learning_rate)
        self._extra = extra
        self._weights = {"task": 1.0, "regularization": regularization}
        if extra is not None:
            self._weights |= extra.weights
        dense = [*model.encoder.parameters(), *(extra.parameters() if extra is not None else ())]
        self._dense = torch.optim.Adagrad(dense, lr=learning_rate) if dense else None

    def step(self, batch: Batch) -> dict[str, float]:
        """Learn from one batch and return its loss terms, unweighted, and their sum, weighted."""
        entities = self._entities.take(batch.entities)
        relations = self._relations.take(batch.relations)
        heads = entities.index_select(0, batch.heads)
        predicates = relations.index_select(0, batch.predicates)
        queries = self.model.encoder(heads[:, None], predicates[:, None])[:, 0]
        scores = queries @ entities.T
        terms = {"task": sampled_softmax(scores, batch.tails, batch.known)}
        if self._weights["regularization"]:
            tails = entities.index_select(0, batch.tails)
            rows = torch.cat([heads, predicates, tails])
            terms["regularization"] = self.model.encoder.penalty(rows).sum() / len(batch)
        if self._extra is not None:
            terms |= self._extra(Step(batch, entities, relations, queries, scores))
        loss = torch.stack([self._weights[name] * term for name, term in terms.items()]).sum()
        if self._dense is not None:
            self._dense.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._entities.step(batch.entities, entities)
        self._relations.step(batch.relations, relations)
        if self._dense is not None:
            self._dense.step()
        return {name: float(term.detach()) for name, term in (terms | {"loss": loss}).items()}

    def state(self) -> dict[str, Tensor]:
        """Return all that a later step depends on, by name; it shares memory with the learner."""
        state = dict(self.model.tensors())
        state["squares.entities"] = self._entities.squares
        state["squares.relations"] = self._relations.squares
        if self._extra is not None:
            state |= {f"extra.{name}": value for name, value in self._extra.state_dict().items()}
        if self._dense is not None:
            for place, parameter in enumerate(self._dense.param_groups[0]["params"]):
                for name, value in self._dense.state[parameter].items():
                    state[f"dense.{place}.{name}"] = value
        return state

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a state that ``state`` has returned."""
        for name, own in self.state().items():
            own.copy_(state[name])
