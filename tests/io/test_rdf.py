import dataclasses
import gzip
import warnings
from pathlib import Path

import polars as pl
import pytest

from kgraft.errors import DataError, KgraftWarning
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.io import rdf
from kgraft.io.rdf import RdfBatch, label_literals, read_rdf
from kgraft.io.read_graph import read_graph
from kgraft.io.read_links import links_by_name
from kgraft.io.source import GraphSource

STRING = "http://www.w3.org/2001/XMLSchema#string"
LANG_STRING = "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString"
INTEGER = "http://www.w3.org/2001/XMLSchema#integer"

DOCUMENTS = {
    "ntriples": '<http://x/a> <http://x/p> <http://x/b> .\n<http://x/a> <http://x/n> "A"@en .\n',
    "nquads": "<http://x/a> <http://x/p> <http://x/b> <http://x/g> .\n"
    '<http://x/a> <http://x/n> "A"@en .\n',
    "turtle": '@prefix : <http://x/> . :a :p :b ; :n "A"@en .',
    "trig": '@prefix : <http://x/> . :g { :a :p :b } :a :n "A"@en .',
    "rdfxml": '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
    'xmlns="http://x/"><rdf:Description rdf:about="http://x/a"><p rdf:resource="http://x/b"/>'
    '<n xml:lang="en">A</n></rdf:Description></rdf:RDF>',
    "jsonld": '{"@id": "http://x/a", "http://x/p": {"@id": "http://x/b"}, '
    '"http://x/n": {"@value": "A", "@language": "en"}}',
}


def read(path: Path, syntax: str = "turtle", blank_nodes: str = "scope") -> list[RdfBatch]:
    return list(read_rdf(path, syntax, blank_nodes))  # type: ignore[arg-type]


def facts(batches: list[RdfBatch]) -> list[tuple[str, ...]]:
    return [row for batch in batches for row in batch.facts.rows()]


def turtle(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "g.ttl"
    path.write_text(f"@prefix : <http://x/> .\n{body}\n")
    return path


@pytest.mark.parametrize("syntax", list(DOCUMENTS))
def test_every_syntax_gives_the_same_statements(tmp_path: Path, syntax: str) -> None:
    path = tmp_path / "document.gz"
    path.write_bytes(gzip.compress(DOCUMENTS[syntax].encode()))
    (batch,) = read(path, syntax)
    assert batch.facts.rows() == [("http://x/a", "http://x/p", "http://x/b")]
    assert batch.literals.rows() == [("http://x/a", "http://x/n", "A", LANG_STRING, "en")]


def test_literals_keep_their_datatype(tmp_path: Path) -> None:
    (batch,) = read(turtle(tmp_path, ':a :p 3 ; :q "x\\ty" .'))
    assert batch.literals.rows() == [
        ("http://x/a", "http://x/p", "3", INTEGER, None),
        ("http://x/a", "http://x/q", "x\ty", STRING, None),
    ]
    assert batch.facts.is_empty()


def test_statements_come_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rdf, "BATCH", 2)
    batches = read(turtle(tmp_path, ':a :p :b , :c , "x" , :d , :e .'))
    assert [len(batch.facts) for batch in batches] == [2, 1, 1]
    assert [len(batch.literals) for batch in batches] == [0, 1, 0]


def test_encoded_names_are_decoded(tmp_path: Path) -> None:
    (batch,) = read(turtle(tmp_path, "<urn:kgraft:a%20b> :p <http://x/%20> ."))
    assert batch.facts.rows() == [("a b", "http://x/p", "http://x/%20")]


def test_blank_nodes_are_named_after_their_file(tmp_path: Path) -> None:
    path = turtle(tmp_path, "_:k :p [ :q [ :r :b ] ] . _:k :s _:k .")
    found = facts(read(path))
    assert set(found) == {
        ("_:g.ttl#[0]", "http://x/r", "http://x/b"),
        ("_:g.ttl#[1]", "http://x/q", "_:g.ttl#[0]"),
        ("_:g.ttl#k", "http://x/p", "_:g.ttl#[1]"),
        ("_:g.ttl#k", "http://x/s", "_:g.ttl#k"),
    }
    assert facts(read(path)) == found


