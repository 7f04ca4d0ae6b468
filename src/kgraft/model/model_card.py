"""The model card: a description of a model in its directory or on a model hub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kgraft.model.gain import GAIN_COLUMNS, GAIN_METRIC, gain_rows
from kgraft.model.trained_model import TrainedModel

_KINDS = {
    "single": "An embedding of one knowledge graph, trained on its own facts.",
    "joint": "An embedding of several linked knowledge graphs, trained together from scratch.",
    "teacher": "A teacher: pre-trained on linked knowledge graphs, to be re-trained for a target.",
    "student": "A student: re-trained for its target on the linked subgraph of a teacher.",
}

_CARD = """\
---
library_name: kgraft
pipeline_tag: graph-ml
tags:
- knowledge-graph
- knowledge-graph-embedding
- knowledge-graph-completion
- link-prediction
---

# {kind} model{target}

{description}

- Encoder: {model.encoder}, width {model.width}, {kge.n_parameters:,} parameters
- Rows: {kge.n_entities:,} entities, {graph.n_relations:,} relations{others}
- Epochs: {epochs}

| source | entities | training facts |
|---|---:|---:|
{sources}

## Measured

{measured}
{gain}
## Use

```python
import kgraft

model = kgraft.load_model("DIRECTORY")
```

Without kgraft: `weights.safetensors` holds the vectors, and `entities.parquet` and
`relations.parquet` the names of their rows; a relation's inverse is as many rows further as there
are relations ({graph.n_relations:,}).

The data keep the licences of their sources; so may weights learned from them.
"""

_GAIN = """
## Gained by grafting

Validation MRR in percent, beside the same model, rules, frequency prior and ensemble trained on the
target's own facts without links:

{rows}
"""


def model_card(model: TrainedModel) -> str:
    """Return the card as Markdown, with front matter for the Hugging Face Hub."""
    graph, kge = model.graph, model.kge
    n_others = graph.n_entities - kge.n_entities
    sources = [
        f"| {source} | {len(part.entities):,} | {(graph.triple_sources == place).sum():,} |"
        for place, (source, part) in enumerate(graph.parts.items())
    ]
    return _CARD.format(
        kind=model.kind,
        target=f" for {model.target}" if model.target else "",
        description=_KINDS[model.kind],
        model=model.settings.model,
        kge=kge,
        graph=graph,
        others=f"; {n_others:,} further entities have no vector" if n_others else "",
        epochs=len(model.log),
        sources="\n".join(sources),
        measured="\n".join(_measured(model.metrics)) or "Nothing yet.",
        gain=_gain(model.metrics),
    )


def _gain(metrics: Mapping[str, Any]) -> str:
    """Return a section on what the student gained, where that was measured."""
    rows = gain_rows(metrics)
    if not rows:
        return ""
    ruler = "|---|" + "---:|" * (len(GAIN_COLUMNS) - 1)
    lines = [f"| {' | '.join(GAIN_COLUMNS)} |", ruler, *(f"| {' | '.join(row)} |" for row in rows)]
    return _GAIN.format(rows="\n".join(lines))


def _measured(metrics: Mapping[str, Any]) -> list[str]:
    """Return a line for each metric, also for those in a mapping."""
    lines = []
    for name, value in metrics.items():
        if name == GAIN_METRIC:
            continue
        if isinstance(value, Mapping):
            lines += [f"- {name} {kind}: {figure}" for kind, figure in value.items()]
        else:
            lines.append(f"- {name}: {value}")
    return lines
