"""RDF in every common syntax, read in batches; plain N-Triples are read by columns."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, cast

import polars as pl
from pyoxigraph import BlankNode, Literal, NamedNode, Quad, RdfFormat, Triple, parse

from kgraft.errors import DataError, KgraftWarning, describe
from kgraft.io.iris import names_of_iris
from kgraft.io.named_facts import ROLES
from kgraft.io.ntriples import blocks_of_lines, plain_facts
from kgraft.io.rdf_streams import GuardedXml, skip_mark
from kgraft.io.source import BlankNodes
from kgraft.system.files import open_bytes

RDF_FORMATS: Final = {
    "ntriples": RdfFormat.N_TRIPLES,
    "nquads": RdfFormat.N_QUADS,
    "turtle": RdfFormat.TURTLE,
    "trig": RdfFormat.TRIG,
    "rdfxml": RdfFormat.RDF_XML,
    "jsonld": RdfFormat.JSON_LD,
}
"""Syntaxes of a graph source and their names in pyoxigraph."""

RDFS_LABEL: Final = "http://www.w3.org/2000/01/rdf-schema#label"
SKOS_LABEL: Final = "http://www.w3.org/2004/02/skos/core#prefLabel"

BATCH: Final = 100_000
"""Statements in memory as Python objects at once."""

LITERAL_COLUMNS: Final = ("entity", "attribute", "value", "datatype", "language")

# Random labels that pyoxigraph gives to unlabelled nodes.
_DRAWN_LABEL: Final = re.compile(r"[a-f][0-9a-f]{15,31}")


@dataclass(frozen=True, eq=False)
class RdfBatch:
    """Some statements of a file.

    Args:
        facts: String columns head, relation, tail.
        literals: String columns ``LITERAL_COLUMNS``; the entity by name, language may be null.
    """

    facts: pl.DataFrame
    literals: pl.DataFrame

    def count_local(self) -> int:
        """Return the number of statements with an IRI of a file on a disk."""
        return sum(
            len(frame.filter(pl.any_horizontal(pl.col(columns).str.starts_with("file:///"))))
            for frame, columns in ((self.facts, ROLES), (self.literals, LITERAL_COLUMNS[:2]))
        )


def read_rdf(
    path: Path,
    syntax: str,
    blank_nodes: BlankNodes,
    *,
    file_name: str | None = None,
    base_iri: str | None = None,
) -> Iterator[RdfBatch]:
    """Read the statements of all graphs of an RDF file, named graphs and default graph alike.

    Args:
        path: A file, plain or compressed.
        syntax: A key of ``RDF_FORMATS``.
        blank_nodes: ``scope``: a blank node is called ``_:FILE#LABEL``, or ``_:FILE#[N]`` when it
            is the file's ``N``-th node without a label. ``drop``: its statements are left out.
        file_name: ``FILE`` in names of blank nodes; by default the path's last part.
        base_iri: IRI that relative ones are resolved against; by default the file's own.

    Yields:
        Batches of at most ``BATCH`` statements, or of one block of lines.

    Raises:
        DataError: With file and line, where the parser knows it: a missing, damaged, malformed
            or empty file.

    Warns:
        KgraftWarning: With counts, when statements were left out: those with blank nodes under
            ``drop``, and those about statements (RDF-star), which no graph of facts can hold;
            and when relative IRIs were resolved against the file's own.
    """
    terms = _Terms(file_name or path.name, blank_nodes, drawn=syntax not in ("ntriples", "nquads"))
    base = base_iri or path.absolute().as_uri()
    n_local = 0
    with open_bytes(path) as stream:
        skip_mark(stream)
        xml = GuardedXml(stream, path) if syntax == "rdfxml" else None
        source = stream if xml is None else cast("BinaryIO", xml)
        try:
            if syntax == "ntriples":
                yield from _by_lines(source, path, terms)
            else:
                for batch in _by_statements(source, RDF_FORMATS[syntax], terms, base):
                    n_local += batch.count_local() if base_iri is None else 0
                    yield batch
            if xml is not None and terms.statements:
                xml.check_end()
        except SyntaxError as error:
            raise DataError(
                f"not well-formed {RDF_FORMATS[syntax].name} ({error.msg})",
                remedy="Repair the statement, or name the file's format",
                path=path,
                line=error.lineno,
            ) from error
    if terms.statements == 0:
        raise DataError(
            "the file holds no statements",
            remedy="Check that it was written completely, or leave it out",
            path=path,
        )
    terms.warn_of_dropped(path)
    if n_local:
        problem = f"relative IRIs are read against {base}, in {n_local} statements"
        remedy = "Set base_iri to the IRI that they are meant for, so that names hold elsewhere too"
        warnings.warn(describe(problem, remedy=remedy, path=path), KgraftWarning, stacklevel=2)


def _by_statements(
    source: BinaryIO | bytes, syntax: RdfFormat, terms: _Terms, base: str | None = None
) -> Iterator[RdfBatch]:
    collected = _Collected()
    quads = parse(source, format=syntax, base_iri=base)
    for number, quad in enumerate(quads, start=1):
        terms.add(quad, collected)
        if number % BATCH == 0:
            yield collected.batch()
            collected = _Collected()
    yield collected.batch()


def _by_lines(source: BinaryIO, path: Path, terms: _Terms) -> Iterator[RdfBatch]:
    """Read N-Triples by blocks of lines, each of which is a statement of its own."""
    syntax = RdfFormat.N_TRIPLES
    for before, block in blocks_of_lines(source, path):
        collected = _Collected()
        try:
            plain, others = plain_facts(block.decode())
            terms.statements += len(plain) - plain["head"].null_count()
            quads = parse("\n".join(others["line"]), format=syntax)
            positions = [
                position
                for position, quad in zip(others["position"], quads, strict=True)
                if terms.add(quad, collected)
            ]
        except (SyntaxError, ValueError):
            # Parse the block again, for the error's line in the file.
            yield from _by_statements(b"\n" * before + block, syntax, terms)
        else:
            yield collected.batch(plain, positions)


def label_literals(literals: pl.DataFrame) -> pl.DataFrame:
    """Return columns entity and label from literals, each entity's best label first.

    ``rdfs:label`` and ``skos:prefLabel`` are labels; untagged and English ones come before other
    languages, else the file's order counts.
    """
    language = pl.col("language").str.to_lowercase()
    readable = language.is_null() | (language == "en") | language.str.starts_with("en-")
    return (
        literals.filter(pl.col("attribute").is_in([RDFS_LABEL, SKOS_LABEL]))
        .sort(~readable, maintain_order=True)
        .select("entity", label="value")
    )


@dataclass
class _Collected:
    """Columns under construction."""

    facts: tuple[list[str], list[str], list[str]] = field(default_factory=lambda: ([], [], []))
    literals: list[tuple[str, str, str, str, str | None]] = field(default_factory=list)

    def batch(self, plain: pl.DataFrame | None = None, positions: Sequence[int] = ()) -> RdfBatch:
        """Return the batch; its facts fill positions among the plain ones, if there are any."""
        facts = pl.DataFrame(
            dict(zip(ROLES, self.facts, strict=True)), schema=dict.fromkeys(ROLES, pl.String)
        )
        if plain is not None:
            filled = [plain[role].scatter(positions, facts[role]) for role in ROLES]
            facts = pl.DataFrame(filled).drop_nulls()
        literals = pl.DataFrame(
            self.literals, schema=dict.fromkeys(LITERAL_COLUMNS, pl.String), orient="row"
        )
        decoded = [names_of_iris(literals["entity"]), names_of_iris(literals["attribute"])]
        return RdfBatch(
            facts.select(names_of_iris(column) for column in facts), literals.with_columns(*decoded)
        )


class _Terms:
    """Names of one file's terms, and counts of statements without names."""

    def __init__(self, file: str, blank_nodes: BlankNodes, *, drawn: bool) -> None:
        self._file = file
        self._drop = blank_nodes == "drop"
        self._drawn = drawn
        self._number_of: dict[str, int] = {}
        self.statements = 0
        self._with_blank = 0
        self._about_statements = 0

    def add(self, quad: Quad, collected: _Collected) -> bool:
        """Collect a statement; return True if it is a fact."""
        self.statements += 1
        subject, predicate, object_ = quad.subject, quad.predicate, quad.object
        head = subject.value if type(subject) is NamedNode else self._name(subject)
        if head is None:
            return False
        if type(object_) is NamedNode:
            tail: str | None = object_.value
        elif isinstance(object_, Literal):
            collected.literals.append(
                (head, predicate.value, object_.value, object_.datatype.value, object_.language)
            )
            return False
        else:
            tail = self._name(object_)
        if tail is None:
            return False
        heads, relations, tails = collected.facts
        heads.append(head)
        relations.append(predicate.value)
        tails.append(tail)
        return True

    def _name(self, term: NamedNode | BlankNode | Triple) -> str | None:
        """Return a blank node's name, or count the statement and return None."""
        if not isinstance(term, BlankNode):
            self._about_statements += 1
            return None
        if self._drop:
            self._with_blank += 1
            return None
        label = term.value
        if self._drawn and _DRAWN_LABEL.fullmatch(label):
            # Numbered in the file's order, so that reading is reproducible.
            label = f"[{self._number_of.setdefault(label, len(self._number_of))}]"
        return f"_:{self._file}#{label}"

    def warn_of_dropped(self, path: Path) -> None:
        reasons = (
            (self._with_blank, "with blank nodes", 'Read with blank_nodes="scope" to keep them'),
            (self._about_statements, "about statements (RDF-star)", "Give them as plain facts"),
        )
        for count, kind, remedy in reasons:
            if count:
                problem = f"{count} statements {kind} were left out"
                warnings.warn(
                    describe(problem, remedy=remedy, path=path), KgraftWarning, stacklevel=3
                )
