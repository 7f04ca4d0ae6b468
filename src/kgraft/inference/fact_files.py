"""Files of facts and links of new entities, to fold into a model."""

from __future__ import annotations

from pathlib import Path

from kgraft.errors import DataError, UnknownNameError, counted
from kgraft.inference.fold_in import NamedFact, NamedLink, fold_into
from kgraft.inference.names import ModelNames
from kgraft.inference.predict import Predictor
from kgraft.io.file_formats import format_of
from kgraft.io.named_facts import ROLES
from kgraft.io.read_graph import read_graph
from kgraft.io.source import GraphSource
from kgraft.io.tabular import LINE, read_columns
from kgraft.io.texts import read_texts
from kgraft.system.files import read_text

LINK_COLUMNS = ("entity", "source", "name")
"""Columns of a table of links: a new entity, another source, and its name of the entity."""


def with_files(
    predictor: Predictor,
    facts: Path | None,
    links: Path | None = None,
    texts: Path | None = None,
) -> tuple[Predictor, list[str]]:
    """Return a predictor of the model with facts, links and texts of files, and lines of text.

    Args:
        predictor: A predictor for the model's target.
        facts: Facts in any format that graphs are read from.
        links: A table with ``LINK_COLUMNS``, whose first line may name them.
        texts: A table of entities and texts, known entities among them.

    Raises:
        DataError: If a file cannot be read, or names a relation or source that the model lacks.
        KgraftError: As ``TrainedModel.fold_in``.
    """
    names = predictor.names
    before = len(names.part.entities)
    read = [] if links is None else _read_links(links, names)
    given = [] if facts is None else _read_facts(facts, names)
    described = {} if texts is None else _read_texts(texts)
    found, unheld = fold_into(predictor, given, read, described)
    new = len(found.names.part.entities) - before
    more = len(found.names.own_facts) - len(names.own_facts)
    files = " and ".join(str(x) for x in (facts, texts) if x is not None)
    lines = [f"{counted(new, 'new entity')} with {counted(more, 'fact')} from {files}"]
    if unheld:
        lines.append(
            f"{counted(len(unheld), 'link')} of {links} count for nothing, as the model has no "
            f"fact of {unheld[0][2]!r} of {unheld[0][1]}"
        )
    return found, lines


def _read_facts(path: Path, names: ModelNames) -> list[NamedFact]:
    """Read facts, and check their relations."""
    frame = read_graph(GraphSource(name=names.source, train=(path,))).to_frame()
    for relation in frame["relation"].unique(maintain_order=True).to_list():
        try:
            names.relation(relation)
        except UnknownNameError as error:
            raise DataError(
                str(error),
                remedy="Use a relation of the model, or re-train it with these facts",
                path=path,
                line=_line_of(path, relation),
            ) from error
    return [*frame.select(ROLES).iter_rows()]


def _line_of(path: Path, text: str) -> int | None:
    """Return the first line of a file of text that has a name, if any has it as it is."""
    if format_of(path) in ("parquet", "arrow"):
        return None
    lines = read_text(path).split("\n")
    return next((number for number, line in enumerate(lines, start=1) if text in line), None)


def _read_texts(path: Path) -> dict[str, str]:
    """Read texts by name of entity."""
    found = read_texts(path)
    return dict(zip(found.names.names, found.texts, strict=True))


def _read_links(path: Path, names: ModelNames) -> list[NamedLink]:
    """Read links, and check their sources."""
    frame = read_columns(path, LINK_COLUMNS)
    for source, line in frame.select("source", LINE).iter_rows():
        if source not in names.model.graph.parts or source == names.source:
            others = [x for x in names.model.graph.sources if x != names.source]
            raise DataError(
                f"no other source of the model is called {source!r}",
                remedy=f"Name one of {', '.join(others) or 'none; the model has no other source'}",
                path=path,
                line=line,
            )
    return [*frame.select(LINK_COLUMNS).iter_rows()]
