"""Measure entity typing on CoDEx: types as facts of a relation, beside frequency and PyKEEN.

Usage: python benchmarks/entity_types.py CODEX --size s --out benchmarks/results/typing.json

CODEX is the directory of ``entity2types.json`` and of ``codex-s`` and ``codex-m``. Each type of an
entity of the chosen graph is a fact of the relation ``type``; 10 % of these are held out for
validation and 10 % for testing, by the seed of the split, and all other facts are trained on. Each
test type is ranked among all types, without the entity's other ones; ties count half. Figures are
over test facts of types other than human (Q5), which is by far the most frequent one, and
``macro_mrr`` is the mean over these types. All three systems see the same facts:

- kgraft: `kgraft train --alone` with rules, its settings by validation facts;
- frequency: types by how many training entities have them;
- PyKEEN: its ComplEx, as wide, by softmax over all entities, in its best epoch by validation types.

With ``--grafted 1`` the facts are split into two linked sources at random, and the typed entities
too: each source has half of the facts, and the types of half of the entities. A held-out type of
the target is stated nowhere, but the background types other entities. ``alone`` and ``pykeen`` are
trained on the target, ``grafted`` is a student whose teacher has the background.
"""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from common import add_to_report, options_of, run, timed
from peers import pykeen_curve

import kgraft
from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.known_facts import KnownFacts
from kgraft.graph.vocabulary import equal_names
from kgraft.linking.collection import Collection, collect
from kgraft.linking.links import Links
from kgraft.model.evidence import WAYS
from kgraft.model.trained_model import TrainedModel
from kgraft_experiments.benchmark.runner import machine

RELATION, HUMAN = "type", "Q5"
COLUMNS = ("head", "relation", "tail")
BLOCK = 256
Row = dict[str, Any]
Score = Callable[[np.ndarray], np.ndarray]
"""Scores all types, ``(n, types)``, of entities ``(n,)``."""


