"""Measure the difference that a change makes which should make none, or one of a known sign.

Usage: python benchmarks/metamorphic.py --out benchmarks/results/metamorphic.json --seeds 10

A seed makes a collection, a teacher and a student, with the default settings, for each change:

reordered
    Facts, links and sources in another order: the same bits.
another seed
    The spread that other changes are compared with.
renamed
    Other names of entities.
unlinked source
    A further source that nothing links to.
doubled source
    A source twice, the second linked to the first.
split source
    A source in two halves, linked to each other.
fewer links
    Half of the links between target and sources: not better.
wrong links
    A fifth of the links lead to another entity: not better.

Each row has the mean difference from the collection as it is, over the seeds, of the MRR of the
target's test facts by both, with its standard error.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from common import options_of, run

import kgraft
from kgraft.evaluation.evaluate import evaluate
from kgraft.graph.knowledge_graph import SPLITS, KnowledgeGraph
from kgraft.linking.collection import Collection
from kgraft.linking.links import Links
from kgraft_experiments.synthesis.settings import BackgroundSettings, SynthSettings, TargetSettings
from kgraft_experiments.synthesis.synthesize import synthesize

TARGET = TargetSettings(entities=600, facts=3_000)
BACKGROUND = BackgroundSettings(facts=5_000)
NAMES = ["head", "relation", "tail"]


@dataclass(frozen=True)
class Linked:
    """Links of two sources by name: String columns left and right."""

    left: str
    right: str
    kind: str
    names: pl.DataFrame


@dataclass(frozen=True)
class Made:
    """A collection by name.

    Args:
        facts: Columns head, relation, tail and split of each source.
        links: Links of each pair of sources.
        target: The target.
    """

    facts: Mapping[str, pl.DataFrame]
    links: tuple[Linked, ...]
    target: str

    @classmethod
    def of(cls, collection: Collection) -> Made:
        """Return a collection by name."""
        links = []
        for x in collection.links:
            graphs = collection.graphs[x.left], collection.graphs[x.right]
            left, right = (
                (graph.entities if x.kind == "entity" else graph.relations).gather(rows)
                for graph, rows in zip(graphs, x.pairs.T, strict=True)
            )
            links.append(
                Linked(x.left, x.right, x.kind, pl.DataFrame({"left": left, "right": right}))
            )
        facts = {name: graph.to_frame() for name, graph in collection.graphs.items()}
        return cls(facts, tuple(links), str(collection.target))

    def collection(self) -> Collection:
        """Return the collection, as if read from files."""
        graphs = {name: _graph(name, frame) for name, frame in self.facts.items()}
        links = []
        for x in self.links:
            rows = np.stack(
                [
                    graphs[name].rows(x.names[end], x.kind)  # type: ignore[arg-type]
                    for name, end in ((x.left, "left"), (x.right, "right"))
                ],
                axis=1,
            )
            rows = rows[(rows >= 0).all(axis=1)]
            sure = np.ones(len(rows), dtype=np.float32)
            links.append(Links(x.left, x.right, rows, sure, x.kind))  # type: ignore[arg-type]
        return kgraft.collect(graphs.values(), links, target=self.target)

    @property
    def source(self) -> str:
        """The first background."""
        return next(name for name in self.facts if name != self.target)


def _graph(name: str, frame: pl.DataFrame) -> KnowledgeGraph:
    parts = {split: frame.filter(split=split).select(NAMES) for split in SPLITS}
    train = parts.pop("train")
    return kgraft.from_frame(name, train, **{split: x for split, x in parts.items() if len(x)})


def same_names(facts: pl.DataFrame, left: str, right: str) -> Linked:
    """Return the links of a source with another one of the same entity names."""
    names = pl.concat([facts["head"], facts["tail"].rename("head")]).unique(maintain_order=True)
    return Linked(left, right, "entity", pl.DataFrame({"left": names, "right": names}))


# ------------------------------------------------------------------------------------- the changes

Change = Callable[[Made, np.random.Generator], Made]


def reordered(made: Made, draw: np.random.Generator) -> Made:
    """Put facts, links and sources into another order."""

    def mixed(frame: pl.DataFrame) -> pl.DataFrame:
        return frame[draw.permutation(len(frame))]

    facts = {name: mixed(made.facts[name]) for name in reversed(made.facts)}
    return replace(
        made,
        facts=facts,
        links=tuple(replace(x, names=mixed(x.names)) for x in reversed(made.links)),
    )


def renamed(made: Made, draw: np.random.Generator) -> Made:
    """Give each entity another name."""
    number = draw.integers(1 << 60)

    def other(column: str) -> pl.Expr:
        return pl.col(column).hash(int(number)).cast(pl.String).name.keep()

    facts = {name: x.with_columns(other("head"), other("tail")) for name, x in made.facts.items()}
    links = tuple(
        replace(x, names=x.names.with_columns(other("left"), other("right")))
        if x.kind == "entity"
        else x
        for x in made.links
    )
    return replace(made, facts=facts, links=links)


def with_unlinked_source(made: Made, draw: np.random.Generator) -> Made:
    """Add a source of other names, with facts drawn at random, that nothing links to."""
    heads, relations, tails = (draw.integers(x, size=3_000) for x in (500, 10, 500))
    frame = pl.DataFrame(
        {
            "head": [f"far:{x}" for x in heads],
            "relation": [f"far:r{x}" for x in relations],
            "tail": [f"far:{x}" for x in tails],
            "split": ["train"] * 3_000,
        }
    ).unique(maintain_order=True)
    return replace(made, facts={**made.facts, "far": frame})


def with_doubled_source(made: Made, _: np.random.Generator) -> Made:
    """State a source's training facts once more by another one, linked to it."""
    facts = made.facts[made.source].filter(split="train")
    return replace(
        made,
        facts={**made.facts, "twin": facts},
        links=(*made.links, same_names(facts, made.source, "twin")),
    )


