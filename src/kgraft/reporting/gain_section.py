"""Section of the report on what the student gained: by part of the facts and by relation."""

from __future__ import annotations

from markupsafe import Markup

from kgraft.inference.names import ModelNames
from kgraft.model.gain import RELATION_GAIN_METRIC, Gain, gains_of
from kgraft.model.trained_model import TrainedModel
from kgraft.reporting.figures import Figure, Panel, categories, dots, guide, linear, span
from kgraft.reporting.page import Macros, percent

MOST_DRAWN = 15
"""The maximum number of relations in the figure of gains."""


def gain_section(model: TrainedModel, templates: Macros) -> Markup:
    """Return the section on what the student gained: by part and by relation, with intervals."""
    by_part = gains_of(model.metrics)
    by_name = gains_of(model.metrics, RELATION_GAIN_METRIC)
    names = ModelNames(model)
    by_relation = {names.relation_label(names.relation_row(name)): x for name, x in by_name.items()}
    drawn = {**by_part, **dict(list(by_relation.items())[:MOST_DRAWN])}
    return templates.gain(
        head=["facts", "queries", "alone", "student", "gain", "95 % interval"],
        rows=[_row(name, x) for name, x in by_part.items()],
        figure=gain_figure(drawn).html(),
        relations=[_row(name, x) for name, x in by_relation.items()],
    )


def _row(name: str, x: Gain) -> list[str]:
    interval = "-"
    if x.low is not None and x.high is not None:
        interval = f"{100 * x.low:+.1f} to {100 * x.high:+.1f}"
    return [
        name, f"{x.queries:,}", percent(x.alone), percent(x.student),
        f"{100 * x.gain:+.1f}", interval,
    ]  # fmt: skip


def gain_figure(gains: dict[str, Gain]) -> Figure:
    """Draw each gain as a dot, and its interval as a bar."""
    ends = [y for x in gains.values() for y in (x.gain, x.low, x.high, 0.0) if y is not None]
    scale = linear([100 * y for y in ends])
    height = 80 + 22 * len(gains)
    panel = Panel(
        "Gain in MRR, percentage points", scale, categories([*gains], downwards=True), "points",
        height=height,
    )  # fmt: skip
    marks = [guide(panel, (0, panel.y.low), (0, panel.y.high))]
    texts = [f"{name} {100 * x.gain:+.1f}" for name, x in gains.items()]
    for place, x in enumerate(gains.values()):
        if x.low is not None and x.high is not None:
            marks.append(span(panel, (100 * x.low, place), (100 * x.high, place), 0))
    points = [(100 * x.gain, float(place)) for place, x in enumerate(gains.values())]
    marks.append(dots(panel, points, 0, text=lambda point: texts[int(point[1])]))
    return Figure(
        [panel.draw(marks, "; ".join(texts))],
        caption="Dots are the gain over training alone, bars its 95 % interval. "
        "Right of the dashed line the links help.",
    )
