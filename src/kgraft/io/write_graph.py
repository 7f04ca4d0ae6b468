"""Write a graph to files that ``read_graph`` reads back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final, Literal

import polars as pl
import pyarrow as pa
import pyoxigraph

from kgraft.errors import DataError
from kgraft.graph.knowledge_graph import SPLITS, KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.fact_confidence import CONFIDENCE
from kgraft.io.iris import iri_of
from kgraft.io.named_facts import ROLES
from kgraft.io.rdf import RDFS_LABEL, label_literals
from kgraft.io.source import GraphSource
from kgraft.system.files import compression_of
from kgraft.system.forks import require_threads
from kgraft.system.outputs import write_atomically

WrittenFormat = Literal["tsv", "parquet", "ntriples"]
Compression = Literal["", ".gz", ".bz2", ".zst"]

_ENDING: Final[dict[WrittenFormat, str]] = {"tsv": ".tsv", "parquet": ".parquet", "ntriples": ".nt"}


def write_graph(
    graph: KnowledgeGraph,
    directory: Path,
    *,
    format: WrittenFormat = "tsv",  # noqa: A002 (the word of GraphSource)
    compression: Compression = "",
) -> GraphSource:
    """Write a graph's splits as ``train``, ``valid`` and ``test``, each atomically.

    Reading restores facts by name, but no entities without facts. Facts known to be false go to
    ``known_false``, and confidences to a fourth column, which N-Triples has not. Labels go to
    ``labels.tsv``, in N-Triples to ``literals.nt`` together with the attributes, which only
    N-Triples holds. There, a name that is not an IRI is percent-encoded under ``urn:kgraft:``.

    Args:
        graph: A graph with training facts.
        directory: The directory to write to; made if missing.
        format: TSV without a header, Parquet, or N-Triples.
        compression: Ending of the compression of TSV and N-Triples; Parquet has its own.

    Returns:
        A source that reads the files.

    Raises:
        DataError: If there is nothing to train on, a name cannot be written to a TSV file,
            or a confidence to N-Triples.
    """
    require_threads()
    if format == "ntriples" and graph.confidence:
        raise DataError(
            f"facts of {graph.name!r} have confidences, which N-Triples cannot hold",
            remedy="Write TSV or Parquet",
        )
    if not len(graph.train):
        raise DataError(f"{graph.name!r} has no facts to train on", remedy="Add train facts")
    ending = _ENDING[format] + (compression if format != "parquet" else "")
    every = (*SPLITS, "known_false")
    paths = {s: directory / f"{s}{ending}" for s in every if len(getattr(graph, s))}
    labels_path = None
    trains = [paths["train"]]
    with ExitStack() as stack:
        for split, path in paths.items():
            temporary = stack.enter_context(write_atomically(path))
            _write_facts(graph, split, temporary, format)
        if format == "ntriples":
            if graph.labels is not None or graph.attributes is not None:
                trains.append(directory / f"literals{ending}")
                _write_literals(graph, stack.enter_context(write_atomically(trains[-1])))
        elif graph.labels is not None:
            labels_path = directory / f"labels.tsv{compression}"
            _write_labels(graph, stack.enter_context(write_atomically(labels_path)))
    return GraphSource(
        name=graph.name,
        train=tuple(trains),
        valid=tuple(path for split, path in paths.items() if split == "valid"),
        test=tuple(path for split, path in paths.items() if split == "test"),
        negatives=tuple(path for split, path in paths.items() if split == "known_false"),
        format=format,
        columns=(*ROLES, *([CONFIDENCE] if graph.confidence else ())),
        header=False,
        labels=labels_path,
    )


def _write_facts(graph: KnowledgeGraph, split: str, path: Path, format_: WrittenFormat) -> None:
    entities, relations = graph.entities.names, graph.relations.names
    if format_ == "ntriples":
        entities, relations = _iris(graph.entities), _iris(graph.relations)
    triples = getattr(graph, split)
    columns = zip(ROLES, (entities, relations, entities), triples.T, strict=True)
    facts = pl.DataFrame({role: names.gather(rows) for role, names, rows in columns})
    if graph.confidence:
        facts = facts.with_columns(pl.Series(CONFIDENCE, graph.confidence_of(split)))
    if format_ == "parquet":
        facts.write_parquet(path)
    elif format_ == "tsv":
        _write_tsv(facts, path)
    else:
        lines = facts.select(pl.format("<{}> <{}> <{}> .", *ROLES))
        with _output(path) as output:
            lines.write_csv(output, include_header=False, separator="\n", quote_style="never")


def _iris(names: Vocabulary) -> pl.Series:
    return pl.Series([iri_of(name) for name in names.names.to_list()], dtype=pl.String)


def _write_labels(graph: KnowledgeGraph, path: Path) -> None:
    labels = pl.DataFrame({"name": graph.entities.names, "label": graph.labels})
    _write_tsv(labels.drop_nulls().filter(pl.col("label") != ""), path)


def _write_tsv(frame: pl.DataFrame, path: Path) -> None:
    check_cells(frame.select(pl.col(pl.String)))
    with _output(path) as output:
        frame.write_csv(output, include_header=False, separator="\t", quote_style="never")


def check_cells(frame: pl.DataFrame) -> None:
    """Refuse names that a TSV file, whose cells have no quotes, cannot hold.

    Raises:
        DataError: If there is one.
    """
    for column in frame:
        # A byte order mark at the start of the file would be lost on reading.
        odd = column.str.contains("[\t\r\n]") | (column == "") | column.str.starts_with("\ufeff")
        if odd.any():
            raise DataError(
                f"the {column.name} {column.filter(odd)[0]!r} cannot stand in a TSV file, which "
                "has no sign for an empty cell, a tab or a line break",
                remedy="Rename it, or write Parquet or N-Triples",
            )


def _write_literals(graph: KnowledgeGraph, path: Path) -> None:
    entities = _iris(graph.entities)
    with _output(path) as output:
        pyoxigraph.serialize(
            _literals(graph, entities), output, format=pyoxigraph.RdfFormat.N_TRIPLES
        )


def _literals(graph: KnowledgeGraph, entities: pl.Series) -> Iterator[pyoxigraph.Triple]:
    """Yield the labels that attributes do not already give, then the attributes."""
    labels = ((row, RDFS_LABEL, label, None, None) for row, label in _own_labels(graph).rows())
    attributes = () if graph.attributes is None else graph.attributes.iter_rows()
    for row, attribute, value, datatype, language in chain(labels, attributes):
        own_type = pyoxigraph.NamedNode(datatype) if datatype and language is None else None
        yield pyoxigraph.Triple(
            pyoxigraph.NamedNode(entities[row]),
            pyoxigraph.NamedNode(iri_of(attribute)),
            pyoxigraph.Literal(value, datatype=own_type, language=language),
        )


def _own_labels(graph: KnowledgeGraph) -> pl.DataFrame:
    """Return columns entity and label for the labels that reading would not find in attributes."""
    if graph.labels is None:
        return pl.DataFrame(schema={"entity": pl.Int64, "label": pl.String})
    rows = pl.int_range(len(graph.labels), dtype=pl.Int64, eager=True)
    labels = pl.DataFrame({"entity": rows, "label": graph.labels}).drop_nulls()
    if graph.attributes is None:
        return labels
    given = label_literals(graph.attributes).unique("entity", keep="first", maintain_order=True)
    return labels.join(given, on=["entity", "label"], how="anti", maintain_order="left")


@contextmanager
def _output(path: Path) -> Iterator[IO[Any]]:
    with pa.output_stream(str(path), compression=compression_of(path)) as output:
        yield output