def with_split_source(made: Made, draw: np.random.Generator) -> Made:
    """Make two sources of one, each with half of its training facts, linked to each other."""
    facts = made.facts[made.source]
    moves = pl.Series(draw.random(len(facts)) < 0.5) & (facts["split"] == "train")
    return replace(
        made,
        facts={**made.facts, made.source: facts.filter(~moves), "half": facts.filter(moves)},
        links=(*made.links, same_names(facts, made.source, "half")),
    )


def _with_target_links(made: Made, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Made:
    links = tuple(
        replace(x, names=change(x.names))
        if x.kind == "entity" and made.target in (x.left, x.right)
        else x
        for x in made.links
    )
    return replace(made, links=links)


def with_fewer_links(made: Made, draw: np.random.Generator) -> Made:
    """Leave out the links of half of the target's entities."""
    names = _target_names(made)
    kept = names.filter(pl.Series(draw.random(len(names)) < 0.5))

    def change(pairs: pl.DataFrame) -> pl.DataFrame:
        return pairs.filter(pl.any_horizontal(pl.all().is_in(kept.implode())))

    return _with_target_links(made, change)


def with_wrong_links(made: Made, draw: np.random.Generator) -> Made:
    """Let a fifth of the target's links lead to other entities, each to that of another one."""

    def change(pairs: pl.DataFrame) -> pl.DataFrame:
        wrong = draw.permutation(len(pairs))[: len(pairs) // 5]
        right = pairs["right"].to_numpy().copy()
        right[wrong] = right[np.roll(wrong, 1)]
        return pairs.with_columns(right=pl.Series(right))

    return _with_target_links(made, change)


def _target_names(made: Made) -> pl.Series:
    facts = made.facts[made.target]
    return pl.concat([facts["head"], facts["tail"].rename("head")]).unique(maintain_order=True)


CHANGES: Mapping[str, Change] = {
    "as it is": lambda made, _: made,
    "reordered": reordered,
    "another seed": lambda made, _: made,
    "renamed": renamed,
    "unlinked source": with_unlinked_source,
    "doubled source": with_doubled_source,
    "split source": with_split_source,
    "fewer links": with_fewer_links,
    "wrong links": with_wrong_links,
}


# ----------------------------------------------------------------------------------- the figures


def measure(options: Namespace) -> dict[str, Any]:
    """Return a row for each change, and the spread over seeds."""
    found: dict[str, list[float]] = {name: [] for name in CHANGES}
    for seed in range(options.seeds):
        settings = SynthSettings.model_validate(
            {"world": {"seed": seed}, "target": TARGET, "background": BACKGROUND}
        )
        made = Made.of(synthesize(settings).collection)
        for name, change in CHANGES.items():
            draw = np.random.default_rng(seed)
            found[name].append(
                student_mrr(change(made, draw).collection(), 1 if name == "another seed" else 0)
            )
        print(seed, {name: round(x[-1], 4) for name, x in found.items()}, flush=True)
    base = np.array(found.pop("as it is"))
    spread = np.abs(np.array(found["another seed"]) - base)
    return {
        "mrr": round(float(base.mean()), 4),
        "seeds": options.seeds,
        # The difference of two runs has twice the variance of one.
        "spread_over_seeds": round(float(np.sqrt((spread**2).mean() / 2)), 4),
        "changes": [row(name, np.array(x) - base) for name, x in found.items()],
    }


def row(name: str, differences: np.ndarray) -> dict[str, Any]:
    """Return the figures of one change from its differences by seed."""
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    return {
        "change": name,
        "difference": round(float(differences.mean()), 4),
        "standard_error": round(float(error), 4),
        "largest": round(float(np.abs(differences).max()), 4),
    }


def student_mrr(collection: Collection, seed: int) -> float:
    """Train a teacher and a student; return the MRR of the test facts by both."""
    training = {"training": {"seed": seed}}
    teacher = kgraft.pretrain(collection, kgraft.TrainSettings.model_validate(training))
    student = kgraft.retrain(collection, teacher, kgraft.RetrainSettings.model_validate(training))
    return evaluate(student, collection).mrr()


if __name__ == "__main__":
    parser = options_of(__doc__, seeds=(10, "number of made collections"), threads=1)
    run(parser, measure)
