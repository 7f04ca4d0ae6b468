"""Measure the quality of found and audited links, and its effect on students.

Usage: python benchmarks/alignment.py DIRECTORY_OF_DBP5L --out benchmarks/results/alignment.json

Of each two graphs' links 30 % are given, drawn by a fixed seed, and the rest is held out; only
training facts are used; figures of links are means over the pairs of graphs. Parts:

- ``structure``: names masked; ``vectors``: also, and vectors trained once; ``labels``: names too.
- ``world``: the embedded collection without any link.
- ``audit``: a fifth of the links made wrong, names masked; once by exchanging right ends among
  links, once by replacing them with random entities.
- ``size``: two synthetic graphs of 100,000 entities, in a process of its own, for the memory.
- ``students``: for each target a teacher and a student by all links (``given``), by the 30 %
  (``seeds``), by these and what ``align`` finds with names (``found``), with a fifth of all links
  wrong (``wrong``), by those without exactly the wrong ones (``right``), by what ``audit`` leaves
  of them (``cleaned``), and by that and what ``align`` then finds in the place of removed links,
  names masked (``mended``).

Parts in the report are not measured again, so a run that was stopped goes on. Delete a part from
the report to measure it anew.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from common import apart, options_of, peak_gib, timed

import kgraft
from kgraft.alignment.align import with_links
from kgraft.linking.collection import Collection
from kgraft.linking.links import Links
from kgraft.system.messages import report_errors
from kgraft_experiments.alignment_score import evaluate_alignment, split_links
from kgraft_experiments.benchmark.plan import write_report
from kgraft_experiments.benchmark.runner import machine
from kgraft_experiments.synthesis.settings import SynthSettings
from kgraft_experiments.synthesis.synthesize import synthesize

SHARE = 0.3
WRONG = 0.2
ARMS = ("given", "seeds", "found", "wrong", "right", "cleaned", "mended")
PARTS = ("structure", "labels", "world", "audit", "size", "vectors", "students")
MASKED = {"labels": {"use": False}}

MADE = {
    "target.entities": 100_000,
    "target.facts": 500_000,
    "background.sources": 1,
    "background.facts": 750_000,
    "links.linked": 1.0,
}
"""Settings of the collection of ``size``."""


def found_links(collection: Collection, changes: dict[str, Any]) -> dict[str, Any]:
    """Measure ``align`` on held-out links."""
    settings = kgraft.AlignSettings.model_validate(changes)
    seconds, measured = timed(partial(evaluate_alignment, collection, settings, share=SHARE))
    return {"settings": changes, "seconds": round(seconds, 1), "pairs": measured.rows()}


def world() -> dict[str, Any]:
    """Measure the links found in the embedded collection without any link."""
    known = kgraft.read_collection("world")
    found = kgraft.align(replace(known, links=()))
    nodes = found.nodes
    true, linked = (
        nodes.members(clusters)[clusters]
        for clusters in (nodes.clusters(known.links), found.clusters)
    )
    names = [name for graph in nodes.graphs for name in graph.entities.names.to_list()]
    territory = np.array([name.startswith("territory/") for name in names])
    of_cldr = true[:, nodes.graph_index("cldr")]
    country = (of_cldr >= 0) & territory[of_cldr]
    figures = {}
    for name, other in combinations([graph.name for graph in nodes.graphs], 2):
        own, place = nodes.source_of == nodes.graph_index(name), nodes.graph_index(other)
        claims = own & (linked[:, place] >= 0) & (country | country[linked[:, place]])
        truth = own & (true[:, place] >= 0) & country
        right = linked[:, place] == true[:, place]
        figures[f"{name} {other}"] = {
            "links": int(claims.sum()),
            "precision": round(float(right[claims].mean()), 4),
            "recall": round(float(right[truth].mean()), 4),
        }
    relations = [
        f"{x.left}:{x.relation} {'inverse of ' if x.inverse else ''}{x.right}:{x.other}"
        for x in found.relations
        if x.kind == "same"
    ]
    return {"countries": figures, "same relations": relations}


def with_wrong(collection: Collection, how: str) -> tuple[Collection, list[np.ndarray]]:
    """Return a collection with a share of wrong links, and which of them are wrong.

    Right ends of links are ``exchanged`` with each other, or replaced by ``any`` other entity.
    """
    links: list[Links] = []
    wrong = []
    for place, x in enumerate(collection.links):
        draw = np.random.default_rng([7, place])
        rows = draw.permutation(len(x))[: round(WRONG * len(x))]
        pairs = x.pairs.copy()
        if how == "exchanged":
            pairs[rows, 1] = np.roll(pairs[rows, 1], 1)
        else:
            pairs[rows, 1] = draw.integers(len(collection.graphs[x.right].entities), size=len(rows))
        links.append(replace(x, pairs=pairs))
        wrong.append((pairs != x.pairs).any(axis=1))
    return replace(collection, links=tuple(links)), wrong


def audited(collection: Collection) -> dict[str, Any]:
    """Measure ``audit`` on links with a share of wrong ones."""
    rows = {}
    for how in ("exchanged", "any"):
        wrong_links, wrong = with_wrong(collection, how)
        found = kgraft.audit(wrong_links, kgraft.AlignSettings.model_validate(MASKED))
        doubt = np.concatenate([x.error_probability for x in found.audited])
        is_wrong = np.concatenate(wrong)
        flagged = doubt >= found.threshold
        rows[how] = {
            "links": len(doubt),
            "wrong": int(is_wrong.sum()),
            "recall_at_90_precision": round(recall_at(doubt, is_wrong, 0.9), 4),
            "precision": round(float(is_wrong[flagged].mean()), 4),
            "recall": round(float(flagged[is_wrong].mean()), 4),
        }
    return rows


def recall_at(doubt: np.ndarray, wrong: np.ndarray, precision: float) -> float:
    """Return the largest recall at a precision of at least this."""
    ranked = wrong[np.argsort(-doubt, kind="stable")]
    hits = np.cumsum(ranked)
    precise = np.flatnonzero(hits / np.arange(1, len(ranked) + 1) >= precision)
    return float(hits[precise[-1]] / wrong.sum()) if len(precise) else 0.0


def size() -> list[dict[str, Any]]:
    """Align two graphs of 100,000 entities, by structure from 30 % and by names from none."""
    made = synthesize(kgraft.read_settings(SynthSettings, None, MADE)).collection
    rows = []
    for what, changes, share in (("structure", MASKED, SHARE), ("labels", {}, 0.0)):
        settings = kgraft.AlignSettings.model_validate(changes)
        seconds, score = timed(partial(evaluate_alignment, made, settings, share=share))
        entities = [len(graph.entities) for graph in made.graphs.values()]
        cost = {"seconds": round(seconds, 1), "peak_mib": round(2**10 * peak_gib(), 1)}
        rows.append({"by": what, "entities": entities, **cost, **score.rows()[0]})
    return rows


def arm_of(collection: Collection, arm: str) -> Collection:
    """Return the collection with the links of one arm of ``students``."""
    if arm == "given":
        return collection
    if arm in ("seeds", "found"):
        seeds, _ = split_links(collection.links, SHARE, seed=0)
        few = replace(collection, links=seeds)
        return few if arm == "seeds" else with_links(few, kgraft.align(few))
    wrong, is_wrong = with_wrong(collection, "exchanged")
    if arm == "wrong":
        return wrong
    if arm == "right":
        kept = (
            replace(x, pairs=x.pairs[~bad], confidence=x.confidence[~bad])
            for x, bad in zip(wrong.links, is_wrong, strict=True)
        )
        return replace(wrong, links=tuple(kept))
    settings = kgraft.AlignSettings.model_validate(MASKED)
    cleaned = replace(wrong, links=kgraft.audit(wrong, settings).cleaned())
    if arm == "cleaned":
        return cleaned
    return with_links(cleaned, kgraft.align(cleaned, settings))


def student(collection: Collection, target: str, arm: str) -> dict[str, Any]:
    """Train a teacher and a student by the links of one arm, and rank the target's test facts."""

    def measured() -> float:
        own = arm_of(collection, arm).with_target(target)
        return kgraft.retrain(own, kgraft.pretrain(own)).evaluate(own, sides=("tail",)).mrr("tail")

    seconds, mrr = timed(measured)
    return {"mrr": round(mrr, 4), "seconds": round(seconds, 1)}


