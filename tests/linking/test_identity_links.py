"""Links by the statements of sameness in the graphs of a collection."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from kgraft.cli.inspection import show
from kgraft.errors import DataError, KgraftWarning
from kgraft.io.read_collection import read_collection
from kgraft.linking.collection import Collection
from kgraft.linking.inspection import inspect

Read = Callable[..., Collection]

SAME = "http://www.w3.org/2002/07/owl#sameAs"


@pytest.fixture
def read(write) -> Read:
    """Read a collection of sources by name, each facts such as ``a r b``, and its tables of links.

    ``=`` is ``owl:sameAs``.
    """

    def made(links: str = "", also: str = "", **facts: str) -> Collection:
        files = {
            f"{name}.tsv": text.replace("=", SAME).replace(", ", "\n").replace(" ", "\t") + "\n"
            for name, text in facts.items()
        }
        sources = "".join(
            f'[[source]]\nname = "{name}"\ntrain = "{name}.tsv"\n{also}\n' for name in facts
        )
        directory = write({**files, "c.toml": sources + links})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", KgraftWarning)
            return read_collection(directory / "c.toml")

    return made


def pairs(collection: Collection, kind: str = "entity") -> list[str]:
    found = []
    for x in collection.links:
        if x.kind == kind:
            graphs = [collection.graphs[name] for name in (x.left, x.right)]
            names = [g.entities if kind == "entity" else g.relations for g in graphs]
            found += [f"{names[0].name(a)}={names[1].name(b)}" for a, b in x.pairs.tolist()]
    return found


def said(collection: Collection) -> str:
    stream = io.StringIO()
    show(inspect(collection), Console(file=stream, width=300))
    return stream.getvalue()


def test_a_statement_links_with_the_source_that_has_the_other_end(read: Read) -> None:
    found = read(mine="a r b, a = Q1, b = Q9", wiki="Q1 p Q2")
    assert pairs(found) == ["a=Q1"]
    assert found.graphs["mine"].to_frame()["relation"].to_list() == ["r"]
    mine, wiki = inspect(found).sources
    assert (mine.identities, mine.linking_identities, mine.open_identities) == (2, 1, 1)
    assert (mine.entities, wiki.entities, wiki.identities) == (2, 2, 0)
    assert (
        "mine has further names of its entities: 2; statements of sameness taken out of its facts: "
        "2 (linking two sources: 1; else with a name that no fact of it has: 1)."
    ) in said(found)


def test_either_direction_and_either_source_may_say_it(read: Read) -> None:
    assert pairs(read(mine="a r b, Q1 = a", wiki="Q1 p Q2")) == ["a=Q1"]
    assert pairs(read(mine="a r b", wiki="Q1 p Q2, Q1 = a, b = Q2")) == ["a=Q1", "b=Q2"]
    both = read(mine="a r b, a = Q1", wiki="Q1 p Q2, Q1 = a")
    assert pairs(both) == ["a=Q1"]
    assert inspect(both).links[0].entities == 1


def test_chains_over_names_without_facts(read: Read) -> None:
    # Over a redirect of the other source, and over a name that both know.
    assert pairs(read(mine="a r b, a = Q9", wiki="Q1 p Q2, Q9 = Q1")) == ["a=Q1"]
    assert pairs(read(mine="a r b, a = V", wiki="Q1 p Q2, Q1 = V")) == ["a=Q1"]
    assert pairs(read(mine="a r b, a = V", wiki="Q1 p Q2, V = W, W = Q1")) == ["a=Q1"]
    # A third source may say it.
    assert pairs(read(mine="a r b", wiki="Q1 p Q2", third="x y z, a = Q1")) == ["a=Q1"]


def test_entities_of_other_sources_in_a_graph_do_not_double_its_own(read: Read) -> None:
    found = read(mine="a r b, a s b, c r Q1, a = Q1", wiki="Q1 p Q2")
    assert found.graphs["mine"].entities.names.to_list() == ["a", "b", "c"]
    assert pairs(found) == ["a=Q1"]


def test_two_entities_like_one_of_another_source_are_a_conflict(read: Read) -> None:
    found = read(mine="a r b, a = Q1, b = Q1", wiki="Q1 p Q2")
    assert sorted(pairs(found)) == ["a=Q1", "b=Q1"]
    assert len(inspect(found).conflicts) == 2


def test_blank_nodes_of_two_files_are_not_the_same(read: Read) -> None:
    assert pairs(read(mine="_:1 r b, _:1 = Q1", wiki="Q1 p _:1")) == ["_:1=Q1"]
    assert pairs(read(mine="a r b, a = _:1", wiki="Q1 p _:1")) == []


def test_relations_are_linked_too(read: Read) -> None:
    found = read(mine="a r b, r owl:equivalentProperty p", wiki="Q1 p Q2")
    assert (pairs(found, "relation"), pairs(found)) == (["r=p"], [])


def test_other_spellings_link_where_the_source_says_so(read: Read) -> None:
    page, entity = "https://www.wikidata.org/wiki/Q1", "http://www.wikidata.org/entity/Q1"
    facts = {"mine": f"a r b, a = {page}", "wiki": f"{entity} p Q2"}
    exact = read(**facts)
    assert pairs(exact) == []
    assert inspect(exact).sources[0].similar_identities == 1
    assert 'link with spelling = "normal" of the [[source]]: 1' in said(exact)
    assert pairs(read(also='spelling = "normal"', **facts)) == [f"a={entity}"]


def test_links_of_files_and_of_statements_are_counted_once(read: Read, write) -> None:
    write({"l.tsv": "Q1\ta\t0.5\nQ2\tb\n"})
    links = '[[links]]\nleft = "wiki"\nright = "mine"\npath = "l.tsv"\n'
    found = read(links, mine="a r b, c r b, a = Q1, c = Q3", wiki="Q1 p Q2, Q3 p Q1")
    assert pairs(found) == ["Q1=a", "Q2=b", "c=Q3"]
    assert found.links[0].confidence.tolist() == [0.5, 1.0]
    assert inspect(found).links[0].entities == 3


def test_links_by_name_lead_over_redirects(read: Read) -> None:
    links = '[[links]]\nleft = "mine"\nright = "wiki"\nmatch = "name"\n'
    found = read(links, mine="a r Q9, b r Q2", wiki="Q1 p Q2, Q9 = Q1")
    assert sorted(pairs(found)) == ["Q2=Q2", "Q9=Q1"]
    turned = read(
        links.replace("mine", "x").replace("wiki", "mine").replace("x", "wiki"),
        mine="a r Q9, b r Q2",
        wiki="Q1 p Q2, Q9 = Q1",
    )
    assert sorted(pairs(turned)) == ["Q1=Q9", "Q2=Q2"]


def test_a_collection_without_the_links_of_its_base_has_none_of_statements(
    read: Read, write
) -> None:
    read(mine="a r b, a = Q9", wiki="Q1 p Q2, Q9 = Q1")
    directory = write({"l.tsv": "b\tQ9\n", "d.toml": 'base = "c.toml"\n'})
    more = '[[links]]\nleft = "mine"\nright = "wiki"\npath = "l.tsv"\n'
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KgraftWarning)
        assert pairs(read_collection(directory / "d.toml")) == ["a=Q1"]
        write({"d.toml": 'base = "c.toml"\nbase_links = false\n' + more})
        assert pairs(read_collection(directory / "d.toml")) == ["b=Q1"]


def test_links_lead_over_redirects(read: Read, write) -> None:
    write({"l.tsv": "a\tQ9\nb\tQ2\n"})
    links = '[[links]]\nleft = "mine"\nright = "wiki"\npath = "l.tsv"\n'
    assert pairs(read(links, mine="a r b", wiki="Q1 p Q2, Q9 = Q1")) == ["a=Q1", "b=Q2"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("r.tsv", "Q9\tQ8\nQ8\tQ1\n"),
        ("r.csv", "from,to\nQ9,Q1\n"),
        ("r.nt", f"<Q:9> <{SAME}> <Q:1> .\n"),
        ("r.sssom.tsv", "subject_id\tpredicate_id\tobject_id\nQ9\towl:sameAs\tQ1\n"),
    ],
)
def test_links_of_a_source_with_itself_are_redirects(
    read: Read, write, name: str, text: str
) -> None:
    new, old = ("Q:1", "Q:9") if name == "r.nt" else ("Q1", "Q9")
    write({"l.tsv": f"a\t{old}\nb\tQ2\n", name: text})
    links = '[[links]]\nleft = "{}"\nright = "wiki"\npath = "{}"\n'
    redirects = links.format("wiki", name) + links.format("mine", "l.tsv")
    assert pairs(read(redirects, mine="a r b", wiki=f"{new} p Q2")) == [f"a={new}", "b=Q2"]
    merged = read(redirects, mine="a r b", wiki=f"{new} p Q2, {old} q Q2")
    assert len(merged.graphs["wiki"].entities) == 2
    assert inspect(merged).sources[1].merged_entities == 1
    assert pairs(merged)[1] == "b=Q2"


def test_redirects_that_lead_nowhere(read: Read, write) -> None:
    write({"r.tsv": "Q9\tQ1\nQ7\tQ6\n"})
    links = '[[links]]\nleft = "wiki"\nright = "wiki"\npath = "r.tsv"\n'
    with pytest.raises(DataError, match=r"r\.tsv, line 2: 'wiki' has no entity 'Q7'.*skip"):
        read(links, wiki="Q1 p Q2")
    found = read(links + 'unknown = "skip"', wiki="Q1 p Q2")
    assert inspect(found).sources[0].further_names == 1
    for wrong in (links + "ids = true", links.replace('path = "r.tsv"', 'match = "name"')):
        with pytest.raises(DataError, match="redirects: give a path to pairs of names"):
            read(wrong, wiki="Q1 p Q2")


def test_relations_may_redirect_too(read: Read, write) -> None:
    write({"r.tsv": "q\tp\n"})
    links = '[[links]]\nleft = "wiki"\nright = "wiki"\nkind = "relation"\npath = "r.tsv"\n'
    found = read(links, wiki="Q1 p Q2, Q2 q Q1, Q2 p Q3")
    assert found.graphs["wiki"].to_frame()["relation"].to_list() == ["p"] * 3


def test_a_link_to_an_entity_without_facts_is_said(write) -> None:
    label = "http://www.w3.org/2000/01/rdf-schema#label"
    directory = write(
        {
            "mine.tsv": "a\tr\tb\n",
            "wiki.nt": f'<w:1> <w:p> <w:2> .\n<w:9> <{label}> "x" .\n',
            "l.tsv": "a\tw:9\nb\tw:2\n",
            "c.toml": '[[source]]\nname = "mine"\ntrain = "mine.tsv"\n[[source]]\nname = "wiki"\n'
            'train = "wiki.nt"\n[[links]]\nleft = "mine"\nright = "wiki"\npath = "l.tsv"\n',
        }
    )
    found = read_collection(directory / "c.toml")
    (links,) = inspect(found).links
    assert (links.entities, links.without_facts) == (2, 1)
    assert "to entities without facts: 1, as w:9 of wiki" in said(found)


def test_a_setting_keeps_the_statements_as_facts_or_drops_them(read: Read) -> None:
    facts = {"mine": "a r b, a = Q1", "wiki": "Q1 p Q2"}
    kept = read(also='identities = "facts"', **facts)
    assert kept.graphs["mine"].to_frame()["relation"].to_list() == [SAME, "r"]
    dropped = read(also='identities = "drop"', **facts)
    assert dropped.graphs["mine"].to_frame()["relation"].to_list() == ["r"]
    assert kept.links == dropped.links == ()


def test_reading_says_what_is_taken_out_unless_asked_for(write) -> None:
    files = {
        "g.nt": f"<x:a> <x:r> <x:b> .\n<x:a> <{SAME}> <x:c> .\n",
        "g.ttl": f"<x:a> <x:r> <x:b> ; <{SAME}> <x:c> .",
        "g.jsonld": f'{{"@id": "x:a", "x:r": {{"@id": "x:b"}}, "{SAME}": {{"@id": "x:c"}}}}',
        "g.tsv": "x:a\tx:r\tx:b\nx:a\towl:sameAs\tx:c\n",
        "g.rdf": '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
        'xmlns:owl="http://www.w3.org/2002/07/owl#" xmlns:x="x:"><rdf:Description rdf:about="x:a">'
        '<x:r rdf:resource="x:b"/><owl:sameAs rdf:resource="x:c"/></rdf:Description></rdf:RDF>',
    }
    directory = write(files)
    for name in files:
        says = r"^1 statements of sameness of 'g' \(.*sameAs\) are no facts.*identities = \"facts\""
        with pytest.warns(KgraftWarning, match=says):
            found = read_collection(directory / name)
        graph = found.graphs["g"]
        assert graph.entities.names.to_list() == ["x:a", "x:b"]
        assert graph.train.tolist() == [[0, 0, 1]]
        toml = f'[[source]]\nname = "g"\ntrain = "{name}"\nidentities = "links"\n'
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert len(read_collection(write({"c.toml": toml}) / "c.toml").graphs["g"].train) == 1


def test_an_iri_as_text_is_the_other_end_too(write) -> None:
    schema = "http://schema.org/sameAs"
    files = {
        "a.nt": f'<x:a> <x:r> <x:b> .\n<x:a> <{schema}> "http://q/1" .\n'
        f'<x:b> <{schema}> "the second"@en .\n',
        "w.tsv": 'http://q/1\tp\thttp://q/2\nhttp://q/2\towl:sameAs\t"x://b"^^xsd:anyURI\n',
        "c.toml": '[[source]]\nname = "a"\ntrain = "a.nt"\nidentities = "links"\n'
        '[[source]]\nname = "w"\ntrain = "w.tsv"\nidentities = "links"\n',
    }
    found = read_collection(write(files) / "c.toml")
    assert pairs(found) == ["x:a=http://q/1"]
    a, w = found.graphs.values()
    assert a.attributes is not None
    assert a.attributes["value"].to_list() == ["http://q/1", "the second"]
    assert w.rows(pl.Series(["x://b"])).tolist() == [1]


def test_a_graph_of_nothing_else_is_refused(write) -> None:
    path: Path = write({"same.nt": f"<x:a> <{SAME}> <x:c> .\n"}) / "same.nt"
    with pytest.raises(DataError, match=r"same\.nt: all facts of 'same' are statements of samene"):
        read_collection(path)


def test_held_out_statements_are_taken_out_too(write) -> None:
    directory = write(
        {
            "a.tsv": "a\tr\tb\nb\tr\tc\n",
            "t.tsv": f"a\t{SAME}\tx\nc\tr\tx\n",
            "c.toml": '[[source]]\nname = "a"\ntrain = "a.tsv"\ntest = "t.tsv"\n'
            'identities = "links"\n',
        }
    )
    graph = read_collection(directory / "c.toml").graphs["a"]
    assert graph.entities.names.to_list() == ["a", "b", "c"]
    assert graph.test.tolist() == [[2, 0, 0]]
