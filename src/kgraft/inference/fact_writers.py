"""Writers of facts as text: TSV, N-Triples, annotated Turtle, and CSV for a person to review."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import polars as pl
import pyoxigraph

from kgraft.errors import DataError
from kgraft.io.decisions import DECISION, guarded
from kgraft.io.iris import iri_of, is_iri
from kgraft.io.named_facts import ROLES
from kgraft.io.write_graph import check_cells
from kgraft.system.terminal import visible

Annotation = Literal["rdf12", "reification"]
"""Form of annotations in Turtle: an annotation of RDF 1.2, or an ``rdf:Statement``."""

VOCABULARY: Final = "urn:kgraft:vocabulary:"
"""Prefix of the properties that Turtle gives a fact: one for each further column."""

_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

_LISTS: Final = ("stated_by",)
"""Columns of several values, as ``a,b``."""

_FIRST: Final = ("probability", "why")
"""Columns that follow the names and labels in a review file."""


@dataclass(frozen=True, eq=False)
class FactForm:
    """Options of files of facts: IRIs, annotations, origin and labels.

    Args:
        base: Beginning of the IRIs of names that are none, in RDF; they follow percent-encoded.
            Without it, such a name is an error.
        annotation: Form of annotations in Turtle.
        about: The origin of a file, by key: in Parquet's metadata, and in comments at
            the beginning of RDF.
        labels: Readable labels of entities, by name, for review files.

    Raises:
        DataError: If the base is no IRI.
    """

    base: str | None = None
    annotation: Annotation = "rdf12"
    about: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.base is not None and not is_iri(self.base):
            raise DataError(
                f"the base {self.base!r} is no IRI", remedy="Give one such as https://example.org/"
            )

    def iri(self, name: str) -> str:
        """Return a name as an IRI in angle brackets.

        Raises:
            DataError: If it is none, and there is no base.
        """
        if self.base is None and not is_iri(name):
            raise DataError(
                f"the name {name!r} is no IRI, as RDF needs",
                remedy="Give the beginning of an IRI for such names to follow percent-encoded: "
                "--base https://example.org/ (in Python base=); --base urn:kgraft: is read back "
                "as these names. Or write .tsv or .parquet, which keep them as they are",
            )
        return f"<{name if self.base is None else iri_of(name, self.base)}>"


@dataclass(frozen=True)
class TextFormat:
    """One format.

    Args:
        begin: Returns the beginning of a file of some columns.
        rows: Returns facts as text.
    """

    begin: Callable[[Sequence[str], FactForm], str]
    rows: Callable[[pl.DataFrame, FactForm], str]


def _tsv_begin(columns: Sequence[str], _: FactForm) -> str:
    return "\t".join(columns) + "\n"


def _tsv_rows(frame: pl.DataFrame, _: FactForm) -> str:
    check_cells(frame.select(ROLES))
    return frame.write_csv(include_header=False, separator="\t", quote_style="never")


def _comments(_: Sequence[str], form: FactForm) -> str:
    return "".join(f"# {visible(f'{key}: {value}')}\n" for key, value in form.about.items())


def _triples(frame: pl.DataFrame, form: FactForm) -> str:
    return "".join(f"{' '.join(fact)} .\n" for fact in _facts(frame, form))


def _facts(frame: pl.DataFrame, form: FactForm) -> list[tuple[str, ...]]:
    """Return the names of each fact as IRIs."""
    names = pl.concat([frame[role] for role in ROLES]).unique(maintain_order=True).to_list()
    iris = {name: form.iri(name) for name in names}
    return [tuple(iris[name] for name in fact) for fact in frame.select(ROLES).iter_rows()]


def _turtle_begin(columns: Sequence[str], form: FactForm) -> str:
    prefixes = f"@prefix k: <{VOCABULARY}> .\n"
    if form.annotation == "reification":
        prefixes += f"@prefix rdf: <{_RDF}> .\n"
    return _comments(columns, form) + prefixes


def _turtle(frame: pl.DataFrame, form: FactForm) -> str:
    properties = [name for name in frame.columns if name not in ROLES]
    lines = []
    for fact, values in zip(_facts(frame, form), frame.iter_rows(named=True), strict=True):
        annotated = " ; ".join(
            f"k:{name} {x}" for name in properties if (x := _term(name, values[name]))
        )
        line = " ".join(fact)
        if form.annotation == "rdf12":
            lines.append(f"{line} {{| {annotated} |}} .\n" if annotated else f"{line} .\n")
            continue
        parts = zip(("subject", "predicate", "object"), fact, strict=True)
        node = " ; ".join(["a rdf:Statement", *(f"rdf:{role} {x}" for role, x in parts)])
        lines.append(f"{line} .\n[] {node}{' ; ' if annotated else ''}{annotated} .\n")
    return "".join(lines)


def _term(column: str, value: Any) -> str:
    """Return a value as Turtle, nothing for none."""
    if value is None or value == "" or value != value:
        return ""
    if isinstance(value, float):
        return f"{value:.6f}"
    if isinstance(value, bool | int):
        return str(value).lower()
    values = str(value).split(",") if column in _LISTS else [str(value)]
    return ", ".join(str(pyoxigraph.Literal(x)) for x in values)


def _review_columns(columns: Sequence[str], form: FactForm) -> list[str]:
    labels = ["head_label", "tail_label"] if form.labels else []
    first = [DECISION, *ROLES, *labels, *_FIRST]
    return [*first, *(name for name in columns if name not in first)]


def _review_begin(columns: Sequence[str], form: FactForm) -> str:
    return "\ufeff" + _csv([_review_columns(columns, form)])


def _review_rows(frame: pl.DataFrame, form: FactForm) -> str:
    columns = _review_columns(frame.columns, form)
    rows = []
    for row in frame.iter_rows(named=True):
        cells = {
            "head_label": form.labels.get(row["head"], ""),
            "tail_label": form.labels.get(row["tail"], ""),
            "why": _why(row),
            **row,
        }
        rows.append([_cell(cells.get(name)) for name in columns])
    return _csv(rows)


def _why(row: Mapping[str, Any]) -> str:
    found = [f"stated by {row['stated_by']}"] if row.get("stated_by") else []
    found += [row["contradicts"]] if row.get("contradicts") else []
    return "; ".join(found) or "inferred"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else guarded(str(value))


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


TEXT_FORMATS: Final = {
    ".tsv": TextFormat(_tsv_begin, _tsv_rows),
    ".nt": TextFormat(_comments, _triples),
    ".ttl": TextFormat(_turtle_begin, _turtle),
    ".csv": TextFormat(_review_begin, _review_rows),
}
"""Formats by the ending of a file's name."""