def test_labelled_blank_nodes_of_ntriples_keep_any_label(tmp_path: Path) -> None:
    label = "aefb8d09a78c5328b4879284e7d9977"
    path = tmp_path / "g.nt"
    path.write_text(f"_:{label} <http://x/p> <http://x/b> .\n")
    assert facts(read(path, "ntriples"))[0][0] == f"_:g.nt#{label}"


def test_dropped_blank_nodes_are_counted(tmp_path: Path) -> None:
    path = turtle(tmp_path, '_:k :p :a . :a :p _:k . _:k :n "K" . :a :p :b .')
    with pytest.warns(KgraftWarning, match=r"g\.ttl: left out 3 statements with blank nodes"):
        found = facts(read(path, blank_nodes="drop"))
    assert found == [("http://x/a", "http://x/p", "http://x/b")]


def test_statements_about_statements_are_left_out_and_counted(tmp_path: Path) -> None:
    path = turtle(tmp_path, ":a :p :b . :a :says <<( :a :p :b )>> .")
    with pytest.warns(KgraftWarning, match="1 statement about statements"):
        assert len(facts(read(path))) == 1


def test_a_malformed_statement_names_file_and_line(tmp_path: Path) -> None:
    path = turtle(tmp_path, ":a :p :b .\n:a :p <not finished")
    with pytest.raises(DataError, match="not well-formed Turtle") as caught:
        read(path)
    assert (caught.value.path, caught.value.line) == (str(path), 3)


def test_bytes_that_are_not_utf8_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "g.nt"
    path.write_bytes(b'<http://x/a> <http://x/n> "a" .\n<http://x/a> <http://x/n> "\xff" .\n')
    with pytest.raises(DataError, match="UTF-8") as caught:
        read(path, "ntriples")
    assert caught.value.line == 2


def test_no_statements_missing_and_truncated_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no statements"):
        read(turtle(tmp_path, ""))
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "none.ttl")
    path = tmp_path / "g.nt.gz"
    path.write_bytes(gzip.compress(DOCUMENTS["ntriples"].encode() * 100)[:-20])
    with pytest.raises(DataError, match="cannot be read"):
        read(path, "ntriples")


def test_labels_prefer_untagged_and_english() -> None:
    rows = [
        (0, rdf.RDFS_LABEL, "Griechenland", "de"),
        (1, rdf.RDFS_LABEL, "Japon", "fr"),
        (0, rdf.SKOS_LABEL, "Greece", "en-GB"),
        (0, "http://x/name", "not a label", None),
        (1, rdf.RDFS_LABEL, "Giappone", "it"),
        (2, rdf.RDFS_LABEL, "plain", None),
    ]
    literals = pl.DataFrame(rows, schema=["entity", "attribute", "value", "language"], orient="row")
    best = label_literals(literals).unique("entity", keep="first", maintain_order=True)
    assert dict(best.rows()) == {0: "Greece", 1: "Japon", 2: "plain"}


