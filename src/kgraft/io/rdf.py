"""RDF in every common syntax, read in batches; plain N-Triples are read by columns."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, cast

import polars as pl
from pyoxigraph import Literal, NamedNode, Quad, RdfFormat, parse

from kgraft.errors import DataError, KgraftWarning, counted, describe
from kgraft.io.iris import is_iri, names_of_iris
from kgraft.io.ntriples import blocks_of_lines, in_strict_form, plain_facts
from kgraft.io.rdf_annotations import annotation_nodes
from kgraft.io.rdf_streams import GuardedXml, skip_mark
from kgraft.io.rdf_terms import Collected, RdfBatch, Terms
from kgraft.io.source import BlankNodes, Malformed
from kgraft.system.files import Growth, open_bytes

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

_NO_JSON_LD: Final = (
    "This JSON is no JSON-LD, which has @context or @id: write its facts as a table, CSV or Parquet"
)

_BY_LINES: Final = (RdfFormat.N_TRIPLES, RdfFormat.N_QUADS)


def read_rdf(
    path: Path,
    syntax: str,
    blank_nodes: BlankNodes,
    *,
    file_name: str | None = None,
    base_iri: str | None = None,
    malformed: Malformed | None = None,
) -> Iterator[RdfBatch]:
    """Read the statements of all graphs of an RDF file, named graphs and default graph alike.

    Args:
        path: A file, plain or compressed.
        syntax: A key of ``RDF_FORMATS``.
        blank_nodes: ``scope``: a blank node is called ``_:FILE#LABEL``, or ``_:FILE#[N]`` when it
            is the file's ``N``-th node without a label. ``drop``: its statements are left out.
        file_name: ``FILE`` in names of blank nodes; by default the path's last part.
        base_iri: IRI that relative ones are resolved against; by default the file's own.
        malformed: ``error``, also by default; or ``skip``: leave malformed statements out, in
            Turtle up to the next full stop; in TriG, RDF/XML and JSON-LD only those with malformed
            IRIs.

    Yields:
        Batches of at most ``BATCH`` statements, or of one block of lines; from the first batch
        with annotations on all is one batch.

    Raises:
        DataError: With file and line, where the parser knows it: a missing, damaged, malformed
            or empty file.

    Warns:
        KgraftWarning: With counts, when statements were left out: those with blank nodes under
            ``drop``; those about statements (RDF-star) and of nodes that only such ones use, which
            no graph of facts can hold; malformed ones under ``skip``;
            and when relative IRIs were resolved against the file's own.
    """
    kind = RDF_FORMATS[syntax]
    drawn = kind not in _BY_LINES
    terms = Terms(file_name or path.name, blank_nodes, malformed, drawn=drawn)
    base = base_iri or path.absolute().as_uri()
    n_local = 0
    with open_bytes(path) as stream:
        terms.growth = Growth(path)
        skip_mark(stream, path)
        xml = GuardedXml(stream, path) if syntax == "rdfxml" else None
        source = stream if xml is None else cast("BinaryIO", xml)
        try:
            if kind in _BY_LINES:
                batches = _by_lines(source, path, kind, terms)
            else:
                batches = _by_statements(source, kind, terms, base)
            for batch in _without_annotations(batches, terms):
                if kind not in _BY_LINES and base_iri is None:
                    n_local += batch.count_local()
                yield batch
            if xml is not None and terms.statements:
                xml.check_end()
        except SyntaxError as error:
            raise DataError(
                f"not well-formed {kind.name} ({error.msg})",
                remedy=_remedy(path, kind, malformed),
                path=path,
                line=error.lineno,
            ) from error
    if terms.statements == 0 and terms.n_malformed:
        raise DataError(
            f"none of {terms.n_malformed} statements is well-formed ({terms.malformed[0]})",
            remedy="Name the file's format, or repair the statements",
            path=path,
        )
    if terms.statements == 0:
        raise DataError(
            "the file holds no statements",
            remedy=_NO_JSON_LD
            if _is_other_json(path, kind)
            else "Check that it was written completely, or leave it out",
            path=path,
        )
    terms.warn_of_dropped(path)
    if n_local:
        problem = f"relative IRIs are read against {base}, in {counted(n_local, 'statement')}"
        remedy = "Set base_iri of the source, or write whole IRIs, so that names hold elsewhere too"
        warnings.warn(describe(problem, remedy=remedy, path=path), KgraftWarning, stacklevel=2)


def _by_statements(
    source: BinaryIO | bytes, syntax: RdfFormat, terms: Terms, base: str | None = None
) -> Iterator[RdfBatch]:
    quads = _quads(source, syntax, terms, base)
    n = BATCH
    while n == BATCH:
        collected, before = Collected(), terms.statements
        for quad in islice(quads, BATCH):
            terms.add(quad, collected)
        n = terms.statements - before
        yield collected.batch()


def _quads(
    source: BinaryIO | bytes | str, syntax: RdfFormat, terms: Terms, base: str | None = None
) -> Iterator[Quad]:
    """Return well-formed statements; others are errors, or left out and counted."""
    # JSON-LD leaves out what has a malformed IRI without a word, unless the parser is lenient.
    is_checked_here = syntax == RdfFormat.JSON_LD or (
        terms.skips and syntax in (RdfFormat.TRIG, RdfFormat.RDF_XML)
    )
    quads = parse(source, format=syntax, base_iri=base, lenient=is_checked_here)
    if syntax == RdfFormat.RDF_XML and not is_checked_here:
        return quads  # The parser ends with the first error anyway.
    return _well_formed(quads, syntax, terms, is_checked_here=is_checked_here)


def _well_formed(
    quads: Iterator[Quad], syntax: RdfFormat, terms: Terms, *, is_checked_here: bool
) -> Iterator[Quad]:
    while True:
        try:
            for quad in quads:
                if not is_checked_here or _has_valid_iris(quad):
                    yield quad
                elif not terms.skips or "\n" in str(quad):
                    raise SyntaxError(f"an IRI is malformed in {str(quad)[:200]}")
                else:
                    terms.leave_out(str(quad))
        except SyntaxError as error:
            # After a literal of rdf:langString without a language the parser gives it as it is.
            if syntax in (*_BY_LINES, RdfFormat.TURTLE, RdfFormat.TRIG) and (
                "must not be rdf:langString" in error.msg
            ):
                continue
            # What reaches the end may hold any number of statements.
            if not terms.skips or syntax != RdfFormat.TURTLE or "Unexpected end" in error.msg:
                raise
            terms.leave_out(error.msg)
        else:
            return


def _has_valid_iris(quad: Quad) -> bool:
    terms = (quad.subject, quad.predicate, quad.object)
    iris = (term.datatype if isinstance(term, Literal) else term for term in terms)
    return all(is_iri(iri.value) for iri in iris if isinstance(iri, NamedNode))


def _is_other_json(path: Path, syntax: RdfFormat) -> bool:
    if syntax != RdfFormat.JSON_LD:
        return False
    with open_bytes(path) as stream:
        return b'"@' not in stream.read(1 << 16)


def _remedy(path: Path, syntax: RdfFormat, malformed: Malformed | None) -> str:
    if _is_other_json(path, syntax):
        return _NO_JSON_LD
    if malformed is None:
        return "Repair the statement, or name the file's format"
    if malformed == "error":
        return (
            "Repair the statement, name the file's format, or leave such statements out "
            'with malformed="skip"'
        )
    if syntax == RdfFormat.TURTLE:
        return "Repair the statement: what is left of the file cannot be told from it"
    return f"Repair it: in {syntax.name} only statements with malformed IRIs can be left out"


def _without_annotations(batches: Iterator[RdfBatch], terms: Terms) -> Iterator[RdfBatch]:
    """Yield batches without statements of nodes that only annotations use."""
    annotated = []
    for batch in batches:
        if terms.reifiers:
            annotated.append(batch)
        else:
            yield batch
    if annotated:
        facts = pl.concat([batch.facts for batch in annotated])
        literals = pl.concat([batch.literals for batch in annotated])
        reifiers = names_of_iris(pl.Series(sorted(terms.reifiers)))
        nodes = annotation_nodes(facts, reifiers.to_list()).implode()
        kept = RdfBatch(
            facts.filter(~pl.col("head").is_in(nodes)),
            literals.filter(~pl.col("entity").is_in(nodes)),
        )
        terms.n_about += len(facts) + len(literals) - len(kept.facts) - len(kept.literals)
        yield kept


def _by_lines(source: BinaryIO, path: Path, syntax: RdfFormat, terms: Terms) -> Iterator[RdfBatch]:
    """Read N-Triples or N-Quads by blocks of lines, each of which is a statement of its own."""
    for before, block in blocks_of_lines(source, path):
        collected = Collected()
        counts = terms.statements, terms.n_about, terms.n_blank
        try:
            plain, others = plain_facts(block.decode())
            terms.statements += len(plain) - plain["head"].null_count()
            quads = _quads("\n".join(others["line"]), syntax, terms)
            positions = [
                position
                for position, quad in zip(others["position"], quads, strict=True)
                if terms.add(quad, collected)
            ]
        except (SyntaxError, ValueError):
            terms.statements, terms.n_about, terms.n_blank = counts
            if terms.skips:
                yield from _by_single_lines(block, before, syntax, terms)
            else:
                # Parse the block again, for the error's line in the file.
                text = in_strict_form(block.decode(errors="surrogateescape"))
                again = b"\n" * before + text.encode(errors="surrogateescape")
                yield from _by_statements(again, syntax, terms)
        else:
            yield collected.batch(plain, positions)


def _by_single_lines(
    block: bytes, before: int, syntax: RdfFormat, terms: Terms
) -> Iterator[RdfBatch]:
    """Read lines each for itself, and leave out and count malformed ones."""
    collected = Collected()
    lines = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    for number, line in enumerate(lines, start=1):
        try:
            for quad in list(_quads(in_strict_form(line.decode()), syntax, terms)):
                terms.add(quad, collected)
        except SyntaxError as error:
            terms.leave_out(error.msg, before + number)
        except UnicodeDecodeError:
            # A comment may hold any bytes.
            if not line.lstrip().startswith(b"#"):
                terms.leave_out("not UTF-8", before + number)
        if number % BATCH == 0:
            yield collected.batch()
            collected = Collected()
    yield collected.batch()


def label_literals(literals: pl.DataFrame) -> pl.DataFrame:
    """Return columns entity and label from literals, each entity's best label first.

    ``rdfs:label`` and ``skos:prefLabel`` are labels; untagged and English ones come before other
    languages, else in the literals' order.
    """
    language = pl.col("language").str.to_lowercase()
    readable = language.is_null() | (language == "en") | language.str.starts_with("en-")
    return (
        literals.filter(pl.col("attribute").is_in([RDFS_LABEL, SKOS_LABEL]))
        .sort(~readable, maintain_order=True)
        .select("entity", label="value")
    )
