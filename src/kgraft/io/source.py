"""Description of a graph's files: one ``[[source]]`` of a collection."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from kgraft.graph.identities import Treatment
from kgraft.graph.spelling import Spelling
from kgraft.io.fact_confidence import CONFIDENCE
from kgraft.io.iris import is_iri

Format = Literal[
    "auto",
    "tsv",
    "csv",
    "parquet",
    "arrow",
    "ntriples",
    "nquads",
    "turtle",
    "trig",
    "rdfxml",
    "jsonld",
]
"""Format of a file; ``auto`` goes by its ending, before one of compression."""

BlankNodes = Literal["scope", "drop"]
"""``scope``: a blank node is an entity of its file, named ``_:FILE#LABEL``; ``drop``: leave out and
count facts with blank nodes."""


Malformed = Literal["error", "skip"]
"""``error``: a malformed statement of RDF is an error; ``skip``: leave out and count them."""


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | Path) else value


Paths = Annotated[tuple[Path, ...], BeforeValidator(_as_list)]
"""One path or several."""


class Split(BaseModel):
    """Shares of facts to hold out, and the seed of the draw."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    valid: float = Field(0.1, ge=0.0, lt=1.0)
    test: float = Field(0.1, ge=0.0, lt=1.0)
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _leave_something_to_learn(self) -> Split:
        if self.valid + self.test >= 1.0:
            raise ValueError("valid and test together must leave facts to train on")
        return self


class GraphSource(BaseModel):
    """One graph's files.

    Args:
        name: Name of the graph for links and the command line.
        train: One file of facts, or several.
        valid: Validation facts; empty when ``split`` makes them.
        test: Test facts; empty when ``split`` makes them.
        negatives: Facts known to be false. Those of names that no fact has are left out.
        split: Make valid and test from train; not together with ``valid`` or ``test``.
        format: Format of the files.
        columns: For tables, the role of each column, ``confidence`` among them where there is one;
            other names are ignored columns.
        header: For tables, the first line names columns; ``None`` finds out.
        entities: A file of entity names, one a line: then heads and tails are line numbers from 0,
            or the ids that the file has beside the names.
        relations: A file of relation names, likewise.
        labels: A table of two columns, entity name and readable label.
        attributes: Files of literals: tables of entity, attribute and value, or RDF. Entities that
            only they name belong to the graph.
        license: The licence of the data: an SPDX identifier, such as ``CC-BY-4.0``, or a text.
        blank_nodes: Treatment of RDF blank nodes.
        base_iri: For RDF, the IRI that relative ones are resolved against where a file names none;
            by default each file's own.
        malformed: For RDF, treatment of malformed statements.
        spelling: ``exact``, or ``normal``: names of one normal form are one, the first in the files
            (``kgraft.graph.spelling.normal_form``).
        identities: Treatment of statements of sameness, such as ``owl:sameAs``, in any format.
        endpoint: Address of a SPARQL endpoint that ``kgraft fetch`` makes ``train`` from.
        pattern: What it fetches there, as ``kgraft.io.sparql_endpoint.fetch`` takes it; by default
            all facts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    train: Paths = Field(min_length=1)
    valid: Paths = ()
    test: Paths = ()
    negatives: Paths = ()
    split: Split | None = None
    format: Format = "auto"
    columns: tuple[str, ...] = ("head", "relation", "tail")
    header: bool | None = None
    entities: Path | None = None
    relations: Path | None = None
    labels: Path | None = None
    attributes: Paths = ()
    license: str = ""
    blank_nodes: BlankNodes = "scope"
    base_iri: str | None = None
    malformed: Malformed = "error"
    spelling: Spelling = "exact"
    identities: Treatment = "links"
    endpoint: str | None = None
    pattern: str | None = None

    @model_validator(mode="after")
    def _roles_are_clear(self) -> GraphSource:
        for role in ("head", "relation", "tail"):
            if self.columns.count(role) != 1:
                raise ValueError(f"columns must name {role!r} exactly once, not {self.columns}")
        if self.columns.count(CONFIDENCE) > 1:
            raise ValueError(f"columns may name {CONFIDENCE!r} once, not {self.columns}")
        if self.split is not None and (self.valid or self.test):
            raise ValueError("give either split, or valid and test files, not both")
        if self.spelling == "normal" and (self.entities or self.relations):
            raise ValueError("with lists of entities or relations, spelling is exact")
        if self.base_iri is not None and not is_iri(self.base_iri):
            raise ValueError(
                f"base_iri must be a whole IRI, such as http://x.org/, not {self.base_iri!r}"
            )
        if self.endpoint is not None and [x.suffix for x in self.train] != [".nt"]:
            raise ValueError("what an endpoint gives is one file: name one .nt file as train")
        if self.endpoint is None and self.pattern is not None:
            raise ValueError("pattern is what an endpoint is asked for: give an endpoint too")
        return self

    def file_names(self) -> dict[Path, str]:
        """Return a name of each file that no other file of the source has.

        It is the path's last part; of files with the same last part, the path below their common
        directory.
        """
        places = {
            path: Path(os.path.normpath(path.absolute()))
            for path in (*self.train, *self.valid, *self.test, *self.attributes, *self.negatives)
        }
        parents: dict[str, set[Path]] = {}
        for place in places.values():
            parents.setdefault(place.name, set()).add(place.parent)
        common = {name: os.path.commonpath(where) for name, where in parents.items()}
        return {path: os.path.relpath(place, common[place.name]) for path, place in places.items()}
