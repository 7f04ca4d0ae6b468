"""Measure whether the same seed gives the same numbers, also with other numbers of threads.

Usage: python benchmarks/same.py --out same.json

A teacher and a student are trained on a small synthetic collection. Again with as many threads,
every weight has to be the same, bit for bit. With other numbers of threads sums are taken in
another order, so that weights differ in their last bits and metrics by at most ``TOLERANCE``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from common import options_of, run

import kgraft
from kgraft_experiments.benchmark.plan import write_report
from kgraft_experiments.synthesis.settings import SynthSettings
from kgraft_experiments.synthesis.synthesize import synthesize

TOLERANCE = 0.01
"""Largest difference of a test MRR, from 0 to 1."""

THREADS = (1, 1, 2, 4)

SIZES = {"target": {"entities": 500, "facts": 3000}, "background": {"facts": 6000}}

TEACHER = {"model": {"width": 64}, "training": {"epochs": 10}}
STUDENT = {"model": {"width": 64}}


def trained(collection: kgraft.Collection, threads: int) -> kgraft.TrainedModel:
    """Train a teacher and its student with so many threads, and return the student."""
    torch.set_num_threads(threads)
    teacher = kgraft.pretrain(collection, kgraft.TrainSettings.model_validate(TEACHER))
    return kgraft.retrain(collection, teacher, kgraft.RetrainSettings.model_validate(STUDENT))


def measured() -> dict[str, Any]:
    """Train with each number of threads and compare with the first."""
    collection = synthesize(SynthSettings.model_validate(SIZES)).collection
    runs = []
    for threads in THREADS:
        model = trained(collection, threads)
        torch.set_num_threads(1)
        mrr = model.evaluate(collection, by="vectors").mrr()
        runs.append((threads, mrr, model.kge.tensors()))
    _, first_mrr, first = runs[0]
    rows = [
        {
            "threads": threads,
            "mrr": mrr,
            "difference": abs(mrr - first_mrr),
            "bit_for_bit": all(first[name].equal(value) for name, value in tensors.items()),
        }
        for threads, mrr, tensors in runs
    ]
    within = rows[1]["bit_for_bit"] and all(row["difference"] <= TOLERANCE for row in rows)
    return {
        "tried": len(rows),
        "survived": len(rows) if within else 0,
        "tolerance": TOLERANCE,
        "runs": rows,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options_of(__doc__, out=Path("same.json"), threads=None)
    run(parser, lambda _: measured(), arguments, write=write_report)


if __name__ == "__main__":
    main()
