"""Training by several workers: the same model as by one, with a part of the rows in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from thread_workers import together
from torch import Tensor

from kgraft.errors import DataError, TrainingError
from kgraft.linking.collection import Collection
from kgraft.model.kge import KgeModel
from kgraft.pipeline.embeddings import EmbeddingTask, fit_embeddings
from kgraft.pipeline.pretrain import pretraining_task
from kgraft.pipeline.run import Run, RunOptions
from kgraft.settings import OptimizerName, TrainSettings
from kgraft.system.progress import Silence
from kgraft.system.workers import ALONE, Workers
from kgraft.training.checkpoint import Fingerprint
from kgraft.training.loop import EpochMetrics, Fit
from kgraft.training.optimizer import OPTIMIZERS
from kgraft.training.sharded_checkpoint import ShardedCheckpoint
from kgraft.training.sharded_rows import Route, ShardedRows
from kgraft.training.validation import validation_ranks

N, M, D = 11, 6, 4


def changed(settings: TrainSettings, **training: object) -> TrainSettings:
    return settings.model_copy(update={"training": settings.training.model_copy(update=training)})


def run_in(directory: Path, workers: Workers) -> Run:
    return Run(RunOptions(Silence(), directory), Fingerprint().add("it"), workers)


def whole(parts: Sequence[Tensor]) -> Tensor:
    """Put the rows of all workers back in order."""
    table = torch.empty(sum(map(len, parts)), *parts[0].shape[1:], dtype=parts[0].dtype)
    for number, part in enumerate(parts):
        table[number :: len(parts)] = part
    return table


# ---------------------------------------------------------------------------- rows and steps


@pytest.mark.parametrize("count", [1, 2, 4])
def test_rows_come_from_their_owners_and_go_back(count: int) -> None:
    table = torch.arange(N * D, dtype=torch.float32).reshape(N, D)

    draw = torch.Generator().manual_seed(0)
    wanted = [[torch.randperm(N, generator=draw)[:5] for _ in range(3)] for _ in range(count)]

    def work(workers: Workers) -> None:
        mine = table[workers.number :: workers.count]
        routes = Route.of_each(wanted[workers.number], workers)
        for step, (route, rows) in enumerate(zip(routes, wanted[workers.number], strict=True)):
            found = route.fetch(mine[route.own])
            assert found.equal(table[rows])
            numbers = torch.tensor([1.0, 2.0, 3.0, 4.0, workers.number])
            back, sums = route.return_to_owners(found, numbers)
            users = sum((torch.bincount(x[step], minlength=N) for x in wanted), torch.zeros(N))
            times = users[workers.number :: workers.count][route.own]
            assert back.equal(mine[route.own] * times[:, None])
            assert not (users[workers.number :: workers.count].sum() - times.sum()).any()
            assert sums.tolist() == [count, 2 * count, 3 * count, 4 * count, sum(range(count))]

    together(count, work)


@pytest.mark.parametrize("optimizer", ["adagrad", "rowwise_adagrad", "adam"])
@pytest.mark.parametrize("count", [2, 4])
def test_a_step_moves_rows_as_that_of_one_process_by_the_mean_gradient(
    optimizer: OptimizerName, count: int
) -> None:
    draw = torch.Generator().manual_seed(1)
    tables = {"entities": torch.randn(N, D, generator=draw), "relations": torch.randn(M, D)}
    entities = [torch.randperm(N, generator=draw)[:6] for _ in range(count)]
    relations = [torch.randperm(M, generator=draw)[:2].sort().values for _ in range(count)]
    gradients = [torch.randn(8, D, generator=draw) for _ in range(count)]

    def work(workers: Workers) -> dict[str, Tensor]:
        own = {
            "relations": tables["relations"].clone(),
            "entities": tables["entities"][workers.number :: count].clone(),
        }
        rows = ShardedRows(OPTIMIZERS[optimizer](own, 0.1), workers)
        used = entities[workers.number], relations[workers.number]
        for _ in range(2):
            taken = rows.take(*used)
            gradient, numbers, queries = rows.collect(
                gradients[workers.number], torch.tensor([2.0, workers.number]), 1
            )
            assert numbers.tolist() == [2.0, (count - 1) / 2]
            assert queries == count
            rows.step(used, taken, gradient)
        rows.refresh_copies()
        return own

    parts = together(count, work)
    alone = {name: x.clone() for name, x in tables.items()}
    rows = OPTIMIZERS[optimizer](alone, 0.1)
    distinct = [torch.unique(torch.cat(x)) for x in (entities, relations)]
    summed = torch.zeros(sum(map(len, distinct)), D)
    for ids, links, gradient in zip(entities, relations, gradients, strict=True):
        places = torch.searchsorted(distinct[0], ids), torch.searchsorted(distinct[1], links)
        summed.index_add_(0, torch.cat([places[0], places[1] + len(distinct[0])]), gradient)
    for _ in range(2):
        rows.step(distinct, rows.take(*distinct), summed / count)
    torch.testing.assert_close(whole([x["entities"] for x in parts]), alone["entities"])
    for part in parts:
        torch.testing.assert_close(part["relations"], alone["relations"])
        assert part["relations"].equal(parts[0]["relations"])


# ----------------------------------------------------------------------------------- queries


@pytest.mark.parametrize("path_length", [1, 2])
def test_each_query_is_one_worker_s_in_as_many_steps(
    generated: Collection, fast: TrainSettings, path_length: int
) -> None:
    settings = changed(fast, path_length=path_length)

    def queries(workers: Workers) -> list[np.ndarray]:
        sampler = pretraining_task(generated, settings, workers=workers).sampler()
        assert sampler.n_steps == expected.n_steps
        batches = [
            torch.stack(x.queries, 1).view(-1, path_length, 3)[:, 0].numpy()
            for x in sampler.samples(1)
        ]
        assert len(batches) == sampler.n_steps
        assert max(map(len, batches)) - min(map(len, batches)) <= 1 + (
            settings.training.batch_size // path_length
        )
        heads = np.concatenate(batches)[:, 0]
        assert (heads % workers.count == workers.number).all()
        return batches

    expected = pretraining_task(generated, settings).sampler()
    of_one = [
        torch.stack(x.queries, 1).view(-1, path_length, 3)[:, 0].numpy()
        for x in expected.samples(1)
    ]
    of_all = [np.concatenate(x) for x in together(3, queries)]
    all_rows, own_rows = (np.concatenate(x) for x in (of_all, of_one))
    assert np.array_equal(*(np.unique(x, axis=0) for x in (all_rows, own_rows)))
    assert len(all_rows) == len(own_rows)


def test_answers_are_scored_and_candidates_weighted_as_by_one_process(
    generated: Collection, fast: TrainSettings
) -> None:
    alone = pretraining_task(generated, fast).sampler().candidate_probabilities()
    expected = fast.training.logq_correction * np.log(alone)

    def work(workers: Workers) -> None:
        sampler = pretraining_task(generated, fast, workers=workers).sampler()
        sampled, counts = 0, np.zeros_like(alone)
        for number in range(1, 25):
            for batch in sampler.epoch(number):
                answers = batch.entities[batch.tails]
                assert batch.answer_shift is not None
                shifted = batch.answer_shift - batch.logq[batch.tails]
                np.testing.assert_allclose(shifted, -expected[answers], rtol=1e-4)
                # A candidate counts as often as it is there, by what its score is shifted.
                counts[batch.entities] += np.exp(-batch.logq.numpy())
                sampled += 1
        weights = counts / sampled / (alone / np.exp(expected))
        assert weights.mean() == pytest.approx(1.0, abs=0.02)
        for rest in range(workers.count):
            assert weights[rest :: workers.count].mean() == pytest.approx(1.0, abs=0.06)

    together(2, work)


def test_a_worker_needs_a_query(tiny: Collection, fast: TrainSettings) -> None:
    def work(workers: Workers) -> None:
        list(pretraining_task(tiny, fast, workers=workers).sampler().samples(1))

    with pytest.raises(DataError, match="Take fewer workers"):
        together(16, work)


# --------------------------------------------------------------------------- whole trainings


def trained(
    collection: Collection, settings: TrainSettings, count: int, directory: Path
) -> tuple[list[EmbeddingTask], Fit]:
    """Return the tasks of all workers after their training, and its outcome."""

    def work(workers: Workers) -> tuple[EmbeddingTask, Fit]:
        task = pretraining_task(collection, settings, workers=workers)
        return task, fit_embeddings(task, run_in(directory, workers))

    found = together(count, work)
    assert all(asdict(fit)["best_mrr"] == found[0][1].best_mrr for _, fit in found)
    return [task for task, _ in found], found[0][1]


def test_each_worker_has_its_share_of_rows_and_of_optimizer_state(
    generated: Collection, fast: TrainSettings
) -> None:
    n_all = pretraining_task(generated, fast).model.n_entities
    for count in (2, 4):

        def shares(workers: Workers) -> tuple[int, int]:
            task = pretraining_task(generated, fast, workers=workers)
            state = task.trainer().state()
            assert state["squares.entities"].shape == task.model.entities.shape
            assert len(task.sampler().collator._answers) < 2 * len(task.graph.triples)
            return task.model.n_entities, state["relations"].shape[0]

        rows = together(count, shares)
        assert sum(n for n, _ in rows) == n_all
        assert max(n for n, _ in rows) <= -(-n_all // count)


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_the_model_is_as_good_as_that_of_one_process(
    generated: Collection, fast: TrainSettings, count: int, tmp_path: Path
) -> None:
    settings = changed(fast, epochs=12, batch_size=64, negatives=64)
    _, alone = trained(generated, settings, 1, tmp_path / "alone")
    _, sharded = trained(generated, settings, count, tmp_path / "sharded")
    assert alone.best_mrr is not None
    assert sharded.best_mrr is not None
    assert alone.best_mrr > 0.3
    assert sharded.best_mrr > alone.best_mrr - 0.06


def test_relations_and_encoder_stay_equal(
    generated: Collection, fast: TrainSettings, tmp_path: Path
) -> None:
    model = fast.model.model_copy(update={"encoder": "gru", "width": 8, "dropout": 0.0})
    settings = changed(fast, epochs=1, path_length=2).model_copy(update={"model": model})
    tasks, _ = trained(generated, settings, 2, tmp_path)
    one, other = (x.model.tensors() for x in tasks)
    for name in one.keys() - {"entities"}:
        assert one[name].equal(other[name]), name


@pytest.mark.parametrize("count", [2, 3])
def test_ranks_are_those_of_the_whole_table(
    generated: Collection, fast: TrainSettings, count: int
) -> None:
    task = pretraining_task(generated, changed(fast, negatives=16))
    model = KgeModel.create(
        fast.model.model_copy(update={"init_scale": 0.3}), task.n_entities, task.graph.n_relations
    )
    model.entities[::7] = model.entities[0]  # ties
    expected = validation_ranks(model, task.samples)

    def work(workers: Workers) -> object:
        own = model.entities[workers.number :: count].clone()
        part = KgeModel(model.settings, own, model.relations)
        return validation_ranks(part, task.samples, workers)

    for found in together(count, work):
        for name, value in vars(expected).items():
            assert np.array_equal(getattr(found, name), value), name


def test_a_number_that_is_not_finite_ends_all_at_the_same_step(
    generated: Collection, fast: TrainSettings, tmp_path: Path
) -> None:
    messages = []

    def work(workers: Workers) -> None:
        task = pretraining_task(generated, fast, workers=workers)
        if workers.number == 1:
            task.model.entities[3] = float("nan")
        with pytest.raises(TrainingError, match=r"not finite|is nan") as caught:
            fit_embeddings(task, run_in(tmp_path, workers))
        messages.append(str(caught.value).split(":")[0])

    together(2, work)
    assert len(set(messages)) == 1
    assert len(list(tmp_path.glob("*.batch-*.safetensors"))) == 2


# ------------------------------------------------------------------------------- checkpoints


@pytest.mark.parametrize(("began", "goes_on"), [(2, 2), (2, 4), (4, 2), (2, 1), (1, 2), (3, 2)])
def test_a_run_goes_on_with_any_number_of_workers(
    generated: Collection,
    fast: TrainSettings,
    tmp_path: Path,
    began: int,
    goes_on: int,
) -> None:
    settings = changed(fast, epochs=3, validate_every=1)
    states: dict[int, dict[str, Tensor]] = {}

    def begin(workers: Workers) -> None:
        task = pretraining_task(generated, settings, workers=workers)
        run = run_in(tmp_path, workers)
        fit_embeddings(task, run)
        trainer = task.trainer()
        trainer.state()["squares.entities"].copy_(task.model.entities.abs() + 1)
        states[workers.number] = {k: v.clone() for k, v in trainer.state().items()}
        kept = run.checkpoint("embeddings", task.n_entities)
        assert kept is not None
        about = {**asdict(Fit(log=[{"epoch": 1}])), "current": asdict(EpochMetrics(steps=3))}
        best = {name: x.clone() for name, x in task.model.tensors().items()}
        kept.save(trainer.state(), best, about)

    found: dict[int, dict[str, Tensor]] = {}

    def go_on(workers: Workers) -> None:
        task = pretraining_task(generated, settings, workers=workers)
        kept = run_in(tmp_path, workers).checkpoint("embeddings", task.n_entities)
        assert kept is not None
        saved = kept.load()
        assert saved is not None
        assert saved.run["current"]["steps"] == 3
        task.trainer().restore(saved.state)
        assert saved.best["entities"].equal(saved.state["entities"])
        found[workers.number] = saved.state

    together(began, begin) if began > 1 else begin(ALONE)
    together(goes_on, go_on) if goes_on > 1 else go_on(ALONE)
    for name in ("entities", "squares.entities"):
        before, after = (whole([x[k][name] for k in sorted(x)]) for x in (states, found))
        assert before.equal(after), name
    assert found[0]["relations"].equal(states[0]["relations"])
    fit = trained(generated, changed(fast, epochs=3), goes_on, tmp_path)[1] if goes_on > 1 else None
    assert fit is None or fit.epochs == 3


def test_an_interrupted_run_of_the_same_workers_ends_in_the_same_rows(
    generated: Collection, fast: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = changed(fast, epochs=3, batch_size=64)
    expected, _ = trained(generated, settings, 2, tmp_path / "whole")

    class StopError(Exception):
        pass

    save = ShardedCheckpoint.save

    def stop(self: ShardedCheckpoint, *what: object) -> None:
        save(self, *what)  # type: ignore[arg-type]
        raise StopError

    monkeypatch.setattr(ShardedCheckpoint, "due", True)
    monkeypatch.setattr(ShardedCheckpoint, "save", stop)
    with pytest.raises(StopError):
        trained(generated, settings, 2, tmp_path / "run")
    monkeypatch.undo()
    saved = [load_file(file) for file in (tmp_path / "run").glob("*-of-2.safetensors")]
    for name in ("state.relations", "state.squares.relations"):
        assert saved[0][name].equal(saved[1][name]), name
    found, _ = trained(generated, settings, 2, tmp_path / "run")
    for one, other in zip(expected, found, strict=True):
        assert one.model.entities.equal(other.model.entities)
