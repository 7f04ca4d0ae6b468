"""Quality of a model's answers: by coverage, by relation, by degree, and of its probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from kgraft.evaluation.evaluate import Evaluation, Filter, Split, evaluate
from kgraft.graph.knowledge_graph import no_triples
from kgraft.inference.names import ModelNames
from kgraft.inference.predict import Predictor
from kgraft.inference.probability_check import check_probabilities
from kgraft.linking.collection import Collection
from kgraft.linking.joint_graph import join
from kgraft.model.calibration import Reliability, reliability
from kgraft.model.evidence import By
from kgraft.model.trained_model import TrainedModel
from kgraft.reporting.figures import Figure, Panel, curve, dots, guide, span
from kgraft.reporting.page import macros, percent
from kgraft.reporting.scale import categories, linear, logarithmic

MAX_FACTS = 5000
"""The maximum number of facts measured, over all graphs: an MRR to within half a point."""

MAX_SCORES = 2 * 10**9
"""The maximum number of scores computed, so that a large graph takes no more than a minute."""

MAX_RELATIONS = 40
"""The maximum number of relations listed, the most frequent ones."""

MAX_TICKS = 9
"""The maximum number of ticks below a panel."""

CHECKED = 10
"""The number of best answers to each query whose probabilities are checked."""

_PARTS = macros("parts.html")
_RELATION = Markup('<span title="{}">{}</span>')

FILTERS: dict[Split, Filter] = {"valid": "train+valid", "test": "all"}
"""The known facts left out of each split's ranking; test facts play no part in validation."""


