"""Evaluation of a model on a graph's held-out facts, by the protocols of the field."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.errors import DataError, KgraftWarning, describe
from kgraft.evaluation.ranking import ranks_by_filter
from kgraft.evaluation.ranks import Metrics, Ranks, Tie, concatenate, measure, per_relation
from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples
from kgraft.graph.known_facts import KnownFacts, Side
from kgraft.linking.collection import Collection
from kgraft.linking.coverage import stated_by_others
from kgraft.linking.matched_relations import match_relations
from kgraft.model.evidence import By
from kgraft.model.scorer import MappedScorer
from kgraft.model.trained_model import TrainedModel
from kgraft.system.forks import require_threads
from kgraft.system.tables import cell, html_table
from kgraft.system.terminal import visible

Split = Literal["valid", "test"]

Filter = Literal["all", "train+valid", "all+sources"]
"""The facts that are filtered out of the candidates: the graph's own, by split, and of
``all+sources`` also those that other sources state."""

PROTOCOLS: Mapping[str, tuple[tuple[Side, ...], Filter]] = {
    "filtered": (("tail", "head"), "all"),
    "mkgc": (("tail",), "train+valid"),
    "sources": (("tail", "head"), "all+sources"),
}
"""``filtered``: both sides, every known fact filtered (Bordes et al., 2013). ``mkgc``: tails only,
facts of train and valid filtered, as papers on multilingual graphs measure (Chen et al., KEnS,
2020). ``sources``: as ``filtered``, and what other sources state is no wrong answer either.
Candidates are the graph's own entities in all. Their results are not comparable."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Ranks of a graph's held-out facts.

    Args:
        graph: The graph.
        split: The split of the facts.
        facts: The ranked facts, int64 ``(n, 3)``.
        tie: The rule for ties.
        ranks: Ranks by side and filter, each of length ``n``.
        covered: Mask of the facts that another source states too, bool ``(n,)``.
        trained_on: Number of the split's facts that the model was trained on.
        left_out: Whether these are left out.
        unseen: Mask of the facts with an entity or a relation of which the model was trained on no
            fact, bool ``(n,)``; None: of none.
        weights: Confidence of each of the facts, ``(n,)``, their weight in all metrics; None: all
            are 1.
    """

    graph: KnowledgeGraph
    split: Split
    facts: Triples
    tie: Tie
    ranks: Mapping[tuple[Side, Filter], Ranks]
    covered: NDArray[np.bool_]
    trained_on: int = 0
    left_out: bool = True
    unseen: NDArray[np.bool_] | None = None
    weights: NDArray[np.float64] | None = None

    def __repr__(self) -> str:
        lines = [f"<Evaluation of {self.graph.name}: {len(self.facts):,} {self.split} facts"]
        lines += [
            f"{x['side']}, filter {x['filter']}, {x['facts']} facts: "
            f"MRR {cell(x['mrr'])}, Hits@1 {cell(x['hits@1'])}, Hits@10 {cell(x['hits@10'])}"
            for x in self._summary()
        ]
        return "\n  ".join(map(visible, lines)) + ">"

    def _repr_html_(self) -> str:
        caption = f"{len(self.facts):,} {self.split} facts of {self.graph.name}"
        return html_table(pl.DataFrame(self._summary()), caption)

    def to_frame(self) -> pl.DataFrame:
        """Return ``rows()`` as a data frame."""
        return pl.DataFrame(self.rows())

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each side, filter and part of the facts, metrics as fractions.

        ``both`` joins the ranks of both sides, where both were asked for. Parts of the facts are
        ``all``, ``covered`` and ``uncovered``, and, where some are unseen, ``seen`` and ``unseen``.
        """
        return [
            {
                "side": side,
                "candidates": "own",
                "filter": facts_filter,
                "facts": facts,
                **self._measure(ranks, mask).as_dict(),
            }
            for (side, facts_filter), ranks in self._with_both().items()
            for facts, mask in self._masks(len(ranks)).items()
            if facts not in ("seen", "unseen") or self.n_unseen
        ]

    @property
    def n_unseen(self) -> int:
        """Number of facts that are unseen."""
        return 0 if self.unseen is None else int(self.unseen.sum())

    def mrr(self, side: str = "both", facts_filter: Filter = "all", facts: str = "all") -> float:
        """Return one mean reciprocal rank."""
        ranks = self._with_both()[side, facts_filter]
        return self._measure(ranks, self._masks(len(ranks))[facts]).mrr

    def by_relation(self) -> list[dict[str, Any]]:
        """Return a row for each relation, side and filter, the most frequent relation first."""
        relations = self.facts[:, 1]
        rows = []
        for (side, facts_filter), ranks in self._with_both().items():
            asked = np.tile(relations, len(ranks) // max(len(relations), 1))
            weights = self._weights(len(ranks))
            for relation, metrics in per_relation(ranks, asked, self.tie, weights).items():
                name = self.graph.relations.name(relation)
                about = {"relation": name, "side": side, "filter": facts_filter}
                rows.append({**about, **metrics.as_dict()})
        return sorted(rows, key=lambda row: (-row["queries"], row["relation"]))

    def _measure(self, ranks: Ranks, mask: NDArray[np.bool_]) -> Metrics:
        weights = self._weights(len(ranks))
        return measure(ranks.select(mask), self.tie, None if weights is None else weights[mask])

    def _weights(self, size: int) -> NDArray[np.float64] | None:
        """Return the weight of each of ``size`` ranks, those of one or both sides."""
        if self.weights is None:
            return None
        return np.tile(self.weights, size // max(len(self.weights), 1))

    def _summary(self) -> list[dict[str, Any]]:
        """Return the rows of both sides, or of the one side that was asked for."""
        rows = self.rows()
        return [row for row in rows if row["side"] == "both"] or rows

    def _with_both(self) -> dict[tuple[str, Filter], Ranks]:
        found: dict[tuple[str, Filter], Ranks] = {(*key,): x for key, x in self.ranks.items()}
        for facts_filter in {key[1]: None for key in self.ranks}:
            sides = [self.ranks.get((side, facts_filter)) for side in ("tail", "head")]
            ranked = [ranks for ranks in sides if ranks is not None]
            if len(ranked) == 2:
                found["both", facts_filter] = concatenate(ranked)
        return found

    def _masks(self, size: int) -> dict[str, NDArray[np.bool_]]:
        times = size // max(len(self.covered), 1)
        covered = np.tile(self.covered, times)
        masks = {"all": np.ones_like(covered), "covered": covered, "uncovered": ~covered}
        unseen = np.zeros_like(covered) if self.unseen is None else np.tile(self.unseen, times)
        return {**masks, "seen": ~unseen, "unseen": unseen}


def evaluate(
    model: TrainedModel,
    collection: Collection,
    *,
    target: str | None = None,
    split: Split = "test",
    sides: Sequence[Side] = ("tail", "head"),
    filters: Sequence[Filter] = ("all",),
    tie: Tie = "realistic",
    by: By | None = None,
    max_facts: int | None = None,
    include_trained: bool = False,
    require_fit: bool = True,
) -> Evaluation:
    """Rank a graph's held-out facts among its own entities, as ``TrainedModel.evaluate`` says.

    Without ``require_fit``, a model that knows no name of the graph ranks at random.
    """
    require_threads()
    collection = collection.with_target(target)
    graph = collection.target_graph
    collection = collection.with_target(graph.name)
    facts = getattr(graph, split)
    if not len(facts):
        raise DataError(
            f"{graph.name!r} has no facts in {split!r}",
            remedy="Name a file for it in the collection, or let split make one",
        )
    weights = graph.confidence.get(split)
    trained = trained_on(model, graph, facts)
    if trained.any():
        _warn_of_trained(graph, split, trained, include_trained)
        kept = np.full(len(facts), include_trained) | ~trained
        facts, weights = facts[kept], None if weights is None else weights[kept]
    if max_facts is not None and len(facts) > max_facts:
        drawn = np.sort(np.random.default_rng(0).permutation(len(facts))[:max_facts])
        facts, weights = facts[drawn], None if weights is None else weights[drawn]
    scorer = model.scorer_for(collection, graph.name, by, require_fit=require_fit)
    backgrounds = [collection.graphs[name] for name in collection.backgrounds()]
    matching = model.settings.relations
    joint = match_relations([graph, *backgrounds], collection.links, matching).join()
    elsewhere = stated_by_others(joint, graph.name)
    filtered: dict[Filter, tuple[Triples, ...]] = {
        "all": (graph.train, graph.valid, graph.test),
        "train+valid": (graph.train, graph.valid),
        "all+sources": (graph.train, graph.valid, graph.test, elsewhere),
    }
    known = [KnownFacts(*filtered[name]) for name in filters]
    ranks: dict[tuple[Side, Filter], Ranks] = {}
    for side in sides:
        found = ranks_by_filter(
            scorer, facts, side=side, filters=known, n_entities=len(graph.entities)
        )
        ranks |= {(side, name): own for name, own in zip(filters, found, strict=True)}
    covered, unseen = KnownFacts(elsewhere).contains(facts), _unseen(model, scorer, facts)
    n, left_out = int(trained.sum()), not include_trained
    return Evaluation(graph, split, facts, tie, ranks, covered, n, left_out, unseen, weights)


def _unseen(model: TrainedModel, scorer: MappedScorer, facts: Triples) -> NDArray[np.bool_]:
    """Mask facts with an entity or a relation of which the model was trained on no fact."""
    heads, relations, tails = model.graph.triples.T
    # The last row stands for what the model lacks.
    entities = np.zeros(model.graph.n_entities + 1, dtype=np.bool_)
    entities[heads] = entities[tails] = True
    known = np.zeros(model.graph.n_relations + 1, dtype=np.bool_)
    known[relations] = True
    ends = entities[scorer.entity_rows][facts[:, [0, 2]]].all(axis=1)
    # A relation may be the inverse of one of the model's.
    rows = scorer.relation_rows
    rows = np.where(rows < model.graph.n_relations, rows, rows - model.graph.n_relations)
    mask: NDArray[np.bool_] = ~(ends & known[rows][facts[:, 1]])
    return mask


def trained_on(model: TrainedModel, graph: KnowledgeGraph, facts: Triples) -> NDArray[np.bool_]:
    """Mask the facts of a graph that a model was trained on as facts of that graph.

    Args:
        model: Any trained model.
        graph: The graph; its names are compared.
        facts: Facts in the graph's rows, ``(n, 3)``.

    Returns:
        bool ``(n,)``.
    """
    part = model.graph.parts.get(graph.name)
    if part is None:
        return np.zeros(len(facts), dtype=np.bool_)
    heads, relations, tails = facts.T
    entities = part.entity_rows_of(graph.entities.names)
    rows = entities[heads], part.relation_rows_of(graph.relations.names)[relations], entities[tails]
    return KnownFacts(model.graph.facts_of([graph.name])).contains(np.stack(rows, axis=1))


def _warn_of_trained(
    graph: KnowledgeGraph, split: Split, trained: NDArray[np.bool_], include: bool
) -> None:
    """Warn of held-out facts that the model was trained on.

    Raises:
        DataError: If that are all, and they are left out.
    """
    found = f"the model was trained on {trained.sum():,} of the {len(trained):,} {split} facts of "
    found += repr(graph.name)
    if trained.all() and not include:
        raise DataError(
            f"{found}, so none is left to measure",
            remedy="Give the collection that it was trained on, or include them: --include-trained "
            "(in Python include_trained=True)",
        )
    remedy = "Give the collection that it was trained on to silence this"
    if not include:
        remedy = "They are left out; --include-trained (in Python include_trained=True) ranks them"
    warnings.warn(describe(found, remedy=remedy), KgraftWarning, stacklevel=3)
