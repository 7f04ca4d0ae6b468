"""The model card: a description of a model in its directory or on a model hub."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from kgraft.model.gain import GAIN_COLUMNS, GAIN_METRIC, RELATION_GAIN_METRIC, gain_rows
from kgraft.model.trained_model import TrainedModel
from kgraft.model.weight_files import bytes_of

_KINDS = {
    "single": "An embedding of one knowledge graph, trained on its own facts.",
    "joint": "An embedding of several linked knowledge graphs, trained together from scratch.",
    "teacher": "A teacher: pre-trained on linked knowledge graphs, to be re-trained for a target.",
    "student": "A student: re-trained for its target on the linked subgraph of a teacher.",
}

LICENSES = frozenset(
    (
        *("apache-2.0", "mit", "odbl", "pddl", "gpl-3.0", "cc0-1.0", "cdla-permissive-2.0"),
        *("cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0"),
        *("cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-4.0", "odc-by"),
    )
)
"""Licences that the Hub knows and data have; any other one is ``other`` there."""

_CARD = """\
---
library_name: kgraft
{license}pipeline_tag: graph-ml
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
- Size of the vectors: {size}
- Epochs: {epochs}

| source | entities | training facts | licence of the data |
|---|---:|---:|---|
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

The data keep the licences of their sources; so may weights learned from them.{unknown}
"""

_UNKNOWN = """ Where
none is stated, ask the source before you share this model; `license = "..."` of a `[[source]]` in
the collection states one."""

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
        f"| {source} | {len(part.entities):,} | {(graph.triple_sources == place).sum():,} "
        f"| {part.license or 'not stated'} |"
        for place, (source, part) in enumerate(graph.parts.items())
    ]
    licenses = {part.license for part in graph.parts.values()}
    return _CARD.format(
        license=_license(licenses),
        size=_size(sum(map(bytes_of, kge.saved_tensors().values()))),
        unknown="" if "" not in licenses else _UNKNOWN,
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


def _license(licenses: Collection[str]) -> str:
    """Return the line on the licence that the Hub reads: of all sources, if they share one."""
    if len(licenses) > 1:
        return "license: other\n"
    (only,) = licenses
    if not only:
        return ""
    return f"license: {only.lower() if only.lower() in LICENSES else 'other'}\n"


def _size(n_bytes: float) -> str:
    """Return a number of bytes as text."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if n_bytes < 1024 or unit == "GiB":
            break
        n_bytes /= 1024
    return f"{n_bytes:,.3g} {unit}"


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
        if name in (GAIN_METRIC, RELATION_GAIN_METRIC):
            continue
        if isinstance(value, Mapping):
            lines += [f"- {name} {kind}: {figure}" for kind, figure in value.items()]
        else:
            lines.append(f"- {name}: {value}")
    return lines
