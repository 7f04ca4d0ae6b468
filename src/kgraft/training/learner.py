"""One training step: take the rows, compute the named loss terms, move the rows."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kgraft.config import OptimizerName, Precision
from kgraft.model.kge import KgeModel
from kgraft.training.batches import Batch
from kgraft.training.losses import sampled_softmax
from kgraft.training.optimizer import OPTIMIZERS


@dataclass(frozen=True, eq=False)
class Step:
    """What a step has computed, for further loss terms.

    Args:
        batch: The batch.
        entities: float ``(U, D)``, the rows of ``batch.entities``.
        relations: float ``(V, D)``, the rows of ``batch.relations``.
        queries: float ``(B, D)``.
    """

    batch: Batch
    entities: Tensor
    relations: Tensor
    queries: Tensor


class NotFiniteError(ArithmeticError):
    """A step whose loss or gradient is infinite or no number; it has moved nothing.

    Args:
        cause: What is not finite, as a phrase.
        tensors: The step's batch and the rows that it has taken, by name.
    """

    def __init__(self, cause: str, tensors: Mapping[str, Tensor]) -> None:
        self.cause = cause
        self.tensors = tensors
        super().__init__(cause)


class Term(ABC, nn.Module):
    """Further loss terms, with weights and perhaps weights of their own to learn."""

    @abstractmethod
    def weights(self, progress: float) -> Mapping[str, float]:
        """Return each term's weight when a share of the run, from 0 to 1, lies behind."""

    @abstractmethod
    def forward(self, step: Step) -> dict[str, Tensor]:
        """Return each term by its name, not yet weighted."""


