"""The report of a model: how it was trained, how good its answers are, what it is made of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kgraft.evaluation.evaluate import Evaluation, Split
from kgraft.inference.rules import rules
from kgraft.linking.collection import Collection
from kgraft.model.calibration import calibration_error
from kgraft.model.evidence import By
from kgraft.model.trained_model import TrainedModel
from kgraft.reporting.entity_map import map_entities, map_figure
from kgraft.reporting.figures import Drawing, Figure, Panel, curve, dots, guide
from kgraft.reporting.markup import Markup, element
from kgraft.reporting.page import Section, folded, page, paragraph, percent, table, tiles
from kgraft.reporting.quality import (
    by_coverage,
    by_relation,
    degree_figure,
    degree_table,
    degrees_and_ranks,
    group_by_degree,
    measure_held_out,
)
from kgraft.reporting.reliability import (
    SHOWN,
    held_out_reliability,
    reliability_figure,
    reliability_table,
)
from kgraft.reporting.scale import linear
from kgraft.toml_settings import as_toml

RULES = 12
"""Rules that are shown."""

_NO_TERMS = ("epoch", "seconds", "queries_per_second", "validation_mrr")
"""What an epoch's entry in the log holds besides its loss terms."""

_WAYS = {"vectors": "its vectors", "rules": "rules and other sources", "both": "both"}


def report(
    model: TrainedModel,
    collection: Collection | None = None,
    *,
    target: str | None = None,
    split: Split = "valid",
    by: By | None = None,
    origin: Mapping[str, str] | None = None,
) -> str:
    """Return a model's report: one HTML page that needs nothing else to be read.

    Args:
        model: Any trained model.
        collection: Where given, held-out facts are measured: those of the model's target, or of a
            teacher's sources; a sample of them where there are many.
        target: A graph to measure instead.
        split: Which facts; test facts are for the end, when no choice is left to be made.
        by: What the model answers by; by default what its validation facts favour.
        origin: What else is known of where the model comes from, by name.

    Raises:
        UnknownNameError: If the collection has no such target.
        ValueError: If the model has no rules to answer by.
    """
    evaluations = None
    if collection is not None:
        evaluations = measure_held_out(model, collection, target=target, split=split, by=by)
    sections = [_training(model)]
    if evaluations is not None:
        sections += _quality(model, evaluations, split, by or model.answers_by)
    if model.target is not None:
        sections.append(_rules(model))
    sections.append(Section("Entities", [map_figure(model, map_entities(model))]))
    sections += [_settings(model), _provenance(model, origin or {})]
    name = model.kind.capitalize() + (f" for {model.target}" if model.target else "")
    return page(name, [paragraph(_lead(model), "lead"), _summary(model)], sections)


def _lead(model: TrainedModel) -> str:
    chosen = model.settings.model
    return (
        f"Encoder {chosen.encoder}, width {chosen.width}, "
        f"{model.kge.n_parameters:,} parameters, learned from {_listed(model.graph.sources)}."
    )


def _summary(model: TrainedModel) -> Markup:
    mrr = model.metrics.get("validation_mrr")
    if model.evidence is not None and model.evidence.mrr:
        mrr = model.evidence.mrr[model.answers_by]
    figures = {
        "entities with vectors": f"{model.kge.n_entities:,}",
        "relations": f"{model.graph.n_relations:,}",
        "facts": f"{len(model.graph.triples):,}",
        "epochs": f"{len(model.log)}",
        "best epoch": f"{model.metrics.get('best_epoch', '-')}",
        "validation MRR, percent": percent(mrr),
    }
    if model.evidence is not None:
        figures["answers by"] = model.answers_by
    return tiles(figures)


