"""One job of a benchmark: a case trained and measured in a process of its own.

So each job has its own peak memory and number of threads. It writes its result whole or not at all.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from kgraft.evaluation.evaluate import evaluate
from kgraft.io.read_collection import read_collection
from kgraft.linking.collection import Collection
from kgraft.model.directory import load_model, save_model
from kgraft.model.evidence import WAYS, By
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.pretrain import pretrain
from kgraft.pipeline.retrain import retrain
from kgraft.pipeline.run import RunOptions
from kgraft.pipeline.train import train
from kgraft.settings import RetrainSettings
from kgraft.system.child_process import end_with_parent
from kgraft.system.memory import peak
from kgraft.system.messages import report_errors
from kgraft.system.outputs import write_atomically
from kgraft.system.progress import Listener, default_listener
from kgraft_experiments.benchmark.cases import Case, backgrounds
from kgraft_experiments.benchmark.link_shares import with_share_of_links
from kgraft_experiments.benchmark.settings import OF_TARGET
from kgraft_experiments.benchmark.summary import PARTS


class Job(BaseModel):
    """A case, its inputs, the benchmark's directory ``out``, and a fingerprint of all inputs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    case: Case
    collection: str
    threads: int
    device: str
    out: Path
    name: str
    teacher: str | None
    fingerprint: str

    @property
    def result(self) -> Path:
        """File of the result."""
        return self.out / "jobs" / f"{self.name}.json"

    @property
    def run(self) -> Path:
        """Directory of the run."""
        return self.out / "jobs" / f"{self.name}.run"

    @property
    def model(self) -> Path:
        """Directory of the model, where the case keeps it."""
        return self.out / "models" / self.name


def run_job(job: Job) -> None:
    """Train the model, measure it, and write the result."""
    torch.set_num_threads(job.threads)
    case = job.case
    # The benchmark has read it with its user's choice.
    collection = read_collection(job.collection, allow_outside=True)
    collection = collection.with_target(case.targets[0])
    linked = collection
    if case.share < 1:
        links = with_share_of_links(collection.links, case.targets[0], case.share, seed=case.seed)
        linked = replace(collection, links=links)
    begin = time.perf_counter()
    listener = _TrainingBegin(default_listener())
    model = _train(job, linked, RunOptions(listener, job.run))
    prepared = max(0.0, listener.at - begin)
    # Epochs of an earlier process, which was stopped, count too.
    logged = sum(entry["seconds"] for entry in model.log)
    queries = sum(entry["seconds"] * entry["queries_per_second"] for entry in model.log)
    seconds, memory = max(time.perf_counter() - begin, logged), peak()
    cost = {
        "train_seconds": round(seconds, 3),
        "prepare_seconds": round(prepared, 3),
        "examples_per_second": round(queries / logged, 1) if logged else 0.0,
        "peak_rss_mib": None if memory is None else round(memory / 2**20, 1),
        "parameters": model.kge.n_parameters,
        "triples": len(model.graph.triples),
        "epochs": len(model.log),
        "best_epoch": model.metrics["best_epoch"],
        "validation_mrr": model.metrics["validation_mrr"],
        "answers_by": model.answers_by,
    }
    if case.keeps_model:
        save_model(model, job.model, overwrite=True)
    quality, cost["answered_per_second"] = _measure(model, collection, case.targets)
    result = {"case": str(case), "fingerprint": job.fingerprint, "quality": quality, "cost": cost}
    with write_atomically(job.result) as temporary:
        temporary.write_text(json.dumps(result), encoding="utf-8")
    shutil.rmtree(job.run, ignore_errors=True)


def _measure(
    model: TrainedModel, collection: Collection, targets: tuple[str, ...]
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Return rows of quality on each target, and queries ranked a second, by each evidence.

    All links decide which facts are covered, whatever the case's share of them. Parts that depend
    on what a model was trained on, seen and unseen facts, are left out.
    """
    ways: tuple[By, ...] = WAYS if model.evidence is not None else ("vectors",)
    rows: list[dict[str, Any]] = []
    rates: dict[str, float] = {}
    for by in ways:
        begin, queries = time.perf_counter(), 0
        for target in targets:
            found = evaluate(
                model,
                collection,
                target=target,
                filters=("all", "train+valid"),
                by=by,
                require_fit=False,
            )
            measured = [row for row in found.rows() if row["facts"] in PARTS]
            rows += [{"target": target, "by": by, **row} for row in measured]
            queries += 2 * len(found.facts)
        rates[by] = round(queries / (time.perf_counter() - begin), 1)
    return rows, rates


class _TrainingBegin:
    """A listener that also records when training of embeddings begins."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.at = 0.0
        self.advance, self.tell, self.end = listener.advance, listener.tell, listener.end

    def begin(self, what: str, total: int) -> None:
        """Record the time if this is training."""
        if what.startswith("embeddings"):
            self.at = time.perf_counter()
        self._listener.begin(what, total)


def _train(job: Job, collection: Collection, options: RunOptions) -> TrainedModel:
    """Train the model of a job's case."""
    case = job.case
    more: dict[str, Any] = {"options": options, "device": job.device}
    match case.system:
        case "plain" | "alone" | "joint":
            return train(collection, case.settings, alone=case.system in OF_TARGET, **more)
        case "teacher":
            sources = backgrounds(collection, case.targets)
            return pretrain(collection, case.settings, sources=sources, **more)
        case "student":
            if job.teacher is None or not isinstance(case.settings, RetrainSettings):
                raise ValueError(f"{case} has no teacher, or settings of another system")
            teacher = load_model(job.out / "models" / job.teacher)
            return retrain(collection, teacher, case.settings, allow_unlinked=True, **more)


def main(arguments: list[str]) -> None:
    """Run the job that a file describes, while the process that started it lives."""
    end_with_parent()
    values: dict[str, Any] = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    with report_errors(None):
        run_job(Job.model_validate(values))
