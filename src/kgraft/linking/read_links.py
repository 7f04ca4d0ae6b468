"""Links from files: tables of two names, SSSOM mappings, and RDF statements of sameness."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.errors import DataError, KgraftWarning, describe
from kgraft.files import open_bytes
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.rdf import RDF_FORMATS, read_rdf
from kgraft.graph.read import format_of
from kgraft.graph.tabular import LINE, read_columns, whole_numbers
from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.links import LinkKind, Links

LinkFormat = Literal[
    "auto", "tsv", "csv", "sssom", "ntriples", "nquads", "turtle", "trig", "rdfxml", "jsonld"
]
"""How a file of links is read; ``auto`` goes by its ending, ``.sssom.tsv`` being SSSOM."""

Unknown = Literal["error", "skip"]
"""What becomes of a link whose entity the graph does not have."""

_OWL: Final = "http://www.w3.org/2002/07/owl#"
_SKOS: Final = "http://www.w3.org/2004/02/skos/core#"

SAME: Final = {
    "entity": (f"{_OWL}sameAs", f"{_SKOS}exactMatch", f"{_OWL}equivalentClass"),
    "relation": (f"{_OWL}equivalentProperty", f"{_OWL}sameAs", f"{_SKOS}exactMatch"),
}
"""Predicates that say that two things are one."""

_WORDS: Final = {
    **dict.fromkeys(("source", "subject", "subject_id", "entity1", "id1", "from"), "left"),
    **dict.fromkeys(("target", "object", "object_id", "entity2", "id2", "to"), "right"),
    **dict.fromkeys(("score", "weight"), "confidence"),
}

_PREFIXES: Final = {"owl": _OWL, "skos": _SKOS}
"""Prefixes that an SSSOM file need not declare."""


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
) -> Links:
    """Read links between two graphs.

    A table has the left name, the right name, and perhaps a confidence. In SSSOM and RDF a pair
    may stand in either order; statements other than of sameness are left out. A pair given twice
    keeps its highest confidence.

    Args:
        path: The file, plain or compressed.
        left: The graph of the first column.
        right: The graph of the second column.
        kind: Whether entities or relations are linked.
        format: How the file is read.
        ids: Whether a table holds row numbers in place of names; ``3931.0`` is 3931.
        confidence: Of links that have none of their own.
        unknown: ``error``, or ``skip``: leave out links to names that a graph does not have.

    Raises:
        DataError: With file, line and remedy: an unreadable file, a wrong number of columns, an
            unknown name, a row number that is not one, a confidence outside (0, 1].

    Warns:
        KgraftWarning: With counts, when links were left out.
    """
    if format == "auto":
        sssom = ".sssom." in path.name.lower()
        format = "sssom" if sssom else format_of(path)  # type: ignore[assignment]  # noqa: A001
    sides = _Sides(path, kind, _vocabulary(left, kind), _vocabulary(right, kind), left, right)
    if format in RDF_FORMATS:
        frame, either_order = _statements(path, format, kind), True
    elif format == "sssom":
        frame, either_order = _mappings(path, kind), True
    else:
        frame, either_order = _table(path, format), False
    pairs = sides.numbered(frame) if ids else sides.named(frame, either_order=either_order)
    known = (pairs >= 0).all(axis=1)
    if not known.all():
        sides.complain(frame, pairs, unknown)
    trust = _confidence(frame, path, confidence)
    return _distinct(left.name, right.name, pairs[known], trust[known], kind, path.name)


def links_by_name(
    left: KnowledgeGraph,
    right: KnowledgeGraph,
    *,
    kind: LinkKind = "entity",
    confidence: float = 1.0,
) -> Links:
    """Link everything that carries the same name, as one IRI, in both graphs."""
    places = _vocabulary(right, kind).rows(_vocabulary(left, kind).names)
    shared = np.flatnonzero(places >= 0)
    pairs = np.stack([shared, places[shared]], axis=1)
    trust = np.full(len(pairs), confidence, dtype=np.float32)
    return Links(left.name, right.name, pairs, trust, kind, "same name")


def _vocabulary(graph: KnowledgeGraph, kind: LinkKind) -> Vocabulary:
    return graph.entities if kind == "entity" else graph.relations


def _table(path: Path, syntax: str) -> pl.DataFrame:
    return read_columns(
        path,
        ["left", "right"],
        optional=["confidence"],
        separator="," if syntax == "csv" else "\t",
        synonyms=_WORDS,
    )


def _mappings(path: Path, kind: LinkKind) -> pl.DataFrame:
    """Read SSSOM (Matentzoglu et al., Database, 2022): a table after a commented YAML header."""
    columns = ["subject_id", "predicate_id", "object_id"]
    frame = read_columns(path, columns, optional=["confidence"], header=True, comment="#")
    prefixes = {**_PREFIXES, **_declared_prefixes(path)}
    frame = frame.with_columns(pl.col(columns).map_batches(lambda x: _expanded(x, prefixes)))
    same = frame.filter(pl.col("predicate_id").is_in(SAME[kind]))
    _warn_of_others(path, len(frame) - len(same))
    return same.rename({"subject_id": "left", "object_id": "right"}).drop("predicate_id")


def _declared_prefixes(path: Path) -> dict[str, str]:
    """Read the ``curie_map`` of an SSSOM header."""
    found: dict[str, str] = {}
    inside = False
    with open_bytes(path) as stream:
        for raw in stream:
            if not raw.startswith(b"#"):
                break
            line = raw.decode("utf-8", errors="replace")[1:].rstrip()
            entry = re.fullmatch(r"""\s+["']?([\w.-]*)["']?:\s+["']?([^"'\s]+)["']?""", line)
            if inside and entry:
                found[entry[1]] = entry[2]
            else:
                inside = line.strip() == "curie_map:"
    return found


def _expanded(names: pl.Series, prefixes: dict[str, str]) -> pl.Series:
    """Write CURIEs out in full where their prefix is declared; other names stay."""
    parts = names.str.splitn(":", 2).struct.rename_fields(["prefix", "rest"])
    base = parts.struct.field("prefix").replace_strict(
        prefixes, default=None, return_dtype=pl.String
    )
    return (base + parts.struct.field("rest")).fill_null(names)


def _statements(path: Path, syntax: str, kind: LinkKind) -> pl.DataFrame:
    """Read statements of sameness; the line of a statement is not known."""
    batches = [batch.facts for batch in read_rdf(path, syntax, "scope")]
    facts = pl.concat(batches)
    same = facts.filter(pl.col("relation").is_in(SAME[kind]))
    _warn_of_others(path, len(facts) - len(same))
    if same.is_empty():
        raise DataError(
            f"no statement says that two {_many(kind)} are the same",
            remedy=f"Link them by {SAME[kind][0]}",
            path=path,
        )
    return same.select(left="head", right="tail", line=pl.lit(None, dtype=pl.Int64))


def _warn_of_others(path: Path, others: int) -> None:
    if others:
        warnings.warn(
            describe(
                f"{others} statements are not of sameness and were left out",
                remedy="Nothing to do, if that is meant",
                path=path,
            ),
            KgraftWarning,
            stacklevel=4,
        )


class _Sides:
    """The two vocabularies that a file's links join."""

    def __init__(
        self,
        path: Path,
        kind: LinkKind,
        left_names: Vocabulary,
        right_names: Vocabulary,
        left: KnowledgeGraph,
        right: KnowledgeGraph,
    ) -> None:
        self._path = path
        self._kind = kind
        self._names = {"left": left_names, "right": right_names}
        self._graphs = {"left": left.name, "right": right.name}

    def numbered(self, frame: pl.DataFrame) -> NDArray[np.int64]:
        """Return pairs ``(n, 2)`` of row numbers."""
        columns = [
            whole_numbers(
                frame[side],
                path=self._path,
                role=f"{self._kind} of {self._graphs[side]}",
                limit=len(names),
                lines=frame[LINE],
            )
            for side, names in self._names.items()
        ]
        return np.stack(columns, axis=1)

    def named(self, frame: pl.DataFrame, *, either_order: bool) -> NDArray[np.int64]:
        """Return pairs ``(n, 2)`` of rows, -1 for an unknown name."""
        pairs = self._found(frame["left"], frame["right"])
        if either_order:
            turned = self._found(frame["right"], frame["left"])
            better = (turned >= 0).sum(axis=1) > (pairs >= 0).sum(axis=1)
            pairs[better] = turned[better]
        return pairs

    def _found(self, left: pl.Series, right: pl.Series) -> NDArray[np.int64]:
        rows = [self._names["left"].rows(left), self._names["right"].rows(right)]
        return np.stack(rows, axis=1)

    def complain(self, frame: pl.DataFrame, pairs: NDArray[np.int64], unknown: Unknown) -> None:
        """Raise an error for the first unknown name, or warn of how many there are."""
        wrong = np.flatnonzero((pairs < 0).any(axis=1))
        row = int(wrong[0])
        side = "left" if pairs[row, 0] < 0 else "right"
        name, line = frame[side][row], frame[LINE][row]
        if unknown == "error":
            raise DataError(
                f"{self._graphs[side]!r} has no {self._kind} {name!r}",
                remedy='Mend the name, or set unknown = "skip" to leave such links out',
                path=self._path,
                line=line,
            )
        warnings.warn(
            describe(
                f"{len(wrong)} of {len(pairs)} links name {_many(self._kind)} that their graph "
                f"does not have, as {name!r}, and were left out",
                remedy="Check that links and graphs are of one version",
                path=self._path,
                line=line,
            ),
            KgraftWarning,
            stacklevel=3,
        )


def _many(kind: LinkKind) -> str:
    return "entities" if kind == "entity" else "relations"


def _confidence(frame: pl.DataFrame, path: Path, default: float) -> NDArray[np.float32]:
    """Return each link's confidence, float32 ``(n,)``."""
    if "confidence" not in frame.columns:
        return np.full(len(frame), default, dtype=np.float32)
    given = frame["confidence"].str.strip_chars()
    numbers = given.cast(pl.Float64, strict=False)
    absent = given.is_null() | (given == "")
    wrong = ~absent & ~((numbers > 0) & (numbers <= 1)).fill_null(False)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise DataError(
            f"the confidence {given[row]!r} is no number above 0 and at most 1",
            remedy="Write the share of such links that is right, as 0.9",
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