def summary(parts: dict[str, Any]) -> dict[str, Any]:
    """Return the headline figures of the measured parts."""
    found = {}
    for part in ("structure", "vectors", "labels"):
        if part in parts:
            mean = parts[part]["pairs"][-1]
            found |= {f"{part}_hits@1": mean["hits@1"], f"{part}_precision": mean["precision"]}
    if "audit" in parts:
        found["audit_recall_at_90_precision"] = min(
            row["recall_at_90_precision"] for row in parts["audit"].values()
        )
    students = parts.get("students", {})
    full = [by_arm for by_arm in students.values() if {"given", "found"} <= by_arm.keys()]
    if full:
        shares = [by_arm["found"]["mrr"] / by_arm["given"]["mrr"] for by_arm in full]
        found["student_share_of_full_links"] = round(fmean(shares), 4)
    for arm in ("wrong", "right", "cleaned", "mended"):
        lost = [
            x["given"]["mrr"] - x[arm]["mrr"]
            for x in students.values()
            if {"given", arm} <= x.keys()
        ]
        if lost:
            found[f"student_loses_by_{arm}"] = round(fmean(lost), 4)
    return found


def measure(asked: Namespace) -> None:
    """Measure the parts missing in the report, and write it after each part."""
    torch.set_num_threads(asked.threads)
    report = json.loads(asked.out.read_text(encoding="utf-8")) if asked.out.exists() else {}
    parts = report.get("parts", {})
    collection = kgraft.read_collection(asked.collection)

    def keep() -> None:
        command = f"python benchmarks/alignment.py DIRECTORY_OF_DBP5L --threads {asked.threads}"
        whole = {**summary(parts), "command": command, "machine": machine(), "parts": parts}
        write_report(asked.out, whole)

    ways: dict[str, Callable[[], Any]] = {
        "structure": lambda: found_links(collection, MASKED),
        "vectors": lambda: found_links(collection, {**MASKED, "vectors": {"rounds": 1}}),
        "labels": lambda: found_links(collection, {}),
        "world": world,
        "audit": lambda: audited(collection),
        "size": lambda: apart(size),
    }
    for part in asked.parts:
        if part != "students" and part not in parts:
            parts[part] = ways[part]()
            keep()
    if "students" in asked.parts:
        for target in asked.targets or list(collection.graphs):
            by_arm = parts.setdefault("students", {}).setdefault(target, {})
            for arm in asked.arms:
                if arm not in by_arm:
                    by_arm[arm] = student(collection, target, arm)
                    keep()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options_of(
        __doc__, "collection", out=Path("benchmarks/results/alignment.json"), threads=2
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--targets", nargs="+", help="of the students; by default all graphs")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS, help="of the students")
    with report_errors():
        measure(parser.parse_args(arguments))


if __name__ == "__main__":
    main()