def _training(model: TrainedModel) -> Section:
    if not model.log:
        return Section("Training", [paragraph("No epoch is on record.")])
    seconds = sum(entry["seconds"] for entry in model.log)
    text = f"{_count(len(model.log), 'epoch')} in {seconds:,.1f} seconds."
    if all(entry.get("validation_mrr") is None for entry in model.log):
        text += " There were no validation facts to choose the best epoch by: the last one is kept."
    terms = _terms(model.log)
    head = ["epoch", *terms, "validation MRR", "seconds"]
    rows = [
        [
            str(entry["epoch"]),
            *("-" if entry.get(term) is None else f"{entry[term]:.4f}" for term in terms),
            percent(entry.get("validation_mrr")),
            f"{entry['seconds']:,.1f}",
        ]
        for entry in model.log
    ]
    figure = training_figure(model.log, model.metrics.get("best_epoch"))
    epochs = folded("Every epoch in figures", table(head, rows))
    return Section("Training", [paragraph(text), figure.html(), epochs])


def _terms(log: Sequence[Mapping[str, Any]]) -> list[str]:
    return [key for key in dict.fromkeys(x for entry in log for x in entry) if key not in _NO_TERMS]


def training_figure(log: Sequence[Mapping[str, Any]], best_epoch: int | None) -> Figure:
    """Draw the validation MRR, where it was looked at, and each term of the loss, by epoch."""
    looked = [entry for entry in log if entry.get("validation_mrr") is not None]
    drawings = []
    if looked:
        points = [(float(x["epoch"]), 100 * x["validation_mrr"]) for x in looked]
        best = [point for point in points if point[0] == best_epoch]
        drawings.append(_over_epochs("Validation MRR, percent", points, log, style=0, best=best))
    for term in sorted(_terms(log), key=lambda term: term != "loss"):
        points = [(float(x["epoch"]), float(x.get(term, math.nan))) for x in log]
        drawings.append(_over_epochs(_loss_name(term), points, log, style=1))
    caption = "Losses are means over an epoch's queries, each term before it is weighed."
    if looked:
        caption = "The dashed line marks the best epoch, whose state is kept. " + caption
    return Figure(drawings, caption=caption)


def _loss_name(term: str) -> str:
    return "Loss, the weighted sum" if term == "loss" else f"Loss: {term}"


def _over_epochs(
    title: str,
    points: Sequence[tuple[float, float]],
    log: Sequence[Mapping[str, Any]],
    *,
    style: int,
    best: Sequence[tuple[float, float]] = (),
) -> Drawing:
    epochs = linear([float(entry["epoch"]) for entry in log], whole=True)
    panel = Panel(title, epochs, linear(y for _, y in points), "epoch")
    marks = [guide(panel, (x, panel.y.low), (x, panel.y.high)) for x, _ in best]
    marks += [curve(panel, points, style), dots(panel, points, style)]
    first, last = points[0], points[-1]
    said = f"From {first[1]:.4g} at epoch {first[0]:.0f} to {last[1]:.4g} at epoch {last[0]:.0f}."
    if best:
        said += f" Best at epoch {best[0][0]:.0f}: {best[0][1]:.4g}."
    return panel.draw(marks, said)


def _quality(
    model: TrainedModel, evaluations: Sequence[Evaluation], split: Split, by: By
) -> list[Section]:
    what = {"valid": "validation", "test": "test"}[split]
    if not evaluations:
        return [Section("Quality", [paragraph(f"There are no {what} facts to measure.")])]
    notes = [paragraph(_protocol(evaluations, what, _WAYS[by]))]
    if split == "valid":
        notes.append(_flattering(model, by))
    groups = group_by_degree(*degrees_and_ranks(evaluations))
    degrees = [degree_figure(groups).html(), folded("The same in figures", degree_table(groups))]
    return [
        Section("Quality", [*notes, by_coverage(evaluations), _validated(model)]),
        Section("Quality by relation", [by_relation(model, evaluations)]),
        *_calibration(model, evaluations, by),
        Section("Degree and rank", degrees),
    ]


