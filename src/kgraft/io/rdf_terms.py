"""Names of RDF terms, and statements collected to columns."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import polars as pl
from pyoxigraph import BlankNode, Literal, NamedNode, Quad, Triple

from kgraft.errors import KgraftWarning, counted, describe
from kgraft.io.iris import names_of_iris
from kgraft.io.named_facts import ROLES
from kgraft.io.ntriples import XSD
from kgraft.io.rdf_annotations import REIFIES
from kgraft.io.source import BlankNodes, Malformed
from kgraft.system.files import Growth

LITERAL_COLUMNS: Final = ("entity", "attribute", "value", "datatype", "language")

N_SHOWN: Final = 3
"""Malformed statements that a warning shows."""

# Random labels that pyoxigraph gives to unlabelled nodes.
_DRAWN_LABEL: Final = re.compile(r"[a-f][0-9a-f]{15,31}")

# Place in a single line that the parser was given.
_OWN_PLACE: Final = re.compile(r"^Parser error .*?: ")

LANG_STRING: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString"


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


@dataclass
class Collected:
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


class Terms:
    """Names of one file's terms, and counts of statements without names."""

    def __init__(
        self, file: str, blank_nodes: BlankNodes, malformed: Malformed | None, *, drawn: bool
    ) -> None:
        self._file = file
        self._drop = blank_nodes == "drop"
        self._drawn = drawn
        self._number_of: dict[str, int] = {}
        self.statements = 0
        self.skips = malformed == "skip"
        self.malformed: list[str] = []
        self.reifiers: set[str] = set()
        self.n_malformed = 0
        self.n_blank = 0
        self.n_about = 0
        self.growth: Growth | None = None

    def add(self, quad: Quad, collected: Collected) -> bool:
        """Collect a statement; return True if it is a fact."""
        self.statements += 1
        subject, predicate, object_ = quad.subject, quad.predicate, quad.object
        head = subject.value if type(subject) is NamedNode else self._name(subject)
        if head is None:
            return False
        if type(object_) is NamedNode:
            tail: str | None = object_.value
        elif isinstance(object_, Literal):
            datatype, language = object_.datatype.value, object_.language
            if language is None and datatype == LANG_STRING:
                datatype = f"{XSD}string"
            value = object_.value
            self._count(head, predicate.value, value)
            collected.literals.append((head, predicate.value, value, datatype, language))
            return False
        else:
            tail = self._name(object_)
            if tail is None and predicate.value == REIFIES:
                self.reifiers.add(head)
        if tail is None:
            return False
        self._count(head, predicate.value, tail)
        heads, relations, tails = collected.facts
        heads.append(head)
        relations.append(predicate.value)
        tails.append(tail)
        return True

    def _count(self, *texts: str) -> None:
        """Count what abbreviations of a syntax become."""
        if self.growth is not None:
            self.growth.add(sum(map(len, texts)))

    def _name(self, term: NamedNode | BlankNode | Triple) -> str | None:
        """Return a blank node's name, or count the statement and return None."""
        if not isinstance(term, BlankNode):
            self.n_about += 1
            return None
        if self._drop:
            self.n_blank += 1
            return None
        label = term.value
        if self._drawn and _DRAWN_LABEL.fullmatch(label):
            # Numbered in the file's order, so that reading is reproducible.
            label = f"[{self._number_of.setdefault(label, len(self._number_of))}]"
        return f"_:{self._file}#{label}"

    def leave_out(self, statement: str, line: int | None = None) -> None:
        """Count a malformed statement, and keep the first ones to show."""
        self.n_malformed += 1
        if len(self.malformed) < N_SHOWN:
            reason = statement if line is None else f"line {line}: {_OWN_PLACE.sub('', statement)}"
            self.malformed.append(reason[:200])

    def warn_of_dropped(self, path: Path) -> None:
        """Warn of statements that were left out, by reason."""
        more = "; ..." if self.n_malformed > N_SHOWN else ""
        shown = "; ".join(self.malformed) + more
        reasons = (
            (self.n_blank, "with blank nodes", 'Read with blank_nodes="scope" to keep them'),
            (self.n_about, "about statements (RDF-star)", "Give them as plain facts"),
            (
                self.n_malformed,
                f"with malformed syntax ({shown})",
                "Repair them to have their facts",
            ),
        )
        for count, kind, remedy in reasons:
            if count:
                problem = f"left out {counted(count, 'statement')} {kind}"
                warnings.warn(
                    describe(problem, remedy=remedy, path=path), KgraftWarning, stacklevel=3
                )
