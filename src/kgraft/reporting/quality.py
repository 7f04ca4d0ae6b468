"""Quality of a model's answers: by coverage, by relation, by degree, and of its probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup
from numpy.typing import NDArray

from kgraft.errors import DataError
from kgraft.evaluation.evaluate import Evaluation, Filter, Split, evaluate
from kgraft.evaluation.intervals import mean_interval
from kgraft.graph.vocabulary import Rows
from kgraft.inference.names import ModelNames
from kgraft.inference.predict import Predictor
from kgraft.inference.probability_check import check_probabilities
from kgraft.linking.collection import Collection
from kgraft.model.calibration import ReliabilityBin, reliability_bins
from kgraft.model.evidence import By
from kgraft.model.trained_model import TrainedModel
from kgraft.reporting.figures import (
    Figure,
    Panel,
    categories,
    curve,
    dots,
    guide,
    linear,
    logarithmic,
    span,
)
from kgraft.reporting.page import macros, percent

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
    include_trained: bool = False,
) -> list[Evaluation]:
    """Rank held-out facts of a model's target, or of each source of a teacher.

    Args:
        model: Any trained model.
        collection: The graphs and the links between them.
        target: Another graph to measure.
        split: The facts to ask for.
        by: How the model answers; by default the way that validation facts favour.
        include_trained: Rank facts that the model was trained on too.

    Returns:
        An evaluation for each graph that has such facts.

    Raises:
        UnknownNameError: If the collection has no such target.
        DataError: If the model does not know the names of what is measured.
    """
    target = target or model.target
    if target is None:
        # Graphs that the teacher has not seen cover none of its facts.
        seen = {name: x for name, x in collection.graphs.items() if name in model.graph.parts}
        collection = replace(collection, graphs=seen, target=None)
        if not seen:
            raise DataError(
                f"the collection {collection.name!r} holds none of the model's sources: "
                + ", ".join(model.graph.sources),
                remedy="Give the collection that it was trained on, or name a target",
            )
    chosen = list(collection.graphs) if target is None else [target]
    names = [x for x in chosen if len(getattr(collection.with_target(x).target_graph, split))]
    return [
        evaluate(
            model,
            collection,
            target=name,
            split=split,
            filters=[FILTERS[split]],
            by=by,
            max_facts=_max_facts(len(collection.graphs[name].entities), len(names)),
            include_trained=include_trained,
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
                figures = [*_figures(found[side, facts]), _interval(evaluation, facts)]
                rows.append([*named, facts, *figures, *sides])
    head = [*(["graph"] if several else []), "facts", *_HEAD, "MRR, 95 % interval"]
    head += ["MRR, tails", "MRR, heads"]
    return _PARTS.table(head, rows, range(1 + several))


def _interval(evaluation: Evaluation, part: str) -> str:
    """Return the 95 % interval of the MRR of a part of the facts, as text."""
    n = len(evaluation.facts)
    unseen = np.zeros(n, dtype=np.bool_) if evaluation.unseen is None else evaluation.unseen
    masks = {"all": np.ones(n, dtype=np.bool_), "covered": evaluation.covered, "unseen": unseen}
    masks |= {"uncovered": ~evaluation.covered, "seen": ~unseen}
    values, weights = of_facts(evaluation)
    chosen = None if weights is None else weights[masks[part]]
    found = mean_interval(values[masks[part]], chosen)
    return "-" if found is None else f"{percent(found[0])} to {percent(found[1])}"


def of_facts(
    evaluation: Evaluation,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return the mean reciprocal rank of each fact, and the facts' weights, ``(n,)`` each."""
    sides = [1 / found.by(evaluation.tie) for found in evaluation.ranks.values()]
    return np.mean(sides, axis=0), evaluation.weights


def relation_label(names: ModelNames, evaluation: Evaluation, name: str) -> str:
    """Return a relation's label where the model knows the relation, else its name."""
    part = names.model.graph.parts.get(evaluation.graph.name)
    if part is None or name not in part.relations:
        return name
    return names.relation_label(int(part.relation_rows[part.relations.row(name)]))


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
            _RELATION.format(row["relation"], relation_label(names, of, row["relation"])),
            *([of.graph.name] if several else []),
            *_figures(row),
        ]
        for _, of, row in rows[:MAX_RELATIONS]
    ]
    caption = f"The {MAX_RELATIONS} most frequent of {len(rows):,} relations"
    caption = caption if len(rows) > MAX_RELATIONS else ""
    head = ["relation", *(["graph"] if several else []), *_HEAD]
    return _PARTS.table(head, lines, range(1 + several), caption)


_HEAD = (
    "queries",
    "MRR",
    Markup('<span class="unseen">MRR, drawn</span>'),
    "Hits@1",
    "Hits@10",
)


def _figures(row: dict[str, Any]) -> list[str]:
    return [
        f"{row['queries']:,}",
        percent(row["mrr"]),
        _PARTS.bar(row["mrr"]),
        percent(row["hits@1"]),
        percent(row["hits@10"]),
    ]


