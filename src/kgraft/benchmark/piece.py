"""One piece of a benchmark, one system for one target, in a process of its own.

A process of its own has its own peak memory and its own number of threads. It writes the piece's
result, whole or not at all.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from kgraft.benchmark.settings import BenchmarkSettings, System
from kgraft.evaluation.evaluate import evaluate
from kgraft.files import write_atomically
from kgraft.linking.collection import Collection
from kgraft.linking.read_collection import read_collection
from kgraft.model.directory import load_model, save_model
from kgraft.model.trained import TrainedModel
from kgraft.progress import Bar
from kgraft.sentences import speaking
from kgraft.training.pretrain import pretrain
from kgraft.training.retrain import retrain
from kgraft.training.run import Watching
from kgraft.training.train import train


class Piece(BaseModel):
    """What to run and where to put it.

    Args:
        collection: Path or name of the collection.
        target: The graph that is measured.
        system: What is trained.
        settings: The settings of all systems.
        threads: Threads of the matrix products.
        models: Directory for the target's teacher and student.
        result: File for the result.
        fingerprint: Copied into the result, to tell it from an older one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    collection: str
    target: str
    system: System
    settings: BenchmarkSettings
    threads: int
    models: Path
    result: Path
    fingerprint: str


def run_piece(piece: Piece) -> None:
    """Train, measure, and write the result."""
    torch.set_num_threads(piece.threads)
    collection = read_collection(piece.collection).with_target(piece.target)
    begin = time.perf_counter()
    model = _train(piece, collection)
    seconds = time.perf_counter() - begin
    cost = {
        "target": piece.target,
        "system": piece.system,
        "train_seconds": round(seconds, 3),
        "examples_per_second": _examples_per_second(model),
        "peak_rss_mib": _peak_rss_mib(),
        "parameters": model.kge.n_parameters,
        "triples": len(model.graph.triples),
        "epochs": len(model.log),
        "best_epoch": model.metrics["best_epoch"],
        "validation_mrr": model.metrics["validation_mrr"],
    }
    if piece.system in ("teacher", "student"):
        save_model(model, piece.models / piece.system, overwrite=True)
    measured = evaluate(model, collection, filters=("all", "train+valid"))
    about = {"target": piece.target, "system": piece.system}
    result = {
        "fingerprint": piece.fingerprint,
        "quality": [{**about, **row} for row in measured.rows()],
        "cost": cost,
    }
    with write_atomically(piece.result) as temporary:
        temporary.write_text(json.dumps(result), encoding="utf-8")
    _checkpoint(piece).unlink(missing_ok=True)


def _checkpoint(piece: Piece) -> Path:
    return piece.result.with_suffix(".checkpoint.safetensors")


def _train(piece: Piece, collection: Collection) -> TrainedModel:
    settings = piece.settings
    watching = Watching(Bar(), _checkpoint(piece))
    match piece.system:
        case "target-only":
            return train(collection, settings.alone, alone=True, watching=watching)
        case "joint":
            return train(collection, settings.joint, watching=watching)
        case "teacher":
            return pretrain(collection, settings.pretrain, watching=watching)
        case "student":
            teacher = load_model(piece.models / "teacher")
            return retrain(collection, teacher, settings.retrain, watching=watching)


def _examples_per_second(model: TrainedModel) -> float:
    seconds = sum(entry["seconds"] for entry in model.log)
    queries = sum(entry["seconds"] * entry["queries_per_second"] for entry in model.log)
    return round(queries / seconds, 1) if seconds else 0.0


def _peak_rss_mib() -> float | None:
    """Return the most memory this process has held, or ``None`` where the system cannot say."""
    try:
        import resource
    except ImportError:
        return None
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)


def main(arguments: list[str]) -> None:
    """Run the piece that a file describes."""
    values: dict[str, Any] = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    with speaking():
        run_piece(Piece.model_validate(values))
