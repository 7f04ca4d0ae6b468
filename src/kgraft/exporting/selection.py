"""The exported part of a model: vectors, each with its name, source and label."""

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
from kgraft.inference.names import ModelNames
from kgraft.linking.joint_graph import JointGraph
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.system.progress import Listener, default_listener

BATCH_SIZE = 1_000
"""Rows that are written at once."""

PRIOR_SCALE = 2.0**-5
"""Scale of the prior's numbers in rows of entities; those of relations are divided by its square.
So small that neighbours by cosine stay those of the learned numbers; a power of two is exact."""

COMPLEX = (
    (
        "A row of width D is D/2 complex numbers: the real parts, then the imaginary parts. The "
        "first learned/2 are learned, the others hold the frequency prior of answers to a relation."
    ),
    (
        "The score of (head, relation, tail) is Re(sum(h * r * conj(t))): the dot product of the "
        "tail's row with the row of h * r. Queries for heads take the relation's inverse row: "
        "the score of a head is the dot product of its row with that of t * r_inverse."
    ),
)

ENCODED = (
    "A row of width D is D real numbers.",
    (
        "The score of (head, relation, tail) is the dot product of the tail's row with a query "
        "that the encoder computes from the rows of head and relation by weights of the model."
    ),
)


@dataclass(frozen=True, eq=False)
class Table:
    """Vectors with their names.

    Args:
        about: A row for each vector: ``name``, ``source``, ``label`` (null where there is none);
            for relations also ``inverse``, true for the rows of queries for heads.
        vectors: float32 ``(n, D)``.
    """

    about: pl.DataFrame
    vectors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def frame(self) -> pl.DataFrame:
        """The whole table, with the vectors as an array column ``vector``."""
        shape = pl.Array(pl.Float32, self.vectors.shape[1])
        return self.about.with_columns(pl.Series("vector", self.vectors, dtype=shape))


@dataclass(frozen=True, eq=False)
class Selection:
    """The vectors of a model to export.

    Args:
        model: The model.
        sources: The sources whose entities and relations are exported.
        name: The prefix of table and collection names.
        listener: Receives the number of written rows; by default a bar or log lines.
    """

    model: TrainedModel
    sources: Sequence[str]
    name: str
    listener: Listener = field(default_factory=default_listener)

    @cached_property
    def kge(self) -> KgeModel:
        """The exported vectors."""
        return merge_prior(self.model.kge)

    @cached_property
    def entities(self) -> Table:
        """The sources' entities, in their order; those without a vector are left out."""
        parts = [self.model.graph.parts[source] for source in self.sources]
        rows = np.concatenate([part.entity_rows for part in parts])
        labels = _labels(self.model.graph).gather(rows)
        about = self._about([part.entities.names for part in parts], labels)
        has_vector = rows < self.kge.n_entities
        vectors = self.kge.vectors(torch.from_numpy(rows[has_vector]))
        return Table(about.filter(pl.Series(has_vector)), vectors.numpy())

    @cached_property
    def relations(self) -> Table:
        """The sources' relations, and then their inverses in the same order."""
        parts = [self.model.graph.parts[source] for source in self.sources]
        rows = np.concatenate([part.relation_rows for part in parts])
        labels = [
            names.relation_label(row)
            for names in (ModelNames(self.model, source) for source in self.sources)
            for row in names.part.relation_rows.tolist()
        ]
        forward = self._about([part.relations.names for part in parts], pl.Series(labels))
        both = [forward.with_columns(inverse=pl.lit(inverse)) for inverse in (False, True)]
        places = np.concatenate([rows, rows + self.model.graph.n_relations])
        return Table(pl.concat(both), self.kge.relations.numpy()[places])

    def _about(self, names: Sequence[pl.Series], labels: pl.Series) -> pl.DataFrame:
        sources = np.repeat(np.arange(len(names)), [len(x) for x in names])
        columns = {"name": pl.concat(names), "source": pl.Series(self.sources).gather(sources)}
        return pl.DataFrame({**columns, "label": labels.cast(pl.String)})

    @property
    def both(self) -> dict[str, Table]:
        """The two tables by content: ``entities`` and ``relations``."""
        return {"entities": self.entities, "relations": self.relations}

    @property
    def tables(self) -> dict[str, Table]:
        """The two tables by their names in databases."""
        return {f"{self.name}_{kind}": table for kind, table in self.both.items()}

    @property
    def about(self) -> dict[str, Any]:
        """A description of the vectors: model, layout, and how to compute a score."""
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
        """Yield slices of a table's rows, ``BATCH_SIZE`` each, and report the progress."""
        self.listener.begin(what, len(table))
        try:
            for begin in range(0, len(table), BATCH_SIZE):
                end = min(begin + BATCH_SIZE, len(table))
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
    """Select the part of a model to export.

    Args:
        model: The model.
        sources: The sources whose entities and relations are exported; by default the target, or
            all sources of a teacher.
        name: The prefix of table and collection names; by default the target's name.
        listener: Receives the number of written rows; by default a bar or log lines.

    Raises:
        UnknownNameError: If the model has no such source.
        DataError: If there is nothing to export.
    """
    if sources is None:
        sources = model.graph.sources if model.target is None else [model.target]
    for source in sources:
        model.graph.part(source)
    # Characters that every database accepts in a name.
    name = name or re.sub(r"[^A-Za-z0-9_]+", "_", model.target or model.kind)
    selection = Selection(model, tuple(sources), name, listener or default_listener())
    if not sources or not len(selection.entities):
        raise DataError(
            f"the model has no vector of an entity of {', '.join(sources) or 'no source'}",
            remedy="Name one of " + ", ".join(model.graph.sources),
        )
    return selection


def merge_prior(kge: KgeModel) -> KgeModel:
    """Return a model with the same scores whose rows include the frequency prior.

    The rows of ComplEx grow by K complex numbers (``kgraft.model.frequency_prior``). For another
    encoder, or without a prior, the model itself is returned.
    """
    kge.check_whole("exported")
    prior = kge.prior
    if prior is None or kge.settings.encoder != "complex":
        return kge
    ones, zeros = torch.full_like(prior.entities, PRIOR_SCALE), torch.zeros_like(prior.relations)
    entities, relations = (
        torch.cat([real, more_real, imaginary, more_imaginary], dim=1)
        for (real, imaginary), more_real, more_imaginary in (
            (kge.vectors().chunk(2, dim=1), ones, PRIOR_SCALE * prior.entities),
            (kge.relations.chunk(2, dim=1), zeros, prior.relations / PRIOR_SCALE**2),
        )
    )
    width = kge.settings.width + 2 * prior.entities.shape[1]
    settings = kge.settings.model_copy(update={"width": width, "tables": "float32"})
    return KgeModel(settings, entities, relations)


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