def degrees_and_ranks(evaluations: Sequence[Evaluation]) -> tuple[Rows, NDArray[np.float64]]:
    """Return each answer's degree and its rank, ``(q,)`` each.

    The degree of an entity is the number of its graph's training facts about it.
    """
    degrees, ranks = [np.empty(0, dtype=np.int64)], [np.empty(0)]
    for x in evaluations:
        degree = np.bincount(x.graph.train[:, [0, 2]].ravel(), minlength=len(x.graph.entities))
        for (side, _), found in x.ranks.items():
            degrees.append(degree[x.facts[:, 2 if side == "tail" else 0]])
            ranks.append(found.by(x.tie))
    return np.concatenate(degrees), np.concatenate(ranks)


def group_by_degree(degrees: Rows, ranks: NDArray[np.float64]) -> pl.DataFrame:
    """Return the quartiles of ranks by degree: 0, 1, 2 to 3, 4 to 7 and so on.

    Returns:
        A row for each group with answers: ``degree`` as text, ``low``, number of ``queries``, and
        the quartiles ``lower``, ``median`` and ``upper``.
    """
    group = np.ceil(np.log2(degrees + 1)).astype(int)  # 0 for 0, 1 for 1, 2 for 2 and 3, ...
    low, high = (np.where(group > 0, 2 ** np.maximum(group - 1, 0), 0), 2**group - 1)
    name = pl.when(pl.col("high") > pl.col("low")).then(pl.format("{}–{}", "low", "high"))
    rank = pl.col("rank")
    return (
        pl.DataFrame({"low": low, "high": high, "rank": ranks})
        .group_by(name.otherwise(pl.format("{}", "low")).alias("degree"), "low")
        .agg(
            queries=pl.len(),
            lower=rank.quantile(0.25, "linear"),
            median=rank.median(),
            upper=rank.quantile(0.75, "linear"),
        )
        .sort("low")
    )


def degree_figure(groups: pl.DataFrame) -> Figure:
    """Draw the median rank of each group of ``group_by_degree``, and the quartiles."""
    panel = Panel(
        "Rank of the answer",
        categories(_ticks(groups["low"].to_list())),
        logarithmic([1.0, *groups["lower"], *groups["upper"]]),
        "training facts about the answer, at least",
    )
    rows = list(enumerate(groups.iter_rows(named=True)))
    spans = [span(panel, (place, x["lower"]), (place, x["upper"]), 0) for place, x in rows]
    medians = dots(panel, [(float(place), x["median"]) for place, x in rows], 0)
    text = "; ".join(f"degree {x['degree']}: median {x['median']:,.1f}" for _, x in rows)
    return Figure(
        [panel.draw([*spans, medians], text)],
        caption="Dots are median ranks (1 is best); half of the answers rank within the bar.",
    )


def degree_table(groups: pl.DataFrame) -> Markup:
    """Return the groups of ``group_by_degree`` as a table."""
    head = ["training facts about the answer", "queries", "lower quartile", "median", "upper"]
    rows = [
        [x["degree"], f"{x['queries']:,}", *(f"{x[y]:,.1f}" for y in ("lower", "median", "upper"))]
        for x in groups.iter_rows(named=True)
    ]
    return _PARTS.table(head, rows)


def _ticks(degrees: Sequence[int]) -> list[str]:
    """Return degrees as text, every other one where there are many."""
    step = 1 if len(degrees) <= MAX_TICKS else 2
    names = [f"{x // 1000}k" if x >= 1000 else str(x) for x in degrees]
    return [name if place % step == 0 else "" for place, name in enumerate(names)]


def held_out_reliability(
    model: TrainedModel, evaluation: Evaluation, by: By
) -> list[ReliabilityBin] | None:
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
        graph = graph.select(test=slice(0))  # play no part
    predictor = Predictor(model, graph.name, by)
    found = check_probabilities(predictor, graph, split=split, k=CHECKED, facts=evaluation.facts)
    return reliability_bins(found.probability, found.correct)


def reliability_figure(bins: Sequence[ReliabilityBin]) -> Figure:
    """Draw the share of right answers over their predicted probability, and the diagonal."""
    whole = linear([0.0, 100.0])
    panel = Panel("Right answers, percent", whole, whole, "predicted probability, percent")
    points = [(100 * x.probability, 100 * x.observed) for x in bins]
    marks = [
        guide(panel, (0, 0), (100, 100)),
        curve(panel, points, 0),
        dots(panel, points, 0, text=_right),
    ]
    text = "; ".join(f"predicted {x:.0f} %, right {y:.0f} %" for x, y in points)
    return Figure(
        [panel.draw(marks, text)],
        caption="On the dashed line, 70 of 100 answers with a probability of 70 percent are right.",
    )


def _right(point: tuple[float, float]) -> str:
    return f"predicted {point[0]:.0f} %, right {point[1]:.0f} %"


def reliability_table(bins: Sequence[ReliabilityBin]) -> Markup:
    """Return the same as a table."""
    rows = [
        [
            f"{100 * x.low:.0f} to {100 * x.high:.0f}",
            f"{x.count:,}",
            percent(x.probability),
            percent(x.observed),
        ]
        for x in bins
    ]
    return _PARTS.table(["probability, percent", "candidates", "mean", "right"], rows)
