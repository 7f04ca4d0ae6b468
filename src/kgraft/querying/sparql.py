"""Read SPARQL into graph patterns, by the algebra of rdflib.

What has no meaning here, or none yet, is refused by its name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from typing import Any, Protocol

from kgraft.querying.pattern import (
    Allowed,
    Atom,
    Branch,
    Differs,
    Negation,
    PatternQuery,
    QueryError,
    Term,
)
from kgraft.system.extras import import_extra

LONGEST = 20_000
"""Characters of a query."""

MAX_BRANCHES = 32
"""Alternatives of a query, after those of its parts have been combined."""

MAX_ATOMS = 32
"""Facts of one alternative."""

MAX_ROWS = 1000
"""Rows of ``VALUES``, and entities of ``IN``."""

OWN = "kgraft-name:"
"""Namespace of names with an empty prefix that the query does not declare."""

PROBABILITY = "probability"
"""The variable by which answers may be ordered."""

_REFUSED = {
    "LeftJoin": "OPTIONAL",
    "Graph": "GRAPH",
    "ServiceGraphPattern": "SERVICE",
    "Extend": "BIND, and an expression with AS",
    "Group": "GROUP BY",
    "AggregateJoin": "an aggregate other than COUNT",
    "ConstructQuery": "CONSTRUCT",
    "DescribeQuery": "DESCRIBE",
    "Builtin_EXISTS": "FILTER EXISTS (write its facts without it)",
    "ConditionalOrExpression": "|| in a FILTER (write UNION)",
    "UnaryNot": "! in a FILTER",
}
"""Words for parts of the algebra."""

_PATHS = {"*": "a path with *", "+": "a path with +", "?": "a path with ?"}

RETRIES = 20
"""Prefixes that are found one by one, after those that look like some."""

_PREFIX = re.compile(r"(?<![\w.-])[^\W\d_][\w.-]*(?=:)")
_UNKNOWN_PREFIX = re.compile(r"Unknown namespace prefix : (\S*)")
_KINDS = re.compile(r"\b(INSERT|DELETE|LOAD|CLEAR|DROP|CREATE|ADD|MOVE|COPY)\b", re.IGNORECASE)


class Resolver(Protocol):
    """Rows of names as they are written in a query."""

    def entity(self, text: str, own: bool) -> int:
        """Return the row of an entity; ``own`` for a name that has no namespace."""
        ...

    def relation(self, text: str, own: bool) -> int:
        """Return the row of a relation, likewise."""
        ...


def read_query(text: str, names: Resolver) -> PatternQuery:
    """Read a query.

    Args:
        text: SPARQL.
        names: Finds the rows of names.

    Raises:
        QueryError: If it cannot be read, or has what is not supported.
        UnknownNameError: If a name is unknown.
        KgraftError: If rdflib is not installed.
    """
    if len(text) > LONGEST:
        raise QueryError(f"the query has {len(text):,} characters; at most {LONGEST:,} are read")
    return _Reader(names).query(*_algebra(text))


def _algebra(text: str) -> tuple[Any, bool]:
    """Return the algebra of a query, and whether it asks for all variables.

    Prefixes that it does not declare stay parts of its names.
    """
    parser = import_extra("rdflib.plugins.sparql.parser", extra="ask")
    algebra = import_extra("rdflib.plugins.sparql.algebra", extra="ask")
    spaces = {"": OWN} | {x: f"{x}:" for x in _PREFIX.findall(text)}
    try:
        parsed = parser.parseQuery(text)
    except RecursionError:
        raise QueryError("the query is nested too deeply") from None
    except Exception as error:
        raise _unreadable(text, error) from None
    for _ in range(RETRIES):
        try:
            whole = "projection" not in parsed[1]
            return algebra.translateQuery(parsed, initNs=spaces).algebra, whole
        except RecursionError:
            raise QueryError("the query is nested too deeply") from None
        except Exception as error:
            unknown = _UNKNOWN_PREFIX.search(str(error))
            if unknown is None or unknown[1] in spaces:
                raise _unreadable(text, error) from None
            spaces[unknown[1]] = f"{unknown[1]}:"
    raise QueryError("the query has too many prefixes")


def _unreadable(text: str, error: Exception) -> QueryError:
    """Return the error for a query that rdflib cannot read."""
    if _KINDS.match(text.lstrip()):
        return QueryError("a model is only asked, not changed; write SELECT or ASK")
    line, column = getattr(error, "lineno", None), getattr(error, "column", None)
    if line is not None and column is not None:
        rows = text.splitlines() or [""]
        rest = rows[min(line, len(rows)) - 1][column - 1 :].strip()[:30]
        near = f"at {rest!r}" if rest else "at its end"
        return QueryError(
            f"the query cannot be read {near} (line {line}, column {column}). Write it as "
            "SELECT ?x WHERE { ?x :relation :Entity }"
        )
    return QueryError(f"the query cannot be read: {' '.join(str(error).split())[:200]}")


def _refuse(what: str) -> QueryError:
    return QueryError(f"{what} is not supported; docs/asking.md lists what is")


class _Reader:
    """Reads a query's algebra, part by part.

    Args:
        names: Finds the rows of names.
    """

    def __init__(self, names: Resolver) -> None:
        self._names, self._fresh = names, 0
        self._terms = import_extra("rdflib.term", extra="ask")
        self._paths = import_extra("rdflib.paths", extra="ask")

    def query(self, part: Any, whole: bool) -> PatternQuery:
        """Return the query of an algebra, perhaps for all variables."""
        if part.name not in ("SelectQuery", "AskQuery"):
            raise _refuse(_REFUSED.get(part.name, part.name))
        if part.datasetClause:
            raise _refuse("FROM")
        form, limit, offset = "select" if part.name == "SelectQuery" else "ask", None, 0
        asked = list(dict.fromkeys(str(x) for x in part.PV))
        inner = part.p
        while inner.name in ("Slice", "Distinct", "Reduced", "Project", "OrderBy"):
            if inner.name == "Slice":
                limit, offset = inner.length, inner.start
            elif inner.name == "OrderBy":
                self._check_order(inner.expr)
            inner = inner.p
        if form == "select" and inner.name == "Extend":
            return self._count(inner, asked)
        branches = self._branches(inner)
        if PROBABILITY not in {x for branch in branches for x in branch.variables}:
            asked = [x for x in asked if x != PROBABILITY]
        if whole:
            asked = sorted(x for x in asked if all(x in y.variables for y in branches))
        if form == "select":
            self._check_asked(asked, branches)
        return PatternQuery("ask" if form == "ask" else "select", tuple(asked), branches,
                            limit, offset)  # fmt: skip

    def _count(self, part: Any, asked: Sequence[str]) -> PatternQuery:
        """Return the query of ``SELECT (COUNT(DISTINCT ?x) AS ?n)``."""
        group, alias = part.p, str(part.var)
        if group.name != "AggregateJoin":
            raise _refuse(_REFUSED["Extend"])
        counts = group.A
        if len(counts) != 1 or counts[0].name != "Aggregate_Count":
            raise _refuse(_REFUSED["AggregateJoin"])
        if group.p.expr or [alias] != list(asked):
            raise _refuse("GROUP BY")
        branches = self._branches(group.p.p)
        counted = counts[0].vars
        own = {x for branch in branches for x in branch.variables}
        counted = next(iter(own)) if counted == "*" and len(own) == 1 else str(counted)
        if counted not in own:
            raise QueryError(
                "COUNT counts the values of one variable; write SELECT (COUNT(DISTINCT ?x) AS ?n)"
            )
        if not counts[0].distinct and len(own) > 1:
            raise QueryError(f"write COUNT(DISTINCT ?{counted}); COUNT of rows is not supported")
        return PatternQuery("count", (counted,), branches, alias=alias)

    def _check_order(self, conditions: Sequence[Any]) -> None:
        for condition in conditions:
            by = condition.expr
            if by != self._terms.Variable(PROBABILITY) or condition.order not in (None, "DESC"):
                raise _refuse("ORDER BY other than DESC(?probability), the order of all answers,")

    def _check_asked(self, asked: Sequence[str], branches: Sequence[Branch]) -> None:
        if not asked:
            raise QueryError("the query asks for no variable; write SELECT ?x, or ASK")
        for name in asked:
            if any(name not in branch.variables for branch in branches):
                where = "every alternative of UNION" if len(branches) > 1 else "the pattern"
                raise QueryError(f"?{name} is asked for, but does not occur in {where}")

    def _branches(self, part: Any) -> tuple[Branch, ...]:
        """Return the alternatives of a part of the algebra."""
        match part.name:
            case "BGP":
                found = self._facts(part.triples)
            case "Join":
                found = self._joined(self._branches(part.p1), self._branches(part.p2))
            case "Union":
                found = (*self._branches(part.p1), *self._branches(part.p2))
            case "Filter":
                found = tuple(x & self._conditions(part.expr) for x in self._branches(part.p))
            case "Minus":
                found = self._minus(self._branches(part.p1), self._branches(part.p2))
            case "ToMultiSet" if getattr(part.p, "name", "") == "values":
                found = (Branch(allowed=(self._values(part.p.res),)),)
            case "ToMultiSet":
                raise _refuse("a query within a query")
            case name:
                raise _refuse(_REFUSED.get(name, name))
        if len(found) > MAX_BRANCHES:
            raise QueryError(f"UNION leaves more than {MAX_BRANCHES} alternatives")
        if any(x.n_atoms > MAX_ATOMS for x in found):
            raise QueryError(f"the pattern has more than {MAX_ATOMS} facts")
        return found

    def _joined(self, left: Sequence[Branch], right: Sequence[Branch]) -> tuple[Branch, ...]:
        if len(left) * len(right) > MAX_BRANCHES:
            raise QueryError(f"UNION leaves more than {MAX_BRANCHES} alternatives")
        return tuple(x & y for x, y in product(left, right))

    def _minus(self, left: Sequence[Branch], right: Sequence[Branch]) -> tuple[Branch, ...]:
        taken = Negation(tuple(right))
        for branch in left:
            if not set(branch.variables) & set(taken.variables):
                raise QueryError("MINUS shares no variable with the rest, so it takes nothing away")
        return tuple(x & Branch(negations=(taken,)) for x in left)

    def _facts(self, triples: Sequence[Any]) -> tuple[Branch, ...]:
        found: tuple[Branch, ...] = (Branch(),)
        for left, relation, right in triples:
            found = self._joined(found, self._path(self._term(left), relation, self._term(right)))
        return found

    def _path(self, left: Term, path: Any, right: Term) -> tuple[Branch, ...]:
        """Return the alternatives of a relation or path."""
        kinds = self._paths
        if isinstance(path, self._terms.Variable):
            raise _refuse(f"a variable in the place of a relation (?{path})")
        if isinstance(path, self._terms.URIRef):
            return (Branch((Atom(left, self._names.relation(*_plain(path)), right),)),)
        if isinstance(path, kinds.InvPath):
            return self._path(right, path.arg, left)
        if isinstance(path, kinds.AlternativePath):
            found = tuple(x for step in path.args for x in self._path(left, step, right))
            return found[: MAX_BRANCHES + 1]
        if isinstance(path, kinds.SequencePath):
            ends = [left, *(self._variable() for _ in path.args[1:]), right]
            found = (Branch(),)
            for place, step in enumerate(path.args):
                found = self._joined(found, self._path(ends[place], step, ends[place + 1]))
            return found
        raise _refuse(_PATHS.get(getattr(path, "mod", ""), "a path with !"))

    def _variable(self) -> str:
        self._fresh += 1
        return f"_{self._fresh}"

    def _term(self, term: Any) -> Term:
        if isinstance(term, self._terms.Variable):
            return str(term)
        if isinstance(term, self._terms.BNode):
            return f"_:{term}"
        return self._entity(term)

    def _entity(self, term: Any) -> int:
        if isinstance(term, self._terms.Literal):
            return self._names.entity(str(term), own=True)
        if isinstance(term, self._terms.URIRef):
            text, own = _plain(term)
            return self._names.entity(text, own=own)
        raise _refuse(f"{term} in the place of an entity")

    def _values(self, rows: Sequence[Any]) -> Allowed:
        if not rows:
            raise QueryError("VALUES is empty, so nothing fits the query")
        if len(rows) > MAX_ROWS:
            raise QueryError(f"VALUES has more than {MAX_ROWS} rows")
        variables = tuple(dict.fromkeys(x for row in rows for x in row))
        found = [
            tuple(
                None if isinstance(row.get(x, "UNDEF"), str) and row.get(x, "UNDEF") == "UNDEF"
                else self._entity(row[x])
                for x in variables
            )
            for row in rows
        ]  # fmt: skip
        return Allowed(tuple(map(str, variables)), tuple(found))

    def _conditions(self, part: Any) -> Branch:
        """Return the conditions of a FILTER."""
        name = getattr(part, "name", "")
        if name == "ConditionalAndExpression":
            found = self._conditions(part.expr)
            for other in part.other:
                found = found & self._conditions(other)
            return found
        if name == "Builtin_NOTEXISTS":
            return Branch(negations=(Negation(self._branches(part.graph)),))
        if name == "RelationalExpression":
            return self._relational(part)
        if name.startswith("Builtin_") and name not in _REFUSED:
            raise _refuse(f"{name.removeprefix('Builtin_')} in a FILTER")
        raise _refuse(_REFUSED.get(name, "this FILTER"))

    def _relational(self, part: Any) -> Branch:
        """Return the condition of =, !=, IN or NOT IN."""
        left, right, is_variable = part.expr, part.other, self._is_variable
        if part.op in ("=", "!=") and not is_variable(left):
            left, right = right, left
        if part.op not in ("=", "!=", "IN", "NOT IN"):
            raise _refuse(f"{part.op} in a FILTER")
        if not is_variable(left):
            raise _refuse("a FILTER without a variable")
        others = [right] if part.op in ("=", "!=") else list(right)
        if len(others) > MAX_ROWS:
            raise QueryError(f"IN has more than {MAX_ROWS} entities")
        if part.op in ("!=", "NOT IN"):
            return Branch(differs=tuple(Differs(str(left), self._term(x)) for x in others))
        if any(map(is_variable, others)):
            raise QueryError("= with two variables is not supported; write one variable for both")
        return Branch(allowed=(Allowed((str(left),), tuple((self._entity(x),) for x in others)),))

    def _is_variable(self, term: Any) -> bool:
        return isinstance(term, self._terms.Variable)


def _plain(iri: Any) -> tuple[str, bool]:
    """Return a name without the namespace that stands for none, and whether it had that."""
    text = str(iri)
    return text.removeprefix(OWN), text.startswith(OWN)