def measure_held_out(
    model: TrainedModel,
    collection: Collection,
    *,
    target: str | None = None,
    split: Split = "valid",
    by: By | None = None,
) -> list[Evaluation]:
    """Rank held-out facts of a model's target, or of each source of a teacher.

    Args:
        model: Any trained model.
        collection: The graphs and the links between them.
        target: Another graph to measure.
        split: The facts to ask for.
        by: How the model answers; by default the way that validation facts favour.

    Returns:
        An evaluation for each graph that has such facts.

    Raises:
        UnknownNameError: If the collection has no such target.
    """
    target = target or model.target
    if target is None:
        # Graphs that the teacher has not seen cover none of its facts.
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
    """Return the number of a graph's facts to measure, each asked for both ends."""
    return max(min(MAX_FACTS, MAX_SCORES // (2 * n_entities)) // n_graphs, 1)


def by_coverage(evaluations: Sequence[Evaluation]) -> Markup:
    """Return a table with a row for all, covered and uncovered facts of each graph."""
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
    return _PARTS.table(head, rows, range(1 + several))


def by_relation(model: TrainedModel, evaluations: Sequence[Evaluation]) -> Markup:
    """Return a table of the most frequent relations, both sides together."""
    rows = [
        (row["queries"], evaluation, row)
        for evaluation in evaluations
        for row in evaluation.by_relation()
        if row["side"] == "both"
    ]
    rows.sort(key=lambda found: -found[0])
    several = len(evaluations) > 1
    names = ModelNames(model)
    lines = [
        [
            _RELATION.format(row["relation"], _relation_label(names, of, row["relation"])),
            *([of.graph.name] if several else []),
            *_figures(row),
        ]
        for _, of, row in rows[:MAX_RELATIONS]
    ]
    caption = f"The {MAX_RELATIONS} most frequent of {len(rows):,} relations"
    caption = caption if len(rows) > MAX_RELATIONS else ""
    head = ["relation", *(["graph"] if several else []), *_HEAD]
    return _PARTS.table(head, lines, range(1 + several), caption)


def _relation_label(names: ModelNames, evaluation: Evaluation, name: str) -> str:
    """Return a relation's label where the model knows the relation, else its name."""
    part = names.model.graph.parts.get(evaluation.graph.name)
    if part is None or name not in part.relations:
        return name
    return names.relation_label(int(part.relation_rows[part.relations.row(name)]))


_HEAD = ("queries", "MRR", "", "Hits@1", "Hits@10")


def _figures(row: dict[str, Any]) -> list[str]:
    return [
        f"{row['queries']:,}",
        percent(row["mrr"]),
        _PARTS.bar(row["mrr"]),
        percent(row["hits@1"]),
        percent(row["hits@10"]),
    ]


@dataclass(frozen=True)
class DegreeGroup:
    """Answers of a similar degree.

    Args:
        low: The lowest degree of the group.
        high: The highest.
        queries: The number of answers.
        quartiles: The quartiles of their ranks.
    """

    low: int
    high: int
    queries: int
    quartiles: tuple[float, float, float]

    @property
    def name(self) -> str:
        """The degrees in words."""
        return str(self.low) if self.low == self.high else f"{self.low}–{self.high}"


def degrees_and_ranks(
    evaluations: Sequence[Evaluation],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each answer's degree and its rank, ``(q,)`` each.

    The degree of an entity is the number of its graph's training facts about it.
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
    """Group answers by degree: 0, 1, 2 to 3, 4 to 7 and so on, without empty groups."""
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
    text = "; ".join(f"degree {x.name}: median {x.quartiles[1]:,.1f}" for x in groups)
    return Figure(
        [panel.draw([*spans, dots(panel, middles, 0)], text)],
        caption="Dots are median ranks (1 is best); half of the answers rank within the bar.",
    )


def degree_table(groups: Sequence[DegreeGroup]) -> Markup:
    """Return the same as a table."""
    head = ["training facts about the answer", "queries", "lower quartile", "median", "upper"]
    rows = [
        [group.name, f"{group.queries:,}", *(f"{rank:,.1f}" for rank in group.quartiles)]
        for group in groups
    ]
    return _PARTS.table(head, rows)


def _ticks(groups: Sequence[DegreeGroup]) -> list[str]:
    """Return the lowest degree of each group, of every other one where there are many."""
    step = 1 if len(groups) <= MAX_TICKS else 2
    names = [f"{x.low // 1000}k" if x.low >= 1000 else str(x.low) for x in groups]
    return [name if place % step == 0 else "" for place, name in enumerate(names)]


def held_out_reliability(
    model: TrainedModel, evaluation: Evaluation, by: By
) -> list[Reliability] | None:
    """Compare probabilities with held-out facts, in ten bins.

    Args:
        model: The model.
        evaluation: The facts to ask for.
        by: How the model answers.

    Returns:
        The bins that have candidates, or None where the model gives no probabilities.
    """
    graph, split = evaluation.graph, evaluation.split
    if model.target != graph.name or by not in model.calibration:
        return None
    if split == "valid":
        graph = replace(graph, test=no_triples())  # play no part
    predictor = Predictor(model, graph.name, by)
    found = check_probabilities(predictor, graph, split=split, k=CHECKED, facts=evaluation.facts)
    return reliability(found.probability, found.correct)


def reliability_figure(bins: Sequence[Reliability]) -> Figure:
    """Draw the share of right answers over their predicted probability, and the diagonal."""
    whole = linear([0.0, 100.0])
    panel = Panel("Right answers, percent", whole, whole, "predicted probability, percent")
    points = [(100 * x.probability, 100 * x.truth) for x in bins]
    marks = [guide(panel, (0, 0), (100, 100)), curve(panel, points, 0), dots(panel, points, 0)]
    text = "; ".join(f"predicted {x:.0f} %, right {y:.0f} %" for x, y in points)
    return Figure(
        [panel.draw(marks, text)],
        caption="On the dashed line, 70 of 100 answers with a probability of 70 percent are right.",
    )


def reliability_table(bins: Sequence[Reliability]) -> Markup:
    """Return the same as a table."""
    rows = [
        [
            f"{100 * x.low:.0f} to {100 * x.high:.0f}",
            f"{x.count:,}",
            percent(x.probability),
            percent(x.truth),
        ]
        for x in bins
    ]
    return _PARTS.table(["probability, percent", "candidates", "mean", "right"], rows)
