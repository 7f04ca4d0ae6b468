"""Teachers of given vectors: those of other tools, and those of texts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import torch

from kgraft.errors import DataError
from kgraft.graph.knowledge_graph import KnowledgeGraph, no_triples
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.texts import Texts, read_texts
from kgraft.io.vectors import NamedVectors, VectorFormat, read_vectors
from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.text_vectors import encode
from kgraft.settings import ModelSettings, TrainSettings
from kgraft.system.forks import require_threads

ORIGIN_METRIC: Final = "given_vectors"
"""The metric of a teacher of given vectors that says where they are from."""


def import_vectors(
    path: str | PathLike[str],
    names: str | PathLike[str] | None = None,
    *,
    source: str | None = None,
    format: VectorFormat = "auto",  # noqa: A002 (the word that collections use)
    tensor: str | None = None,
    only: Collection | Sequence[str] | None = None,
) -> TrainedModel:
    """Make a teacher of vectors that another tool has learned.

    It has no facts. A student of it is trained like one alone, and has a read-out of these vectors;
    it starts from them, and imitates them, if settings say so. Entities of the same name are
    linked, unless the student's collection has links to ``source``.

    Args:
        path: word2vec text (GloVe, fastText, RDF2Vec), ``.npy``, ``.parquet``, ``.safetensors``; or
            a directory of PyTorch-BigGraph.
        names: Names of the rows of ``.npy`` and ``.safetensors``: a list, one a line, or with an id
            beside each, as PyKEEN's ``entity_to_id.tsv.gz``; or the directory of PyTorch-BigGraph's
            ``entity_names_*.json``.
        source: What the vectors are called in links; by default the file's name.
        format: The format; by default found out.
        tensor: The tensor of a ``.safetensors`` file; by default its only matrix.
        only: Names to keep, or a collection whose target's names are kept.

    Raises:
        DataError: If the vectors cannot be read, or have no common length, a repeated name, or a
            number that is not finite.
        KgraftError: If the library that reads a format is not installed.
    """
    require_threads()
    place = Path(path)
    found = read_vectors(
        place,
        None if names is None else Path(names),
        format=format,
        tensor=tensor,
        only=_wanted(only),
    )
    about = {"from": place.name, "format": format}
    return vector_teacher(found, source or _source_name(place), about)


def text_teacher(
    texts: Texts | Collection | str | PathLike[str],
    *,
    encoders: Sequence[str] = ("tfidf",),
    source: str = "texts",
) -> TrainedModel:
    """Make a teacher of texts about entities, such as labels and descriptions.

    Args:
        texts: A table of names and texts, or its file: a column of names, then columns of texts; or
            a collection, whose target's labels, names and literals are the texts.
        encoders: ``tfidf``, words and parts of words, which needs nothing else;
            ``words:FILE``, vectors of words in any format of ``import_vectors``;
            ``sentence-transformers:MODEL``; ``model2vec:MODEL``. Vectors of several are put side by
            side.
        source: What the texts are called in links.

    Raises:
        DataError: If the texts cannot be read, or are all empty, or there is no such encoder.
        KgraftError: If an encoder's library is not installed.
    """
    require_threads()
    if isinstance(texts, Collection):
        known = Texts.of_graph(texts.target_graph)
    else:
        known = texts if isinstance(texts, Texts) else read_texts(Path(texts))
    rows = encode(known.texts, encoders)
    return vector_teacher(
        NamedVectors(known.names, rows), source, {"encoders": list(encoders)}, labels=known.labels
    )


def vector_teacher(
    found: NamedVectors,
    source: str,
    about: Mapping[str, Any],
    *,
    labels: pl.Series | None = None,
) -> TrainedModel:
    """Return a teacher of given vectors, as ``import_vectors`` does.

    Args:
        found: The vectors and their names.
        source: What they are called in links.
        about: Where they are from.
        labels: Labels of the names, String ``(n,)`` with nulls.
    """
    none = Vocabulary.of([])
    graph = join([KnowledgeGraph(source, found.names, none, no_triples(), labels=labels)])
    rows = found.rows
    if rows.shape[1] % 2:  # Complex numbers have two parts.
        rows = np.pad(rows, ((0, 0), (0, 1)))
    settings = TrainSettings(model=ModelSettings(width=rows.shape[1]))
    kge = KgeModel(settings.model, torch.from_numpy(rows), torch.zeros(0, rows.shape[1]))
    return TrainedModel("teacher", kge, graph, None, settings, metrics={ORIGIN_METRIC: dict(about)})


def _wanted(only: Collection | Sequence[str] | None) -> Vocabulary | None:
    if only is None:
        return None
    if isinstance(only, Collection):
        return only.target_graph.entities
    return Vocabulary.of(dict.fromkeys(only))


def _source_name(path: Path) -> str:
    """Return a file's name without its endings."""
    name = re.sub(r"(\.[A-Za-z0-9]{1,12}){1,2}$", "", path.resolve().name)
    if not name:
        raise DataError("the file has no name", remedy="Name the vectors by --source", path=path)
    return name
