"""Files of queries to read, and files of predicted facts, written relation by relation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from kgraft.errors import DataError, UnknownNameError
from kgraft.inference.fact_writers import TEXT_FORMATS, Annotation, FactForm
from kgraft.inference.predict import Prediction, Predictor, Query
from kgraft.io.named_facts import ROLES
from kgraft.system.files import compression_of, content_ending, read_text
from kgraft.system.outputs import write_atomically

SCHEMA: Final = {
    **dict.fromkeys(ROLES, pl.String),
    "asked": pl.String,
    "score": pl.Float32,
    "probability": pl.Float64,
    "probability_if_asked": pl.Float64,
    "stated_by": pl.String,
    "contradicts": pl.String,
}
"""Columns of predicted facts: the three names, the part that was asked for, the model's score and
probabilities, the sources that state the fact, as ``a,b``, and what it contradicts."""

Append = Callable[[pl.DataFrame], None]

ENDINGS = (".parquet", *TEXT_FORMATS)


def read_queries(path: Path, predictor: Predictor) -> list[Query]:
    """Read queries from a TSV file with the columns head, relation and tail, one of them empty.

    Args:
        path: The file, perhaps compressed.
        predictor: The predictor that will answer them.

    Raises:
        DataError: If the file cannot be read, or a line is no query that the predictor can answer.
    """
    # Names may contain the other characters at which str.splitlines breaks.
    lines = read_text(path).replace("\r\n", "\n").split("\n")
    header = lines[0].split("\t")
    if sorted(header) != sorted(ROLES):
        raise DataError(
            "the first line does not name the columns",
            remedy="Begin with head, relation and tail, with tabs between",
            path=path,
            line=1,
        )
    return [
        _query(header, line, predictor, path, number)
        for number, line in enumerate(lines[1:], start=2)
        if line.strip()
    ]


def _query(header: list[str], line: str, predictor: Predictor, path: Path, number: int) -> Query:
    cells = line.split("\t")
    try:
        if len(cells) > len(header):
            raise ValueError(f"the line has {len(cells)} cells")
        given = dict(zip(header, cells, strict=False))
        query = Query(**{role: given.get(role) or None for role in ROLES})
        predictor.resolve(query)
    except (ValueError, UnknownNameError) as error:
        raise DataError(
            str(error), remedy="Correct the line, or take it out", path=path, line=number
        ) from error
    return query


def as_frame(queries: Sequence[Query], answers: Sequence[Sequence[Prediction]]) -> pl.DataFrame:
    """Return the answers of queries, in their order, with the columns of ``SCHEMA``."""
    rows = [
        (
            *(x.head, x.relation, x.tail, query.asked),
            *(x.score, x.probability, x.probability_if_asked),
            *(",".join(x.stated_by), x.contradicts),
        )
        for query, found in zip(queries, answers, strict=True)
        for x in found
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def form_of(
    predictor: Predictor,
    place: str | Path,
    settings: Mapping[str, Any],
    *,
    base: str | None = None,
    annotation: Annotation = "rdf12",
) -> FactForm:
    """Return the form of a file of a model's facts: its origin, and labels of entities.

    Args:
        predictor: The model that proposes the facts.
        place: The model's directory.
        settings: What was asked for.
        base: As for ``FactForm``.
        annotation: As for ``FactForm``.

    Raises:
        DataError: If the base is no IRI.
    """
    model, names = predictor.model, predictor.names
    about = {
        "model": f"{place}, a {model.kind} for {names.source}",
        "sources": ", ".join(model.graph.sources),
        "made by": f"kgraft {version('kgraft')}",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": ", ".join(f"{key} = {value}" for key, value in settings.items()),
    }
    rows = names.part.entity_rows.tolist()
    labels = {
        name: label
        for name, row in zip(names.part.entities.names.to_list(), rows, strict=True)
        if (label := names.entity_label(row)) != name
    }
    return FactForm(base, annotation, about, labels)


@contextmanager
def predictions_file(
    path: Path, columns: Mapping[str, Any] = SCHEMA, form: FactForm | None = None
) -> Iterator[Append]:
    """Yield a function that appends predicted facts to a file, which appears whole at the end.

    The ending selects the format: Parquet; TSV with a header; N-Triples, the facts alone; Turtle,
    with each further column as an annotation of the fact; or CSV, for a person to review
    (``kgraft.io.decisions``). All but Parquet may be compressed, as ``.tsv.gz``.

    Args:
        path: The file.
        columns: Columns and their types, the names of the fact among them.
        form: Options of the format.

    Raises:
        DataError: If the ending is another one, or a name cannot be written in the format.
    """
    ending, form = content_ending(path), form or FactForm()
    if ending not in ENDINGS or (ending == ".parquet" and compression_of(path)):
        raise DataError(
            f"predictions cannot be written as {path.suffix or 'a file without an ending'!r}",
            remedy=f"End the name with {', '.join(ENDINGS)}, all but the first perhaps with .gz or "
            ".zst",
            path=path,
        )
    with write_atomically(path) as temporary:
        if ending == ".parquet":
            schema = pl.DataFrame(schema=columns).to_arrow().schema
            about = {"kgraft": json.dumps(dict(form.about))} if form.about else None
            with pq.ParquetWriter(temporary, schema.with_metadata(about)) as writer:
                yield lambda x: writer.write_table(x.select(list(columns)).to_arrow().cast(schema))
            return
        text = TEXT_FORMATS[ending]
        with pa.output_stream(str(temporary), compression=compression_of(path)) as stream:
            stream.write(text.begin(list(columns), form).encode())
            yield lambda x: stream.write(text.rows(x.select(list(columns)), form).encode())
