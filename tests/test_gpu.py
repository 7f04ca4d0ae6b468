"""A GPU does what the CPU does, up to rounding, and nobody waits for it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from kgraft.errors import KgraftError, SettingsError, TrainingError
from kgraft.evaluation.evaluate import evaluate
from kgraft.evaluation.ranking import ranks_by_filter
from kgraft.graph.known_facts import KnownFacts
from kgraft.io.interchange import from_arrays
from kgraft.linking.collection import Collection, collect
from kgraft.model.frequency_prior import FrequencyPrior
from kgraft.model.kge import KgeModel
from kgraft.pipeline.embeddings import EmbeddingTask, fit_embeddings
from kgraft.pipeline.estimate import estimate
from kgraft.pipeline.pretrain import pretrain, pretraining_task
from kgraft.pipeline.retrain import retrain, retraining_context
from kgraft.pipeline.run import Run, RunOptions
from kgraft.pipeline.train import training_context
from kgraft.settings import (
    DistillationSettings,
    EncoderName,
    ModelSettings,
    OptimizerName,
    Precision,
    RetrainSettings,
    TrainingSettings,
    TrainSettings,
)
from kgraft.training import collator
from kgraft.training.checkpoint import Fingerprint

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no GPU")

GPU = torch.device("cuda", 0)


@contextmanager
def nobody_waits() -> Iterator[None]:
    """Let everything fail that waits for the GPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls this mode a prototype.
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")


def in_double(model: KgeModel) -> KgeModel:
    """The same model, so exact that rounding decides nothing, where Adagrad begins by signs."""
    return KgeModel(
        model.settings, model.entities.double(), model.relations.double(), model.encoder.double()
    )


def settings_of(
    encoder: EncoderName = "complex",
    optimizer: OptimizerName = "adagrad",
    *,
    path_length: int = 1,
    precision: Precision = "float32",
    tables: Precision = "float32",
) -> TrainSettings:
    return TrainSettings(
        model=ModelSettings(encoder=encoder, width=16, dropout=0.0, init_scale=0.1, tables=tables),
        training=TrainingSettings(
            epochs=2, batch_size=64, negatives=32, path_length=path_length, precision=precision,
            optimizer=optimizer, learning_rate=0.001 if optimizer == "adam" else 0.1,
        ),
    )  # fmt: skip


def after_steps(
    run: EmbeddingTask, device: str, n: int = 5
) -> tuple[dict[str, torch.Tensor], list[float]]:
    """The trainer's state, on the CPU, and the losses after some steps."""
    there = run.on(device)
    trainer = there.trainer()
    with closing(trainer.train_epoch(run.sampler(), 1)) as steps:
        for _ in islice(steps, n):
            pass
    losses = [terms["loss"] for _, terms in trainer.metrics.flush()]
    assert len(losses) == n
    return {name: x.cpu() for name, x in trainer.state().items()}, losses


@pytest.mark.parametrize(
    "settings",
    [
        settings_of(),
        settings_of(optimizer="rowwise_adagrad"),
        settings_of(optimizer="adam"),
        settings_of(path_length=3),
        settings_of("gru", path_length=2),
        settings_of("rsn"),
        settings_of("transformer", path_length=2),
    ],
    ids=lambda x: f"{x.model.encoder}-{x.training.optimizer}-{x.training.path_length}",
)
def test_steps_are_those_of_the_cpu(generated: Collection, settings: TrainSettings) -> None:
    check_alike([pretraining_task(generated, settings) for _ in range(2)])


def test_hubs_are_looked_up_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    facts = draw.integers(0, [60, 3, 60], (300, 3))
    facts[:40] = np.stack([np.arange(40), np.zeros(40, int), np.full(40, 50)], axis=1)
    names = [f"e{row}" for row in range(60)]
    graph = from_arrays("mine", facts, entities=names, relations=["a", "b", "c"])
    runs = [
        training_context(collect([graph], target="mine"), settings_of(), alone=True).task
        for _ in "ab"
    ]
    monkeypatch.setattr(collator, "HUB_FACTOR", 0.1)
    batches = runs[0].sampler()
    sizes = [batches.collator.padding_sizes(sampled) for sampled in batches.samples(1)]
    assert any(x.answers and x.hub_queries > x.hubs > 0 for x in sizes)
    check_alike(runs)