def read_facts(codex: Path, size: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the facts of the graph, and the types of its entities as facts."""
    splits = [
        pl.read_csv(
            codex / f"codex-{size}" / f"{split}.txt",
            separator="\t",
            has_header=False,
            new_columns=COLUMNS,
            quote_char=None,
        )
        for split in ("train", "valid", "test")
    ]
    facts = pl.concat(splits).unique(maintain_order=True)
    entities = sorted({*facts["head"], *facts["tail"]})
    types = json.loads((codex / "entity2types.json").read_text(encoding="utf-8"))
    pairs = [
        (entity, RELATION, x) for entity in entities for x in sorted(set(types.get(entity, ())))
    ]
    return facts, pl.DataFrame(pairs, schema=COLUMNS, orient="row")


def with_types(facts: pl.DataFrame, stated: pl.DataFrame, seed: int) -> kgraft.KnowledgeGraph:
    """Return the graph of facts and types, of which a tenth each is held out."""
    order = np.random.default_rng(seed).permutation(len(stated))
    n = len(stated) // 10
    held = {"valid": stated[order[:n]], "test": stated[order[n : 2 * n]]}
    known = pl.concat([facts, stated[order[2 * n :]]])
    # An entity or a type that has no other fact is nothing that a model could know.
    names = {*known["head"], *known["tail"]}
    held = {
        split: frame.filter(pl.col("head").is_in(names) & pl.col("tail").is_in(names))
        for split, frame in held.items()
    }
    return kgraft.from_frame("codex", known, **held)


def two_sources(codex: Path, size: str, seed: int) -> Collection:
    """Return a target and a linked background: each half of the facts, and of the typed entities.

    Types of an entity are in one of the two alone, so that no held-out type is stated anywhere.
    """
    facts, stated = read_facts(codex, size)
    draw = np.random.default_rng(seed)
    first = draw.permutation(len(facts)) < len(facts) // 2
    entities = stated["head"].unique().sort()
    own = entities.filter(draw.permutation(len(entities)) < len(entities) // 2).implode()
    of_own = stated["head"].is_in(own)
    target = with_types(facts.filter(first), stated.filter(of_own), seed)
    other = kgraft.from_frame("other", pl.concat([facts.filter(~first), stated.filter(~of_own)]))
    pairs = equal_names(target.entities, other.entities)
    links = Links("codex", "other", pairs, np.ones(len(pairs), dtype=np.float32))
    return collect([target, other], [links], target="codex", name="codex")


class TypeRanks:
    """Ranks of held-out types among all types.

    Args:
        graph: The graph with its types.
    """

    def __init__(self, graph: kgraft.KnowledgeGraph) -> None:
        self.relation = graph.relations.row(RELATION)
        self.facts = {x: self._typed(getattr(graph, x)) for x in ("train", "valid", "test")}
        every = np.concatenate(list(self.facts.values()))
        self.types = np.unique(every[:, 2])
        self.human = np.searchsorted(self.types, graph.entities.row(HUMAN))
        self._known = KnownFacts(every)

    def _typed(self, facts: Triples) -> Triples:
        return facts[facts[:, 1] == self.relation]

    def figures(self, score: Score, split: str) -> dict[str, float]:
        """Return the figures of a split's facts of types other than human."""
        facts = self.facts[split]
        place = np.searchsorted(self.types, facts[:, 2])
        facts, place = facts[place != self.human], place[place != self.human]
        ranks = np.concatenate(
            [
                self._ranks(score, facts[start : start + BLOCK], place[start : start + BLOCK])
                for start in range(0, len(facts), BLOCK)
            ]
        )
        reciprocal = pl.DataFrame({"type": place, "x": 1 / ranks})
        macro = reciprocal.group_by("type").mean()["x"].mean()
        found = {"mrr": float((1 / ranks).mean()), "macro_mrr": float(macro or 0)}  # type: ignore[arg-type]
        found |= {f"hits@{k}": float((ranks <= k).mean()) for k in (1, 3, 10)}
        return {name: round(value, 4) for name, value in found.items()}

    def size(self, split: str) -> int:
        """Return the number of a split's facts of types other than human."""
        return int((self.facts[split][:, 2] != self.types[self.human]).sum())

    def _ranks(self, score: Score, facts: Triples, place: np.ndarray) -> np.ndarray:
        scores = score(facts[:, 0]).copy()
        own = scores[np.arange(len(facts)), place]
        query, answer = self._known.answers(facts[:, 0], facts[:, 1], "tail")
        scores[query, np.searchsorted(self.types, answer)] = -np.inf
        better, equal = scores > own[:, None], scores == own[:, None]
        ranks: np.ndarray = 1 + better.sum(1) + equal.sum(1) / 2
        return ranks


def frequencies(ranks: TypeRanks) -> Score:
    """Return scores by how many training entities have a type."""
    places = np.searchsorted(ranks.types, ranks.facts["train"][:, 2])
    counts = np.bincount(places, minlength=len(ranks.types)).astype(float)
    return lambda entities: np.broadcast_to(counts, (len(entities), len(counts)))


def scores_of(scorer: Any, model: TrainedModel, ranks: TypeRanks) -> Score:
    """Return scores by a scorer of a model's rows."""
    part = model.graph.part("codex")
    relation = int(part.relation_rows[ranks.relation])
    candidates = torch.from_numpy(part.entity_rows[ranks.types])

    @torch.inference_mode()
    def score(entities: np.ndarray) -> np.ndarray:
        anchors = torch.from_numpy(part.entity_rows[entities])
        found: np.ndarray = scorer.score(
            anchors, torch.full_like(anchors, relation), side="tail", candidates=candidates
        ).numpy()
        return found

    return score


def pykeen_figures(
    model: TrainedModel, ranks: TypeRanks, width: int, minutes: float
) -> dict[str, Any]:
    """Train PyKEEN's ComplEx, and return its test figures where validation ones were best."""
    best: dict[str, Any] = {"validation_mrr": -1.0}

    def checked(scorer: Any) -> float:
        score = scores_of(scorer, model, ranks)
        mrr = ranks.figures(score, "valid")["mrr"]
        if mrr > best["validation_mrr"]:
            best.update(ranks.figures(score, "test"), validation_mrr=mrr)
        return mrr

    curve = pykeen_curve(model.graph, width, None, checked, minutes, time.process_time)
    return {**best, "seconds_and_validation_mrr": curve}


def figures_of(model: TrainedModel, ranks: TypeRanks) -> Row:
    """Return test figures by the way to answer that validation types favour, and of each way."""
    ours = {
        by: {
            split: ranks.figures(scores_of(model.scorer(by), model, ranks), split)
            for split in ("valid", "test")
        }
        for by in WAYS
    }
    chosen = max(WAYS, key=lambda by: ours[by]["valid"]["mrr"])
    ways = {by: x["test"]["mrr"] for by, x in ours.items()}
    return {"figures": ours[chosen]["test"], "mrr_by": ways, "chosen_by_validation": chosen}


def about(graph: kgraft.KnowledgeGraph, ranks: TypeRanks, seed: int) -> Row:
    return {
        "seed": seed,
        "facts": {x: len(getattr(graph, x)) for x in ("train", "valid", "test")},
        "types": len(ranks.types),
        "test_facts_without_human": ranks.size("test"),
    }


def measured(
    codex: Path, size: str, seed: int, settings: kgraft.TrainSettings, minutes: float
) -> Row:
    """Train and rank with the split of one seed."""
    graph = with_types(*read_facts(codex, size), seed)
    collection, ranks = collect([graph], [], target="codex", name="codex"), TypeRanks(graph)
    seconds, model = timed(lambda: kgraft.train(collection, settings, alone=True))
    ours = figures_of(model, ranks)
    return {
        **about(graph, ranks, seed),
        "kgraft": ours["figures"],
        "frequency": ranks.figures(frequencies(ranks), "test"),
        "pykeen": pykeen_figures(model, ranks, settings.model.width, minutes),
        "kgraft_by": ours["mrr_by"],
        "chosen_by_validation": ours["chosen_by_validation"],
        "training_seconds": round(seconds, 1),
    }


def measured_grafted(
    codex: Path, size: str, seed: int, settings: kgraft.TrainSettings, minutes: float
) -> Row:
    """Train on the target alone, with the linked background, and plain, and rank, with one seed."""
    collection = two_sources(codex, size, seed)
    graph = collection.target_graph
    ranks = TypeRanks(graph)
    alone = kgraft.train(collection, settings, alone=True)
    plain = settings.model_copy(update={"rules": kgraft.TrainSettings().rules})
    student = kgraft.RetrainSettings.model_validate(
        {"model": settings.model, "rules": settings.rules}
    )
    grafted = kgraft.retrain(collection, kgraft.pretrain(collection, plain), student)
    found = {name: figures_of(x, ranks) for name, x in (("alone", alone), ("grafted", grafted))}
    return {
        **about(graph, ranks, seed),
        "background_facts": len(collection.graphs["other"].train),
        **{name: x["figures"] for name, x in found.items()},
        "frequency": ranks.figures(frequencies(ranks), "test"),
        "pykeen": pykeen_figures(alone, ranks, settings.model.width, minutes),
        "mrr_by": {name: x["mrr_by"] for name, x in found.items()},
    }


def means(splits: Sequence[Row], systems: Sequence[str]) -> Row:
    """Return the mean of each figure of each system over the splits."""
    names = splits[0]["frequency"]
    return {
        system: {x: round(float(np.mean([y[system][x] for y in splits])), 4) for x in names}
        for system in systems
    }


def measure(asked: Namespace) -> Row:
    """Measure each split, and return the report with means over the splits."""
    settings = kgraft.read_settings(kgraft.TrainSettings, Path(asked.settings))
    place, systems = Path(asked.codex), ["kgraft", "frequency", "pykeen"]
    work = measured
    if asked.grafted:
        work, systems = measured_grafted, ["alone", "grafted", "frequency", "pykeen"]
    splits = [work(place, asked.size, seed, settings, asked.minutes) for seed in asked.seeds]
    figures = means(splits, systems)
    command = (
        f"python benchmarks/entity_types.py CODEX --size {asked.size} --seeds "
        f"{' '.join(map(str, asked.seeds))} --minutes {asked.minutes:g} --threads {asked.threads}"
        f"{' --grafted 1' if asked.grafted else ''}"
    )
    row = {
        "figures": figures,
        "splits": splits,
        "settings": settings.model_dump(mode="json"),
        "machine": machine(),
        "command": command,
    }
    if asked.grafted:
        return {f"{asked.size}_grafted": row}
    first = {f"{x}_mrr".removeprefix("kgraft_"): figures[x]["mrr"] for x in systems}
    return {**(first if asked.size == "m" else {}), asked.size: row}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options_of(
        __doc__,
        "codex",
        size=("m", "s or m, the collection"),
        seeds=([0, 1, 2], "of the splits"),
        grafted=(0, "1 for a target and a linked background, of half of the facts each"),
        minutes=(8.0, "of PyKEEN's training, of a processor"),
        settings=(
            str(Path(__file__).parent / "settings" / "entity_types.toml"),
            "of kgraft's training",
        ),
    )
    report = run(parser, measure, arguments, write=add_to_report)
    print(json.dumps([x["figures"] for x in report.values() if isinstance(x, dict)], indent=1))


if __name__ == "__main__":
    main()
