"""Decisions about proposed facts: a reviewed CSV file, and what it changes in a graph."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from kgraft.errors import DataError
from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples
from kgraft.graph.known_facts import KnownFacts
from kgraft.graph.vocabulary import unknown
from kgraft.io.named_facts import ROLES
from kgraft.io.tabular import LINE, first_rows, read_columns
from kgraft.linking.collection import Collection
from kgraft.system.files import content_ending

DECISION: Final = "decision"
"""Column of a review file that a person fills in."""

ACCEPT: Final = ("accept", "accepted", "yes", "y", "true", "1")
REFUSE: Final = ("refuse", "refused", "reject", "rejected", "no", "n", "false", "0")
"""Words of a decision, in any case."""

GUARDED: Final = r"['=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
"""Beginnings of cells that spreadsheets may take for formulas, full-width ones too, and the quote
that guards them."""

_SEPARATORS: Final = (",", ";", "\t")


@dataclass(frozen=True)
class DecisionCounts:
    """Counts of the decisions of a review file.

    Args:
        accepted: Facts that became training facts.
        stated: Accepted facts that the graph states already.
        refused: Facts that became known to be false.
        undecided: Rows without a decision.
    """

    accepted: int
    stated: int
    refused: int
    undecided: int

    def __str__(self) -> str:
        return (
            f"{self.accepted:,} accepted (beside {self.stated:,} stated already), "
            f"{self.refused:,} refused, {self.undecided:,} without a decision"
        )


def guarded(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: with a quote ahead, where needed."""
    return f"'{text}" if re.match(GUARDED, text) else text


def with_decisions(
    collection: Collection, files: Sequence[Path], target: str | None = None
) -> tuple[Collection, list[str]]:
    """Return a collection whose target has the decisions of review files, and their counts.

    Args:
        collection: Graphs, links and target.
        files: Reviewed files, which ``kgraft complete -o REVIEW.csv`` has begun.
        target: The graph that they are about; by default the collection's target.

    Returns:
        The collection, and a line of text for each file.

    Raises:
        DataError: As ``read_decisions`` and ``decide``.
        UnknownNameError: If the collection has no such target.
    """
    if not files:
        return collection, []
    graph, lines = collection.with_target(target).target_graph, []
    for file in files:
        graph, counts = decide(graph, read_decisions(Path(file)), Path(file))
        lines.append(f"{file}: {counts}")
    return replace(collection, graphs={**collection.graphs, graph.name: graph}), lines


def read_decisions(path: Path) -> pl.DataFrame:
    """Read a reviewed file.

    Args:
        path: CSV with a header that names decision, head, relation and tail; other columns play no
            part. A spreadsheet may have separated it by semicolons or tabs. It may have no rows.

    Returns:
        Columns head, relation, tail, decision (``accept``, ``refuse`` or null) and line.

    Raises:
        DataError: With file and line: no such table, an unknown decision, or a fact that is both
            accepted and refused.
    """
    rows = _table(path)
    word = pl.col(DECISION).fill_null("").str.strip_chars().str.to_lowercase()
    found = rows.with_columns(
        pl.when(word.is_in(ACCEPT))
        .then(pl.lit("accept"))
        .when(word.is_in(REFUSE))
        .then(pl.lit("refuse"))
        .otherwise(pl.when(word != "").then(pl.lit("?")))
        .alias(DECISION),
        pl.col(ROLES).str.replace(f"^'({GUARDED})", "${1}"),
    )
    _check_words(path, rows, found)
    decided = found.drop_nulls(DECISION)
    both = decided.filter(pl.col(DECISION).n_unique().over(ROLES) > 1)
    if len(both):
        first = both.filter(pl.all_horizontal(pl.col(x) == both[x][0] for x in ROLES))
        other = first.filter(pl.col(DECISION) != first[DECISION][0])
        raise DataError(
            f"the fact {' '.join(first.select(ROLES).row(0))} is decided otherwise in line "
            f"{first[LINE][0]}",
            remedy="Empty one of the two decisions",
            path=path,
            line=other[LINE][0],
        )
    return found.select(*ROLES, DECISION, LINE)


