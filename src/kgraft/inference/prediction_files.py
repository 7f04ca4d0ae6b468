"""Files of queries to read, and files of predicted facts, written relation by relation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from kgraft.errors import DataError, UnknownNameError
from kgraft.inference.predict import Prediction, Predictor, Query
from kgraft.io.iris import iri_of
from kgraft.io.named_facts import ROLES
from kgraft.io.write_graph import check_cells
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

ENDINGS = (".parquet", ".tsv", ".nt")


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


@contextmanager
def predictions_file(path: Path, columns: Mapping[str, Any] = SCHEMA) -> Iterator[Append]:
    """Yield a function that appends predicted facts to a file, which appears whole at the end.

    The ending selects the format: Parquet, TSV with a header (also ``.tsv.gz`` and so on), or
    N-Triples, with the facts alone.

    Args:
        path: The file.
        columns: Columns and their types, the names of the fact among them.

    Raises:
        DataError: If the ending is another one, or a name cannot be written to a TSV file.
    """
    ending = content_ending(path)
    if ending not in ENDINGS or (ending == ".parquet" and compression_of(path)):
        raise DataError(
            f"predictions cannot be written as {path.suffix or 'a file without an ending'!r}",
            remedy=f"End the name with {', '.join(ENDINGS)}, the last two perhaps with .gz or .zst",
            path=path,
        )
    with write_atomically(path) as temporary:
        if ending == ".parquet":
            with pq.ParquetWriter(
                temporary, pl.DataFrame(schema=columns).to_arrow().schema
            ) as writer:
                yield lambda frame: writer.write_table(frame.to_arrow())
        else:
            with pa.output_stream(str(temporary), compression=compression_of(path)) as stream:
                if ending == ".tsv":
                    stream.write(("\t".join(columns) + "\n").encode())
                write = _write_rows if ending == ".tsv" else _write_triples
                yield lambda frame: write(frame, stream)


def _write_rows(frame: pl.DataFrame, stream: Any) -> None:
    check_cells(frame.select(ROLES))
    frame.write_csv(stream, include_header=False, separator="\t", quote_style="never")


def _write_triples(frame: pl.DataFrame, stream: Any) -> None:
    names = pl.concat([frame[role] for role in ROLES]).unique().to_list()
    iris = pl.col(ROLES).replace_strict(names, [iri_of(name) for name in names])
    lines = frame.select(iris).select(pl.format("<{}> <{}> <{}> .", *ROLES))
    lines.write_csv(stream, include_header=False, separator="\n", quote_style="never")