class Learner:
    """A model, the optimizers of its parts, and the loss that moves them.

    Args:
        model: Trained in place.
        optimizer: What moves the rows of the tables.
        learning_rate: Its step size, and Adagrad's for what ``extra`` learns.
        dense_learning_rate: Adam's step size, for the encoder's own weights.
        regularization: Weight of the encoder's penalty on the rows of each query.
        final_rate: What is left of both step sizes at the end of a run.
        precision: Of the factors of the scores' products.
        extra: Further loss terms.
    """

    def __init__(
        self,
        model: KgeModel,
        *,
        optimizer: OptimizerName = "adagrad",
        learning_rate: float,
        dense_learning_rate: float,
        regularization: float,
        final_rate: float = 1.0,
        precision: Precision = "float32",
        extra: Term | None = None,
    ) -> None:
        self.model = model
        self._factors = torch.bfloat16 if precision == "bfloat16" else None
        rows = OPTIMIZERS[optimizer]
        self._entities = rows(model.entities, learning_rate)
        self._relations = rows(model.relations, learning_rate)
        self._final_rate = final_rate
        self._extra = extra
        self._weights = {"regularization": regularization}
        self._dense: list[torch.optim.Optimizer] = []
        if own := list(model.encoder.parameters()):
            self._dense.append(_adam(own, dense_learning_rate))
        if maps := list(extra.parameters() if extra is not None else ()):
            self._dense.append(torch.optim.Adagrad(maps, lr=learning_rate, fused=True))
        self._rates = [optimizer.param_groups[0]["lr"] for optimizer in self._dense]
        self._rate = learning_rate
        self.begin_epoch(progress=0.0)

    def begin_epoch(self, progress: float) -> None:
        """Set what follows the share of the run, from 0 to 1, that lies behind: rates, weights."""
        left = 1.0 - (1.0 - self._final_rate) * progress
        self._entities.learning_rate = self._relations.learning_rate = left * self._rate
        for optimizer, rate in zip(self._dense, self._rates, strict=True):
            optimizer.param_groups[0]["lr"] = left * rate
        if self._extra is not None:
            self._weights |= self._extra.weights(progress)

    def step(self, batch: Batch) -> dict[str, float]:
        """Learn from one batch and return its loss terms, unweighted, and their sum, weighted.

        Raises:
            NotFiniteError: If the loss or its gradient is infinite or no number.
        """
        entities = self._entities.take(batch.entities)
        relations = self._relations.take(batch.relations)
        heads = entities.index_select(0, batch.heads)
        predicates = relations.index_select(0, batch.predicates)
        queries = self._encode(heads, predicates, batch.steps)
        shares = batch.weights / len(batch)
        asked = sampled_softmax(
            queries,
            entities,
            batch.tails,
            batch.known,
            weights_B=shares,
            discounts_C=batch.discounts,
            factors=self._factors,
        )
        terms: dict[str, Tensor] = {}
        if self._weights["regularization"]:
            terms["regularization"] = self._penalty(batch, entities, relations)
        if self._extra is not None:
            terms |= self._extra(Step(batch, entities, relations, queries))
        loss = asked.loss + sum(self._weights[name] * term for name, term in terms.items())
        told = _by_origin(asked.losses * shares, batch.inferred) | terms | {"loss": loss}
        values = {name: float(term.detach()) for name, term in told.items()}
        for name, value in values.items():
            if not math.isfinite(value):
                raise _not_finite(f"the loss term {name!r} is {value}", batch, entities, relations)
        for optimizer in self._dense:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if not self._gradients_are_finite(entities, relations):
            raise _not_finite("a gradient is not finite", batch, entities, relations)
        self._entities.step(batch.entities, entities)
        self._relations.step(batch.relations, relations)
        for optimizer in self._dense:
            optimizer.step()
        return values

    def _gradients_are_finite(self, *rows: Tensor) -> bool:
        moved = [*rows, *(x for part in self._dense for x in part.param_groups[0]["params"])]
        sums = [x.grad.sum() for x in moved if x.grad is not None]
        return bool(torch.stack(sums).isfinite().all())

    def _penalty(self, batch: Batch, entities: Tensor, relations: Tensor) -> Tensor:
        """Return the mean over queries of the encoder's penalty on their three rows."""
        ends = torch.cat([batch.heads, batch.tails])
        of_entities = self.model.encoder.penalty(entities) @ ends.bincount(
            minlength=len(entities)
        ).to(entities)
        of_relations = self.model.encoder.penalty(relations) @ batch.predicates.bincount(
            minlength=len(relations)
        ).to(relations)
        return (of_entities + of_relations) / len(batch)

    def _encode(self, heads_BD: Tensor, relations_BD: Tensor, steps: int) -> Tensor:
        """Return the queries ``(B, D)`` of paths that stand one after the other."""
        self.model.encoder.train()
        paths = (rows.view(-1, steps, rows.shape[1]) for rows in (heads_BD, relations_BD))
        queries: Tensor = self.model.encoder(*paths).flatten(0, 1)
        return queries

    def state(self) -> dict[str, Tensor]:
        """Return all that a later step depends on, by name; it shares memory with the learner."""
        state = dict(self.model.tensors())
        for part, own in (("entities", self._entities), ("relations", self._relations)):
            state |= {f"{name}.{part}": value for name, value in own.state().items()}
        if self._extra is not None:
            state |= {f"extra.{name}": value for name, value in self._extra.state_dict().items()}
        for number, optimizer in enumerate(self._dense):
            for place, parameter in enumerate(optimizer.param_groups[0]["params"]):
                for name, value in optimizer.state[parameter].items():
                    state[f"dense.{number}.{place}.{name}"] = value
        return state

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a state that ``state`` has returned.

        Raises:
            ValueError: If it is the state of another learner.
        """
        own = self.state()
        if {name: x.shape for name, x in own.items()} != {
            name: x.shape for name, x in state.items()
        }:
            raise ValueError("the tensors are not those of this model and its optimizers")
        for name, value in own.items():
            value.copy_(state[name])


def _not_finite(cause: str, batch: Batch, entities: Tensor, relations: Tensor) -> NotFiniteError:
    tensors = {name: value for name, value in vars(batch).items() if isinstance(value, Tensor)}
    tensors |= {"entity_rows": entities.detach(), "relation_rows": relations.detach()}
    largest = max(float(x.detach().abs().max()) for x in (entities, relations))
    return NotFiniteError(f"{cause}, where the largest number in a row is {largest:.3g}", tensors)


def _by_origin(losses_B: Tensor, inferred_B: Tensor) -> dict[str, Tensor]:
    """Return the loss about stated facts and, if a step asks for any, about inferred ones."""
    terms = {"task": losses_B[~inferred_B].sum()}
    if inferred_B.any():
        terms["rules"] = losses_B[inferred_B].sum()
    return terms


def _adam(parameters: list[nn.Parameter], learning_rate: float) -> torch.optim.Adam:
    """Return an optimizer whose state is there before its first step, as ``restore`` needs it."""
    optimizer = torch.optim.Adam(parameters, lr=learning_rate)
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for parameter in parameters:
        optimizer.state[parameter]["step"].zero_()
    return optimizer