def _flattering(model: TrainedModel, by: By) -> Markup:
    chosen = ["the best epoch"]
    chosen += ["the weights of the rules"] if by == "both" else []
    chosen += ["the probabilities"] if by in model.calibration else []
    return element(
        "p",
        f"These facts chose {_listed(chosen)}, so the figures flatter a little. ",
        element("code", "kgraft report MODEL COLLECTION --split test"),
        " measures facts that no choice has looked at.",
        class_="note",
    )


def _calibration(model: TrainedModel, evaluations: Sequence[Evaluation], by: By) -> list[Section]:
    sections = []
    for evaluation in evaluations:
        bins = held_out_reliability(model, evaluation, by)
        if bins:
            text = (
                f"Expected calibration error: {100 * calibration_error(bins):.1f} points, over "
                f"{sum(x.count for x in bins):,} candidates: the {SHOWN} best answers to each "
                f"question that are not stated yet. True is what the held-out facts state."
            )
            more = folded("The same in figures", reliability_table(bins))
            body = [paragraph(text), reliability_figure(bins).html(), more]
            sections.append(Section("Calibration", body))
    return sections


def _protocol(evaluations: Sequence[Evaluation], what: str, way: str) -> str:
    asked = []
    for evaluation in evaluations:
        n, whole = len(evaluation.facts), len(getattr(evaluation.graph, evaluation.split))
        size = f"{n:,}" if n == whole else f"a sample of {n:,} of the {whole:,}"
        asked.append(f"{size} {what} facts of {evaluation.graph.name}")
    return (
        f"Asked for both ends of {'; '.join(asked)}. Each answer is ranked among the graph's own "
        f"entities, other known answers left out; the model answers by {way}. Covered facts are "
        "stated by another source too, so they can be copied; uncovered ones cannot. In percent."
    )


def _validated(model: TrainedModel) -> Markup:
    """Return what each way to answer has reached on validation facts, where there are several."""
    if model.evidence is None or not model.evidence.mrr:
        return Markup()
    ways = ", ".join(f"by {_WAYS[by]} {percent(x)}" for by, x in model.evidence.mrr.items())
    return paragraph(f"Validation MRR by each way to answer: {ways}.", "note")


def _rules(model: TrainedModel) -> Section:
    if model.evidence is None:
        return Section("Rules", [paragraph("This model has no rules.")])
    n = len(model.evidence.rules.frame)
    found = rules(model, k=RULES, n_examples=0) if n else []
    rows = [[x.text, f"{x.confidence:.2f}", f"{x.support:,}"] for x in found]
    if not rows:
        return Section("Rules", [paragraph("No rule was found.")])
    text = f"{_count(n, 'rule')}; the surest, with the number of facts that each explains:"
    return Section("Rules", [paragraph(text), table(["rule", "confidence", "explains"], rows)])


def _settings(model: TrainedModel) -> Section:
    written = element("pre", as_toml(model.settings))
    return Section("Settings", [folded("All settings, as TOML", written)])


def _provenance(model: TrainedModel, origin: Mapping[str, str]) -> Section:
    graph = model.graph
    counts = [int((graph.triple_sources == place).sum()) for place in range(len(graph.parts))]
    rows = [
        [name, f"{len(part.entities):,}", f"{len(part.relations):,}", f"{count:,}"]
        for (name, part), count in zip(graph.parts.items(), counts, strict=True)
    ]
    parts = [table(["source", "entities", "relations", "facts learned from"], rows)]
    if origin:
        known = [[name, element("code", value)] for name, value in origin.items()]
        parts.append(table(["of the model", ""], known, words=(0, 1)))
    merged = sum(len(part.entities) for part in graph.parts.values()) - graph.n_entities
    text = f"Links make {_count(merged, 'entity', 'entities')} of these one with another."
    if beyond := graph.n_entities - model.kge.n_entities:
        text += f" {beyond:,} have no vector; only rules speak of them."
    parts.append(paragraph(text, "note"))
    return Section("Provenance", parts)


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _count(number: int, one: str, several: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else several or one + 's'}"