def test_reading_warns_of_nothing_without_cause(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert facts(read(turtle(tmp_path, ":a :p :b .")))


def graph_of(*paths: Path, **more: object) -> KnowledgeGraph:
    return read_graph(GraphSource(name="g", train=paths, **more))  # type: ignore[arg-type]


def test_blank_nodes_of_files_of_one_name_are_different_entities(tmp_path: Path) -> None:
    paths = [tmp_path / part / "p.nt" for part in ("", "a", "b/c")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("_:b0 <http://x/p> <http://x/y> .\n")
    names = graph_of(*paths).entities.names.to_list()
    assert names == ["_:a/p.nt#b0", "_:b/c/p.nt#b0", "_:p.nt#b0", "http://x/y"]
    # A file that is named twice is one file.
    assert graph_of(paths[0], paths[0]).entities.names.to_list() == names[2:]
    assert graph_of(paths[1]).entities.names.to_list() == ["_:p.nt#b0", "http://x/y"]


def test_blank_nodes_of_two_graphs_are_not_linked_by_name(tmp_path: Path) -> None:
    path = tmp_path / "p.nt"
    path.write_text("_:b0 <http://x/p> <http://x/y> .\n")
    graph = graph_of(path)
    links = links_by_name(graph, dataclasses.replace(graph, name="other"))
    assert [graph.entities.name(row) for row in links.pairs[:, 0]] == ["http://x/y"]


RELATIVE = {
    "ttl": "<a#b> <http://x/p> </c> .",
    "trig": "{ <a#b> <http://x/p> </c> }",
    "rdf": '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://x/">'
    '<rdf:Description rdf:about="a#b"><p rdf:resource="/c"/></rdf:Description></rdf:RDF>',
    "jsonld": '{"@id": "a#b", "http://x/p": {"@id": "/c"}}',
}


@pytest.mark.parametrize("ending", RELATIVE)
def test_relative_iris_are_resolved_against_the_file_or_a_setting(
    tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"my file.{ending}"
    path.write_text(RELATIVE[ending])
    with pytest.warns(KgraftWarning, match="relative IRIs are read against file:///.*, in 1 stat"):
        own = graph_of(path).entities.names.to_list()
    assert own == ["file:///c", f"{tmp_path.as_uri()}/a#b"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given = graph_of(path, base_iri="http://x/y/z").entities.names.to_list()
    assert given == ["http://x/c", "http://x/y/a#b"]


def test_a_base_that_is_no_iri_is_refused() -> None:
    with pytest.raises(ValueError, match="base_iri must be a whole IRI"):
        GraphSource(name="g", train="g.ttl", base_iri="g")  # type: ignore[arg-type]


@pytest.mark.parametrize("syntax", list(DOCUMENTS))
def test_a_byte_order_mark_is_read_over(tmp_path: Path, syntax: str) -> None:
    path = tmp_path / "document.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + DOCUMENTS[syntax].encode()))
    (batch,) = read(path, syntax)
    assert batch.facts.rows() == [("http://x/a", "http://x/p", "http://x/b")]


@pytest.mark.parametrize("kept", [10, 5000])
def test_rdfxml_cut_after_an_element_is_refused(tmp_path: Path, kept: int) -> None:
    start, end = DOCUMENTS["rdfxml"].split("<rdf:Description")
    element = "\n<rdf:Description" + end.removesuffix("</rdf:RDF>")
    path = tmp_path / "g.rdf"
    path.write_text(start + element * kept)
    with pytest.raises(DataError, match="ends before its outermost element is closed") as caught:
        read(path, "rdfxml")
    assert caught.value.line == kept + 1
    path.write_text(start + element * kept + "</rdf:RDF>\n<!-- the end -->\n")
    assert len(facts(read(path, "rdfxml"))) == kept


def test_rdfxml_of_one_element_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "g.rdf"
    names = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://x/"'
    path.write_text(f'<A {names} rdf:about="http://x/a" rdf:type="http://x/B"/>')
    assert len(facts(read(path, "rdfxml"))) == 2


def test_annotations_and_the_nodes_that_only_they_use_are_left_out(tmp_path: Path) -> None:
    path = turtle(
        tmp_path,
        ":a :p :b . << :a :p :b >> :since :y2001 ; :n 5 ; :by [ :name :x ; :also ( :u ) ] .\n"
        ":a :q :c {| :certainty :high |} . :a :q :d ~ :event {| :place :e |} . :m :saw :event .\n"
        ":a :q :k ~ :id {| :says :w |} . :a :has _:kept . _:kept :p :b .",
    )
    with pytest.warns(KgraftWarning, match="13 statements about statements"):
        found = facts(read(path))
    named = {tuple(name.removeprefix("http://x/") for name in row) for row in found}
    assert named == {
        *[("a", "p", "b"), ("a", "q", "c"), ("a", "q", "d"), ("a", "q", "k")],
        # Another fact leads to this one, so it is an entity of its own.
        *[("m", "saw", "event"), ("event", "place", "e")],
        *[("a", "has", "_:g.ttl#kept"), ("_:g.ttl#kept", "p", "b")],
    }


def test_untagged_language_strings_are_plain_text(tmp_path: Path) -> None:
    value = f'"u"^^<{LANG_STRING}>'
    row = ("http://x/a", "http://x/p", "u", STRING, None)
    (batch,) = read(turtle(tmp_path, f":a :p {value} ; :p :b ."))
    assert (batch.literals.rows(), len(batch.facts)) == ([row], 1)
    path = tmp_path / "g.nq"
    path.write_text(f"<http://x/a> <http://x/p> {value} <http://x/g> .\n")
    (batch,) = read(path, "nquads")
    assert batch.literals.rows() == [row]


MALFORMED = {
    "ntriples": "<http://x/a> <http://x/p> <http://x/b> .\n<http://x/a> <http://x/p> <x y> .\n"
    '<http://x/a> <http://x/p> "A"\n<http://x/a> <http://x/p> "\xff" .\n# \xff\n'
    "<http://x/a> <http://x/p> 5 .\n<http://x/%> <http://x/p> <http://x/b> .\n",
    "nquads": "<http://x/a> <http://x/p> <http://x/b> <http://x/g> .\n<x y> <x> <x> .\n" * 4,
    "turtle": "@prefix : <http://x/> .\n:a :p <x y> ; :q :c .\n:a :p :b .\n:a no:p :b .\n"
    ":a :p :b .\n:a :p '5'^^<%> .\n:a 7 :b .\n:a :p \"x",
    "trig": "@prefix : <http://x/> . :g { :a :p <x y> , <%> ; :p :b }\n:a :p <http://[/> ; <%> :a.",
    "rdfxml": '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://x/">'
    + '<rdf:Description rdf:about="http://x/a"><p rdf:resource="http://x/b"/>'
    '<p rdf:resource="x y"/></rdf:Description>' * 4 + "</rdf:RDF>",
    "jsonld": '{"@id": "http://x/a", "http://x/p": [{"@id": "http://x/b"}, {"@id": "x y"}, '
    '{"@id": "%"}, {"@id": "http://["}, {"@value": "1", "@type": "a b:c"}]}',
}


@pytest.mark.parametrize("syntax", [name for name in MALFORMED if name != "turtle"])
def test_malformed_statements_are_left_out_if_asked_for(tmp_path: Path, syntax: str) -> None:
    path = tmp_path / "g"
    path.write_bytes(MALFORMED[syntax].encode("latin-1"))
    with pytest.raises(DataError, match='or leave such statements out with malformed="skip"'):
        list(read_rdf(path, syntax, "scope", malformed="error"))
    with pytest.warns(KgraftWarning, match=r"4 statements with malformed syntax \(.*; \.\.\.\)"):
        batches = list(read_rdf(path, syntax, "scope", malformed="skip"))
    assert set(facts(batches)) == {("http://x/a", "http://x/p", "http://x/b")}


def test_malformed_statements_of_turtle_are_left_out_up_to_the_full_stop(tmp_path: Path) -> None:
    path = tmp_path / "g.ttl"
    path.write_text(MALFORMED["turtle"])
    with pytest.raises(DataError, match="what is left of the file cannot be told"):
        list(read_rdf(path, "turtle", "scope", malformed="skip"))
    path.write_text(MALFORMED["turtle"] + '" .')
    with pytest.warns(KgraftWarning, match=r"4 statements with malformed syntax \(.*line 2 "):
        found = facts(list(read_rdf(path, "turtle", "scope", malformed="skip")))
    assert found == [("http://x/a", "http://x/p", "http://x/b")] * 2


def test_a_graph_leaves_malformed_statements_out_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "g.nt"
    path.write_bytes(MALFORMED["ntriples"].encode("latin-1"))
    shown = r"\(line 2: Invalid IRI.*; line 3: Triples must be .*; line 4: not UTF-8; \.\.\.\)"
    with pytest.warns(KgraftWarning, match=shown):
        graph = graph_of(path, malformed="skip")
    assert len(graph.train) == 1
    path.write_text("head\trelation\ttail\na\tb\tc\n")
    with pytest.raises(DataError, match="none of 2 statements is well-formed"):
        graph_of(path, malformed="skip")


def test_malformed_xml_and_graphs_are_refused_also_when_statements_may_be_left_out(
    tmp_path: Path,
) -> None:
    path = tmp_path / "g"
    for syntax in ("rdfxml", "trig", "jsonld"):
        path.write_text(DOCUMENTS[syntax].replace("}", "{").replace("</p", "<p").replace("/>", ">"))
        with pytest.raises(DataError, match="only statements with malformed IRIs"):
            list(read_rdf(path, syntax, "scope", malformed="skip"))
