"""The report of a model as one HTML page: a verdict, what was gained, quality, training, origin."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from kgraft.evaluation.evaluate import Evaluation, Split
from kgraft.inference.rules import rules
from kgraft.linking.collection import Collection
from kgraft.model.calibration import calibration_error
from kgraft.model.evidence import By
from kgraft.model.gain import gains_of
from kgraft.model.trained_model import TrainedModel
from kgraft.reporting.completeness import facts_to_add
from kgraft.reporting.entity_map import map_entities, map_figure
from kgraft.reporting.figures import Drawing, Figure, Panel, curve, dots, guide, linear
from kgraft.reporting.gain_section import gain_section
from kgraft.reporting.page import Macros, macros, page, percent
from kgraft.reporting.quality import (
    CHECKED,
    by_coverage,
    by_relation,
    degree_figure,
    degree_table,
    degrees_and_ranks,
    group_by_degree,
    held_out_reliability,
    measure_held_out,
    reliability_figure,
    reliability_table,
)
from kgraft.reporting.verdict import verdict
from kgraft.system.forks import require_threads
from kgraft.toml_settings import as_toml

MAX_RULES = 12
"""The maximum number of rules shown."""

_NO_TERMS = ("epoch", "seconds", "queries_per_second", "validation_mrr")
"""Columns of the training log that are no terms of the loss."""

_MEANINGS = {
    "task": "training facts",
    "rules": "facts that rules infer",
    "regularization": "the size of the vectors",
    "feature": "the distance to the teacher's vectors",
    "network": "the distance to the teacher's query vectors",
    "prediction": "the distance to the teacher's scores",
    "loss": "their weighted sum",
}

_WAYS = {
    "vectors": "vectors alone",
    "rules": "rules and other sources alone",
    "both": "vectors and rules together",
}


def report(
    model: TrainedModel,
    collection: Collection | None = None,
    *,
    target: str | None = None,
    split: Split = "valid",
    by: By | None = None,
    include_trained: bool = False,
    origin: Mapping[str, str] | None = None,
) -> str:
    """Return a model's report: one HTML page that loads nothing from outside.

    It begins with how good the model is, what for, and what to do next.

    Args:
        model: Any trained model.
        collection: If given, held-out facts are measured: those of the model's target, or of a
            teacher's sources; a sample of them where there are many.
        target: Another graph to measure.
        split: The held-out facts to measure; use test facts only after all choices are made.
        by: How the model answers; by default the way that validation facts favour.
        include_trained: Rank held-out facts that the model was trained on too.
        origin: Further facts about the origin of the model, by name.

    Raises:
        UnknownNameError: If the collection has no such target.
        ValueError: If the model has no rules to answer by.
    """
    require_threads()
    templates = macros("model_report.html")
    chosen_by = by or model.answers_by
    evaluations = list[Evaluation]()
    if collection is not None:
        evaluations = measure_held_out(
            model, collection, target=target, split=split, by=by, include_trained=include_trained
        )
    found = verdict(model, evaluations, split, chosen_by)
    sections = {"In short": templates.verdict(found)}
    if gains_of(model.metrics):
        sections["Gained by grafting"] = gain_section(model, templates)
    if collection is not None:
        sections |= _quality(model, evaluations, split, chosen_by, templates)
    if model.fact_probability is not None:
        sections["Facts to add"] = facts_to_add(model, templates)
    sections["Training"] = _training(model, templates)
    if model.target is not None:
        sections["Rules"] = _rules(model, templates)
    sections["Entities"] = map_figure(model, map_entities(model))
    sections["Settings"] = templates.settings(as_toml(model.settings))
    sections["Provenance"] = _provenance(model, origin or {}, templates)
    chosen = model.settings.model
    lead = (
        f"Encoder {chosen.encoder}, width {chosen.width}, {model.kge.n_parameters:,} parameters; "
        f"trained on {_listed(model.graph.sources)}."
    )
    name = model.kind.capitalize() + (f" for {model.target}" if model.target else "")
    return page(name, lead, sections, _tiles(model))


def _tiles(model: TrainedModel) -> dict[str, str]:
    mrr = model.metrics.get("validation_mrr")
    if model.evidence is not None and model.evidence.mrr:
        mrr = model.evidence.mrr[model.answers_by]
    gain = gains_of(model.metrics).get("all")
    figures = {"validation MRR, percent": percent(mrr)}
    figures |= {} if gain is None else {"gained, points of MRR": f"{100 * gain.gain:+.1f}"}
    figures |= {
        "entities with vectors": f"{model.kge.n_entities:,}",
        "relations": f"{model.graph.n_relations:,}",
        "training facts": f"{len(model.graph.triples):,}",
        "epochs": f"{len(model.log)}",
        "best epoch": f"{model.metrics.get('best_epoch', '-')}",
    }
    answers_by = "vectors and rules" if model.answers_by == "both" else model.answers_by
    return figures | ({"answers by": answers_by} if model.evidence is not None else {})


def _training(model: TrainedModel, templates: Macros) -> Markup:
    terms = _terms(model.log)
    rows = [
        [
            str(entry["epoch"]),
            *("-" if entry.get(term) is None else f"{entry[term]:.4f}" for term in terms),
            percent(entry.get("validation_mrr")),
            f"{entry.get('seconds') or 0.0:,.1f}",
        ]
        for entry in model.log
    ]
    return templates.training(
        epochs=_count(len(model.log), "epoch") if model.log else "",
        seconds=sum(entry.get("seconds") or 0.0 for entry in model.log),
        validated=any(entry.get("validation_mrr") is not None for entry in model.log),
        meanings={term: _MEANINGS[term] for term in terms if term in _MEANINGS},
        figure=training_figure(model.log, model.metrics.get("best_epoch")).html(),
        head=["epoch", *terms, "validation MRR", "seconds"],
        rows=rows,
    )


def _terms(log: Sequence[Mapping[str, Any]]) -> list[str]:
    return [key for key in dict.fromkeys(x for entry in log for x in entry) if key not in _NO_TERMS]


def training_figure(log: Sequence[Mapping[str, Any]], best_epoch: int | None) -> Figure:
    """Draw the validation MRR, where it was measured, and each term of the loss, by epoch."""
    measured = [entry for entry in log if entry.get("validation_mrr") is not None]
    drawings = []
    if measured:
        points = [(float(x["epoch"]), 100 * x["validation_mrr"]) for x in measured]
        best = [point for point in points if point[0] == best_epoch]
        drawings.append(
            _over_epochs("Validation MRR by vectors, percent", points, log, style=0, best=best)
        )
    for term in sorted(_terms(log), key=lambda term: term != "loss"):
        points = [(float(x["epoch"]), float(x.get(term, math.nan))) for x in log]
        title = "Loss, the weighted sum" if term == "loss" else f"Loss: {term}"
        drawings.append(_over_epochs(title, points, log, style=1))
    caption = "Losses are means over an epoch's queries; each part is shown before it is weighted."
    if measured:
        caption = f"The dashed line marks the best epoch, whose weights are kept. {caption}"
    return Figure(drawings, caption=caption)


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
    marks += [curve(panel, points, style)]
    marks.append(dots(panel, points, style, text=lambda x: f"epoch {x[0]:.0f}: {x[1]:.4g}"))
    first, last = points[0], points[-1]
    text = f"From {first[1]:.4g} at epoch {first[0]:.0f} to {last[1]:.4g} at epoch {last[0]:.0f}."
    if best:
        text += f" Best at epoch {best[0][0]:.0f}: {best[0][1]:.4g}."
    return panel.draw(marks, text)


def _quality(
    model: TrainedModel, evaluations: Sequence[Evaluation], split: Split, by: By, templates: Macros
) -> dict[str, Markup]:
    kind = {"valid": "validation", "test": "test"}[split]
    if not evaluations:
        return {"Quality": Markup("<p>There are no {} facts to measure.</p>").format(kind)}
    choices = ["the best epoch"]
    choices += ["the weights of the rules"] if by == "both" else []
    choices += ["the calibration of probabilities"] if by in model.calibration else []
    mrr = {} if model.evidence is None else model.evidence.mrr
    groups = group_by_degree(*degrees_and_ranks(evaluations))
    return {
        "Quality": templates.quality(
            measured="; ".join(_measured(evaluation, kind) for evaluation in evaluations),
            way=_WAYS[by],
            choices=_listed(choices) if split == "valid" else "",
            coverage=by_coverage(evaluations),
            ways=", ".join(f"by {_WAYS[way]} {percent(x)}" for way, x in mrr.items()),
        ),
        "Quality by relation": by_relation(model, evaluations),
        **_calibration(model, evaluations, by, templates),
        "Degree and rank": templates.degree(degree_figure(groups).html(), degree_table(groups)),
    }


def _measured(evaluation: Evaluation, kind: str) -> str:
    n, trained = len(evaluation.facts), evaluation.trained_on
    whole = len(getattr(evaluation.graph, evaluation.split))
    whole -= trained if evaluation.left_out else 0
    size = f"{n:,}" if n == whole else f"a sample of {n:,} of the {whole:,}"
    measured = f"{size} {kind} facts of {evaluation.graph.name}"
    if not trained:
        return measured
    if evaluation.left_out:
        return f"{measured} ({trained:,} more are left out, as the model was trained on them)"
    return f"{measured} (the model was trained on {trained:,} of all {whole:,})"


def _calibration(
    model: TrainedModel, evaluations: Sequence[Evaluation], by: By, templates: Macros
) -> dict[str, Markup]:
    for evaluation in evaluations:
        bins = held_out_reliability(model, evaluation, by)
        if bins:
            candidates = sum(x.count for x in bins)
            figure, table = reliability_figure(bins).html(), reliability_table(bins)
            error = calibration_error(bins)
            return {
                "Probability if asked": templates.calibration(
                    error, candidates, CHECKED, figure, table
                )
            }
    return {}


def _rules(model: TrainedModel, templates: Macros) -> Markup:
    n = 0 if model.evidence is None else len(model.evidence.rules.frame)
    shown = rules(model, k=MAX_RULES, n_examples=0) if n else []
    rows = [[x.text, f"{x.confidence:.2f}", f"{x.support:,}"] for x in shown]
    return templates.rules(model.evidence is not None, _count(n, "rule"), rows)


def _provenance(model: TrainedModel, origin: Mapping[str, str], templates: Macros) -> Markup:
    graph = model.graph
    counts = [int((graph.triple_sources == place).sum()) for place in range(len(graph.parts))]
    return templates.provenance(
        rows=[
            [name, f"{len(part.entities):,}", f"{len(part.relations):,}", f"{count:,}"]
            for (name, part), count in zip(graph.parts.items(), counts, strict=True)
        ],
        origin=[[name, Markup("<code>{}</code>").format(x)] for name, x in origin.items()],
        merged=sum(len(part.entities) for part in graph.parts.values()) - graph.n_entities,
        without_vector=graph.n_entities - model.kge.n_entities,
    )


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
