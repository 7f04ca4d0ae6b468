"""Measure fold-in: entities that a student was not trained on, asked about by three of their facts.

Usage: python benchmarks/fold_in.py --data DBP5L --work DIR --out benchmarks/results/fold_in.json

Of each target some entities of 6 to 50 training facts are taken out whole, with their links. A
student is trained without them; each is folded in by itself, with three of its facts (and its
links, but for one entity of three), and the rest of its facts are asked for, at most ten of them,
in both directions. The other student is re-trained with the three facts of all of them. Ranks
are filtered, among the target's entities without the other ones that were taken out. Half of the
entities, ``part`` dev, are for choosing the method; the figures of the report are of the others.
Models are kept in ``--work``, and trained where they are not there yet.
"""

from __future__ import annotations

import time
from argparse import Namespace
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from common import options_of, run

import kgraft
from kgraft.graph.grouped_index import Ints
from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples
from kgraft.graph.known_facts import KnownFacts, Side, queries
from kgraft.graph.vocabulary import Vocabulary
from kgraft.inference.fold_in import fold_into
from kgraft.inference.predict import Query, prepared
from kgraft.linking.collection import Collection
from kgraft.linking.joint_graph import positions_of
from kgraft.model.trained_model import TrainedModel

SIDES: tuple[Side, ...] = ("tail", "head")
SEED = 7
FEWEST, MOST = 6, 50
GIVEN, ASKED = 3, 10


@dataclass(frozen=True, eq=False)
class Draw:
    """The entities that are taken out of a target.

    Args:
        entities: Their rows, ``(n,)``.
        dev: Marks those for choosing the method, bool ``(n,)``.
        linked: Marks those that keep their links, ``(n,)``.
        given: Three facts of each, ``(n, 3, 3)``.
        asked: The facts of each that are asked for.
    """

    entities: Ints
    dev: np.ndarray
    linked: np.ndarray
    given: Triples
    asked: list[Triples]

    @classmethod
    def of(cls, graph: KnowledgeGraph, size: int) -> Draw:
        """Draw entities; facts between two of them are neither given nor asked for."""
        draw = np.random.default_rng(SEED)
        degree = np.bincount(graph.train[:, [0, 2]].ravel(), minlength=len(graph.entities))
        able = np.flatnonzero((degree >= FEWEST) & (degree <= MOST))
        chosen = np.sort(draw.choice(able, min(size, len(able)), replace=False))
        out = np.zeros(len(graph.entities), dtype=np.int64)
        out[chosen] = 1
        entities, given, asked = [], [], []
        n_train = len(graph.train)
        every = graph.triples
        once = out[every[:, 0]] + out[every[:, 2]] == 1
        for entity in chosen.tolist():
            own = np.flatnonzero(((every[:, 0] == entity) | (every[:, 2] == entity)) & once)
            trained = draw.permutation(own[own < n_train])
            rest = draw.permutation(np.setdiff1d(own, trained[:GIVEN]))
            if len(trained) >= GIVEN and len(rest):
                entities.append(entity)
                given.append(every[trained[:GIVEN]])
                asked.append(every[rest[:ASKED]])
        n = len(entities)
        order = draw.permutation(n)
        return cls(np.array(entities), order % 2 == 0, order % 3 > 0, np.stack(given), asked)


def without(collection: Collection, target: str, taken: Ints) -> Collection:
    """Return the collection without some entities of the target, their facts and their links."""
    graph = collection.graphs[target]
    kept = np.ones(len(graph.entities), dtype=np.bool_)
    kept[taken] = False
    row = np.where(kept, np.cumsum(kept) - 1, -1)

    def facts(triples: Triples) -> Triples:
        found = np.stack([row[triples[:, 0]], triples[:, 1], row[triples[:, 2]]], axis=1)
        return found[(found >= 0).all(axis=1)]

    splits = {name: facts(getattr(graph, name)) for name in ("train", "valid", "test")}
    labels = None if graph.labels is None else graph.labels.filter(kept)
    entities = Vocabulary(graph.entities.names.filter(kept))
    less = replace(graph, entities=entities, labels=labels, identities=None, **splits)
    links = []
    for x in collection.links:
        if x.kind == "entity" and x.joins(target):
            end = 0 if x.left == target else 1
            pairs = x.pairs.copy()
            pairs[:, end] = row[pairs[:, end]]
            known = pairs[:, end] >= 0
            x = replace(x, pairs=pairs[known], confidence=x.confidence[known])
        links.append(x)
    graphs = {**collection.graphs, target: less}
    return replace(collection, graphs=graphs, links=tuple(links))


