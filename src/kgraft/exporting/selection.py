"""What is exported of a model: vectors, each with its name, source and label."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from kgraft.errors import DataError
from kgraft.exporting.folded import folded
from kgraft.inference.names import Named
from kgraft.linking.joint_graph import JointGraph
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.system.progress import Listener, default_listener

AT_ONCE = 1_000
"""Rows that are handed on together."""

COMPLEX = (
    (
        "A row of width D is D/2 complex numbers: the real parts, then the imaginary parts. The "
        "first learned/2 are learned, the others say which answers are usual along a relation."
    ),
    (
        "The score of (head, relation, tail) is Re(sum(h * r * conj(t))): the dot product of the "
        "tail's row with the row of h * r. Heads are asked for with the relation's inverse row: "
        "the score of a head is the dot product of its row with that of t * r_inverse."
    ),
)

ENCODED = (
    "A row of width D is D real numbers.",
    (
        "The score of (head, relation, tail) is the dot product of the tail's row with a query "
        "that the encoder makes of the rows of head and relation, by weights in the model only."
    ),
)


@dataclass(frozen=True, eq=False)
class Table:
    """Vectors with what they are called.

    Args:
        about: A row for each vector: ``name``, ``source``, ``label`` (null where there is none);
            of relations also ``inverse``, whether it is the one that heads are asked for with.
        vectors: float32 ``(n, D)``.
    """

    about: pl.DataFrame
    vectors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def frame(self) -> pl.DataFrame:
        """All of it, the vectors as an array column ``vector``."""
        shape = pl.Array(pl.Float32, self.vectors.shape[1])
        return self.about.with_columns(pl.Series("vector", self.vectors, dtype=shape))


@dataclass(frozen=True, eq=False)
class Selection:
    """The vectors of a model that are exported.

    Args:
        model: The model.
        sources: Whose entities and relations, by their names.
        name: What tables and collections that hold them begin with.
        listener: Receives the number of rows handed on; by default a bar or log lines.
    """

    model: TrainedModel
    sources: Sequence[str]
    name: str
    listener: Listener = field(default_factory=default_listener)

    @cached_property
    def kge(self) -> KgeModel:
        """The model's vectors as they are exported."""
        return folded(self.model.kge)

    @cached_property
    def entities(self) -> Table:
        """The sources' entities, in their order; those without a vector are left out."""
        graph, kge = self.model.graph, self.kge
        labels = _labels(graph)
        frames, rows = [], []
        for source in self.sources:
            part = graph.parts[source]
            has_vector = part.entity_rows < kge.n_entities
            rows.append(part.entity_rows[has_vector])
            frames.append(
                pl.DataFrame(
                    {
                        "name": part.entities.names.filter(pl.Series(has_vector)),
                        "source": pl.repeat(source, len(rows[-1]), eager=True),
                        "label": labels.gather(rows[-1]),
                    }
                )
            )
        vectors = kge.vectors(torch.from_numpy(np.concatenate(rows)))
        return Table(pl.concat(frames), vectors.numpy())

    @cached_property
    def relations(self) -> Table:
        """The sources' relations, and then their inverses in the same order."""
        graph, kge = self.model.graph, self.kge
        frames, rows = [], []
        for source in self.sources:
            part, named = graph.parts[source], Named(self.model, source)
            rows.append(part.relation_rows)
            frames.append(
                pl.DataFrame(
                    {
                        "name": part.relations.names,
                        "source": pl.repeat(source, len(rows[-1]), eager=True),
                        "label": pl.Series(
                            [named.relation_label(int(row)) for row in rows[-1]], dtype=pl.String
                        ),
                    }
                )
            )
        forward, along = pl.concat(frames), np.concatenate(rows)
        both = [forward.with_columns(inverse=pl.lit(inverse)) for inverse in (False, True)]
        places = np.concatenate([along, along + graph.n_relations])
        return Table(pl.concat(both), kge.relations.numpy()[places])

    @property
    def both(self) -> dict[str, Table]:
        """The tables by what they hold: ``entities`` and ``relations``."""
        return {"entities": self.entities, "relations": self.relations}

    @property
    def tables(self) -> dict[str, Table]:
        """The tables by the names that databases know them by."""
        return {f"{self.name}_{kind}": table for kind, table in self.both.items()}

    @property
    def about(self) -> dict[str, Any]:
        """What the vectors are, how they are laid out and how a score is made of them."""
        model = self.model
        layout, score = COMPLEX if model.settings.model.encoder == "complex" else ENCODED
        return {
            "made_by": f"kgraft {version('kgraft')}",
            "kind": model.kind,
            "target": model.target,
            "sources": list(self.sources),
            "encoder": model.settings.model.encoder,
            "width": self.kge.settings.width,
            "learned": model.settings.model.width,
            "layout": layout,
            "score": score,
        }

    def batches(self, table: Table, what: str) -> Iterator[slice]:
        """Yield the places of a table's rows, ``AT_ONCE`` together, and tell of the progress."""
        self.listener.begin(what, len(table))
        try:
            for begin in range(0, len(table), AT_ONCE):
                end = min(begin + AT_ONCE, len(table))
                yield slice(begin, end)
                self.listener.advance(end - begin)
        finally:
            self.listener.end()


def select(
    model: TrainedModel,
    *,
    sources: Sequence[str] | None = None,
    name: str | None = None,
    listener: Listener | None = None,
) -> Selection:
    """Choose what is exported of a model.

    Args:
        model: The model.
        sources: Whose entities and relations; by default the target's, or of a teacher all.
        name: What tables and collections begin with; by default made of the target's name.
        listener: Receives the number of rows handed on; by default a bar or log lines.

    Raises:
        UnknownNameError: If the model has no such source.
        DataError: If there is nothing to export.
    """
    if sources is None:
        sources = model.graph.sources if model.target is None else [model.target]
    for source in sources:
        model.graph.part(source)
    # What every database takes as part of a name.
    name = name or re.sub(r"[^A-Za-z0-9_]+", "_", model.target or model.kind)
    selection = Selection(model, tuple(sources), name, listener or default_listener())
    if not sources or not len(selection.entities):
        raise DataError(
            f"the model has no vector of an entity of {', '.join(sources) or 'no source'}",
            remedy="Name one of " + ", ".join(model.graph.sources),
        )
    return selection


def _labels(graph: JointGraph) -> pl.Series:
    """Return each entity row's label from the first source that has one, else null, ``(n,)``."""
    labels = pl.DataFrame(schema={"row": pl.Int64, "label": pl.String})
    for part in graph.parts.values():
        if part.labels is not None:
            own = pl.DataFrame({"row": part.entity_rows, "label": part.labels})
            labels = labels.vstack(own.filter(pl.col("label") != ""))
    rows = pl.DataFrame({"row": np.arange(graph.n_entities)})
    first = labels.unique("row", keep="first", maintain_order=True)
    return rows.join(first, on="row", how="left", maintain_order="left")["label"]
