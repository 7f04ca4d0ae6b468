"""Links from files, in any format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.errors import DataError
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.spelling import Spelling
from kgraft.graph.vocabulary import Rows, equal_names
from kgraft.io.delimiters import delimiter_of
from kgraft.io.fact_columns import is_ntriples
from kgraft.io.fact_confidence import is_decimal_comma
from kgraft.io.file_formats import ENDINGS, TABLES, format_of
from kgraft.io.link_ends import LeftOut, LinkEnds, Unknown, vocabulary, warn_of_left_out
from kgraft.io.link_statements import read_statements
from kgraft.io.rdf import RDF_FORMATS
from kgraft.io.source import Malformed
from kgraft.io.sssom import names_mappings, read_mappings
from kgraft.io.tabular import LINE, read_columns
from kgraft.linking.links import LinkKind, Links
from kgraft.system.files import content_ending
from kgraft.system.forks import require_threads

LinkFormat = Literal[
    "auto", "tsv", "csv", "sssom", "ntriples", "nquads", "turtle", "trig", "rdfxml", "jsonld"
]
"""Format of a file of links; ``auto`` goes by its ending, and a table of mappings is SSSOM."""

_WORDS: Final = {
    **dict.fromkeys(("source", "subject", "subject_id", "entity1", "id1", "from"), "left"),
    **dict.fromkeys(("target", "object", "object_id", "entity2", "id2", "to"), "right"),
    **dict.fromkeys(("score", "weight"), "confidence"),
}


def read_links(
    path: Path,
    left: KnowledgeGraph,
    right: KnowledgeGraph,
    *,
    kind: LinkKind = "entity",
    format: LinkFormat = "auto",  # noqa: A002 (the word that collections use)
    ids: bool = False,
    confidence: float = 1.0,
    unknown: Unknown = "error",
    malformed: Malformed = "error",
    spelling: Spelling = "exact",
    left_out: list[LeftOut] | None = None,
) -> Links:
    """Read links between two graphs.

    A table has the left name, the right name, and optionally a confidence; a header that names them
    sets their order. A table whose header also names a predicate is SSSOM. In SSSOM and RDF a
    pair may have either order; statements other than of sameness, and SSSOM's with a modifier, of
    literals or of no term, are left out. A pair given twice keeps its highest confidence.

    Args:
        path: The file, plain or compressed.
        left: The graph of the first column.
        right: The graph of the second column.
        kind: Kind of the links.
        format: Format of the file.
        ids: A table holds row numbers in place of names; ``3931.0`` is 3931.
        confidence: Of links without one of their own.
        unknown: ``error``, or ``skip``: leave out links to names that a graph does not have. A
            row number that a graph does not have is always an error.
        malformed: For RDF, treatment of malformed statements.
        spelling: ``exact``, or ``normal``: a name that a graph does not have stands for the only
            one of the same normal form (``kgraft.graph.spelling.normal_form``).
        left_out: A list to add links to unknown names to, in place of a warning.

    Raises:
        DataError: With file, line and remedy: a missing, unreadable or empty file, a wrong number
            of columns, an unknown name, a row number that is not one, a confidence outside
            (0, 1], no statement of sameness.

    Warns:
        KgraftWarning: With counts, when links were left out.
    """
    require_threads()
    syntax = _syntax(path, format)
    is_table = syntax in TABLES
    ends = LinkEnds(path, kind, left, right, spelling=spelling, either_order=not is_table)
    if ids and not is_table:
        raise DataError(
            f"links by row number are read from tables, not from {syntax}",
            remedy="Leave out ids, or give a table of two columns",
            path=path,
        )
    frame = _pairs(path, syntax, kind, malformed, ends.know)
    pairs = ends.numbered(frame) if ids else ends.named(frame)
    known = (pairs >= 0).all(axis=1)
    found = ends.left_out(frame, pairs, unknown)
    if left_out is None:
        warn_of_left_out([found])
    else:
        left_out.append(found)
    confidences = _confidence(frame, path, confidence)
    return _distinct(left.name, right.name, pairs[known], confidences[known], kind, path.name)


def read_redirects(
    path: Path,
    *,
    kind: LinkKind = "entity",
    format: LinkFormat = "auto",  # noqa: A002 (the word that collections use)
    malformed: Malformed = "error",
) -> pl.DataFrame:
    """Read links of a graph with itself, as ``read_links`` reads those of two graphs.

    Returns:
        String columns left and right, names that mean the same, and Int64 ``line``, which may be
        null.
    """
    frame = _pairs(path, _syntax(path, format), kind, malformed, lambda names: names != names)
    return frame.select("left", "right", LINE)


def check_redirects(
    path: Path, pairs: pl.DataFrame, graph: KnowledgeGraph, kind: LinkKind, unknown: Unknown
) -> LeftOut:
    """Check that pairs of ``read_redirects`` lead to names that a graph has.

    Returns:
        Those that do not.

    Raises:
        DataError: With file and line, for the first that does not, if that is an error.
    """
    ends = LinkEnds(path, kind, graph, graph)
    return ends.left_out(pairs, ends.named(pairs), unknown)


def _pairs(
    path: Path,
    syntax: str,
    kind: LinkKind,
    malformed: Malformed,
    known: Callable[[pl.Series], pl.Series],
) -> pl.DataFrame:
    if syntax in RDF_FORMATS:
        return read_statements(path, syntax, kind, malformed)
    if syntax == "sssom":
        return read_mappings(path, kind, known)
    return _table(path, syntax)


def links_by_name(
    left: KnowledgeGraph,
    right: KnowledgeGraph,
    *,
    kind: LinkKind = "entity",
    confidence: float = 1.0,
    spelling: Spelling = "exact",
) -> Links:
    """Link all equal names, such as IRIs, of two graphs, or all of one normal form.

    A blank node equals no other; a form that several names of a graph have links none. A further
    name that a graph states, such as a redirect, links the entity that it means.
    """
    pairs = equal_names(vocabulary(left, kind), vocabulary(right, kind), spelling)
    if left.identities is not None or right.identities is not None:
        pairs = _with_further_names(pairs, left, right, kind, spelling)
    confidences = np.full(len(pairs), confidence, dtype=np.float32)
    return Links(left.name, right.name, pairs, confidences, kind, "same name")


def _with_further_names(
    pairs: Rows, left: KnowledgeGraph, right: KnowledgeGraph, kind: LinkKind, spelling: Spelling
) -> Rows:
    """Return pairs of rows and those that further names add, each row that of the name meant."""
    columns = [
        graph.rows(vocabulary(graph, kind).names.gather(rows), kind)
        for graph, rows in zip((left, right), pairs.T, strict=True)
    ]
    further = [x.identities.further(kind)["name"] for x in (left, right) if x.identities]
    names = pl.concat(further).unique()
    names = names.filter(~names.str.starts_with("_:"))
    added = np.stack([graph.rows(names, kind, spelling) for graph in (left, right)], axis=1)
    added = added[(added >= 0).all(axis=1)]
    return np.unique(np.concatenate([np.stack(columns, axis=1), added]), axis=0)


def _syntax(path: Path, named: LinkFormat) -> str:
    """Return the format; mappings and N-Triples are recognised where the ending says a table."""
    is_table = named in TABLES
    is_named = named == "sssom"
    if named == "auto":
        is_table = ENDINGS.get(content_ending(path), "tsv") in TABLES
        is_named = is_table and ".sssom." in path.name.lower()
    if is_named or (is_table and names_mappings(path)):
        return "sssom"
    if named == "auto" and is_table and is_ntriples(path):
        return "ntriples"
    syntax = format_of(path) if named == "auto" else named
    if syntax not in get_args(LinkFormat):
        raise DataError(
            f"links are not read from {syntax}",
            remedy="Write them as a TSV or CSV of two columns",
            path=path,
        )
    return syntax


def _table(path: Path, syntax: str) -> pl.DataFrame:
    sign, after = delimiter_of(path, syntax, 2)
    return read_columns(
        path,
        ["left", "right"],
        optional=["confidence"],
        separator=sign,
        synonyms=_WORDS,
        after=after,
    )


def _confidence(frame: pl.DataFrame, path: Path, default: float) -> NDArray[np.float32]:
    """Return each link's confidence, float32 ``(n,)``."""
    if "confidence" not in frame.columns:
        return np.full(len(frame), default, dtype=np.float32)
    given = frame["confidence"].str.strip_chars()
    numbers = given.cast(pl.Float32, strict=False)
    absent = given.is_null() | (given == "")
    wrong = ~absent & ~((numbers > 0) & (numbers <= 1)).fill_null(False)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise DataError(
            f"the confidence {given[row]!r} is no number above 0 and at most 1",
            remedy="Write its decimal comma as a point"
            if is_decimal_comma(given[row])
            else "Write the share of such links that is right, as 0.9",
            path=path,
            line=frame[LINE][row],
        )
    return numbers.fill_null(default).to_numpy().astype(np.float32)


def _distinct(
    left: str,
    right: str,
    pairs: NDArray[np.int64],
    confidence: NDArray[np.float32],
    kind: LinkKind,
    provenance: str,
) -> Links:
    best = (
        pl.DataFrame({"left": pairs[:, 0], "right": pairs[:, 1], "confidence": confidence})
        .group_by("left", "right", maintain_order=True)
        .agg(pl.col("confidence").max())
    )
    return Links(
        left,
        right,
        best.select("left", "right").to_numpy().astype(np.int64),
        best["confidence"].to_numpy().astype(np.float32),
        kind,
        provenance,
    )
