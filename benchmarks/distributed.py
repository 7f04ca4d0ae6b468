"""Measure training by several processes: quality, shares of rows, speed, bytes sent, memory.

Usage: python benchmarks/distributed.py DBP5L --part mrr --out benchmarks/results/distributed.json

Figures are added to those of the report. ``--part`` is one of

mrr
    The teacher of all graphs of the collection by 1, 2 and 4 processes of one thread, with the
    default settings and ``--epochs`` at the most: validation MRR, and the share of entity rows of
    each process.
rate
    Examples a second of two processes of one thread over those of one process of two threads, in
    turns, ``--steps`` steps each; the median ratio of ``--repeats`` turns. Processor time of a step
    by all processes and threads is the same beside other programs, the examples a second are not.
bytes
    Bytes sent in ``--steps`` steps by 2 and 4 processes, against ``kgraft.training.traffic``.
peak
    Memory of two processes, width 64, in ``--steps`` steps: the sum of both peaks. The collection
    is ``drawn``, one of ``--entities`` entities and five times as many facts, or one that is
    prepared, whose backgrounds are trained; then the teacher is written to ``--work``, and a
    student re-trained from it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import torch
from common import ONE_THREAD, add_to_report, kgraft_run, options_of, peak_gib, run
from scaling import drawn

import kgraft
from kgraft.model.directory import save_model
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.embeddings import EmbeddingTask, fit_embeddings
from kgraft.pipeline.pretrain import pretraining_task
from kgraft.pipeline.run import Run, RunOptions
from kgraft.pipeline.sharded_model import stored_model
from kgraft.system.progress import Silence
from kgraft.system.workers import Workers, joined
from kgraft.training.checkpoint import Fingerprint
from kgraft.training.sharded_sampler import ShardedSampler
from kgraft.training.traffic import expected_traffic

WORKER = "--worker"
WARM_UP = 20
"""Steps before the clock starts."""


def task_of(asked: dict[str, Any], workers: Workers) -> EmbeddingTask:
    """Return this process's part of the teacher."""
    if asked.get("entities"):
        graph = drawn(5 * asked["entities"], asked["entities"])
        collection = kgraft.collect([graph])
        sources = ["drawn"]
    else:
        collection = kgraft.read_collection(asked["collection"])
        sources = None
    settings = kgraft.read_settings(kgraft.TrainSettings, None, asked["settings"])
    return pretraining_task(collection, settings, sources=sources, workers=workers)


def work(asked: dict[str, Any]) -> None:
    """Train as one of the processes that torchrun has started; print what was measured."""
    torch.set_num_threads(asked["threads"])
    with joined() as workers:
        task = task_of(asked, workers)
        found: dict[str, Any] = {"number": workers.number}
        found["rows_share"] = round(task.model.n_entities / task.graph.n_entities, 4)
        found["entities"], found["facts"] = task.graph.n_entities, len(task.graph.triples)
        if asked["steps"]:
            found |= some_steps(task, asked["steps"])
        else:
            run_ = Run(RunOptions(Silence(), Path(asked["directory"])), Fingerprint(), workers)
            fit = fit_embeddings(task, run_)
            found |= {"mrr": fit.best_mrr, "best_epoch": fit.best_epoch, "epochs": fit.epochs}
            found["mrr_by_validation"] = [
                round(x["validation_mrr"], 4) for x in fit.log if "validation_mrr" in x
            ]
        found.setdefault("peak_gib", peak_gib())
        if asked.get("teacher"):
            save(task, Path(asked["directory"]), Path(asked["teacher"]))
        Path(asked["directory"], f"{workers.number}.json").write_text(json.dumps(found))


def some_steps(task: EmbeddingTask, steps: int) -> dict[str, Any]:
    """Take some steps, and return their examples a second and bytes, as sent and as expected."""
    trainer, sampler, workers = task.trainer(), task.sampler(), task.workers
    taken = trainer.train_epoch(sampler, 1)
    for _ in islice(taken, WARM_UP):
        trainer.metrics.flush()
    workers.sent.clear()
    begin, begin_of_processor, queries = time.perf_counter(), time.process_time(), 0
    for _ in islice(taken, steps):
        queries += sum(n for n, _ in trainer.metrics.flush())
    found: dict[str, Any] = {"examples_per_second": queries / (time.perf_counter() - begin)}
    found["processor_ms"] = 1e3 * (time.process_time() - begin_of_processor) / steps
    found["peak_gib"] = peak_gib()  # What is expected takes memory that training does not.
    if isinstance(sampler, ShardedSampler):
        expected = expected_traffic(sampler, workers, task.settings.model.width).sent()
        found["sent"] = {name: size / steps for name, size in workers.sent.items()}
        found["expected"] = dict(expected)
    return found


def save(task: EmbeddingTask, scratch: Path, place: Path) -> None:
    """Write the teacher as it is, all workers together."""
    kge = stored_model(task.model, Run(RunOptions(Silence(), scratch), Fingerprint(), task.workers))
    if not task.workers.number:
        save_model(TrainedModel("teacher", kge, task.graph, None, task.settings), place)
    task.workers.barrier()


