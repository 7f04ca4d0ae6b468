"""Read a graph from its files, in any format."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from kgraft.errors import DataError, KgraftWarning, describe
from kgraft.graph.assemble import FactRows, assemble
from kgraft.graph.identities import SameNames, is_identity
from kgraft.graph.knowledge_graph import ATTRIBUTE_SCHEMA, SPLITS, KnowledgeGraph, Triples
from kgraft.graph.vocabulary import Rows, Vocabulary
from kgraft.io.attributes import OWN_NAME, part_literals, read_attributes
from kgraft.io.columnar import read_columnar
from kgraft.io.delimiters import delimiter_of
from kgraft.io.fact_columns import is_ntriples, read_fact_table
from kgraft.io.fact_confidence import CONFIDENCE
from kgraft.io.file_formats import TABLES, format_of, graph_name
from kgraft.io.known_false import known_false_facts
from kgraft.io.name_lists import NameList, read_names
from kgraft.io.named_facts import ROLES, FactNames, labels_for
from kgraft.io.rdf import RDF_FORMATS, label_literals, read_rdf
from kgraft.io.rdf_terms import LITERAL_COLUMNS, RdfBatch
from kgraft.io.source import GraphSource
from kgraft.io.splits import draw_splits
from kgraft.io.tabular import LINE, read_columns, whole_numbers
from kgraft.system.forks import require_threads

IRI_AS_TEXT: Final = r"^[A-Za-z][A-Za-z0-9+.-]*://\S+$"
"""An IRI in a literal."""


def read_graph(
    source: GraphSource | str | PathLike[str], further: SameNames | None = None
) -> KnowledgeGraph:
    """Read a graph from its files.

    Entities and relations get their rows in the order of their names, or by the source's lists, and
    facts come in the order of their rows, so the order of files and lines plays no part. The names
    of a table's columns tell their roles (``find_roles``), unless the source gives ``columns``.
    Statements of sameness, in any format, are no facts, unless the source keeps them.

    Args:
        source: Its files; or the path of one file, which has training facts only.
        further: Further pairs of names that mean the same.

    Raises:
        DataError: With file, line and remedy, for anything that cannot be read, and for a fact
            that is both stated and known to be false.

    Warns:
        KgraftWarning: When train repeats held-out facts, when RDF statements or facts known to be
            false are left out, when statements of sameness are found, or when far fewer facts are
            held out than asked for.
    """
    require_threads()
    if not isinstance(source, GraphSource):
        source = GraphSource(name=graph_name(Path(source)), train=(Path(source),))
    reading = Reading(source)
    splits = {
        split: [rows for path in getattr(source, split) for rows in agreed([*reading.read(path)])]
        for split in SPLITS
    }
    for path in source.attributes:
        reading.read_attributes(path)
    return assembled(reading, splits, further)


def assembled(
    reading: Reading, splits: dict[str, list[FactRows]], further: SameNames | None = None
) -> KnowledgeGraph:
    """Return the graph of what was read, as ``read_graph`` does.

    Args:
        reading: Names, lists and attributes of the files.
        splits: Facts of each split.
        further: Further pairs of names that mean the same.
    """
    source = reading.source
    entities, relations = reading.number(splits)
    graph = assemble(
        source.name,
        entities,
        relations,
        splits,
        labels=reading.labels(entities),
        attributes=reading.literals(),
        known_false=_known_false(source, (entities, relations)),
        identities=source.identities if "identities" in source.model_fields_set else None,
        further=further,
        fixed=source.entities is not None or source.relations is not None,
    )
    graph = replace(graph, license=source.license)
    if graph.identities is not None:
        identities = replace(graph.identities, spelling=source.spelling)
        graph = replace(graph, identities=identities)
    if source.split is None:
        return graph
    return draw_splits(graph, source.split)


def agreed(pieces: list[FactRows]) -> list[FactRows]:
    """Return the pieces of one file, without confidences if not all of its columns hold some.

    A column called weight may turn out in its last rows to hold no confidences.
    """
    if all(x.confidence is not None for x in pieces if not x.stated_as_text):
        return pieces
    return [replace(x, confidence=None) for x in pieces]


def _known_false(source: GraphSource, names: tuple[Vocabulary, Vocabulary]) -> list[FactRows]:
    """Read the facts known to be false, in the rows of a graph's names."""
    if not source.negatives:
        return []
    reading = Reading(source)
    pieces = [rows for path in source.negatives for rows in agreed([*reading.read(path)])]
    own = reading.vocabularies()
    return known_false_facts(source.name, names, pieces, own, source.spelling)