def with_given(collection: Collection, target: str, drawn: Draw) -> Collection:
    """Return the collection with the given facts as the only ones of the drawn entities."""
    graph = collection.graphs[target]
    out = np.zeros(len(graph.entities), dtype=np.bool_)
    out[drawn.entities] = True

    def others(triples: Triples) -> Triples:
        return triples[~(out[triples[:, 0]] | out[triples[:, 2]])]

    train = np.concatenate([others(graph.train), drawn.given.reshape(-1, 3)])
    less = replace(graph, train=train, valid=others(graph.valid), test=others(graph.test))
    unlinked = np.zeros_like(out)
    unlinked[drawn.entities[~drawn.linked]] = True
    links = []
    for x in collection.links:
        if x.kind == "entity" and x.joins(target):
            kept = ~unlinked[x.pairs[:, 0 if x.left == target else 1]]
            x = replace(x, pairs=x.pairs[kept], confidence=x.confidence[kept])
        links.append(x)
    return replace(collection, graphs={**collection.graphs, target: less}, links=tuple(links))


def students(
    collection: Collection, target: str, drawn: Draw, work: Path
) -> tuple[TrainedModel, TrainedModel]:
    """Return the student without the drawn entities, and the one with their given facts."""
    found = []
    for name, make in (
        ("without", lambda: without(collection, target, drawn.entities)),
        ("again", lambda: with_given(collection, target, drawn)),
    ):
        place = work / f"{target}-{name}"
        if not place.exists():
            teacher = work / f"{target}-teacher"
            if not teacher.exists():
                kgraft.pretrain(collection).save(teacher)
            kgraft.retrain(make(), kgraft.load_model(teacher)).save(place)
        found.append(kgraft.load_model(place))
    return found[0], found[1]


class Ranking:
    """Ranks the ends of asked facts by a model, filtered, among some entities of the target.

    Args:
        graph: The target, with all its facts.
        known: Index of them.
        model: The model.
        left_out: Entities that are no candidates, and no answers.
    """

    def __init__(
        self, graph: KnowledgeGraph, known: KnownFacts, model: TrainedModel, left_out: Ints
    ) -> None:
        part = model.graph.part(graph.name)
        self._known, self._scorer = known, model.scorer()
        self._rows = part.entity_rows_of(graph.entities.names)
        self._relations = part.relation_rows_of(graph.relations.names)
        self._rows[left_out] = -1
        self._places = np.flatnonzero(self._rows >= 0)
        self._column = positions_of(self._places, len(self._rows))

    def reciprocal(self, facts: Triples) -> list[float]:
        """Return the reciprocal ranks of tails and then of heads; ties count half."""
        found = []
        candidates = torch.from_numpy(self._rows[self._places])
        for side in SIDES:
            anchors, relations, answers = queries(facts, side)
            scores = self._scorer.score(
                torch.from_numpy(self._rows[anchors]),
                torch.from_numpy(self._relations[relations]),
                side=side,
                candidates=candidates,
            ).numpy()
            own = scores[np.arange(len(facts)), self._column[answers]].copy()
            query, entity = self._known.answers(anchors, relations, side)
            there = self._column[entity] >= 0
            scores[query[there], self._column[entity[there]]] = -np.inf
            better = (scores > own[:, None]).sum(1)
            ranks = 1 + better + (scores == own[:, None]).sum(1) / 2
            found += (1 / ranks).tolist()
        return found


