"""The training step: take a batch's embeddings, compute loss and gradients, update the tables."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

import torch
from torch import Tensor, nn

from kgraft.model.kge import KgeModel
from kgraft.model.products import has_bfloat16
from kgraft.settings import OptimizerName, StepPrecision
from kgraft.system.threads import prefetch
from kgraft.system.workers import ALONE, Workers
from kgraft.training.auxiliary_loss import AuxiliaryLoss, StepState
from kgraft.training.batch import Batch
from kgraft.training.cuda_graph import CudaGraphStep, StepResult
from kgraft.training.losses import n3, sampled_softmax
from kgraft.training.optimizer import OPTIMIZERS, DenseAdagrad, RowOptimizer
from kgraft.training.sampler import TripleSampler
from kgraft.training.step_metrics import StepMetrics, StepRecord

PREFETCHED = 8
"""Batches made ahead of a GPU."""


class Trainer:
    """A model with its optimizers and loss.

    Args:
        model: The model, trained in place.
        optimizer: Optimizer of the embedding tables.
        rows: The same as an object, in the place of one by ``optimizer``.
        learning_rate: Its step size, also of the auxiliary loss's parameters (Adagrad).
        dense_learning_rate: Step size of Adam, for the encoder's parameters.
        regularization: Weight of the N3 regularizer of each triple's head, relation and tail.
        final_rate: Factor on both step sizes at the end of a run; they fall linearly.
        precision: Precision of the factors of the scores' matrix products; ``auto`` is bfloat16
            on a CPU that ``has_bfloat16``, else float32.
        auxiliary: Loss terms beside the task's.
        synchronous: Whether each step's losses and gradients are checked before its update, as by
            default on the CPU. Otherwise gradients are zeroed on the device from the first
            non-finite step on, and the error is raised when ``metrics`` are next read.
        workers: The processes that take each step together, each on a batch of its own; ``rows``
            then reach the rows of all.
    """

    def __init__(
        self,
        model: KgeModel,
        *,
        optimizer: OptimizerName = "adagrad",
        rows: RowOptimizer | None = None,
        learning_rate: float,
        dense_learning_rate: float,
        regularization: float,
        final_rate: float = 1.0,
        precision: StepPrecision = "float32",
        auxiliary: AuxiliaryLoss | None = None,
        synchronous: bool | None = None,
        workers: Workers = ALONE,
    ) -> None:
        self.model = model
        self.workers = workers
        self.synchronous = model.device.type == "cpu" if synchronous is None else synchronous
        self.metrics = StepMetrics()
        self._cuda_graph: CudaGraphStep | None = None
        if precision == "auto" and model.device.type == "cpu" and has_bfloat16():
            precision = "bfloat16"
        self._factors = torch.bfloat16 if precision == "bfloat16" else None
        tables = {"entities": model.entities, "relations": model.relations}
        self._rows = rows or OPTIMIZERS[optimizer](tables, learning_rate)
        self._final_rate = final_rate
        self._auxiliary = auxiliary
        self._loss_weights = {"regularization": regularization}
        self._dense: list[torch.optim.Optimizer | DenseAdagrad] = []
        if parameters := list(model.encoder.parameters()):
            self._dense.append(_adam(parameters, dense_learning_rate))
        if maps := list(auxiliary.parameters() if auxiliary is not None else ()):
            self._dense.append(DenseAdagrad(maps, lr=learning_rate))
        self._dense_rates = [optimizer.param_groups[0]["lr"] for optimizer in self._dense]
        self._rate = learning_rate
        self.begin_epoch(progress=0.0)

    def begin_epoch(self, progress: float) -> None:
        """Set learning rates and loss weights for a progress of the run from 0 to 1."""
        left = 1.0 - (1.0 - self._final_rate) * progress
        self._rows.learning_rate = left * self._rate
        for optimizer, rate in zip(self._dense, self._dense_rates, strict=True):
            optimizer.param_groups[0]["lr"] = left * rate
        if self._auxiliary is not None:
            self._loss_weights |= self._auxiliary.weights(progress)

    def hold(self, entities: Tensor, relations: Tensor) -> None:
        """Leave masked rows of entities and relations as they are."""
        device = self.model.device
        self._rows.hold(entities.to(device), relations.to(device))

    def step(self, batch: Batch) -> StepResult:
        """Take one training step on a batch that is on the model's device.

        All gradients are written out but those of the auxiliary loss and of encoders other than
        ComplEx, which autograd computes.

        Raises:
            NotFiniteError: If ``synchronous`` and a loss term or gradient is not finite; no row has
                moved then.
        """
        encoder, n_entities = self.model.encoder, len(batch.entities)
        if not encoder.training:
            encoder.train()
        for optimizer in self._dense:
            optimizer.zero_grad(set_to_none=True)
        # 1. Gather the distinct rows of the batch: entities, then relations.
        rows = self._rows.take(batch.entities, batch.relations)
        entities, relations = rows[:n_entities], rows[n_entities:]
        # 2. Regularizer; its gradient begins the sum of gradients.
        regularizer, gradient = self._regularizer(batch, rows)
        of_entities, of_relations = gradient[:n_entities], gradient[n_entities:]
        # 3. Encode the queries from their heads and relations.
        ends = torch.stack([batch.heads, batch.relation_positions + n_entities])
        path = rows.index_select(0, ends.view(-1)).view(2, -1, batch.path_length, rows.shape[1])
        queries, vjp = encoder.forward_with_vjp(path)
        # 4. Task loss: each answer against the batch's candidates, other true answers masked.
        example_weights = batch.weights / len(batch)
        task = sampled_softmax(
            queries.flatten(0, 1),
            entities,
            batch.tails,
            batch.known,
            weights_B=example_weights,
            logq_C=batch.logq,
            factors=self._factors,
            sum_CD=of_entities,
            has_known_false=batch.has_known_false,
            answer_shift_B=batch.answer_shift,
        )
        # 5. Auxiliary loss: distillation.
        state = StepState(batch, entities, relations, queries.flatten(0, 1))
        auxiliary = self._auxiliary_terms(state, (of_entities, of_relations, task.of_queries))
        # 6. Backward through the encoder to the rows of heads and relations.
        of_path = vjp(task.of_queries.view_as(queries))
        gradient.index_add_(0, ends.flip(0).view(-1), of_path.view(-1, rows.shape[1]))
        # 7. Numbers of the step; non-finite ones move nothing.
        terms = _task_terms(task.losses * example_weights, batch) | regularizer | auxiliary
        terms["loss"] = _sum([x * self._loss_weights.get(name, 1.0) for name, x in terms.items()])
        dense = [x.grad for part in self._dense for x in part.param_groups[0]["params"]]
        gradients = [gradient, *(x for x in dense if x is not None)]
        # A sum with a NaN or infinite term is not finite, others are until training diverges.
        numbers = torch.stack([*terms.values(), *(x.sum().to(terms["loss"]) for x in gradients)])
        gradient, numbers, n_queries = self._rows.collect(gradient, numbers, len(batch))
        gradients[0] = gradient
        result = StepResult(list(terms), numbers, n_queries, (rows, *gradients, *self._rows.memory))
        if self.synchronous:
            self.metrics.add(_record(batch, result))
            self.metrics.check()
        else:
            self.metrics.zero_if_nonfinite(numbers, gradients)
        # 8. Update the tables, and the parameters of encoder and distillation.
        if batch.original is not None:
            # A padding row moves as its original does: both are written back to one place.
            gradient = gradient.index_select(0, batch.original)
        self._rows.step((batch.entities, batch.relations), rows, gradient)
        self.workers.mean_of_each(gradients[1:])
        for optimizer in self._dense:
            optimizer.step()
        return result

    def train_epoch(self, sampler: TripleSampler, number: int, *, skip: int = 0) -> Generator[None]:
        """Train on an epoch's batches, one at each turn; ``metrics`` collects the losses.

        Args:
            sampler: Samples the batches.
            number: Number of the epoch.
            skip: Number of its first batches to leave out.

        Raises:
            NotFiniteError: As in ``step``.
        """
        device, collator = self.model.device, sampler.collator
        samples = islice(sampler.samples(number), skip, None)
        if device.type == "cuda" and not self._dense and self.workers.count == 1:
            if self._cuda_graph is None or self._cuda_graph.collator is not collator:
                self._cuda_graph = CudaGraphStep(collator, self.step, device)
            for sampled, result in self._cuda_graph.train(samples, key=self._rows.learning_rate):
                batch = partial(collator.collate, sampled)
                self.metrics.add(
                    StepRecord(sampled.size, result.names, result.numbers.clone(), batch)
                )
                yield
            return
        batches = (self.prepare(collator.collate(sampled)) for sampled in samples)
        made_ahead = batches if device.type == "cpu" else prefetch(batches, PREFETCHED)
        for made in self._rows.ahead(made_ahead):
            result = self.step(made)
            if not self.synchronous:
                self.metrics.add(_record(made, result))
            yield
        self.refresh_copies()

    def refresh_copies(self) -> None:
        """Bring the copies of what other workers own up to date, in all workers together."""
        self._rows.refresh_copies()

    def prepare(self, batch: Batch) -> Batch:
        """Add what the auxiliary loss needs to a batch on the CPU, and move it to the device."""
        if self._auxiliary is not None:
            batch = replace(batch, auxiliary=self._auxiliary.prepare_batch(batch))
        return batch if self.model.device.type == "cpu" else batch.to(self.model.device)

    def embeddings_of(self, batch: Batch) -> dict[str, Tensor]:
        """Return the current embeddings of a batch's entities and relations."""
        ids = (x.to(self.model.device) for x in (batch.entities, batch.relations))
        rows = self._rows.take(*ids)
        entities, relations = (x.clone() for x in rows.tensor_split([len(batch.entities)]))
        return {"entity_rows": entities, "relation_rows": relations}

    def _regularizer(self, batch: Batch, rows: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Return the N3 term, if its weight is not 0, and its weighted gradient."""
        weight = self._loss_weights["regularization"]
        if not weight:
            return {}, torch.zeros_like(rows)
        gradient = torch.empty_like(rows)
        counts = batch.uses / len(batch)
        parts = self.model.encoder.parts
        value = n3(rows, counts, parts=parts, weight=weight, gradient_ND=gradient)
        return {"regularization": value}, gradient

    def _auxiliary_terms(self, state: StepState, gradients: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return the auxiliary terms, and add the gradients of their weighted sum.

        Args:
            state: The step's tensors.
            gradients: Of its entities, relations and queries, changed in place.
        """
        if self._auxiliary is None:
            return {}
        leaves = [
            x.detach().requires_grad_() for x in (state.entities, state.relations, state.queries)
        ]
        terms: dict[str, Tensor] = self._auxiliary(StepState(state.batch, *leaves))
        if terms:
            torch.autograd.backward(
                _sum([x * self._loss_weights[name] for name, x in terms.items()])
            )
        for gradient, leaf in zip(gradients, leaves, strict=True):
            if leaf.grad is not None:
                gradient += leaf.grad
        return {name: term.detach() for name, term in terms.items()}

    def state(self) -> dict[str, Tensor]:
        """Return all tensors that a later step depends on, by name; they share memory."""
        state = {**self.model.tensors(), **self._rows.state()}
        if self._auxiliary is not None:
            of_auxiliary = self._auxiliary.state_dict().items()
            state |= {f"auxiliary.{name}": value for name, value in of_auxiliary}
        for number, optimizer in enumerate(self._dense):
            for place, parameter in enumerate(optimizer.param_groups[0]["params"]):
                for name, value in optimizer.state[parameter].items():
                    state[f"dense.{number}.{place}.{name}"] = value
        return state

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state`` has returned.

        Raises:
            ValueError: If it is the state of another trainer.
        """
        current = self.state()
        if {name: x.shape for name, x in current.items()} != {
            name: x.shape for name, x in state.items()
        }:
            raise ValueError("the tensors are not those of this model and its optimizers")
        for name, value in current.items():
            value.copy_(state[name])


def _record(batch: Batch, result: StepResult) -> StepRecord:
    return StepRecord(result.queries, result.names, result.numbers, lambda: batch)


def _sum(numbers: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(numbers)).sum()


def _task_terms(losses_B: Tensor, batch: Batch) -> dict[str, Tensor]:
    """Return the loss of stated facts and, if the batch has any, of pseudo-facts."""
    if not batch.has_pseudo_facts:
        return {"task": losses_B.sum()}
    of_pseudo_B = losses_B * batch.is_pseudo
    return {"task": (losses_B - of_pseudo_B).sum(), "rules": of_pseudo_B.sum()}


def _adam(parameters: list[nn.Parameter], learning_rate: float) -> torch.optim.Adam:
    """Return an optimizer whose state exists before its first step, as ``restore`` needs it."""
    optimizer = torch.optim.Adam(parameters, lr=learning_rate)
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for parameter in parameters:
        optimizer.state[parameter]["step"].zero_()
    return optimizer
