"""Links are read from tables, SSSOM and RDF; what is wrong with a file is told with its line."""

from __future__ import annotations

import bz2
import gzip
import json
import re
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from linked_pair import FACT, LEFT, RIGHT, as_text, read, refused

from kgraft.errors import DataError, KgraftWarning
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.read_links import links_by_name

SAME = "http://www.w3.org/2002/07/owl#sameAs"


# ---------------------------------------------------------------------------------------- tables


def test_a_table_of_two_columns(write) -> None:
    path = write({"l.tsv": "http://el/a\thttp://en/B\n\nhttp://el/c\thttp://en/A\n"}) / "l.tsv"
    links = read(path)
    assert (links.left, links.right, links.kind, links.provenance) == (
        "el",
        "en",
        "entity",
        "l.tsv",
    )
    assert links.pairs.dtype == np.int64
    assert links.confidence.dtype == np.float32
    assert as_text(links) == ["a=B:1", "c=A:1"]
    assert as_text(read(path, confidence=0.5)) == ["a=B:0.5", "c=A:0.5"]


def test_a_third_column_is_a_confidence_and_may_have_gaps(write) -> None:
    path = (
        write({"l.tsv": "http://el/a\thttp://en/B\t0.25\nhttp://el/c\thttp://en/A\t\n"}) / "l.tsv"
    )
    assert as_text(read(path)) == ["a=B:0.25", "c=A:1"]
    assert as_text(read(path, confidence=0.5)) == ["a=B:0.25", "c=A:0.5"]


@pytest.mark.parametrize(
    "table",
    [
        "target,score,source,note\nhttp://en/B,0.5,http://el/a,seen\n",
        "left,right,confidence\nhttp://el/a,http://en/B,0.5\n",
        '"http://el/a","http://en/B","0.5"\n',
    ],
)
def test_a_header_sets_the_order_of_columns(write, table: str) -> None:
    assert as_text(read(write({"l.csv": table}) / "l.csv")) == ["a=B:0.5"]


@pytest.mark.parametrize(
    ("ending", "compress"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".zst", lambda raw: pa.compress(raw, codec="zstd", asbytes=True)),
    ],
)
def test_compressed_tables(write, ending: str, compress) -> None:
    name = f"l.tsv{ending}"
    assert as_text(read(write({name: compress(b"http://el/a\thttp://en/B\n")}) / name)) == ["a=B:1"]


@pytest.mark.parametrize("table", ["0\t1\n2\t0\n", "0.0\t1.0\n2.0\t0.0\n", "0\t1.0\n2.0\t0\n"])
def test_row_numbers_as_integers_or_floats(write, table: str) -> None:
    assert as_text(read(write({"l.tsv": table}) / "l.tsv", ids=True)) == ["a=B:1", "c=A:1"]


def test_a_pair_given_twice_keeps_its_highest_confidence(write) -> None:
    rows = ["a\thttp://en/A\t0.5", "b\thttp://en/A\t0.25", "a\thttp://en/A\t0.75"]
    path = write({"l.tsv": "".join(f"http://el/{row}\n" for row in rows)}) / "l.tsv"
    assert as_text(read(path)) == ["a=A:0.75", "b=A:0.25"]


def test_relation_links(write) -> None:
    path = write({"l.tsv": "http://el/in\thttp://en/IN\n"}) / "l.tsv"
    links = read(path, kind="relation")
    assert links.kind == "relation"
    assert as_text(links) == ["in=IN:1"]


def test_unknown_names_are_an_error_or_left_out_with_a_warning(write) -> None:
    table = "http://el/a\thttp://en/A\nhttp://el/b\thttp://en/Q\nhttp://el/z\thttp://en/B\n"
    path = write({"l.tsv": table}) / "l.tsv"
    refused(path, 2, "'en' has no entity 'http://en/Q'", 'set unknown = "skip"')
    says = rf"{re.escape(str(path))}, line 2: 2 of 3 links name entities .*'http://en/Q'.*left out"
    with pytest.warns(KgraftWarning, match=says):
        links = read(path, unknown="skip")
    assert as_text(links) == ["a=A:1"]
    refused(path, 1, "'el' has no relation 'http://el/a'", kind="relation")


