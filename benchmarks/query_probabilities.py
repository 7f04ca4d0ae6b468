"""Compare the probabilities of answers to patterns with the truth, on made collections.

Usage: python benchmarks/query_probabilities.py --work DIR --out benchmarks/results/queries.json

Takes the first collections of ``completion.py``, whose whole truth is known, and their students,
which are kept in ``--work`` and trained as far as they are not there. Queries of all shapes are
sampled from what is true, be it stated or not. Of each, the 50 most probable candidates count from
a probability of 0.1 on. ``unstated`` leaves out the answers of stated facts alone. Other keys of
the report are kept.
"""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import add_to_report, options_of, run
from completion import distance, plan, student
from query_sets import SHAPES, Facts, Sampler, answers, sparql

from kgraft.inference.predict import Predictor
from kgraft.querying.ask import STATED, Asker
from kgraft_experiments.synthesis.settings import SynthSettings, TargetSettings, WorldSettings
from kgraft_experiments.synthesis.synthesize import synthesize

BEST = 50
"""Candidates of each query."""


def measure(asked: Namespace) -> dict[str, Any]:
    """Return the distances of all collections."""
    torch.set_num_threads(1)
    rows = [of_collection(asked.work, *x, asked.queries) for x in list(plan())[: asked.collections]]
    found = {
        "distance": round(float(np.mean([x["distance"] for x in rows])), 4),
        "distance_unstated": round(float(np.mean([x["distance_unstated"] for x in rows])), 4),
        "collections": rows,
    }
    return {"made": found}


def of_collection(
    work: Path, seed: int, world: dict[str, Any], sees: float, number: int
) -> dict[str, Any]:
    """Return the distances of one collection, over all shapes and by shape."""
    settings = SynthSettings(
        world=WorldSettings(seed=seed, **world), target=TargetSettings(sees=sees)
    )
    synthetic = synthesize(settings)
    model = student(work / f"made{seed}", synthetic.collection)
    part, m = model.graph.part(synthetic.collection.target), model.graph.n_relations
    truth = part.joint(synthetic.world.train)
    asker, whole = Asker(Predictor(model)), Facts(truth, m)
    sampler = Sampler(truth, truth[:0], m, seed)
    found, by_shape = list[tuple[np.ndarray, np.ndarray]](), dict[str, float]()
    for shape in SHAPES:
        rows = []
        for query in sampler.sample(shape, number, any_answers=True):
            values = asker.probabilities(asker.read(sparql(query.node, asker.names, m)))
            best = np.argsort(-values)[:BEST]
            true = np.isin(asker.facts.rows[best], list(answers(query.node, whole)))
            rows.append((values[best], true))
        found += rows
        by_shape[shape] = round(_distance(rows), 4)
    return {
        "seed": seed,
        **world,
        "sees": sees,
        "distance": round(_distance(found), 4),
        "distance_unstated": round(_distance(found, unstated=True), 4),
        "shapes": by_shape,
    }


def _distance(rows: list[tuple[np.ndarray, np.ndarray]], *, unstated: bool = False) -> float:
    values, true = (np.concatenate(x) for x in zip(*rows, strict=True))
    kept = values < STATED if unstated else values >= 0
    return distance(values[kept], true[kept])


def main() -> None:
    parser = options_of(__doc__, work=Path, queries=25, collections=3, threads=None)
    print(json.dumps(run(parser, measure, write=add_to_report)["made"], indent=1))


if __name__ == "__main__":
    main()
