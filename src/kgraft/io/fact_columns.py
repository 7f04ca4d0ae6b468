"""Head, relation and tail among the columns of a table, by the names in its header."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import polars as pl

from kgraft.errors import DataError, KgraftWarning, describe
from kgraft.io.delimiters import Delimiter, other_delimiter
from kgraft.io.fact_confidence import (
    CONFIDENCE,
    find_confidence,
    is_decimal_comma,
    with_confidence,
)
from kgraft.io.named_facts import ROLES
from kgraft.io.odd_tables import (
    REST,
    after_comments,
    are_quoted,
    check_direction,
    check_rest,
    columns_advice,
    without_headers,
    without_quotes,
)
from kgraft.io.tabular import LINE, LONGEST_LINE, UNUSED, read_columns
from kgraft.system.files import open_bytes

PAIRS: Final = (
    ("head", "tail"),
    ("subject", "object"),
    ("source", "target"),
    ("from", "to"),
    ("start", "end"),
    ("subj", "obj"),
    ("src", "dst"),
    ("src", "dest"),
    ("src", "tgt"),
    ("sub", "obj"),
    ("node1", "node2"),
    ("entity1", "entity2"),
    ("arg1", "arg2"),
    ("h", "t"),
    ("s", "o"),
)
"""Names of head and tail that belong together, the clearest first."""

RELATIONS: Final = (
    *("relation", "predicate", "rel", "pred", "property", "relationship"),
    *(
        "relationtype",
        "relationshiptype",
        "reltype",
        "edgetype",
        "edgelabel",
        "edge",
        "metaedge",
        "r",
        "p",
    ),
)
"""Names of the relation."""

WEAK_RELATIONS: Final = ("type", "label", "link", "kind")
"""Names of the relation where no other column has one of ``RELATIONS``."""

SUFFIXES: Final = ("", "id", "iri", "uri", "entity", "node", "name", "label")
"""Ends of names, the first one preferred: ``head_id`` before ``head_label``."""

WHOLE: Final = ("edge", "metaedge", "label", "link", "kind")
"""Names that no end is added to: an ``edge_id`` numbers facts."""

NATURAL: Final = {"head": "relation", "subject": "predicate", "subj": "pred"}
"""Name of the relation that belongs to a name of the head, should there be several."""

NAMELESS: Final = re.compile(r"|\d+|unnamed\d*|(column|col|field|f|c|v|x)\d+")
"""Names that programs give to columns without one."""

READ: Final = (*ROLES, CONFIDENCE)
"""Columns that are read."""

NTRIPLES: Final = r"(<[^<>\s]+>|_:\S+)\s*<[^<>\s]+>\s*(<[^<>\s]+>|_:\S+|\".*)\s*\.\s*(#.*)?$"
"""A statement of N-Triples."""

MOST_MALFORMED: Final = 10
"""Malformed statements at the beginning of a file that is still recognised as N-Triples."""

OTHER_FORMATS: Final = (
    (r"(?i)(@?prefix|@?base)\s", ("Turtle", "turtle")),
    (NTRIPLES, ("N-Triples", "ntriples")),
    (r"<\?xml|<rdf:RDF", ("RDF/XML", "rdfxml")),
    (r"\s*[{\[]", ("JSON", "jsonld")),
)
"""Beginnings of files in other formats."""


def find_roles(names: Sequence[str]) -> dict[str, int]:
    """Return the positions of those of head, relation and tail that a header names clearly.

    Case, punctuation, a prefix before a colon and Neo4j's ``(Group)`` do not count.
    """
    words = [_plain(name) for name in names]
    found: dict[str, int] = {}
    pairs = [
        pair
        for pair in PAIRS
        if _place(words, pair[:1]) is not None and _place(words, pair[1:]) is not None
    ]
    clear = pairs and (len(pairs) == 1 or pairs[0][0] in NATURAL)
    head, tail = pairs[0] if clear else ("", "")
    for role, side, word in (("head", 0, head), ("tail", 1, tail)):
        place = _place(words, [word] if word else list({pair[side]: None for pair in PAIRS}))
        if place is not None:
            found[role] = place
    relation = _place(words, [NATURAL[head]]) if head in NATURAL else None
    if relation is None:
        relation = _place(words, RELATIONS)
    if relation is None and not any(_ends(words, word) for word in RELATIONS):
        relation = _place(words, WEAK_RELATIONS)
    if relation is not None:
        found["relation"] = relation
    return {role: found[role] for role in ROLES if role in found}


def _plain(name: str) -> str:
    bare = re.sub(r"\([^()]*\)$", "", name.strip().lower()).rsplit(":", 1)[-1]
    return re.sub(r"[\W_]", "", bare)


def _ends(words: Sequence[str], word: str) -> dict[str, list[int]]:
    """Return the positions of a word, by its end."""
    places = {
        end: [place for place, given in enumerate(words) if given == word + end]
        for end in (SUFFIXES if len(word) > 1 and word not in WHOLE else ("",))
    }
    return {end: found for end, found in places.items() if found}


def _place(words: Sequence[str], wanted: Sequence[str]) -> int | None:
    """Return the position of the one column that has one of the wanted names, else None."""
    found = [ends for word in wanted if (ends := _ends(words, word))]
    if len(found) != 1:
        return None
    places = next(iter(found[0].values()))
    return places[0] if len(places) == 1 else None


def roles_of_names(names: Sequence[str], path: Path | None = None) -> dict[str, int]:
    """Return the position of each role; the first three columns where no column has a name.

    Raises:
        DataError: With the names found, if they do not tell head, relation and tail.
    """
    found = find_roles(names)
    if len(found) == len(ROLES):
        return found
    if len(names) >= len(ROLES) and all(NAMELESS.fullmatch(_plain(name)) for name in names):
        return {role: place for place, role in enumerate(ROLES)}
    raise untold(names, path)


def untold(names: Sequence[str], path: Path | None, line: int | None = None) -> DataError:
    """Return the error for columns whose names do not tell head, relation and tail."""
    if len(names) < len(ROLES):
        return DataError(
            f"expected {len(ROLES)} columns, found {len(names)} ({_listed(names)})",
            remedy="Give one column each for head, relation and tail",
            path=path,
            line=line,
        )
    missing = " and ".join(role for role in ROLES if role not in find_roles(names))
    if path is None:
        remedy = "Call the three columns head, relation and tail"
    else:
        remedy = (
            "Call the columns head, relation and tail, or give their order, as in "
            'columns = ["head", "relation", "tail"], with "_" for others'
        )
    if line is not None:
        remedy += "; header = false if the line is a fact, else header = true"
    return DataError(
        f"the names of the columns ({_listed(names)}) do not tell which one is the {missing}",
        remedy=remedy,
        path=path,
        line=line,
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (", …" if len(names) > 12 else "")


def read_fact_table(
    path: Path, delimiter: Delimiter, *, columns: Sequence[str] | None, header: bool | None
) -> pl.DataFrame:
    """Read facts from TSV or CSV.

    Args:
        path: A file, plain or compressed.
        delimiter: Between cells.
        columns: The role of each column; None: the header's names, else head, relation, tail.
        header: The first line names columns; None finds out.

    Returns:
        String columns head, relation, tail, Float64 ``confidence`` where the file has a column of
        confidences, and Int64 ``line``.

    Raises:
        DataError: With file and line, as ``read_columns``; or if a header does not tell the roles,
            or a confidence is not in (0, 1].

    Warns:
        KgraftWarning: When the first fact looks like a header, or a column called weight or score
            is left out.
    """
    separator, after = delimiter
    ends_empty = False
    denied, claimed = header is False, header is True
    counted = None
    after, rows = after_comments(path, separator, after, len(columns or ROLES), _tells_roles)
    (line, cells), *second = rows[:2]
    # OpenKE's files begin with the number of facts; there heads and tails come first.
    if re.fullmatch(r"\s*[0-9]{1,18}\s*", separator.join(cells)) and second and not denied:
        numbers = re.fullmatch(r"\d+([ \t])\d+[ \t]\d+", separator.join(second[0][1]))
        if numbers or columns is not None:
            separator = numbers.group(1) if numbers else separator
            columns = columns or ("head", "tail", "relation")
            counted, after, header, cells = int("".join(cells)), line, False, second[0][1]
    found = find_roles(cells)
    if columns is not None:
        header = _agrees(cells, found, columns, path, line) if header is None else header
        order = [name if name in READ else UNUSED for name in columns]
    elif header is False or (header is None and not _is_header(cells, found)):
        order, header = list(ROLES), False
        ends_empty = cells[len(ROLES) :] == [""]
        if len(cells) != len(ROLES) and not ends_empty:
            raise _no_facts(path, line, cells, separator)
    else:
        if len(found) < len(ROLES) and header is None:
            raise untold(cells, path, line)
        role_at = {place: role for role, place in _all_roles(cells, path).items()}
        order, header = [role_at.get(place, UNUSED) for place in range(len(cells))], True
    named = cells[order.index(CONFIDENCE)] if header and CONFIDENCE in order else CONFIDENCE
    facts = read_columns(
        path,
        order,
        optional=[REST] * ends_empty,
        separator=separator,
        header=header,
        header_decides=False,
        after=after,
        may_be_empty=(CONFIDENCE,),
    )
    if counted is not None and not claimed:
        _check_count(counted, facts, path, line)
    if not header and counted is None and not denied:
        _warn_of_header(facts, path)
    facts = _mended(facts, cells, order if header else None, separator, path)
    if header and columns is None:
        check_direction(facts, cells[order.index("relation")], path, line)
    facts = with_confidence(facts, named, path=path, lines=facts[LINE])
    return facts.select(x for x in (*READ, LINE) if x in facts.columns)


def _mended(
    facts: pl.DataFrame,
    cells: Sequence[str],
    order: Sequence[str] | None,
    separator: str,
    path: Path,
) -> pl.DataFrame:
    """Return facts without repeated headers and quotes; ``order`` is that of the header, if any."""
    check_rest(facts, path)
    if order is not None:
        facts = without_headers(facts, {x: cells[order.index(x)] for x in ROLES}, path)
    if separator == "\t" and are_quoted(cells):
        facts = without_quotes(facts, path, header=order is not None)
    return facts


def _tells_roles(cells: Sequence[str]) -> bool:
    return len(find_roles(cells)) == len(ROLES)


def _all_roles(cells: Sequence[str], path: Path) -> dict[str, int]:
    """Return the position of each role in a header, also that of a confidence."""
    roles, place = roles_of_names(cells, path), find_confidence(cells)
    return roles if place is None or place in roles.values() else {**roles, CONFIDENCE: place}


def _check_count(counted: int, facts: pl.DataFrame, path: Path, line: int) -> None:
    if counted != len(facts):
        raise DataError(
            f"the first line counts {counted:,} facts, and {len(facts):,} follow",
            remedy="Check that the file was written completely, or correct the number",
            path=path,
            line=line,
        )


def is_ntriples(path: Path) -> bool:
    """Return True if one of a file's first statements is one of N-Triples; some may be malformed.

    Raises:
        DataError: If the file cannot be read.
    """
    n_other = 0
    with open_bytes(path) as stream:
        for raw in islice(iter(lambda: stream.readline(LONGEST_LINE), b""), 1000):
            line = raw.decode("utf-8-sig", errors="replace").strip()
            if re.match(NTRIPLES, line):
                return True
            n_other += not line.startswith("#") and line != ""
            # A malformed statement begins as others do.
            if n_other == MOST_MALFORMED or not re.match("<|_:|#|$", line):
                break
    return False


def _no_facts(path: Path, line: int, cells: Sequence[str], separator: str) -> DataError:
    """Return the error for a first line that does not have three cells."""
    text = separator.join(cells)
    sign = {"\t": "tabs", ",": "commas"}.get(separator, repr(separator))
    syntax = next((name for pattern, name in OTHER_FORMATS if re.match(pattern, text)), None)
    if syntax is not None:
        remedy = f'The file looks like {syntax[0]}: say format = "{syntax[1]}"'
    elif other := other_delimiter(text, len(ROLES)):
        remedy = other
    elif len(cells) == len(ROLES) + 2 and is_decimal_comma(",".join(cells[-2:])):
        remedy = "Write the last number with a point, or in quotes"
    else:
        remedy = columns_advice(cells)
    names = f" ({_listed(cells)})" if len(cells) > 1 else ""
    return DataError(
        f"expected {len(ROLES)} columns separated by {sign}, found {len(cells)}{names}",
        remedy=remedy,
        path=path,
        line=line,
    )


def _is_header(cells: Sequence[str], found: dict[str, int]) -> bool:
    long = [role for role, place in found.items() if len(_plain(cells[place])) > 1]
    return len(found) == len(ROLES) or len(long) == len(ROLES) - 1


def _agrees(
    cells: Sequence[str], found: dict[str, int], columns: Sequence[str], path: Path, line: int
) -> bool:
    """Return True for a header that gives the columns the same roles, False for a fact."""
    if not _is_header(cells, found):
        return False
    if all(columns.index(role) == place for role, place in found.items()):
        return True
    if len(found) < len(ROLES):
        return False
    raise DataError(
        f"the first line ({_listed(cells)}) names the columns otherwise than columns = "
        f"{list(columns)}",
        remedy="Leave out columns, or say header = true to keep to them, false if this is a fact",
        path=path,
        line=line,
    )


def _warn_of_header(facts: pl.DataFrame, path: Path) -> None:
    """Warn of a first row of words for columns, or of words above whole numbers."""
    cells, rest = [str(cell) for cell in facts.select(ROLES).row(0)], facts[1:]
    known = [role for role, at in find_roles(cells).items() if len(_plain(cells[at])) > 2]
    if known and any((rest[role] == facts[role][0]).any() for role in ROLES):
        known = []
    above_numbers = len(rest) > 1 and any(
        not facts[role][0].strip().isdecimal()
        and rest[role][:1000].str.strip_chars().str.contains(r"^\d+$").all()
        for role in ROLES
    )
    if known or above_numbers:
        warnings.warn(
            describe(
                f"the first line ({_listed(cells)}) looks like a header, and is read as a fact",
                remedy="Say header = true, or header = false to silence this",
                path=path,
                line=facts[LINE][0],
            ),
            KgraftWarning,
            stacklevel=2,
        )
