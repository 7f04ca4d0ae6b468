"""SSSOM is read as its specification allows it, and only mappings of sameness become links."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from linked_pair import RIGHT, as_text, read, refused

from kgraft.errors import KgraftWarning
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.read_links import read_links

HEADING = """\
# mapping_set_id: http://example.org/set
# curie_map:
#   el: http://el/
#   "en": "http://en/"
# license: http://example.org/licence
"""
COLUMNS = "subject_id\tpredicate_id\tobject_id\tmapping_justification\tconfidence\n"
JUSTIFIED = "semapv:ManualMappingCuration"


def sssom(*rows: str, columns: str = COLUMNS, heading: str = HEADING) -> str:
    return heading + columns + "".join(f"{row}\n" for row in rows)


def test_sssom_with_curies_in_either_order(write) -> None:
    text = sssom(
        f"el:a\tskos:exactMatch\ten:A\t{JUSTIFIED}\t0.5",
        f"en:B\towl:sameAs\thttp://el/b\t{JUSTIFIED}\t",
    )
    links = read(write({"l.sssom.tsv": text}) / "l.sssom.tsv", confidence=0.75)
    assert as_text(links) == ["a=A:0.5", "b=B:0.75"]
    assert (links.left, links.right) == ("el", "en")


@pytest.mark.parametrize(
    "heading",
    [
        '#curie_map: {el: "http://el/", "en": http://en/}\n',
        "# curie_map: { el: http://el/,\n#   en: 'http://en/' }\n# license: http://x/\n",
    ],
)
def test_sssom_may_declare_its_curies_in_braces(write, heading: str) -> None:
    text = sssom(f"el:a\tskos:exactMatch\ten:A\t{JUSTIFIED}\t0.5", heading=heading)
    assert as_text(read(write({"l.sssom.tsv": text}) / "l.sssom.tsv")) == ["a=A:0.5"]


def test_sssom_of_another_ending_compressed_and_as_csv(write) -> None:
    text = sssom(f"el:a\tskos:exactMatch\ten:A\t{JUSTIFIED}\t0.5")
    directory = write(
        {
            "l.tsv": text,
            "l.sssom.tsv.gz": gzip.compress(text.encode()),
            "l.sssom.csv": text.replace("\t", ","),
        }
    )
    assert as_text(read(directory / "l.tsv")) == ["a=A:0.5"]
    assert as_text(read(directory / "l.sssom.tsv.gz")) == ["a=A:0.5"]
    assert as_text(read(directory / "l.sssom.csv")) == ["a=A:0.5"]


def test_sssom_may_use_the_curies_that_a_graph_uses_itself(write) -> None:
    left = KnowledgeGraph(
        "a", Vocabulary.of(["el:x", "el:y"]), Vocabulary.of(["r"]), np.array([[0, 0, 1]])
    )
    text = sssom(f"el:y\tskos:exactMatch\ten:B\t{JUSTIFIED}\t1")
    links = read_links(write({"l.sssom.tsv": text}) / "l.sssom.tsv", left, RIGHT)
    assert links.pairs.tolist() == [[1, 1]]


def test_other_and_negated_mappings_are_left_out_with_a_warning(write) -> None:
    columns = "subject_id\tpredicate_modifier\tpredicate_id\tobject_id\n"
    rows = [
        "el:a\t\tskos:exactMatch\ten:A",
        "el:b\t\tskos:broadMatch\ten:B",
        "el:c\tNot\tskos:exactMatch\ten:C",
    ]
    path = write({"l.sssom.tsv": sssom(*rows, columns=columns)}) / "l.sssom.tsv"
    with pytest.warns(KgraftWarning, match=r"l\.sssom\.tsv: 2 statements are not of sameness"):
        links = read(path)
    assert as_text(links) == ["a=A:1"]


def test_sssom_relation_links_are_of_properties(write) -> None:
    text = sssom(f"el:in\towl:equivalentProperty\ten:IN\t{JUSTIFIED}\t1")
    path = write({"l.sssom.tsv": text}) / "l.sssom.tsv"
    assert as_text(read(path, kind="relation")) == ["in=IN:1"]
    refused(path, None, "none of 1 statements says that two entities are the same", "owl#sameAs")


@pytest.mark.parametrize("name", ["l.tsv", "l.csv", "l.txt", "l.map", "l.tsv.gz"])
@pytest.mark.parametrize("separator", ["\t", ","])
@pytest.mark.parametrize("before", ["", "\ufeff", "\n \n", "\ufeff\r\n", "#license: x\n"])
def test_sssom_is_known_by_its_header_whatever_its_name(
    write, name: str, separator: str, before: str
) -> None:
    rows = [
        "predicate_id;Subject_ID;object_id;predicate_modifier",
        "skos:exactMatch;http://el/a;http://en/A;",
        "skos:broadMatch;http://el/b;http://en/B;",
        "skos:exactMatch;http://el/c;http://en/C;Not",
        "rdfs:seeAlso;http://el/c;http://en/D;",
    ]
    raw = (before + "\n".join(rows).replace(";", separator)).encode()
    path = write({name: gzip.compress(raw) if name.endswith(".gz") else raw}) / name
    formats = ["auto", "tsv", "csv"] if name != "l.map" else ["tsv", "auto"]
    for named in formats:
        with pytest.warns(KgraftWarning, match="1 negated, .*, 2 of another predicate"):
            assert as_text(read(path, format=named)) == ["a=A:1"]


@pytest.mark.parametrize(
    "header", ["subject,predicate,object", "source,relation,target", "left,predicate_id,right"]
)
def test_a_table_with_a_predicate_links_by_sameness_alone(write, header: str) -> None:
    rows = "http://el/a,owl:sameAs,http://en/A\nhttp://el/b,skos:narrowMatch,http://en/B\n"
    path = write({"l.csv": f"{header}\n{rows}"}) / "l.csv"
    with pytest.warns(KgraftWarning, match="1 of another predicate"):
        assert as_text(read(path)) == ["a=A:1"]


@pytest.mark.parametrize("modifier", ["Not", "not", "NOT", " Not ", '"Not"', "sssom:Not", "Maybe"])
def test_no_mapping_with_a_modifier_links(write, modifier: str) -> None:
    columns = "subject_id\tpredicate_id\tpredicate_modifier\tobject_id\n"
    rows = ["el:a\tskos:exactMatch\t\ten:A", f"el:b\tskos:exactMatch\t{modifier}\ten:B"]
    path = write({"l.sssom.tsv": sssom(*rows, columns=columns)}) / "l.sssom.tsv"
    with pytest.warns(KgraftWarning, match="1 negated, or with another predicate_modifier"):
        assert as_text(read(path)) == ["a=A:1"]
    write({"l.sssom.tsv": sssom(rows[1], columns=columns)})
    refused(path, None, "none of 1 statements", "1 negated")


@pytest.mark.parametrize("predicate", ["not skos:exactMatch", "NOT:skos:exactMatch", "!owl:sameAs"])
def test_no_negated_predicate_links(write, predicate: str) -> None:
    path = write({"l.tsv": sssom(f"el:a\t{predicate}\ten:A\t{JUSTIFIED}\t1")}) / "l.tsv"
    refused(path, None, "none of 1 statements", "1 of another predicate")


def test_rows_of_no_term_and_of_literals_are_left_out_and_counted(write) -> None:
    columns = "subject_id\tsubject_type\tpredicate_id\tobject_id\tobject_type\n"
    rows = [
        "el:a\towl class\tskos:exactMatch\ten:A\towl class",
        "\trdfs literal\tskos:exactMatch\ten:B\t",
        "el:b\t\tskos:exactMatch\t\tRDFS Literal",
        "el:c\t\tskos:exactMatch\tsssom:NoTermFound\t",
        "https://w3id.org/sssom/NoTermFound\t\tskos:exactMatch\ten:C\t",
    ]
    path = write({"l.sssom.tsv": sssom(*rows, columns=columns)}) / "l.sssom.tsv"
    for unknown in ("error", "skip"):
        says = "4 statements .*2 of a literal or an expression, 2 of no term"
        with pytest.warns(KgraftWarning, match=says):
            assert as_text(read(path, unknown=unknown)) == ["a=A:1"]
    gap = sssom(rows[0], "\t\tskos:exactMatch\ten:B\t", columns=columns)
    refused(write({"g.tsv": gap}) / "g.tsv", 8, "the subject_id is empty", "Fill it in")


def test_a_type_in_the_header_is_that_of_all_mappings(write) -> None:
    row = f"el:a\tskos:exactMatch\ten:A\t{JUSTIFIED}\t1"
    heading = f'{HEADING}# subject_type: "rdfs literal"\n'
    path = write({"l.tsv": sssom(row, heading=heading)}) / "l.tsv"
    refused(path, None, "none of 1 statements", "1 of a literal or an expression")


@pytest.mark.parametrize("separator", ["\t", ","])
def test_cells_of_sssom_may_be_quoted(write, separator: str) -> None:
    columns = separator.join(["subject_id", "subject_label", '"predicate_id"', "object_id\n"])
    rows = [
        ["el:a", f'"says ""a{separator}b"",\nand c"', '"skos:exactMatch"', '"en:A"'],
        ['"el:b"', "it's 5\" long", "owl:sameAs", "en:B"],
        ["el:c", "", "owl:sameAs", "en:Q"],
    ]
    text = sssom(*(separator.join(row) for row in rows), columns=columns)
    path = write({"l.sssom.tsv": text}) / "l.sssom.tsv"
    refused(path, 10, "'http://en/Q'")
    with pytest.warns(KgraftWarning, match="1 of 3 links"):
        assert as_text(read(path, unknown="skip")) == ["a=A:1", "b=B:1"]


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("l.sssom.tsv", "l.sssom.yml"),
        ("l.tsv", "l.sssom.yml"),
        ("l.sssom.csv.gz", "l.sssom.yml"),
        ("l.v1.tsv", "l.v1.sssom.yaml"),
    ],
)
def test_the_header_of_sssom_may_be_a_file_beside_it(write, name: str, beside: str) -> None:
    text = sssom(f"el:a\tskos:exactMatch\ten:A\t{JUSTIFIED}\t0.5", heading="").encode()
    raw = gzip.compress(text) if name.endswith(".gz") else text
    header = "\ufeffcurie_map:\n  # of the two graphs\n  el: http://el/\n\n  'en': \"http://en/\"\n"
    path = write({name: raw, beside: header}) / name
    assert as_text(read(path)) == ["a=A:0.5"]
    own = sssom(f"el:a\tskos:exactMatch\ten:A\t{JUSTIFIED}\t0.5")
    write({name: gzip.compress(own.encode()) if name.endswith(".gz") else own})
    write({beside: "curie_map: {el: http://other/}"})
    assert as_text(read(path)) == ["a=A:0.5"]


def test_a_header_cannot_change_a_built_in_prefix(write) -> None:
    rows = [f"el:a\tskos:exactMatch\ten:A\t{JUSTIFIED}\t1", "el:b\tx:exactMatch\ten:B\tj\t1"]
    heading = f"{HEADING}# curie_map:\n#   skos: http://x/\n#   x: http://www.w3.org/x#\n"
    path = write({"l.tsv": sssom(*rows, heading=heading)}) / "l.tsv"
    with pytest.warns(KgraftWarning) as caught:
        assert as_text(read(path)) == ["a=A:1"]
    said = " ".join(str(warning.message) for warning in caught)
    assert "the prefix skos" in said
    assert "Write skos: http://www.w3.org/2004/02/skos/core#" in said
    assert "1 of another predicate" in said


@pytest.mark.parametrize(
    ("text", "line", "parts"),
    [
        (
            sssom("el:a\ten:A\t1", columns="subject_id\tobject_id\tconfidence\n"),
            6,
            ("has a column predicate_id", "subject_id, predicate_id, object_id"),
        ),
        (sssom(f"el:a\tskos:exactMatch\ten:Q\t{JUSTIFIED}\t1"), 7, ("'http://en/Q'", "skip")),
        (sssom(f"el:a\tskos:exactMatch\ten:A\t{JUSTIFIED}\t2"), 7, ("confidence '2'", "as 0.9")),
        (sssom(f"el:a\tskos:exactMatch\ten:A\t{JUSTIFIED}\t1", "el:b"), 8, ("columns", "Repair")),
        (sssom('el:a\tskos:exactMatch\t"en:A'), 7, ("not well-formed", "in quotes")),
        (sssom("x", columns=COLUMNS.replace("confidence", "object_id")), 6, ("has 2", "once")),
        (sssom(), None, ("holds no rows",)),
        (HEADING, None, ("holds no rows",)),
    ],
)
def test_bad_sssom_is_refused_with_line_and_remedy(write, text: str, line, parts) -> None:
    refused(write({"l.sssom.tsv": text}) / "l.sssom.tsv", line, *parts)
