"""SPARQL that is read, and SPARQL that is refused with a sentence."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest

pytest.importorskip("rdflib", reason="needs the extra 'ask'")

from made_facts import SHAPES, Numbered

from kgraft.errors import KgraftError
from kgraft.querying.pattern import Allowed, Atom, Branch, Differs, Negation, PatternQuery
from kgraft.querying.sparql import LONGEST, read_query


def read(text: str) -> PatternQuery:
    return read_query(text, Numbered())


def test_a_pattern_with_all_that_is_supported() -> None:
    query = read(
        """SELECT DISTINCT ?x ?y ?probability WHERE {
          ?x :r0 :e1 ; :r1/^:r2 ?y .
          FILTER(?x != ?y && ?y NOT IN (:e3, "e4"))
          FILTER NOT EXISTS { ?x :r0 ?z MINUS { ?z :r1 :e0 } }
          VALUES (?x ?y) { (:e0 UNDEF) (:e1 :e2) }
        } ORDER BY DESC(?probability) LIMIT 3 OFFSET 1"""
    )
    inner = Branch((Atom("x", 0, "z"),), negations=(Negation((Branch((Atom("z", 1, 0),)),)),))
    (branch,) = query.branches
    assert set(branch.atoms) == {Atom("x", 0, 1), Atom("x", 1, "_1"), Atom("y", 2, "_1")}
    assert branch.differs == (Differs("x", "y"), Differs("y", 3), Differs("y", 4))
    assert branch.negations == (Negation((inner,)),)
    assert branch.allowed == (Allowed(("x", "y"), ((0, None), (1, 2))),)
    assert (query.variables, query.limit, query.offset) == (("x", "y"), 3, 1)


def test_unions_are_alternatives_of_the_whole() -> None:
    query = read("SELECT ?x { { ?x :r0 :e0 } UNION { ?x (:r1|:r2) :e1 } ?x :r0 :e2 }")
    found = [{(atom.relation, atom.right) for atom in x.atoms} for x in query.branches]
    assert found == [{(0, 0), (0, 2)}, {(1, 1), (0, 2)}, {(2, 1), (0, 2)}]


def test_names_of_undeclared_prefixes_stay_whole() -> None:
    class Texts(Numbered):
        def entity(self, text: str, own: bool) -> int:
            assert (text, own) in {("wd:Q5", False), ("http://a/b", False), ("Blue Lamp", True)}
            return 7

    query = 'PREFIX a: <http://a/> SELECT ?x { ?x :r0 wd:Q5 . ?x :r1 a:b . ?x :r2 "Blue Lamp"@en }'
    (branch,) = read_query(query, Texts()).branches
    assert {atom.right for atom in branch.atoms} == {7}


def test_counts_and_ask() -> None:
    query = read("SELECT (COUNT(DISTINCT ?x) AS ?n) { ?x :r0 :e0 . ?x :r1 ?y }")
    assert (query.form, query.variables, query.alias) == ("count", ("x",), "n")
    assert read("SELECT (COUNT(*) AS ?n) { ?x :r0 :e0 }").variables == ("x",)
    assert read("ASK { :e0 :r0 :e1 }").form == "ask"
    assert read("SELECT * { ?y :r0 ?x . [] :r1 ?y MINUS { ?y :r2 ?z } }").variables == ("x", "y")


REFUSED = {
    "SELECT ?x { ?x :r0 :e0 OPTIONAL { ?x :r1 ?y } }": "OPTIONAL",
    "SELECT ?x { GRAPH :e1 { ?x :r0 :e0 } }": "GRAPH",
    "SELECT ?x { SERVICE <http://a> { ?x :r0 :e0 } }": "SERVICE",
    "SELECT ?x FROM :e1 { ?x :r0 :e0 }": "FROM",
    "SELECT ?x { ?x :r0+ :e0 }": "a path with +",
    "SELECT ?x { ?x :r0* :e0 }": "a path with *",
    "SELECT ?x { ?x !:r0 :e0 }": "a path with !",
    "SELECT ?x { ?x ?r :e0 }": "a variable in the place of a relation (?r)",
    "SELECT ?x { ?x :r0 ?y FILTER(?y > 3) }": "> in a FILTER",
    'SELECT ?x { ?x :r0 ?y FILTER(regex(?y, "a")) }': "REGEX in a FILTER",
    "SELECT ?x { ?x :r0 ?y FILTER(?x = :e0 || ?x = :e1) }": "write UNION",
    "SELECT ?x { ?x :r0 ?y FILTER(?x = ?y) }": "one variable for both",
    "SELECT ?x { ?x :r0 ?y FILTER EXISTS { ?x :r1 ?y } }": "FILTER EXISTS",
    "SELECT ?x { ?x :r0 :e0 BIND(:e1 AS ?z) }": "BIND",
    "SELECT ?x { { SELECT ?x { ?x :r0 :e0 } } }": "a query within a query",
    "SELECT ?x { ?x :r0 :e0 } ORDER BY ?x": "ORDER BY other than DESC(?probability)",
    "SELECT ?x { ?x :r0 :e0 } ORDER BY ASC(?probability)": "ORDER BY other than",
    "SELECT (SUM(?x) AS ?n) { ?x :r0 :e0 }": "an aggregate other than COUNT",
    "SELECT (COUNT(?x) AS ?n) { ?x :r0 ?y }": "write COUNT(DISTINCT ?x)",
    "SELECT (COUNT(*) AS ?n) { ?x :r0 ?y }": "COUNT counts the values of one variable",
    "SELECT ?y (COUNT(?x) AS ?n) { ?x :r0 ?y } GROUP BY ?y": "is not supported",
    "CONSTRUCT { ?x :r0 ?y } WHERE { ?x :r1 ?y }": "CONSTRUCT",
    "DESCRIBE :e0": "DESCRIBE",
    "INSERT DATA { :e0 :r0 :e1 }": "only asked, not changed",
    "SELECT ?z { ?x :r0 :e0 }": "?z is asked for, but does not occur in the pattern",
    "SELECT ?y { { ?x :r0 :e0 } UNION { ?x :r0 ?y } }": "in every alternative of UNION",
    "SELECT ?x { ?x :r0 :e0 MINUS { ?y :r0 :e1 } }": "takes nothing away",
    "SELECT ?x { ?x :r0 }": "cannot be read at '?x :r0 }' (line 1, column 13)",
    "SELECT ?x { ?x :r0 :e0": "cannot be read at",
    "": "cannot be read",
    "SELECT ?x { ?x :r0 :e0 } #" + "x" * LONGEST: "characters",
    "SELECT ?x { " + "?x :r0 :e0 . " * 40 + "}": "more than 32 facts",
    "SELECT ?x { " + "{ ?x :r0 :e0 } UNION { ?x :r1 :e0 } " * 6 + "}": "alternatives",
    "SELECT ?x { " + "{ " * 3000 + "?x :r0 :e0" + " }" * 3000 + " }": "nested too deeply",
}


@pytest.mark.parametrize("query", REFUSED)
def test_what_is_not_supported_is_refused_by_name(query: str) -> None:
    with pytest.raises(KgraftError) as caught:
        read(query)
    assert REFUSED[query] in str(caught.value)


class Anything:
    """Every name is one of ten."""

    def entity(self, text: str, own: bool) -> int:  # noqa: ARG002
        return len(text) % 10

    relation = entity


@pytest.mark.slow
def test_damaged_queries_are_read_or_refused() -> None:
    draw = random.Random(0)  # noqa: S311
    whole = [f"SELECT ?x WHERE {pattern} LIMIT 3" for pattern in SHAPES.values()]
    whole += [query for query in REFUSED if len(query) < 200]
    signs = "{}().;?:<>|^/\\\"'*+!&= e0r1\x00é\n"
    for _ in range(200):
        text = list(draw.choice(whole))
        for _ in range(draw.randint(1, 4)):
            if text:
                place = draw.randrange(len(text))
                text[place : place + draw.randint(0, 2)] = draw.choice(signs)
        with suppress(KgraftError):
            read_query("".join(text), Anything())


def test_many_undeclared_prefixes_are_found_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from rdflib.plugins.sparql import algebra

    calls, translate = [], algebra.translateQuery
    counted = lambda *args, **more: calls.append(0) or translate(*args, **more)  # noqa: E731
    monkeypatch.setattr(algebra, "translateQuery", counted)
    names = ", ".join(f"pre{n}.x-y:e{n}" for n in range(200))
    asked = f"PREFIX own: <http://a.org/> SELECT ?x {{ ?x :r0 ?y FILTER(?x IN ({names})) }}"

    class Kept(Numbered):
        def entity(self, text: str, own: bool) -> int:
            assert not own
            return int(text.removeprefix("pre").partition(".")[0])

    (branch,) = read_query(asked, Kept()).branches
    assert branch.allowed[0].rows == tuple((n,) for n in range(200))
    assert len(calls) == 1