class Reading:
    """Names, lists and attributes that the files of one graph share.

    Args:
        source: The files.
        names: Numbers the names; by default in memory.
    """

    def __init__(self, source: GraphSource, names: FactNames | None = None) -> None:
        self.source = source
        self._names = names or FactNames()
        self._file_names = source.file_names()
        self._entities = read_names(source.entities) if source.entities else None
        self._relations = read_names(source.relations) if source.relations else None
        self.attributes: list[pl.DataFrame] = []

    def read(self, path: Path) -> Iterator[FactRows]:
        """Yield the facts of a file, in rows of the names so far."""
        source = self.source
        kind = self._format(path)
        # Only columns that were given, not the default, outrank a header.
        columns = source.columns if "columns" in source.model_fields_set else None
        if kind in RDF_FORMATS:
            yield from self._read_rdf(path, kind)
        elif kind not in TABLES:
            yield from (self._numbered(facts, path) for facts in read_columnar(path, columns))
        elif OWN_NAME.fullmatch(path.name) and columns is None:
            self.read_attributes(path)
            problem = "read as attributes of entities, as its name says, not as facts"
            remedy = "Give it as attributes of the source to silence this"
            warnings.warn(describe(problem, remedy=remedy, path=path), KgraftWarning, stacklevel=3)
        else:
            facts, literals = part_literals(
                read_fact_table(
                    path,
                    delimiter_of(path, kind, len(ROLES)),
                    columns=columns,
                    header=source.header,
                )
            )
            if len(facts):
                yield self._numbered(facts, path)
            if literals is not None:
                yield from self._stated_as_text(literals, path)
                self._add(literals, path)

    def read_attributes(self, path: Path) -> None:
        """Read a file of literals."""
        kind = self._format(path)
        if kind in RDF_FORMATS:
            n_facts = 0
            for batch in self._rdf_batches(path, kind):
                self._add(batch.literals, path)
                n_facts += len(batch.facts)
            if n_facts:
                problem = f"{n_facts} facts among the attributes were left out"
                remedy = "Give the file under train to have them; its literals are attributes"
                warnings.warn(
                    describe(problem, remedy=remedy, path=path), KgraftWarning, stacklevel=3
                )
        elif kind in TABLES:
            self._add(read_attributes(path, delimiter_of(path, kind, 2)), path)
        else:
            raise DataError(
                f"attributes are not read from {kind}",
                remedy="Write them as a table of entity, attribute and value, or as RDF",
                path=path,
            )

    def _format(self, path: Path) -> str:
        if self.source.format != "auto":
            return self.source.format
        kind = format_of(path)
        return "ntriples" if kind == "tsv" and is_ntriples(path) else kind

    def _stated_as_text(self, literals: pl.DataFrame, path: Path) -> Iterator[FactRows]:
        """Yield the statements of sameness whose object is an IRI as text."""
        if self._entities or self._relations or self.source.identities == "facts":
            return
        stated = literals.filter(
            pl.Series(is_identity(literals["attribute"])), pl.col("value").str.contains(IRI_AS_TEXT)
        )
        if len(stated):
            facts = stated.select(head="entity", relation="attribute", tail="value")
            yield FactRows(self._names.triples(facts), path, stated_as_text=True)

    def _add(self, literals: pl.DataFrame, path: Path) -> None:
        """Add attributes, whose entities may be new ones."""
        if not len(literals):
            return
        if self._entities:
            rows = whole_numbers(
                literals["entity"],
                path=path,
                role="entity",
                limit=len(self._entities.vocabulary),
                lines=literals[LINE],
            )
        else:
            (rows,) = self._names.entities.rows(literals["entity"])
        numbered = literals.select(*LITERAL_COLUMNS).with_columns(entity=pl.Series(rows))
        self.attributes.append(numbered.cast({"entity": ATTRIBUTE_SCHEMA["entity"]}))

    def _read_rdf(self, path: Path, syntax: str) -> Iterator[FactRows]:
        for batch in self._rdf_batches(path, syntax):
            yield FactRows(self._names.triples(batch.facts), path)
            yield from self._stated_as_text(batch.literals, path)
            self._add(batch.literals, path)

    def _rdf_batches(self, path: Path, syntax: str) -> Iterator[RdfBatch]:
        if self._entities or self._relations:
            raise DataError(
                "RDF names its entities and relations itself",
                remedy="Leave out the lists of entities and relations",
                path=path,
            )
        return read_rdf(
            path,
            syntax,
            self.source.blank_nodes,
            file_name=self._file_names[path],
            base_iri=self.source.base_iri,
            malformed=self.source.malformed,
        )

    def _numbered(self, facts: pl.DataFrame, path: Path) -> FactRows:
        lines = facts[LINE] if LINE in facts.columns else None
        given = facts[CONFIDENCE].to_numpy() if CONFIDENCE in facts.columns else None
        return FactRows(self._rows(facts, path, lines), path, lines, given)

    def _rows(self, facts: pl.DataFrame, path: Path, lines: pl.Series | None) -> Triples:
        def by_list(role: str, listed: NameList) -> Rows:
            limit = len(listed.vocabulary)
            return whole_numbers(facts[role], path=path, role=role, limit=limit, lines=lines)

        if self._entities:
            heads, tails = by_list("head", self._entities), by_list("tail", self._entities)
        else:
            heads, tails = self._names.entities.rows(facts["head"], facts["tail"])
        if self._relations:
            relations = by_list("relation", self._relations)
        else:
            (relations,) = self._names.relations.rows(facts["relation"])
        return np.stack([heads, relations, tails], axis=1)

    @property
    def has_list(self) -> bool:
        """Whether entities are numbered by a list."""
        return self._entities is not None

    def vocabularies(self) -> tuple[Vocabulary, Vocabulary]:
        """Return the entities and relations of all that was read."""
        names = self._names
        return (
            self._entities.vocabulary if self._entities else names.entities.vocabulary(),
            self._relations.vocabulary if self._relations else names.relations.vocabulary(),
        )

    def in_order(self) -> tuple[Rows, Rows]:
        """Put names without a list in their order; return each entity's and relation's new row."""
        entities, relations = (
            table.in_order() if listed is None else np.arange(len(listed.vocabulary))
            for listed, table in (
                (self._entities, self._names.entities),
                (self._relations, self._names.relations),
            )
        )
        return entities, relations

    def number(self, splits: dict[str, list[FactRows]]) -> tuple[Vocabulary, Vocabulary]:
        """Number the names once all are read, in facts and attributes too.

        Names of one normal form become one where the source says so.
        """
        entity_rows, relation_rows = self.in_order()
        entities, relations = self.vocabularies()
        if self.source.spelling == "normal":
            entities, to_kept = _merged(entities)
            relations, to_kept_relations = _merged(relations)
            entity_rows, relation_rows = to_kept[entity_rows], to_kept_relations[relation_rows]
        for rows in (rows for pieces in splits.values() for rows in pieces):
            rows.renumber(entity_rows, relation_rows)
        self.attributes = [
            frame.with_columns(entity=pl.Series(entity_rows[frame["entity"].to_numpy()]))
            for frame in self.attributes
        ]
        return entities, relations

    def literals(self) -> pl.DataFrame | None:
        """Return all attributes by entity, attribute, language and value; None if none was read."""
        if not self.attributes:
            return None
        order = ("entity", "attribute", "language", "value", "datatype")
        return pl.concat(self.attributes).sort(order, nulls_last=False)

    def labels(self, entities: Vocabulary) -> pl.Series | None:
        """Return labels from the labels file, else from the list of entities, else from RDF."""
        if self.source.labels is not None:
            named = read_columns(self.source.labels, ("name", "label"))
            if self.source.spelling == "normal":
                rows = pl.Series(entities.rows_by_form(named["name"]))
                named = named.filter(rows >= 0)
                named = named.with_columns(name=entities.names.gather(rows.filter(rows >= 0)))
            return labels_for(entities, named.select("name", "label"))
        if self._entities:
            return self._entities.labels
        literals = self.literals()
        if literals is not None:
            found = label_literals(literals)
            names = entities.names.gather(found["entity"])
            return labels_for(entities, pl.DataFrame({"name": names, "label": found["label"]}))
        return None


def _merged(names: Vocabulary) -> tuple[Vocabulary, Rows]:
    """Return the first name of each normal form, and the new row of every old one, ``(n,)``."""
    first = names.first_of_form()
    is_first = first == np.arange(len(first))
    return Vocabulary(names.names.filter(is_first)), (np.cumsum(is_first) - 1)[first]
