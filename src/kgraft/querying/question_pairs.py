"""Files of questions to learn from: each with its path, or with its answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kgraft.errors import DataError
from kgraft.system.files import read_text

COLUMNS: Final = ("question", "path", "answers", "entity")
"""Columns of a file; ``entity`` may be missing, and one of ``path`` and ``answers``."""

BETWEEN: Final = "|"
"""Sign between answers."""

REMEDY: Final = (
    "Begin with a line of the columns question, path (as borders/languages) or answers (with | "
    "between), and perhaps entity, with tabs between"
)


@dataclass(frozen=True)
class QuestionPair:
    """A question with its path or answers.

    Args:
        question: The question.
        path: Names of relations with ``/`` between, inverses with ``^`` ahead; or empty.
        answers: Names or labels of its answers; needed where no path is given.
        entity: Name or label of the entity that it is about; by default it is found in its words.
        line: Its line in a file, counted from 1; 0 for none.
    """

    question: str
    path: str = ""
    answers: tuple[str, ...] = ()
    entity: str | None = None
    line: int = 0


def read_pairs(path: Path) -> list[QuestionPair]:
    """Read a TSV file of questions, perhaps compressed.

    Raises:
        DataError: If it cannot be read, or a line has no question, or neither path nor answers.
    """
    lines = read_text(path).replace("\r\n", "\n").split("\n")
    header = [x.strip().lower() for x in lines[0].split("\t")]
    if "question" not in header or not {"path", "answers"} & set(header):
        raise DataError(
            "the first line does not name the columns", remedy=REMEDY, path=path, line=1
        )
    odd = [x for x in header if x not in COLUMNS]
    if odd or len(set(header)) < len(header):
        named = f"has the column {odd[0]!r}" if odd else "names a column twice"
        raise DataError(f"the first line {named}", remedy=REMEDY, path=path, line=1)
    return [
        _pair(header, line, path, number)
        for number, line in enumerate(lines[1:], start=2)
        if line.strip()
    ]


def _pair(header: list[str], line: str, path: Path, number: int) -> QuestionPair:
    cells = [x.strip() for x in line.split("\t")]
    if len(cells) > len(header):
        raise DataError(
            f"the line has {len(cells)} cells, the first line {len(header)}",
            remedy="Correct the line, or take it out",
            path=path,
            line=number,
        )
    given = dict(zip(header, cells, strict=False))
    answers = tuple(x for y in given.get("answers", "").split(BETWEEN) if (x := y.strip()))
    if not given.get("question") or not (given.get("path") or answers):
        missing = "neither path nor answers" if given.get("question") else "no question"
        raise DataError(
            f"the line has {missing}",
            remedy="Correct the line, or take it out",
            path=path,
            line=number,
        )
    return QuestionPair(
        given["question"], given.get("path", ""), answers, given.get("entity") or None, number
    )


def pairs_of(given: Path | str | Iterable[QuestionPair | tuple[str, str]]) -> list[QuestionPair]:
    """Return pairs from a file, or from pairs of question and path."""
    if isinstance(given, Path | str):
        return read_pairs(Path(given))
    return [x if isinstance(x, QuestionPair) else QuestionPair(*x) for x in given]