@pytest.mark.parametrize(
    ("name", "content", "line", "parts", "how"),
    [
        ("l.tsv", "", None, ("holds no rows", "written completely"), {}),
        ("l.tsv", "left\tright\n", None, ("holds no rows", "written completely"), {}),
        ("l.tsv.gz", b"no gzip", None, ("cannot be read", "compression"), {}),
        ("l.tsv", b"http://el/a\tb\nx\t\xff\n", 2, ("not UTF-8", "Convert"), {}),
        ("l.tsv", "http://el/a\n", 1, ("expected 2 columns", "found 1", "Repair"), {}),
        ("l.tsv", "0\t1\n0\t1\t1\t1\n", 2, ("expected 2 columns", "found 4"), {"ids": True}),
        ("l.tsv", "http://el/a\thttp://en/A\nhttp://el/a\t\n", 2, ("the right is empty",), {}),
        ("l.tsv", "0\t1\n0\t6\n", 2, ("entity of en is 6, outside 0 to 5",), {"ids": True}),
        ("l.tsv", "0\t1\n-1\t1\n", 2, ("entity of el is -1, outside 0 to 4",), {"ids": True}),
        ("l.tsv", "0\t1\n0\tnan\n", 2, ("entity of en is 'nan', not a whole",), {"ids": True}),
        ("l.tsv", "0\t1\n0.5\t1\n", 2, ("entity of el is '0.5', not a whole",), {"ids": True}),
        ("l.tsv", "9\t1\n", 1, ("outside",), {"ids": True, "unknown": "skip"}),
        ("l.tsv", "2\t2\n", 1, ("relation of en is 2",), {"ids": True, "kind": "relation"}),
        ("l.parquet", "", None, ("links are not read from parquet", "TSV"), {}),
        ("l.dat", "0\t1\n", None, ("'.dat' names no known format", ".tsv"), {}),
        ("l.nt", f"<x:a> <{SAME}> <x:b> .", None, ("from ntriples", "ids"), {"ids": True}),
    ],
)
def test_a_bad_file_is_refused_with_line_and_remedy(
    write, name: str, content: str | bytes, line: int | None, parts, how
) -> None:
    refused(write({name: content}) / name, line, *parts, **how)


@pytest.mark.parametrize("number", ["0", "1.5", "-0.5", "nan", "1e-60", "high"])
def test_a_confidence_lies_above_0_and_at_most_at_1(write, number: str) -> None:
    table = f"http://el/a\thttp://en/A\t1\nhttp://el/b\thttp://en/B\t{number}\n"
    path = write({"l.tsv": table}) / "l.tsv"
    refused(path, 2, f"the confidence '{number}' is no number above 0 and at most 1", "as 0.9")


def test_a_missing_file_and_a_directory(tmp_path: Path) -> None:
    refused(tmp_path / "no.tsv", None, "no such file", "Check the path")
    (tmp_path / "d.tsv").mkdir()
    refused(tmp_path / "d.tsv", None, "this is a directory")


# ------------------------------------------------------------------------------------------- RDF


B_IN_JSON = f'{{"@id": "http://en/B", "{SAME}": {{"@id": "http://el/b"}}}}'


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "l.nt",
            f"<http://el/a> <{SAME}> <http://en/A> .\n<http://en/B> <{SAME}> <http://el/b> .\n",
        ),
        (
            "l.ttl",
            f"<http://el/a> <{SAME}> <http://en/A> . <http://en/B> <{SAME}> <http://el/b> .",
        ),
        (
            "l.jsonld",
            f'[{{"@id": "http://el/a", "{SAME}": {{"@id": "http://en/A"}}}}, {B_IN_JSON}]',
        ),
    ],
)
def test_rdf_in_either_order(write, name: str, text: str) -> None:
    assert as_text(read(write({name: text}) / name)) == ["a=A:1", "b=B:1"]


@pytest.mark.parametrize("name", ["l.txt", "l.tsv", "l.links"])
def test_n_triples_under_the_name_of_a_table(write, name: str) -> None:
    path = write({name: f"# links\n<http://el/a> <{SAME}> <http://en/A> .\n"}) / name
    assert as_text(read(path)) == ["a=A:1"]


