"""The model card: a description of a model in its directory or on a model hub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kgraft.model.trained_model import TrainedModel

_KINDS = {
    "single": "An embedding of one knowledge graph, trained on its own facts.",
    "joint": "An embedding of several linked knowledge graphs, trained together from scratch.",
    "teacher": "A teacher: pre-trained on linked knowledge graphs, to be re-trained for a target.",
    "student": "A student: re-trained for its target on the linked subgraph of a teacher.",
}


_FRONT_MATTER = """\
---
library_name: kgraft
pipeline_tag: graph-ml
tags:
- knowledge-graph
- knowledge-graph-embedding
- knowledge-graph-completion
- link-prediction
---
"""
"""The part of a card that the Hugging Face Hub reads."""


def model_card(model: TrainedModel) -> str:
    """Return the card as Markdown, with front matter for the Hugging Face Hub."""
    graph, kge = model.graph, model.kge
    facts = {
        source: int((graph.triple_sources == place).sum())
        for place, source in enumerate(graph.sources)
    }
    beyond = graph.n_entities - kge.n_entities
    lines = [
        _FRONT_MATTER,
        f"# {model.kind} model{f' for {model.target}' if model.target else ''}",
        "",
        _KINDS[model.kind],
        "",
        (
            f"- Encoder: {model.settings.model.encoder}, width {model.settings.model.width}, "
            f"{kge.n_parameters:,} parameters"
        ),
        (
            f"- Rows: {kge.n_entities:,} entities, {graph.n_relations:,} relations"
            f"{f'; {beyond:,} further entities have no vector' if beyond else ''}"
        ),
        f"- Epochs: {len(model.log)}",
        "",
        "| source | entities | training facts |",
        "|---|---:|---:|",
        *(
            f"| {source} | {len(part.entities):,} | {facts[source]:,} |"
            for source, part in graph.parts.items()
        ),
        "",
        "## Measured",
        "",
        *(_measured(model.metrics) or ["Nothing yet."]),
        "",
        "## Use",
        "",
        "```python",
        "import kgraft",
        "",
        'model = kgraft.load_model("DIRECTORY")',
        "```",
        "",
        (
            "Without kgraft: `weights.safetensors` holds the vectors, and `entities.parquet` and "
            "`relations.parquet` the names of their rows; a relation's inverse is as many rows "
            f"further as there are relations ({graph.n_relations:,})."
        ),
        "",
        "The data keep the licences of their sources; so may weights learned from them.",
        "",
    ]
    return "\n".join(lines)


def _measured(metrics: Mapping[str, Any]) -> list[str]:
    """Return a line for each metric, also for those in a mapping."""
    lines = []
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            lines += [f"- {name} {kind}: {figure}" for kind, figure in value.items()]
        else:
            lines.append(f"- {name}: {value}")
    return lines
