"""Measure fold-in by text: new entities with a text alone, and with three facts beside it.

Usage: python benchmarks/fold_texts.py COLLECTION --texts TEXTS --work DIR --out OUT.json

Entities of the target with 6 to 50 training facts are taken out, and a model is trained alone on a
share of the others' facts. Each is folded in by its text, by three of its facts, by both, or by
neither, which is the mean of all vectors. The rest of its facts, at most ten, are asked for, as in
fold_in.py, but from the new entity's side alone: a vector of any direction answers queries about
others if it is only long enough. Texts of known entities tell what words mean. Half of the
entities, ``part`` dev, are for choosing the method; the figures of the report are of the others.
The model is kept in ``--work``.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
from common import options_of, run
from fold_in import Draw, Ranking, without
from graft import with_share

import kgraft
from kgraft.graph.known_facts import KnownFacts
from kgraft.inference.fold_in import fold_into
from kgraft.inference.predict import prepared
from kgraft.io.texts import read_texts
from kgraft.linking.collection import Collection
from kgraft.model.trained_model import TrainedModel
from kgraft_experiments.benchmark.settings import BenchmarkSettings


def model_of(collection: Collection, drawn: Draw, share: float, place: Path) -> TrainedModel:
    """Return the model that has not seen the drawn entities, trained where it is not kept."""
    if not place.exists():
        target = collection.target_graph.name
        rest = with_share(without(collection, target, drawn.entities), share, seed=1)
        kgraft.train(rest, BenchmarkSettings().seeded(1).alone, alone=True).save(place)
    return kgraft.load_model(place)


def reciprocal_ranks(
    model: TrainedModel, collection: Collection, drawn: Draw, place: int, texts: dict[str, str]
) -> dict[str, list[float]]:
    """Fold one of the drawn entities in each way, and return the reciprocal ranks of its facts."""
    graph = collection.target_graph
    known, others = KnownFacts(graph.triples), np.delete(drawn.entities, place)
    name = graph.entities.name(int(drawn.entities[place]))
    facts = [
        (graph.entities.name(h), graph.relations.name(r), graph.entities.name(t))
        for h, r, t in drawn.given[place].tolist()
    ]
    told = {
        x: text
        for x, text in texts.items()
        if x == name or x in model.graph.parts[graph.name].entities
    }
    given = {
        "neither": ([], {name: ""}),
        "text": ([], told),
        "facts": (facts, {}),
        "both": (facts, told),
    }
    found = {}
    for way, (own, text) in given.items():
        extended = fold_into(prepared(model), own, [], text)[0].model
        ranking, asked = Ranking(graph, known, extended, others), drawn.asked[place]
        tails, heads = np.array(ranking.reciprocal(asked)).reshape(2, -1)
        is_head = asked[:, 0] == drawn.entities[place]
        found[way] = [*tails[is_head], *heads[~is_head]]
    return found


def measure(asked: Namespace) -> dict[str, Any]:
    """Measure each way."""
    collection = kgraft.read_collection(asked.collection)
    read = read_texts(asked.texts)
    texts = {x: text for x, text in zip(read.names.names, read.texts, strict=True) if text}
    drawn = Draw.of(collection.target_graph, asked.entities)
    model = model_of(collection, drawn, asked.share, asked.work / f"model-{asked.share:g}")
    places = np.flatnonzero(drawn.dev == (asked.part == "dev"))[: asked.asked].tolist()
    ranks: dict[str, list[float]] = {}
    for place in places:
        for way, found in reciprocal_ranks(model, collection, drawn, place, texts).items():
            ranks.setdefault(way, []).extend(found)
    queries = len(next(iter(ranks.values())))
    mrr = {way: round(float(np.mean(found)), 4) for way, found in ranks.items()}
    return {"entities": len(places), "queries": queries, "mrr": mrr}


if __name__ == "__main__":
    parser = options_of(
        __doc__,
        "collection",
        texts=Path,
        work=Path,
        entities=600,
        asked=(100, "how many of them to ask about"),
        share=(0.2, "of the training facts"),
        part=("test", "which entities: dev or test"),
        threads=1,
    )
    run(parser, measure)