def decisions_in(path: Path) -> int:
    """Return the number of rows in which something is decided, 0 where there is no review file."""
    if not path.is_file() or content_ending(path) != ".csv":
        return 0
    try:
        words = _table(path)[DECISION]
    except DataError:
        return 0
    return int((words.fill_null("").str.strip_chars() != "").sum())


def _table(path: Path) -> pl.DataFrame:
    """Read the decisions and names of a review file as they are written."""
    columns, separator = (DECISION, *ROLES), separator_of(path)
    (line, header), *more = first_rows(path, separator, 2)
    if not {*columns} <= {cell.strip().lower() for cell in header}:
        raise DataError(
            f"the first line does not name the columns {', '.join(columns)}",
            remedy="Take a file that kgraft complete -o REVIEW.csv has written, with its header",
            path=path,
            line=line,
        )
    if not more:
        return pl.DataFrame(schema={**dict.fromkeys((*ROLES, DECISION), pl.String), LINE: pl.Int64})
    return read_columns(path, columns, separator=separator, header=True, may_be_empty=(DECISION,))


def separator_of(path: Path) -> str:
    """Return the separator of a file, the one that makes most of its first line.

    Raises:
        DataError: With file and line: missing, unreadable or empty file.
    """
    return max(_SEPARATORS, key=lambda x: len(first_rows(path, x, 1)[0][1]))


def _check_words(path: Path, rows: pl.DataFrame, found: pl.DataFrame) -> None:
    odd = (found[DECISION] == "?").fill_null(value=False)
    if odd.any():
        place = int(odd.arg_max() or 0)
        raise DataError(
            f"{rows[DECISION][place]!r} is no decision",
            remedy="Write accept or refuse, or leave the cell empty",
            path=path,
            line=rows[LINE][place],
        )


def decide(
    graph: KnowledgeGraph, decisions: pl.DataFrame, path: Path | None = None
) -> tuple[KnowledgeGraph, DecisionCounts]:
    """Add accepted facts to a graph's training facts, and refused ones to those known to be false.

    Args:
        graph: The graph that the facts were proposed for.
        decisions: As ``read_decisions`` returns them.
        path: Their file, for messages.

    Returns:
        The graph with the decisions, and their counts.

    Raises:
        DataError: With file and line: a name that the graph lacks, a refused fact that it states,
            or an accepted fact that it knows to be false.
    """
    decided = decisions.drop_nulls(DECISION).unique(ROLES, keep="first", maintain_order=True)
    facts = _rows(graph, decided, path)
    is_accepted = (decided[DECISION] == "accept").to_numpy()
    stated = KnownFacts(graph.triples).contains(facts)
    false = KnownFacts(graph.known_false).contains(facts)
    for wrong, problem in (
        (stated & ~is_accepted, "is refused, and {name!r} states it"),
        (false & is_accepted, "is accepted, and {name!r} knows it to be false"),
    ):
        if wrong.any():
            row = decided.row(int(wrong.argmax()), named=True)
            fact = " ".join(row[role] for role in ROLES)
            raise DataError(
                f"the fact {fact} {problem.format(name=graph.name)}",
                remedy="Take it out of the graph's files, or empty the decision",
                path=path,
                line=row[LINE],
            )
    accepted, refused = facts[is_accepted & ~stated], facts[~is_accepted & ~false]
    given = graph.confidence_of("train")
    changed = replace(
        graph,
        train=np.concatenate([graph.train, accepted]),
        known_false=np.concatenate([graph.known_false, refused]),
        confidence={**graph.confidence, "train": np.append(given, np.ones(len(accepted)))},
    )
    n_undecided = decisions[DECISION].null_count()
    n_stated = int((stated & is_accepted).sum())
    return changed, DecisionCounts(len(accepted), n_stated, len(refused), n_undecided)


def _rows(graph: KnowledgeGraph, decided: pl.DataFrame, path: Path | None) -> Triples:
    """Return facts in a graph's rows, ``(n, 3)``."""
    columns = []
    for role in ROLES:
        names = graph.relations if role == "relation" else graph.entities
        rows = names.rows(decided[role])
        if (rows < 0).any():
            place = int((rows < 0).argmax())
            raise DataError(
                f"{unknown(decided[role][place], names.names)}".removesuffix("."),
                remedy="Correct the name, or empty the decision",
                path=path,
                line=decided[LINE][place],
            )
        columns.append(rows)
    return np.stack(columns, axis=1)
