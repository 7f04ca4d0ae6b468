"""How good a model's answers are: by side and coverage, by relation, by the answer's degree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgraft.evaluation.evaluate import Evaluation, Filter, Split, evaluate
from kgraft.inference.names import ModelNames
from kgraft.linking.collection import Collection
from kgraft.linking.joint_graph import join
from kgraft.model.evidence import By
from kgraft.model.trained_model import TrainedModel
from kgraft.reporting.figures import Figure, Panel, dots, span
from kgraft.reporting.markup import Markup, element
from kgraft.reporting.page import bar, percent, table
from kgraft.reporting.scale import categories, logarithmic

MAX_FACTS = 5000
"""Facts that are measured, all graphs together: enough to tell an MRR to half a point."""

MAX_SCORES = 2 * 10**9
"""Scores that they take, at most, so that a report on a large graph takes no more than a minute."""

MAX_RELATIONS = 40
"""Relations that are listed, the most frequent ones."""

MAX_TICKS = 9
"""Numbers that have room below a panel."""

FILTERS: dict[Split, Filter] = {"valid": "train+valid", "test": "all"}
"""Which facts are no wrong answers; test facts play no part where validation facts are asked."""


def measure_held_out(
    model: TrainedModel,
    collection: Collection,
    *,
    target: str | None = None,
    split: Split = "valid",
    by: By | None = None,
) -> list[Evaluation]:
    """Rank held-out facts of the graph that a model is for; of a teacher, of each of its sources.

    Args:
        model: Any trained model.
        collection: Holds the graphs and the links between them.
        target: A graph to measure instead.
        split: Which facts are asked for.
        by: What the model answers by; by default what its validation facts favour.

    Returns:
        An evaluation of each graph that has such facts.

    Raises:
        UnknownNameError: If the collection has no such target.
    """
    target = target or model.target
    if target is None:
        # What the teacher has not seen covers none of its facts.
        seen = {name: x for name, x in collection.graphs.items() if name in model.graph.parts}
        collection = replace(collection, graphs=seen, target=None)
    chosen = list(collection.graphs) if target is None else [target]
    names = [x for x in chosen if len(getattr(collection.with_target(x).target_graph, split))]
    joint = join(list(collection.graphs.values()), collection.links) if names else None
    return [
        evaluate(
            model,
            collection,
            target=name,
            split=split,
            filters=[FILTERS[split]],
            by=by,
            max_facts=_max_facts(len(collection.graphs[name].entities), len(names)),
            joint=joint,
        )
        for name in names
    ]


def _max_facts(n_entities: int, n_graphs: int) -> int:
    """Return how many facts of a graph are measured, both ends of each asked for."""
    return max(min(MAX_FACTS, MAX_SCORES // (2 * n_entities)) // n_graphs, 1)


def by_coverage(evaluations: Sequence[Evaluation]) -> Markup:
    """Return a table with a row for each part of the facts, of each graph where there are more."""
    several = len(evaluations) > 1
    rows = []
    for evaluation in evaluations:
        found = {(row["side"], row["facts"]): row for row in evaluation.rows()}
        for side, facts in found:
            if side == "both":
                sides = (percent(found[one, facts]["mrr"]) for one in ("tail", "head"))
                named = [evaluation.graph.name] if several else []
                rows.append([*named, facts, *_figures(found[side, facts]), *sides])
    head = [*(["graph"] if several else []), "facts", *_HEAD, "MRR, tails", "MRR, heads"]
    return table(head, rows, words=range(1 + several))


def by_relation(model: TrainedModel, evaluations: Sequence[Evaluation]) -> Markup:
    """Return a table with a row for each of the most frequent relations, of both sides."""
    rows = [
        (row["queries"], evaluation, row)
        for evaluation in evaluations
        for row in evaluation.by_relation()
        if row["side"] == "both"
    ]
    rows.sort(key=lambda found: -found[0])
    several = len(evaluations) > 1
    named = ModelNames(model)
    lines = [
        [
            element("span", _relation_label(named, of, row["relation"]), title=row["relation"]),
            *([of.graph.name] if several else []),
            *_figures(row),
        ]
        for _, of, row in rows[:MAX_RELATIONS]
    ]
    whole = f"The {MAX_RELATIONS} most frequent of {len(rows):,} relations"
    caption = whole if len(rows) > MAX_RELATIONS else ""
    head = ["relation", *(["graph"] if several else []), *_HEAD]
    return table(head, lines, words=range(1 + several), caption=caption)


def _relation_label(named: ModelNames, evaluation: Evaluation, name: str) -> str:
    """Return a relation's readable name, which needs a model that knows the relation."""
    part = named.model.graph.parts.get(evaluation.graph.name)
    if part is None or name not in part.relations:
        return name
    return named.relation_label(int(part.relation_rows[part.relations.row(name)]))