def test_the_order_decides_where_names_do_not(write) -> None:
    both, too = "urn:kgraft:both", "urn:kgraft:too"  # names on either side
    pairs = ((both, "http://en/A"), ("http://el/a", both), (too, both))
    text = "".join(f"<{one}> <{SAME}> <{other}> .\n" for one, other in pairs)
    assert as_text(read(write({"l.nt": text}) / "l.nt")) == ["both=A:1", "a=both:1", "too=both:1"]


def test_other_statements_are_left_out_with_a_warning(write) -> None:
    text = (
        f"<http://el/a> <{SAME}> <http://en/A> .\n"
        "<http://el/a> <http://x/near> <http://en/B> .\n"
        '<http://el/a> <http://x/label> "a" .\n'
    )
    path = write({"l.nt": text}) / "l.nt"
    with pytest.warns(KgraftWarning, match=r"l\.nt: 2 statements are not of sameness"):
        links = read(path)
    assert as_text(links) == ["a=A:1"]


def test_rdf_relation_links(write) -> None:
    text = "<http://en/IN> <http://www.w3.org/2002/07/owl#equivalentProperty> <http://el/in> .\n"
    path = write({"l.nt": text}) / "l.nt"
    assert as_text(read(path, kind="relation")) == ["in=IN:1"]
    refused(path, None, "none of 1 statements says that two entities are the same", "owl#sameAs")


ALIGNMENT = "http://knowledgeweb.semanticweb.org/heterogeneity/alignment"


def cell(left: str, right: str, relation: str, measure: str) -> str:
    return (
        f'<map><Cell><entity1 rdf:resource="{left}"/><entity2 rdf:resource="{right}"/>'
        f"<relation>{relation}</relation><measure rdf:datatype='xsd:float'>{measure}</measure>"
        "</Cell></map>\n"
    )


def alignment(*cells: str, namespace: str = ALIGNMENT) -> str:
    return (
        f'<rdf:RDF xmlns="{namespace}" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        "<Alignment><xml>yes</xml><level>0</level><type>11</type>"
        f'<onto1><Ontology rdf:about="http://el/"/></onto1>\n{"".join(cells)}'
        "</Alignment></rdf:RDF>"
    )


@pytest.mark.parametrize("namespace", [ALIGNMENT, f"{ALIGNMENT}#"])
@pytest.mark.parametrize("name", ["l.rdf", "l.xml", "l.rdf.gz"])
def test_equal_cells_of_an_alignment_are_links(write, name: str, namespace: str) -> None:
    equal = cell("http://el/a", "http://en/A", "=", "0.5")
    turned = cell("http://en/B", "http://el/b", " = ", "1.0")
    less = cell("http://el/c", "http://en/C", "&lt;", "0.9")

    def at(*cells: str) -> Path:
        raw = alignment(*cells, namespace=namespace).encode()
        return write({name: gzip.compress(raw) if name.endswith(".gz") else raw}) / name

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert as_text(read(at(equal, turned))) == ["a=A:0.5", "b=B:1"]
    with pytest.warns(KgraftWarning, match="1 statement is not of sameness, and left out"):
        assert as_text(read(at(equal, less))) == ["a=A:0.5"]
    refused(at(less), None, "none of 1 statements", "1 mapping negated, of another relation")
    refused(at(cell("http://el/a", "http://en/Q", "=", "1")), None, "no entity 'http://en/Q'")
    refused(at(cell("http://el/a", "http://en/A", "=", "2")), None, "confidence '2'")


def test_relation_links_of_an_alignment(write) -> None:
    path = write({"l.rdf": alignment(cell("http://el/in", "http://en/IN", "=", "1"))}) / "l.rdf"
    assert as_text(read(path, kind="relation")) == ["in=IN:1"]


def axiom(left: str, right: str, more: str = "", relation: str = f"<{SAME}>") -> str:
    return (
        f"[] a owl:Axiom ; owl:annotatedSource <http://el/{left}> ; owl:annotatedTarget {right} ;"
        f" owl:annotatedProperty {relation} {more} .\n"
    )