def start(count: int, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Start processes by torchrun, and return what each has measured."""
    with tempfile.TemporaryDirectory() as directory:
        given = json.dumps({"threads": 1, "steps": 0, **asked, "directory": directory})
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += ["--nproc-per-node", str(count), __file__, WORKER, given]
        # Threads sleep while they wait, as the command line lets them.
        threads = {
            "OMP_NUM_THREADS": str(asked.get("threads", 1)),
            "OMP_WAIT_POLICY": "PASSIVE",
        }
        subprocess.run(command, check=True, env=os.environ | ONE_THREAD | threads)  # noqa: S603
        files = [Path(directory, f"{number}.json") for number in range(count)]
        return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def mrr(asked: Namespace) -> dict[str, Any]:
    """Train the teacher by several numbers of processes."""
    runs: dict[str, list[dict[str, Any]]] = {str(count): [] for count in asked.processes}
    shares: dict[str, list[float]] = {}
    for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
        settings = {"training.seed": seed, "training.epochs": asked.epochs}
        for count in asked.processes:
            found = start(count, {"collection": asked.collection, "settings": settings})
            shares[str(count)] = [x["rows_share"] for x in found]
            kept = ("mrr", "best_epoch", "epochs", "mrr_by_validation", "peak_gib")
            runs[str(count)].append({"seed": seed, **{name: found[0][name] for name in kept}})
            print(count, runs[str(count)][-1], flush=True)
    means = {count: round(sum(x["mrr"] for x in of) / len(of), 4) for count, of in runs.items()}
    return {"mrr_by_processes": means, "mrr_runs": runs, "rows_share_by_rank": shares}


def rate(asked: Namespace) -> dict[str, Any]:
    """Compare two processes of one thread with one process of two threads."""
    rates: dict[str, list[float]] = {"one_process": [], "two_processes": []}
    processor: dict[str, list[float]] = {name: [] for name in rates}
    given = {"collection": asked.collection, "settings": {}, "steps": asked.steps}
    for _ in range(asked.repeats):
        for name, count, threads in (("one_process", 1, 2), ("two_processes", 2, 1)):
            found = start(count, {**given, "threads": threads})
            rates[name].append(found[0]["examples_per_second"])
            processor[name].append(sum(x["processor_ms"] for x in found))
        print({name: round(of[-1]) for name, of in rates.items()}, flush=True)
    ratios = [two / one for one, two in zip(*rates.values(), strict=True)]
    return {
        "rate_2_of_1": round(median(ratios), 3),
        "rates": {name: [round(x) for x in of] for name, of in rates.items()},
        "processor_ms_a_step": {name: round(median(of), 2) for name, of in processor.items()},
    }


def sent(asked: Namespace) -> dict[str, Any]:
    """Compare the bytes sent with the model's."""
    by_processes, errors = {}, []
    for count in asked.processes:
        given = {"collection": asked.collection, "settings": {}, "steps": asked.steps}
        found = start(count, given)
        kinds = found[0].get("expected", {})
        means = {
            name: {kind: round(sum(x[name].get(kind, 0) for x in found) / count) for kind in kinds}
            for name in ("sent", "expected")
        }
        if count > 1:
            totals = [sum(means[name].values()) for name in ("sent", "expected")]
            errors.append(abs(totals[1] / totals[0] - 1))
        rate = round(found[0]["examples_per_second"])
        processor = round(sum(x["processor_ms"] for x in found), 2)
        by_processes[str(count)] = {
            **means,
            "examples_per_second": rate,
            "processor_ms_a_step": processor,
        }
    return {"bytes_model_error": round(max(errors), 4), "bytes_per_step": by_processes}


def peak(asked: Namespace) -> dict[str, Any]:
    """Measure the memory of two processes on a large graph."""
    settings = {"model.width": 64, "training.optimizer": "rowwise_adagrad"}
    settings |= {"training.batch_size": 4096, "training.negatives": 1024}
    given: dict[str, Any] = {"settings": settings, "steps": asked.steps}
    student = {}
    if asked.collection == "drawn":
        found = start(2, {**given, "entities": asked.entities})
    else:
        with tempfile.TemporaryDirectory(dir=asked.work) as place:
            teacher = str(Path(place, "teacher"))
            found = start(2, {**given, "collection": asked.collection, "teacher": teacher})
            student = {"train_student": retrained(asked.collection, Path(place))}
    return {
        **student,
        "train_peak_gib": round(sum(x["peak_gib"] for x in found), 2),
        "train_peak": {
            "entities": found[0]["entities"],
            "facts": found[0]["facts"],
            "width": 64,
            "steps": asked.steps,
            "optimizer": "rowwise_adagrad",
            "processes": 2,
            "peak_gib_by_process": [x["peak_gib"] for x in found],
            "examples_per_second": round(found[0]["examples_per_second"]),
        },
    }


def retrained(collection: str, place: Path) -> dict[str, Any]:
    """Re-train a student by the command line, and return its time and peak memory."""
    command = ["retrain", collection, "--teacher", str(place / "teacher")]
    command += ["-o", str(place / "student"), "--set", "model.width=64"]
    seconds, used = kgraft_run(command)
    return {"seconds": round(seconds, 1), "peak_gib": round(used.ru_maxrss / 2**20, 3)}


PARTS = {"mrr": mrr, "rate": rate, "bytes": sent, "peak": peak}


def measure(asked: Namespace) -> dict[str, Any]:
    """Return the figures of one part, its command, and how many processes ran before it."""
    before = os.getloadavg()[0]
    found = PARTS[asked.part](asked)
    known = json.loads(asked.out.read_text(encoding="utf-8")) if asked.out.exists() else {}
    command = " ".join(["python benchmarks/distributed.py", *sys.argv[1:]])
    of_part = {"commands": command, "loads": round(before, 1)}
    return {**found, **{key: known.get(key, {}) | {asked.part: x} for key, x in of_part.items()}}


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == WORKER:
        work(json.loads(sys.argv[2]))
    else:
        parser = options_of(
            __doc__,
            "collection",
            part=("mrr", "mrr, rate, bytes or peak"),
            processes=[1, 2, 4],
            seeds=3,
            first_seed=0,
            epochs=30,
            steps=200,
            repeats=5,
            entities=2_000_000,
            work=(Path, "directory for a teacher of a prepared collection"),
            threads=None,
        )
        run(parser, measure, write=add_to_report)
