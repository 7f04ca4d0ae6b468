"""Measure how fast and how well kgraft and other tools learn the same graph.

Usage: python benchmarks/rivals.py GRAPH=COLLECTION ... --minutes 10 --threads 2 \
           --dicee PYTHON --torchkge PYTHON --out benchmarks/results/rivals.json

``GRAPH`` is the row's name; with ``:alone`` after the collection its target alone is learned, else
all sources joined. ``--dicee`` and ``--torchkge`` are interpreters of environments that have these
tools, since their requirements differ from ours; a tool without one is left out.

Each tool trains its ComplEx of the same width, at each of its settings below, in a process of its
own. Sixteen times, ever more rarely, its rows are saved and ranked by kgraft: a sample of the
validation facts, both sides, filtered. Seconds are those of training without the looks. A tool's
row is of the settings and the look that are best on validation facts; ``mrr`` is then of all test
facts.
``time_share_TOOL`` is the time in which kgraft reaches the tool's best validation MRR, as a share
of the time that the tool took, the largest of all graphs. Rows of other graphs stay in ``--out``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import options_of, run

import kgraft
from kgraft.evaluation.ranking import rank
from kgraft.evaluation.ranks import concatenate, measure
from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.known_facts import KnownFacts, Side
from kgraft.linking.join import join
from kgraft.linking.joint_graph import JointGraph
from kgraft.model.kge import KgeModel
from kgraft.settings import ModelSettings
from kgraft_experiments.benchmark.plan import write_report
from kgraft_experiments.benchmark.runner import machine

SIDES: tuple[Side, ...] = ("tail", "head")
LOOKS = 16

DICEE = {"model": "ComplEx", "lr": 0.01, "init_param": "xavier_normal"}
"""By Adam; its default rate of 0.1, and rows that start at a deviation of 1, learn nothing here."""

SETTINGS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "kgraft": {"defaults": {}},
    "pykeen": {"32 negatives": {"negatives": 32}, "all entities": {}},
    "dicee": {
        "KvsAll": {"dicee": {**DICEE, "scoring_technique": "KvsAll"}},
        "32 negatives": {"dicee": {**DICEE, "scoring_technique": "NegSample", "neg_ratio": 32}},
    },
    "torchkge": {"Adam 0.001": {"learning_rate": 1e-3, "batch_size": 1024}},
}
"""Settings of each tool, of which validation facts choose."""


class Graph:
    """A graph to learn, with a sample of its validation facts and all its test facts."""

    def __init__(self, given: str, n_valid: int) -> None:
        self.name, place = given.split("=", 1)
        collection = kgraft.read_collection(place.removesuffix(":alone"))
        alone = place.endswith(":alone")
        graphs = [collection.target_graph] if alone else list(collection.graphs.values())
        self.joint = join(graphs, () if alone else collection.links)
        valid, self.test = (self._held_out(graphs, split) for split in ("valid", "test"))
        chosen = np.random.default_rng(0).permutation(len(valid))[:n_valid]
        self.valid, self.all_valid = valid[chosen], valid

    def _held_out(self, graphs: Sequence[kgraft.KnowledgeGraph], split: str) -> Triples:
        parts = [self.joint.part(own.name).joint(getattr(own, split)) for own in graphs]
        return np.concatenate(parts)

    def mrr(self, model: KgeModel, facts: Triples) -> float:
        """Rank facts, both sides, all other true ones of all splits left out."""
        known = KnownFacts(self.joint.triples, np.concatenate([self.all_valid, self.test]))
        ranks = [
            rank(model, facts, side=side, known=known, n_entities=self.joint.n_entities)
            for side in SIDES
        ]
        return measure(concatenate(ranks)).mrr


def model_of(joint: JointGraph, rows: Mapping[str, Any]) -> KgeModel:
    """Return kgraft's ComplEx with a tool's rows."""
    width = rows["entities"].shape[1]
    own = KgeModel.create(ModelSettings(width=width), joint.n_entities, joint.n_relations, seed=0)
    own.entities.copy_(torch.from_numpy(rows["entities"]))
    own.relations.copy_(torch.from_numpy(np.concatenate([rows["relations"], rows["inverses"]])))
    return own


def looks(directory: Path) -> Iterator[Mapping[str, Any]]:
    """Yield what a tool has saved, in its order."""
    for path in sorted(directory.glob("*.npz"), key=lambda x: int(x.stem)):
        with np.load(path) as rows:
            yield dict(rows)


def trained(
    graph: Graph, tool: str, python: str, given: Mapping[str, Any], asked: Namespace
) -> dict[str, Any]:
    """Train a tool, rank its looks, and return the figures of the best of them."""
    options = {
        "width": asked.width,
        "seconds": 60 * asked.minutes,
        "clock": asked.clock,
        "threads": asked.threads,
        "looks": LOOKS,
        **given,
    }
    with tempfile.TemporaryDirectory() as place:
        directory, facts = Path(place), Path(place, "graph.npy.npz")
        joint = graph.joint
        sizes = {"n_entities": joint.n_entities, "n_relations": joint.n_relations}
        np.savez(facts, train=np.unique(joint.triples, axis=0), **sizes)
        saved = directory / "looks"
        saved.mkdir()
        script = str(Path(__file__).with_name("rival_tools.py"))
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(asked.threads))
        ended = subprocess.run(  # noqa: S603
            [python, "-W", "ignore", script, tool, str(facts), str(saved), json.dumps(options)],
            env={**os.environ, **threads},
            capture_output=True,
            check=False,
            text=True,
        )
        if ended.returncode:
            raise SystemExit(f"{tool} on {graph.name}: {ended.stderr[-2000:]}")
        curve, best, test = [], -1.0, 0.0
        for rows in looks(saved):
            model = model_of(joint, rows)
            found = graph.mrr(model, graph.valid)
            curve.append((round(float(rows["seconds"]), 1), round(found, 4)))
            if found > best:
                best, test = found, graph.mrr(model, graph.test)
        peak = json.loads((saved / "peak.json").read_text())
    seconds = next(x for x, value in curve if value == round(best, 4))
    figures = {"validation_mrr": round(best, 4), "mrr": round(test, 4), "seconds": seconds}
    return {**figures, **peak, "curve": curve}


def rows_of(graph: Graph, asked: Namespace) -> Iterator[dict[str, Any]]:
    """Yield a row for each tool: the best of its settings on validation facts."""
    pythons = {"kgraft": sys.executable, "pykeen": sys.executable}
    pythons |= {x: getattr(asked, x) for x in ("dicee", "torchkge") if getattr(asked, x)}
    for tool, python in pythons.items():
        found = {
            name: trained(graph, tool, python, given, asked)
            for name, given in SETTINGS[tool].items()
        }
        best = max(found, key=lambda name: found[name]["validation_mrr"])
        others = {name: row["curve"] for name, row in found.items() if name != best}
        yield {
            "graph": graph.name,
            "tool": tool,
            "setting": best,
            **found[best],
            "others": others,
            "threads": asked.threads,
            "minutes": asked.minutes,
            "clock": asked.clock,
        }


def time_shares(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Return, by tool, the largest share of its time in which kgraft is as good."""
    shares: dict[str, float | None] = {}
    ours = {row["graph"]: row["curve"] for row in rows if row["tool"] == "kgraft"}
    for tool in ("pykeen", "dicee", "torchkge"):
        found = []
        for row in rows:
            if row["tool"] == tool:
                wanted = row["validation_mrr"]
                reached = next((x for x, mrr in ours[row["graph"]] if mrr >= wanted), None)
                found.append(None if reached is None else reached / row["seconds"])
        if found:
            worst = None if None in found else max(x for x in found if x is not None)
            shares[f"time_share_{tool}"] = worst if worst is None else round(worst, 4)
    return shares


