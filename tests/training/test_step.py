"""One step: its terms by hand, its gradients by finite differences, and what it leaves alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from steps import step
from torch import Tensor

from kgraft.linking.linked_subgraph import LinkedSubgraph
from kgraft.model.kge import KgeModel
from kgraft.settings import DistillationSettings, ModelSettings, StepPrecision
from kgraft.training import step as step_module
from kgraft.training.batch import Batch
from kgraft.training.distillation import DistillationLoss
from kgraft.training.sampler import TripleSampler
from kgraft.training.step import Trainer

NONE_KNOWN = torch.empty(0, dtype=torch.int64)


def numbers_model(*entities: float) -> KgeModel:
    """Entities are the given numbers; relation 0 and its inverse are 1."""
    table = torch.tensor([[number, 0.0] for number in entities])
    return KgeModel(ModelSettings(width=2), table, torch.tensor([[1.0, 0.0], [1.0, 0.0]]))


def one_query(known: Tensor = NONE_KNOWN) -> Batch:
    """Entity 0, relation 0, answer 1, among entities 0, 1 and 2."""
    zero, one = torch.tensor([0]), torch.tensor([1])
    return Batch(
        torch.arange(3),
        zero,
        zero,
        zero,
        one,
        known,
        torch.zeros(1),
        torch.ones(1),
        torch.tensor([1.0, 1.0, 0.0, 1.0]),
        torch.zeros(3),
    )


def trainer_of(model: KgeModel, regularization: float = 0.0, **more: Any) -> Trainer:
    rates = {"learning_rate": 0.1, "dense_learning_rate": 1e-3}
    return Trainer(model, **rates, regularization=regularization, **more)


def test_terms_by_hand() -> None:
    trainer = trainer_of(numbers_model(1, 2, 3, 4), regularization=0.5)
    terms = step(trainer, one_query())
    task = -math.log(math.exp(2) / (math.exp(1) + math.exp(2) + math.exp(3)))
    assert terms["task"] == pytest.approx(task, rel=1e-6)
    assert terms["regularization"] == pytest.approx(1 + 1 + 8)
    assert terms["loss"] == pytest.approx(task + 0.5 * 10, rel=1e-6)


def test_entities_count_by_how_seldom_they_are_candidates() -> None:
    log_probabilities = torch.tensor([1.0, 0.5, 0.25]).log()
    batch = replace(one_query(), logq=log_probabilities)
    task = -math.log(2 * math.exp(2) / (math.exp(1) + 2 * math.exp(2) + 4 * math.exp(3)))
    assert step(trainer_of(numbers_model(1, 2, 3)), batch)["task"] == pytest.approx(task, rel=1e-6)


def test_inferred_facts_have_a_term_of_their_own() -> None:
    stated, mixed = (
        Batch(
            torch.arange(3),
            *(torch.tensor([0, 0]),) * 3,
            torch.tensor([1, 2]),
            NONE_KNOWN,
            torch.tensor([0.0, float(inferred)]),
            torch.ones(2),
            torch.tensor([2.0, 1.0, 1.0, 2.0]),
            torch.zeros(3),
            has_pseudo_facts=inferred,
        )
        for inferred in (False, True)
    )
    losses = [
        -math.log(math.exp(number) / (math.exp(1) + math.exp(2) + math.exp(3))) for number in (2, 3)
    ]
    terms = step(trainer_of(numbers_model(1, 2, 3)), stated)
    assert terms.keys() == {"task", "loss"}
    assert terms["task"] == pytest.approx(sum(losses) / 2, rel=1e-6)
    terms = step(trainer_of(numbers_model(1, 2, 3)), mixed)
    assert terms == pytest.approx(
        {"task": losses[0] / 2, "rules": losses[1] / 2, "loss": sum(losses) / 2}, rel=1e-6
    )


def test_known_answers_are_no_negatives() -> None:
    trainer = trainer_of(numbers_model(1, 2, 3))
    terms = step(trainer, one_query(known=torch.tensor([2])))
    task = -math.log(math.exp(2) / (math.exp(1) + math.exp(2)))
    assert terms == {"task": pytest.approx(task, rel=1e-6), "loss": pytest.approx(task, rel=1e-6)}


def test_the_first_step_of_adagrad_by_hand() -> None:
    model = numbers_model(1, 2, 3, 4)
    step(trainer_of(model), one_query())
    # Adagrad's first step is as long as the learning rate, against the gradient. The expected
    # number under the softmax is 2.6, above the answer's 2: the head, whom that pulls up, goes
    # down, the answer goes up and the wrong answer down. Entity 3 has no part in it.
    assert model.entities[:, 0].tolist() == pytest.approx([0.9, 2.1, 2.9, 4.0])
    assert model.relations[:, 0].tolist() == pytest.approx([0.9, 1.0])
    assert model.entities[:, 1].tolist() == [0.0] * 4


def test_steps_shorten_towards_the_end_of_a_run() -> None:
    moved = []
    for progress in (0.0, 0.5, 1.0):
        model = numbers_model(1, 2, 3, 4)
        trainer = trainer_of(model, final_rate=0.2)
        trainer.begin_epoch(progress)
        step(trainer, one_query())
        moved.append(model.entities[2, 0].item() - 3.0)
    # Adagrad's first step is as long as the rate: all of it, 0.6 of it, 0.2 of it.
    assert moved == pytest.approx([-0.1, -0.06, -0.02], rel=1e-4)


def test_only_rows_of_the_batch_are_touched() -> None:
    model = KgeModel.create(ModelSettings(width=4), 8, 3, seed=1)
    trainer = trainer_of(model, regularization=0.1)
    before = {name: value.clone() for name, value in trainer.state().items()}
    batch = Batch(
        entities=torch.tensor([1, 4, 6]),
        relations=torch.tensor([2, 5]),
        heads=torch.tensor([0, 1]),
        relation_positions=torch.tensor([0, 1]),
        tails=torch.tensor([1, 0]),
        known=NONE_KNOWN,
        is_pseudo=torch.zeros(2),
        weights=torch.ones(2),
        uses=torch.tensor([2.0, 2.0, 0.0, 1.0, 1.0]),
        logq=torch.zeros(3),
    )
    step(trainer, batch)
    for name, rows in (("entities", [0, 2, 3, 5, 7]), ("relations", [0, 1, 3, 4])):
        for key in (name, f"squares.{name}"):
            assert trainer.state()[key][rows].equal(before[key][rows]), key
    assert (model.entities[[1, 4, 6]] != before["entities"][[1, 4, 6]]).any(dim=1).all()
    assert (model.relations[[2, 5]] != before["relations"][[2, 5]]).any(dim=1).all()


def test_without_weight_there_is_no_regularization() -> None:
    trainer = trainer_of(numbers_model(1, 2, 3))
    assert step(trainer, one_query()).keys() == {"task", "loss"}


Make = Callable[[], tuple[Trainer, DistillationLoss]]


@pytest.fixture
def make(tiny_subgraph: LinkedSubgraph) -> Make:
    """Make a student of width 4 that a teacher of width 6 teaches, in float64."""

    def table(seed: int, *shape: int) -> Tensor:
        draw = torch.Generator().manual_seed(seed)
        return torch.randn(shape, generator=draw, dtype=torch.float64)

    def make() -> tuple[Trainer, DistillationLoss]:
        graph = tiny_subgraph.graph
        student = KgeModel(
            ModelSettings(width=4),
            table(1, graph.n_entities, 4),
            table(2, 2 * graph.n_relations, 4),
        )
        teacher = KgeModel(ModelSettings(width=6), table(3, 4, 6), table(4, 4, 6))
        settings = DistillationSettings(feature=0.7, network=1.3, prediction=0.4, temperature=1.5)
        teaching = DistillationLoss(
            teacher, tiny_subgraph, ModelSettings(width=4), settings, torch.ones(4)
        )
        trainer = trainer_of(student, regularization=0.05, auxiliary=teaching)
        return trainer, teaching

    return make


@pytest.fixture
def batch(tiny_subgraph: LinkedSubgraph) -> Batch:
    """All facts of the subgraph, both ways, and all entities."""
    graph = tiny_subgraph.graph
    batches = TripleSampler(
        graph.triples, graph.n_entities, graph.n_relations, batch_size=99, negatives=99, seed=0
    )
    (batch,) = batches.epoch(1)
    assert len(batch.entities) == graph.n_entities
    assert len(batch.known)
    return batch


def test_the_loss_is_the_weighted_sum_of_its_terms(make: Make, batch: Batch) -> None:
    terms = step(make()[0], batch)
    weights = {
        "task": 1, "regularization": 0.05, "feature": 0.7, "network": 1.3, "prediction": 0.4
    }  # fmt: skip
    assert terms.keys() == {*weights, "loss"}
    assert terms["loss"] == pytest.approx(sum(x * terms[name] for name, x in weights.items()))


@pytest.mark.parametrize(
    "part", ["entities", "relations", "auxiliary.feature_map", "auxiliary.query_map"]
)
def test_gradients_of_a_whole_step_by_finite_differences(
    make: Make, batch: Batch, part: str
) -> None:
    def loss(place: tuple[int, int], shift: float) -> float:
        trainer, _ = make()
        with torch.no_grad():
            trainer.state()[part][place] += shift
        return step(trainer, batch)["loss"]

    trainer, teaching = make()
    before = trainer.state()[part].clone()
    step(trainer, batch)
    if part.startswith("auxiliary."):
        gradient = dict(teaching.named_parameters())[part.removeprefix("auxiliary.")].grad
        assert gradient is not None
    else:
        # Adagrad's first step keeps the squared gradient and moves against its sign.
        size = trainer.state()[f"squares.{part}"].sqrt()
        gradient = size * (before - trainer.state()[part]).sign()
    expected = torch.empty_like(gradient)
    for place in np.ndindex(*gradient.shape):
        expected[place] = (loss(place, 1e-5) - loss(place, -1e-5)) / 2e-5
    assert expected.abs().max() > 1e-2
    torch.testing.assert_close(gradient.detach(), expected, rtol=1e-5, atol=1e-7)


def test_a_restored_learner_goes_on_as_before(make: Make, batch: Batch) -> None:
    trainer, _ = make()
    step(trainer, batch)
    kept = {name: value.clone() for name, value in trainer.state().items()}
    expected = [step(trainer, batch) for _ in range(3)]
    other, _ = make()
    other.restore(kept)
    assert [step(other, batch) for _ in range(3)] == expected
    for name, value in trainer.state().items():
        assert other.state()[name].equal(value), name
    assert any(name.startswith("dense.") for name in kept)


def test_a_cpu_made_for_bfloat16_multiplies_in_it_if_it_may_choose(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def loss(precision: StepPrecision, *, made_for_it: bool) -> float:
        monkeypatch.setattr(step_module, "has_bfloat16", lambda: made_for_it)
        trainer = trainer_of(numbers_model(1.01, 2.02, 3.03), precision=precision)
        return float(step(trainer, one_query())["task"])

    in_float32, in_bfloat16 = (loss(x, made_for_it=True) for x in ("float32", "bfloat16"))
    assert in_float32 != in_bfloat16
    assert loss("auto", made_for_it=True) == in_bfloat16
    assert loss("auto", made_for_it=False) == in_float32
