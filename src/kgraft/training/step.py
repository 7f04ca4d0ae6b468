"""One training step: take the rows, compute the named loss terms, move the rows."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

import torch
from torch import Tensor, nn

from kgraft.model.kge import KgeModel
from kgraft.settings import OptimizerName, Precision
from kgraft.system.threads import prefetch
from kgraft.training.auxiliary_loss import Step, Term
from kgraft.training.batch import Batch
from kgraft.training.cuda_graph import Computed, CudaGraphStep
from kgraft.training.losses import n3, sampled_softmax
from kgraft.training.optimizer import OPTIMIZERS
from kgraft.training.sampler import TripleSampler
from kgraft.training.step_metrics import Entry, StepMetrics

AHEAD = 8
"""TripleSampler that are made ahead of a GPU."""


class Trainer:
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
        waits: Whether each step is looked at before it moves anything. Without, the device is not
            waited for, and nothing moves from a step on that is not sound. By default on the CPU.
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
        waits: bool | None = None,
    ) -> None:
        self.model = model
        self.waits = model.device.type == "cpu" if waits is None else waits
        self._ledger = StepMetrics()
        self._recorder: CudaGraphStep | None = None
        self._factors = torch.bfloat16 if precision == "bfloat16" else None
        tables = {"entities": model.entities, "relations": model.relations}
        self._rows = OPTIMIZERS[optimizer](tables, learning_rate)
        self._final_rate = final_rate
        self._extra = extra
        self._weights = {"regularization": regularization}
        self._dense: list[torch.optim.Optimizer] = []
        if own := list(model.encoder.parameters()):
            self._dense.append(_adam(own, dense_learning_rate))
        if maps := list(extra.parameters() if extra is not None else ()):
            fused = model.device.type == "cpu"
            self._dense.append(torch.optim.Adagrad(maps, lr=learning_rate, fused=fused))
        self._rates = [optimizer.param_groups[0]["lr"] for optimizer in self._dense]
        self._rate = learning_rate
        self.begin_epoch(progress=0.0)

    def begin_epoch(self, progress: float) -> None:
        """Set what follows the share of the run, from 0 to 1, that lies behind: rates, weights."""
        left = 1.0 - (1.0 - self._final_rate) * progress
        self._rows.learning_rate = left * self._rate
        for optimizer, rate in zip(self._dense, self._rates, strict=True):
            optimizer.param_groups[0]["lr"] = left * rate
        if self._extra is not None:
            self._weights |= self._extra.weights(progress)

    def steps(self, batches: TripleSampler, number: int, *, skip: int = 0) -> Generator[None]:
        """Learn from an epoch, a batch at each turn; ``look`` tells what came of them.

        Args:
            batches: What there is to learn from.
            number: The epoch's.
            skip: How many of its batches to leave out, the first ones.

        Raises:
            NotFiniteError: As ``learn`` does.
        """
        device, maker = self.model.device, batches.maker
        draws = islice(batches.draws(number), skip, None)
        if device.type == "cpu" or self._dense:
            ready = (self._prepared(maker.make(draw)) for draw in draws)
            for batch in ready if device.type == "cpu" else prefetch(ready, AHEAD):
                self.learn(batch)
                yield
        else:
            if self._recorder is None or self._recorder.maker is not maker:
                self._recorder = CudaGraphStep(maker, self._unattended, device)
            for draw, computed in self._recorder.learn(draws, mark=self._rows.learning_rate):
                numbers, make = computed.numbers.clone(), partial(maker.make, draw)
                self._ledger.add(Entry(draw.size, computed.names, numbers, make))
                yield

    def _prepared(self, batch: Batch) -> Batch:
        if self._extra is not None:
            batch = replace(batch, further=self._extra.about(batch))
        return batch if self.model.device.type == "cpu" else batch.on(self.model.device)

    def step(self, batch: Batch) -> dict[str, float]:
        """Learn from one batch and return its loss terms, unweighted, and their sum, weighted.

        Args:
            batch: On the CPU.

        Raises:
            NotFiniteError: If the loss or its gradient is infinite or no number.
        """
        self.learn(self._prepared(batch))
        return self.look()[-1][1]

    def look(self) -> list[tuple[int, dict[str, float]]]:
        """Return the queries and the loss terms, as ``step``, of all steps since the last look.

        Raises:
            NotFiniteError: As ``learn`` does.
        """
        return self._ledger.look()

    def learn(self, batch: Batch) -> None:
        """Learn from a batch that is where the model is; ``look`` tells what came of it.

        Raises:
            NotFiniteError: Where the learner ``waits``, if a loss term or its gradient is infinite
                or no number; it has moved nothing then.
        """
        computed = self._computed(batch)
        self._ledger.add(Entry(len(batch), computed.names, computed.numbers, lambda: batch))
        if self.waits:
            self._ledger.check()
        self._move(batch, computed)

    def _unattended(self, batch: Batch) -> Computed:
        """Learn from a batch and leave it to others to look."""
        computed = self._computed(batch)
        self._move(batch, computed)
        return replace(computed, memory=self._rows.memory)

    def _computed(self, batch: Batch) -> Computed:
        rows = self._rows.take(batch.entities, batch.relations)
        terms, gradient = self._gradient(batch, rows)
        dense = [x.grad for part in self._dense for x in part.param_groups[0]["params"]]
        gradients = [gradient, *(x for x in dense if x is not None)]
        # A sum is finite where all its numbers are, or nearly, and takes no memory to look at.
        sums = [x.sum().to(terms["loss"]) for x in gradients]
        return Computed(list(terms), torch.stack([*terms.values(), *sums]), gradients, rows)

    def _move(self, batch: Batch, computed: Computed) -> None:
        if not self.waits:
            self._ledger.hold(computed.numbers, computed.gradients)
        gradient = computed.gradients[0]
        if batch.copies is not None:
            # A copy moves as its original does, so that it does not matter which is put back last.
            gradient = gradient.index_select(0, batch.copies)
        self._rows.step((batch.entities, batch.relations), computed.rows, gradient)
        for optimizer in self._dense:
            optimizer.step()

    def rows_of(self, batch: Batch) -> dict[str, Tensor]:
        """Return the rows that a batch is about, as they are."""
        ids = (x.to(self.model.device) for x in (batch.entities, batch.relations))
        rows = self._rows.take(*ids)
        entities, relations = (x.clone() for x in rows.tensor_split([len(batch.entities)]))
        return {"entity_rows": entities, "relation_rows": relations}

    def _gradient(self, batch: Batch, rows: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Return the loss terms and the gradient of the rows; the encoder's weights keep theirs."""
        encoder = self.model.encoder
        if not encoder.training:
            encoder.train()
        for optimizer in self._dense:
            optimizer.zero_grad(set_to_none=True)
        regularizer, gradient = self._regularized(batch, rows)
        n_entities = len(batch.entities)
        entities, relations = rows[:n_entities], rows[n_entities:]
        of_entities, of_relations = gradient[:n_entities], gradient[n_entities:]
        ends = torch.stack([batch.heads, batch.predicates + n_entities])
        path = rows.index_select(0, ends.view(-1)).view(2, -1, batch.steps, rows.shape[1])
        queries, vjp = encoder.forward_with_vjp(path)
        shares = batch.weights / len(batch)
        asked = sampled_softmax(
            queries.flatten(0, 1),
            entities,
            batch.tails,
            batch.known,
            weights_B=shares,
            discounts_C=batch.discounts,
            factors=self._factors,
            sum_CD=of_entities,
        )
        further = self._further(
            Step(batch, entities, relations, queries.flatten(0, 1)),
            (of_entities, of_relations, asked.of_queries),
        )
        of_path = vjp(asked.of_queries.view_as(queries))
        gradient.index_add_(0, ends.flip(0).view(-1), of_path.view(-1, rows.shape[1]))
        terms = _by_origin(asked.losses * shares, batch) | regularizer
        terms |= further
        terms["loss"] = _sum([x * self._weights.get(name, 1.0) for name, x in terms.items()])
        return terms, gradient

    def _regularized(self, batch: Batch, rows: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Return the regularizer, if there is one, and its gradient, for others to add to."""
        weight = self._weights["regularization"]
        if not weight:
            return {}, torch.zeros_like(rows)
        gradient = torch.empty_like(rows)
        counts = batch.uses / len(batch)
        parts = self.model.encoder.parts
        value = n3(rows, counts, parts=parts, weight=weight, gradient_ND=gradient)
        return {"regularization": value}, gradient

    def _further(self, step: Step, gradients: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return the further terms, and add the gradients of their weighted sum.

        Args:
            step: What they are about.
            gradients: Of its entities, relations and queries, changed in place.
        """
        if self._extra is None:
            return {}
        leaves = [
            x.detach().requires_grad_() for x in (step.entities, step.relations, step.queries)
        ]
        terms: dict[str, Tensor] = self._extra(Step(step.batch, *leaves))
        if terms:
            torch.autograd.backward(_sum([x * self._weights[name] for name, x in terms.items()]))
        for gradient, leaf in zip(gradients, leaves, strict=True):
            if leaf.grad is not None:
                gradient += leaf.grad
        return {name: term.detach() for name, term in terms.items()}

    def state(self) -> dict[str, Tensor]:
        """Return all that a later step depends on, by name; it shares memory with the learner."""
        state = {**self.model.tensors(), **self._rows.state()}
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


def _sum(numbers: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(numbers)).sum()


def _by_origin(losses_B: Tensor, batch: Batch) -> dict[str, Tensor]:
    """Return the loss about stated facts and, if a step asks for any, about inferred ones."""
    if not batch.infers:
        return {"task": losses_B.sum()}
    of_inferred_B = losses_B * batch.inferred
    return {"task": (losses_B - of_inferred_B).sum(), "rules": of_inferred_B.sum()}


def _adam(parameters: list[nn.Parameter], learning_rate: float) -> torch.optim.Adam:
    """Return an optimizer whose state is there before its first step, as ``restore`` needs it."""
    optimizer = torch.optim.Adam(parameters, lr=learning_rate)
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for parameter in parameters:
        optimizer.state[parameter]["step"].zero_()
    return optimizer