def measured(asked: Namespace) -> dict[str, Any]:
    """Measure all tools on all graphs, and return their rows."""
    rows = []
    for given in asked.graphs:
        for row in rows_of(Graph(given, asked.facts), asked):
            print(row["graph"], row["tool"], row["mrr"], row["seconds"], flush=True)
            rows.append(row)
    return {"rows": rows}


def added(path: Path, report: dict[str, Any]) -> None:
    """Write the rows in the place of earlier ones of the same graphs, and the shares of all."""
    known = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    new = {row["graph"] for row in report["rows"]}
    rows = [*(row for row in known if row["graph"] not in new), *report["rows"]]
    command = "python benchmarks/rivals.py GRAPH=COLLECTION --minutes 10 --dicee PYTHON"
    body = {"machine": machine(), "command": command, "rows": rows, **time_shares(rows)}
    write_report(path, body)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options_of(
        __doc__,
        width=200,
        minutes=(10.0, "of training, for each setting of each tool"),
        clock=("perf_counter", "process_time counts CPU time, on a machine with other work"),
        facts=(2_000, "validation facts that are ranked at each look"),
        dicee=(str, "interpreter of an environment with dicee"),
        torchkge=(str, "interpreter of an environment with TorchKGE"),
    )
    parser.add_argument("graphs", nargs="+", metavar="GRAPH=COLLECTION")
    run(parser, measured, arguments, write=added)


if __name__ == "__main__":
    main()