def check_alike(runs: list[EmbeddingTask]) -> None:
    """Check that steps on the CPU and on the GPU end alike, of two runs that are the same."""
    (here, own), (there, theirs) = (
        after_steps(replace(run, model=in_double(run.model)), device)
        for run, device in zip(runs, ("cpu", "cuda"), strict=True)
    )
    assert theirs == pytest.approx(own, rel=1e-6)
    for name, value in here.items():
        torch.testing.assert_close(there[name], value, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize(
    "settings", [settings_of(precision="bfloat16"), settings_of(tables="bfloat16")]
)
def test_narrow_numbers_learn_alike(generated: Collection, settings: TrainSettings) -> None:
    runs = [pretraining_task(generated, settings) for _ in range(2)]
    (_, own), (_, theirs) = (
        after_steps(run, device, n=20) for run, device in zip(runs, ("cpu", "cuda"), strict=True)
    )
    assert theirs == pytest.approx(own, rel=0.02)


@pytest.mark.parametrize("doubt", [0.0, 2.0])
def test_students_are_taught_alike(generated: Collection, doubt: float) -> None:
    teacher = pretrain(generated, settings_of())
    settings = RetrainSettings(
        model=ModelSettings(width=8),
        training=settings_of().training.model_copy(update={"min_steps": 0}),
        distillation=DistillationSettings(
            half_weight_facts=doubt, relation_vectors=True, queries=16
        ),
    )
    teacher = replace(teacher, kge=in_double(teacher.kge))
    check_alike([retraining_context(generated, teacher, settings).task for _ in range(2)])
    assert teacher.kge.device.type == "cpu"


@pytest.mark.parametrize("system", ["teacher", "student", "transformer"])
def test_steps_do_not_wait_for_the_gpu(generated: Collection, system: str) -> None:
    settings = settings_of("transformer" if system == "transformer" else "complex", path_length=2)
    if system == "student":
        teacher = pretrain(generated, settings_of())
        run = retraining_context(
            generated, teacher, RetrainSettings(model=ModelSettings(width=16))
        ).task
    else:
        run = pretraining_task(generated, settings)
    there = run.on("cuda")
    trainer = there.trainer()
    batches = run.sampler()
    # What is done for the first time, or is recorded, may wait.
    for number in (1, 2, 3):
        for _ in trainer.train_epoch(batches, number):
            trainer.metrics.flush()
    steps = trainer.train_epoch(batches, 4)
    next(steps)
    with closing(steps), nobody_waits():
        for _ in range(4):
            next(steps)
    assert len(trainer.metrics.flush()) == 5


def test_ranks_are_those_of_the_cpu() -> None:
    draw = np.random.default_rng(0)
    n, m = 700, 5
    # Few different numbers, so that sums are exact and ties many.
    table, relations, *frequencies = (
        torch.from_numpy(draw.integers(-2, 3, size)).float()
        for size in ((n, 8), (2 * m, 8), (n, 3), (2 * m, 3))
    )
    model = KgeModel(ModelSettings(width=8), table, relations, prior=FrequencyPrior(*frequencies))
    facts = np.stack(
        [draw.integers(n, size=900), draw.integers(m, size=900), draw.integers(n, size=900)], 1
    )
    known = KnownFacts(np.concatenate([facts, facts[:300, [2, 1, 0]]]))
    for candidates in (None, np.arange(0, n)):
        for chunk_elements in (2**24, 2000):
            own, theirs = (
                ranks_by_filter(
                    scorer, facts, side="head", filters=[None, known], n_entities=n,
                    candidates=candidates, chunk_elements=chunk_elements,
                )
                for scorer in (model, model.on(GPU))
            )  # fmt: skip
            for left, right in zip(own, theirs, strict=True):
                assert np.array_equal(left.optimistic, right.optimistic)
                assert np.array_equal(left.pessimistic, right.pessimistic)
                assert np.array_equal(left.candidates, right.candidates)


def test_no_number_is_told() -> None:
    table = torch.full((4, 2), float("nan"))
    model = KgeModel(ModelSettings(width=2), table, torch.ones(2, 2)).on(GPU)
    with pytest.raises(ValueError, match="not numbers"):
        ranks_by_filter(model, [[0, 0, 1]], side="tail", filters=[None], n_entities=4)


def test_whole_runs_end_alike(generated: Collection, tmp_path: Path) -> None:
    settings = settings_of().model_copy(
        update={"training": settings_of().training.model_copy(update={"epochs": 8})}
    )
    teachers = [pretrain(generated, settings, device=device) for device in ("cpu", "cuda")]
    mrr = [teacher.metrics["validation_mrr"] for teacher in teachers]
    assert mrr[1] == pytest.approx(mrr[0], abs=0.03)
    student = retrain(
        generated,
        teachers[1],
        RetrainSettings(model=ModelSettings(width=16)),
        options=RunOptions(directory=tmp_path / "run"),
        device="cuda",
    )
    assert student.kge.device.type == "cpu"
    assert student.evidence is not None
    for by in ("vectors", "both"):
        own, theirs = (evaluate(model, generated, by=by) for model in (student, student.on("cuda")))
        assert theirs.mrr() == pytest.approx(own.mrr(), abs=2e-3)
    assert theirs.mrr() > 0.05


class StoppedError(RuntimeError):
    """What a listener stops a run with."""


class StopAfter:
    """A listener that stops a run after some steps."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def begin(self, what: str, total: int) -> None:
        """Ignore it."""

    def tell(self, text: str) -> None:
        """Ignore it."""

    def end(self) -> None:
        """Ignore it."""

    def advance(self, steps: int) -> None:
        self._left -= steps > 0
        if not self._left:
            raise StoppedError


def test_a_run_goes_on_from_where_it_was_kept(generated: Collection, tmp_path: Path) -> None:
    settings = settings_of("gru", path_length=2)
    whole = pretrain(generated, settings, device="cuda")
    file = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kgraft.training.checkpoint.Checkpoint.due", True)
        with pytest.raises(StoppedError):
            pretrain(generated, settings, options=RunOptions(StopAfter(9), file), device="cuda")
    kept = load_file(file / "embeddings.checkpoint.safetensors")
    assert "state.generator.cuda" in kept
    resumed = pretrain(generated, settings, options=RunOptions(None, file), device="cuda")
    losses = [[x["loss"] for x in run.log] for run in (whole, resumed)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


@pytest.mark.parametrize(("first", "then"), [("cuda", "cpu"), ("cpu", "cuda")])
@pytest.mark.parametrize("encoder", ["complex", "gru"])
def test_a_run_goes_on_on_another_device(
    generated: Collection, tmp_path: Path, encoder: EncoderName, first: str, then: str
) -> None:
    settings = settings_of(encoder)
    whole = pretrain(generated, settings, device=then)
    file = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kgraft.training.checkpoint.Checkpoint.due", True)
        with pytest.raises(StoppedError):
            pretrain(generated, settings, options=RunOptions(StopAfter(9), file), device=first)
    resumed = pretrain(generated, settings, options=RunOptions(None, file), device=then)
    losses = [[x["loss"] for x in run.log] for run in (whole, resumed)]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def test_a_loss_that_is_no_number_is_found_where_it_was(
    generated: Collection, tmp_path: Path
) -> None:
    run = pretraining_task(generated, settings_of())
    third = list(run.sampler().epoch(1))[2]
    seen = {int(x) for batch in list(run.sampler().epoch(1))[:2] for x in batch.entities}
    fresh = next(int(x) for x in third.entities if int(x) not in seen)
    run.model.entities[fresh] = float("nan")
    kept_by = Run(RunOptions(directory=tmp_path / "run"), Fingerprint())
    with pytest.raises(TrainingError, match="epoch 1, step 3: the loss term 'task' is nan"):
        fit_embeddings(run, kept_by, device="cuda")
    kept = load_file(tmp_path / "run" / "embeddings.checkpoint.batch.safetensors")
    assert kept["entities"].equal(third.entities)
    row = kept["entities"].tolist().index(fresh)
    assert kept["entity_rows"][row].isnan().all()
    assert kept["entity_rows"].isnan().any(1).sum() == 1


def test_what_cannot_be_is_refused(generated: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    run = training_context(generated, settings_of()).task
    with pytest.raises(SettingsError, match="the last GPU is cuda:"):
        run.on("cuda:99")
    assert estimate(run.on("cuda")).seconds > 0
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1000, 1000))
    with pytest.raises(KgraftError, match="the GPU's memory"):
        run.on("cuda")