@pytest.mark.parametrize("space", ["https://w3id.org/sssom/", "http://w3id.org/sssom/"])
def test_sssom_in_rdf_links_where_it_is_not_negated(write, space: str) -> None:
    prefixes = f"@prefix owl: <http://www.w3.org/2002/07/owl#> . @prefix sssom: <{space}> .\n"
    stated = f"<http://el/a> <{SAME}> <http://en/A> . <http://el/b> <{SAME}> <http://en/B> ."
    stated += f"<http://el/b> <{SAME}> <http://en/D> .\n"
    rows = [
        axiom("a", "<http://en/A>", "; sssom:confidence 0.5"),
        axiom("b", "<http://en/B>", '; sssom:predicate_modifier "Not"'),
        axiom("c", "<http://en/C>", "; sssom:predicate_modifier sssom:Not"),
        axiom("c", "<https://w3id.org/sssom/NoTermFound>"),
        axiom("c", "<http://en/D>", relation="<http://x/near>"),
        axiom("c", '"a literal"', relation="<http://x/note>"),
        axiom("b", "<http://en/D>", relation="<http://x/near>"),
    ]
    path = write({"l.sssom.ttl": prefixes + stated + "".join(rows)}) / "l.sssom.ttl"
    with pytest.warns(KgraftWarning, match="6 statements .*: 6 mappings negated"):
        assert as_text(read(path)) == ["b=D:1", "a=A:0.5"]
    whole = "[] sssom:subject_id <http://el/a> ; sssom:object_id <http://en/A> ; {} ; {} .\n"
    same, modifier = f"sssom:predicate_id <{SAME}>", 'sssom:predicate_modifier "Maybe"'
    write({"m.ttl": prefixes + whole.format(same, 'sssom:comment "x"')})
    assert as_text(read(path.with_name("m.ttl"))) == ["a=A:1"]
    write({"m.ttl": prefixes + stated + whole.format(same, modifier)})
    with pytest.warns(KgraftWarning, match="1 mapping negated"):
        assert as_text(read(path.with_name("m.ttl"))) == ["b=B:1", "b=D:1"]


def test_bad_rdf_is_refused(write) -> None:
    unknown = f"<http://el/a> <{SAME}> <http://en/Q> .\n"
    directory = write(
        {"u.nt": unknown, "bad.nt": f"{unknown}<http://el/a> <{SAME}> .\n", "empty.nt": ""}
    )
    refused(directory / "u.nt", None, "'en' has no entity 'http://en/Q'", "skip")
    refused(directory / "bad.nt", 2, "not well-formed N-Triples", "Repair")
    refused(directory / "empty.nt", None, "holds no statements", "written completely")
    with pytest.warns(KgraftWarning, match="1 of 1 links name entities"):
        assert len(read(directory / "u.nt", unknown="skip")) == 0


@pytest.mark.parametrize("name", ["l.nt", "l.txt", "l.ttl", "l.jsonld"])
def test_malformed_statements_are_left_out_if_asked_for(write, name: str) -> None:
    pairs = ("http://el/a", "http://en/A"), ("http://el/b", "http://en/B{%")
    text = "".join(f"<{left}> <{SAME}> <{right}> .\n" for left, right in pairs)
    if name == "l.jsonld":
        text = json.dumps([{"@id": left, SAME: {"@id": right}} for left, right in pairs])
    path = write({name: text}) / name
    with pytest.raises(DataError, match='with malformed="skip"'):
        read(path)
    with pytest.warns(KgraftWarning, match="1 statement with malformed syntax"):
        assert as_text(read(path, malformed="skip")) == ["a=A:1"]


# ------------------------------------------------------------------------------------- same names


def test_links_by_name() -> None:
    links = links_by_name(LEFT, RIGHT, confidence=0.5)
    assert as_text(links) == ["both=both:0.5", "too=too:0.5"]
    assert links.provenance == "same name"
    assert as_text(links_by_name(LEFT, RIGHT, kind="relation")) == ["shared=shared:1"]
    apart = KnowledgeGraph("x", Vocabulary.of(["u", "v"]), Vocabulary.of(["r"]), FACT)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert links_by_name(LEFT, apart).pairs.shape == (0, 2)