_HEAD = ("queries", "MRR", "", "Hits@1", "Hits@10")


def _figures(row: dict[str, Any]) -> list[str]:
    return [
        f"{row['queries']:,}",
        percent(row["mrr"]),
        bar(row["mrr"]),
        percent(row["hits@1"]),
        percent(row["hits@10"]),
    ]


@dataclass(frozen=True)
class DegreeGroup:
    """Answers of a similar degree.

    Args:
        least: The least degree of the group.
        most: The most.
        queries: How many answers there are.
        quartiles: The rank that a quarter of them, half of them and three quarters reach.
    """

    least: int
    most: int
    queries: int
    quartiles: tuple[float, float, float]

    @property
    def name(self) -> str:
        """The degrees in words."""
        return str(self.least) if self.least == self.most else f"{self.least}–{self.most}"


def degrees_and_ranks(
    evaluations: Sequence[Evaluation],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each answer's degree and its rank, ``(q,)`` each.

    The degree of an entity is the number of training facts of its graph that it is an end of.
    """
    degrees, ranks = [np.empty(0, dtype=np.int64)], [np.empty(0)]
    for evaluation in evaluations:
        graph = evaluation.graph
        ends = graph.train[:, [0, 2]].ravel()
        degree = np.bincount(ends, minlength=len(graph.entities))
        for (side, _), found in evaluation.ranks.items():
            degrees.append(degree[evaluation.facts[:, 2 if side == "tail" else 0]])
            ranks.append(found.by(evaluation.tie))
    return np.concatenate(degrees), np.concatenate(ranks)


def group_by_degree(degrees: NDArray[np.int64], ranks: NDArray[np.float64]) -> list[DegreeGroup]:
    """Group answers by degree: 0, 1, 2 to 3, 4 to 7 and so on, those groups that have any."""
    power = np.ceil(np.log2(degrees + 1)).astype(int)  # 0 for 0, 1 for 1, 2 for 2 and 3, ...
    groups = []
    for number in np.unique(power).tolist():
        found = ranks[power == number]
        low, middle, high = np.quantile(found, (0.25, 0.5, 0.75)).tolist()
        first = 2 ** (number - 1) if number else 0
        last = 2**number - 1
        groups.append(DegreeGroup(first, last, len(found), (low, middle, high)))
    return groups


def degree_figure(groups: Sequence[DegreeGroup]) -> Figure:
    """Draw the median rank of each group, and the ranks between the quartiles."""
    panel = Panel(
        "Rank of the answer",
        categories(_ticks(groups)),
        logarithmic([1.0, *(rank for group in groups for rank in group.quartiles)]),
        "training facts about the answer, at least",
    )
    middles = [(float(place), group.quartiles[1]) for place, group in enumerate(groups)]
    spans = [
        span(panel, (place, group.quartiles[0]), (place, group.quartiles[2]), 0)
        for place, group in enumerate(groups)
    ]
    said = "; ".join(f"degree {x.name}: median {x.quartiles[1]:,.1f}" for x in groups)
    return Figure(
        [panel.draw([*spans, dots(panel, middles, 0)], said)],
        caption="Dots are medians; half of the answers rank within the bar. 1 is best.",
    )


def degree_table(groups: Sequence[DegreeGroup]) -> Markup:
    """Return the same as a table."""
    head = ["training facts about the answer", "queries", "first quartile", "median", "third"]
    rows = [
        [group.name, f"{group.queries:,}", *(f"{rank:,.1f}" for rank in group.quartiles)]
        for group in groups
    ]
    return table(head, rows)


def _ticks(groups: Sequence[DegreeGroup]) -> list[str]:
    """Return the least degree of each group, of every other one where there are many."""
    step = 1 if len(groups) <= MAX_TICKS else 2
    names = [f"{x.least // 1000}k" if x.least >= 1000 else str(x.least) for x in groups]
    return [name if place % step == 0 else "" for place, name in enumerate(names)]