def links_of(collection: Collection, target: str, entity: int) -> list[tuple[str, str, str]]:
    """Return the links of one of the target's entities, in names."""
    name, found = collection.graphs[target].entities.name(entity), []
    for x in collection.links:
        if x.kind == "entity" and x.joins(target):
            own = x if x.left == target else x.reversed()
            others = collection.graphs[own.right].entities
            found += [
                (name, own.right, others.name(row))
                for row in own.pairs[own.pairs[:, 0] == entity, 1]
            ]
    return found


def measured(
    collection: Collection, target: str, drawn: Draw, models: tuple[TrainedModel, TrainedModel]
) -> list[dict[str, Any]]:
    """Fold each entity in, ask for its facts, and return a row for each."""
    graph = collection.graphs[target]
    known, (base, again) = KnownFacts(graph.triples), models
    predictor, rows = prepared(base), []
    some = base.graph.part(target).entities.name(0)
    predictor.answer([Query(head=some, relation=graph.relations.name(0))])  # to prepare it
    for place, entity in enumerate(drawn.entities.tolist()):
        facts = [
            (graph.entities.name(h), graph.relations.name(r), graph.entities.name(t))
            for h, r, t in drawn.given[place].tolist()
        ]
        links = links_of(collection, target, entity) if drawn.linked[place] else []
        begin, begun = time.perf_counter(), time.process_time()
        extended, _ = fold_into(predictor, facts, links)
        wall, used = time.perf_counter() - begin, time.process_time() - begun
        others = np.delete(drawn.entities, place)
        retrained = Ranking(graph, known, again, others)
        asked = drawn.asked[place]
        for by, ranking in (
            ("fold-in", Ranking(graph, known, extended.model, others)),
            ("re-trained", retrained),
        ):
            figures = ranking.reciprocal(asked)
            row = {
                "part": "dev" if drawn.dev[place] else "test",
                "linked": bool(drawn.linked[place]),
            }
            row |= {"system": by, "queries": len(figures), "sum": sum(figures)}
            rows.append(row | ({"wall": wall, "cpu": used} if by == "fold-in" else {}))
    return rows


def summary(target: str, rows: list[dict[str, Any]], part: str) -> list[dict[str, Any]]:
    """Return the MRR of both systems, for all entities, linked ones and others."""
    found = []
    for name, wanted in (("all", (True, False)), ("linked", (True,)), ("unlinked", (False,))):
        mrr = {}
        for system in ("fold-in", "re-trained"):
            own = [
                x
                for x in rows
                if (x["part"], x["system"]) == (part, system) and x["linked"] in wanted
            ]
            queries = sum(x["queries"] for x in own)
            mrr[system] = sum(x["sum"] for x in own) / max(queries, 1)
        folded = [x for x in rows if x["part"] == part and "cpu" in x and x["linked"] in wanted]
        found.append(
            {
                "target": target,
                "entities": name,
                "number": len(folded),
                "queries": queries,
                "mrr_folded": round(mrr["fold-in"], 4),
                "mrr_retrained": round(mrr["re-trained"], 4),
                "share": round(mrr["fold-in"] / max(mrr["re-trained"], 1e-9), 4),
                "ms": round(1000 * median(x["wall"] for x in folded), 1),
                "cpu_ms": round(1000 * median(x["cpu"] for x in folded), 1),
            }
        )
    return found


def measure(asked: Namespace) -> dict[str, Any]:
    """Measure all targets and return the report."""
    rows = []
    for target in asked.targets:
        collection = kgraft.read_collection(asked.data).with_target(target)
        drawn = Draw.of(collection.graphs[target], asked.entities)
        models = students(collection, target, drawn, asked.work)
        rows += summary(target, measured(collection, target, drawn, models), asked.part)
    of_all = [x for x in rows if x["entities"] == "all"]
    return {
        "rows": rows,
        "folded_share": round(min(x["share"] for x in of_all), 4),
        "folded_ms": max(x["cpu_ms"] for x in of_all),
    }


if __name__ == "__main__":
    run(
        options_of(
            __doc__,
            data=Path,
            work=Path,
            targets=["el", "ja"],
            entities=300,
            part=("test", "which entities: dev or test"),
            threads=1,
        ),
        measure,
    )
