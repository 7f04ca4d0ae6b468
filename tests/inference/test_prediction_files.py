"""Files of questions, and files of predicted facts."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pyoxigraph
import pytest

from kgraft.errors import DataError
from kgraft.inference.check import SuspectFact
from kgraft.inference.fact_writers import Annotation, FactForm
from kgraft.inference.predict import Prediction, Predictor, Query
from kgraft.inference.prediction_files import (
    SCHEMA,
    as_frame,
    predictions_file,
    read_queries,
)
from kgraft.inference.suspect_files import write_suspects
from kgraft.io.decisions import read_decisions
from kgraft.io.read_graph import read_graph
from kgraft.io.source import GraphSource
from kgraft.model.trained_model import TrainedModel


@pytest.fixture(scope="module")
def predictor(teacher: TrainedModel) -> Predictor:
    """Knows entities atlas:0 and so on, and relations r0 to r9."""
    return Predictor(teacher, "atlas")


def names(predictor: Predictor) -> list[str]:
    return predictor.names.part.entities.names_of(range(3))


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_questions_leave_one_cell_empty(tmp_path: Path, predictor: Predictor) -> None:
    a, b, _ = names(predictor)
    lines = ("head\trelation\ttail", f"{a}\tr1\t", f"\tr1\t{b}", "", f"{a}\t\t{b}", f"{a}\tr2")
    assert read_queries(written(tmp_path / "q.tsv", *lines), predictor) == [
        Query(a, "r1"), Query(relation="r1", tail=b), Query(a, tail=b), Query(a, "r2")
    ]  # fmt: skip


def test_columns_may_stand_in_any_order(tmp_path: Path, predictor: Predictor) -> None:
    a = names(predictor)[0]
    path = written(tmp_path / "q.tsv", "tail\thead\trelation", f"\t{a}\tr1")
    assert read_queries(path, predictor) == [Query(a, "r1")]
    packed = tmp_path / "q.tsv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_queries(packed, predictor) == [Query(a, "r1")]


def test_a_name_may_hold_what_ends_a_line_elsewhere(tmp_path: Path, predictor: Predictor) -> None:
    path = written(tmp_path / "q.tsv", "head\trelation\ttail", "nobody\u2028x\tr1\t")
    with pytest.raises(
        DataError, match=r"line 2: no entity or relation is called 'nobody\\u2028x'"
    ):
        read_queries(path, predictor)


def test_a_file_may_ask_nothing(tmp_path: Path, predictor: Predictor) -> None:
    assert read_queries(written(tmp_path / "q.tsv", "head\trelation\ttail"), predictor) == []


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("\tr1\t", "line 3: a query gives two of head, relation and tail"),
        ("\t\tA", "line 3: a query gives two of head, relation and tail"),
        ("A\tr99\t", r"line 3: no entity .* called 'r99'; did you mean [^?]*\? Correct"),
        ("nobody\tr1\t", "line 3: no entity or relation is called 'nobody'"),
        ("A\tr1\t\tmore", "line 3: the line has 4 cells"),
    ],
)
def test_a_bad_line_is_named(
    tmp_path: Path, predictor: Predictor, line: str, complaint: str
) -> None:
    a = names(predictor)[0]
    lines = ("head\trelation\ttail", f"{a}\tr1\t", line.replace("A", a))
    with pytest.raises(DataError, match=complaint):
        read_queries(written(tmp_path / "q.tsv", *lines), predictor)


@pytest.mark.parametrize("header", ["", "head\trelation", "a\tr1\t", "head\trelation\ttail\tmore"])
def test_the_columns_have_to_be_named(tmp_path: Path, predictor: Predictor, header: str) -> None:
    with pytest.raises(DataError, match="line 1: the first line does not name the columns"):
        read_queries(written(tmp_path / "q.tsv", header), predictor)
    with pytest.raises(DataError, match="there is no such file"):
        read_queries(tmp_path / "none.tsv", predictor)


FOUND = pl.DataFrame(
    [
        ("http://a/x", "r", "é b", "tail", 1.5, 0.25, 0.5, "en,fr", ""),
        ("http://a/y", "r", "http://a/x", "head", -0.5, None, None, "", "mine states y"),
    ],
    schema=SCHEMA,
    orient="row",
)


def write(path: Path, frames: int) -> None:
    with predictions_file(path) as append:
        for _ in range(frames):
            append(FOUND)


@pytest.mark.parametrize("frames", [0, 1, 3])
def test_parquet(tmp_path: Path, frames: int) -> None:
    write(tmp_path / "p.parquet", frames)
    found = pl.read_parquet(tmp_path / "p.parquet")
    assert dict(found.schema) == SCHEMA
    assert found.rows() == FOUND.rows() * frames


@pytest.mark.parametrize("name", ["p.tsv", "p.tsv.gz", "p.tsv.zst"])
def test_tsv(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, 2)
    read = pl.read_csv(tmp_path / name, separator="\t", quote_char=None, schema=SCHEMA)
    assert read.rows() == [tuple(x if x != "" else None for x in row) for row in FOUND.rows() * 2]


def test_ntriples_hold_names_as_they_were_read_if_they_are_iris(tmp_path: Path) -> None:
    frame = FOUND[1:].with_columns(relation=pl.lit("http://a/r"))
    with predictions_file(tmp_path / "p.nt") as append:
        append(frame)
    assert (tmp_path / "p.nt").read_text() == "<http://a/y> <http://a/r> <http://a/x> .\n"
    with pytest.raises(DataError, match=r"'r' is no IRI.*--base https://example.org/.*\.tsv"):
        write(tmp_path / "q.nt", 1)
    write(tmp_path / "none.nt", 0)
    assert (tmp_path / "none.nt").read_bytes() == b""


@pytest.mark.parametrize("base", ["https://e.org/", "urn:kgraft:"])
def test_a_base_makes_iris_that_can_be_turned_back(tmp_path: Path, base: str) -> None:
    with predictions_file(tmp_path / "p.nt", form=FactForm(base)) as append:
        append(FOUND)
    triples = list(pyoxigraph.parse(path=str(tmp_path / "p.nt")))
    assert [(x.subject.value, x.predicate.value, x.object.value) for x in triples] == [
        ("http://a/x", f"{base}r", f"{base}%C3%A9%20b"),
        ("http://a/y", f"{base}r", "http://a/x"),
    ]
    with pytest.raises(DataError, match="the base 'not one' is no IRI"):
        FactForm("not one")


@pytest.mark.parametrize("annotation", ["rdf12", "reification"])
def test_turtle_says_how_probable_a_fact_is(tmp_path: Path, annotation: Annotation) -> None:
    about = {"model": "student", "made by": "kgraft\n9"}
    form = FactForm("https://e.org/", annotation, about)
    columns = {**SCHEMA, "list": pl.String}
    with predictions_file(tmp_path / "p.ttl.gz", columns, form) as append:
        append(FOUND.with_columns(list=pl.lit('in "quotes"')))
    text = gzip.decompress((tmp_path / "p.ttl.gz").read_bytes())
    assert text.startswith(b"# model: student\n# made by: kgraft\\u000a9\n@prefix")
    triples = list(pyoxigraph.parse(text, format=pyoxigraph.RdfFormat.TURTLE))
    said: dict[str, dict[str, set[str]]] = {}
    about_fact = {}
    for x in triples:
        node, name = str(x.subject), x.predicate.value.rsplit("#")[-1].rsplit(":")[-1]
        value = x.object.value if hasattr(x.object, "value") else str(x.object.subject)
        said.setdefault(node, {}).setdefault(name, set()).add(value)
        if name in ("reifies", "subject"):
            about_fact[value.strip("<>")] = node
    first = said[about_fact["http://a/x"]]
    assert first["probability"] == {"0.250000"}
    assert first["stated_by"] == {"en", "fr"}
    assert first["list"] == {'in "quotes"'}
    assert "probability" not in said[about_fact["http://a/y"]]
    facts = [x for x in triples if x.predicate.value == "https://e.org/r"]
    assert len(facts) == 2


def test_parquet_says_where_it_comes_from(tmp_path: Path) -> None:
    with predictions_file(tmp_path / "p.parquet", form=FactForm(about={"model": "m"})) as append:
        append(FOUND)
    metadata = pq.read_schema(tmp_path / "p.parquet").metadata
    assert json.loads(metadata[b"kgraft"]) == {"model": "m"}


def test_any_frame_of_facts_is_written_by_its_columns(tmp_path: Path) -> None:
    columns = {
        "probability": pl.Float64,
        "head": pl.String,
        "tail": pl.String,
        "relation": pl.String,
    }
    frame = FOUND.with_columns(more=pl.lit(1))
    for name in ("p.parquet", "p.tsv", "p.csv"):
        with predictions_file(tmp_path / name, columns) as append:
            append(frame)
    assert pl.read_parquet(tmp_path / "p.parquet").columns == list(columns)
    assert (tmp_path / "p.tsv").read_text().startswith("probability\thead\ttail\trelation\n0.25\t")


def test_a_review_file_opens_well_and_holds_no_formulas(tmp_path: Path) -> None:
    frame = FOUND.with_columns(head=pl.Series(["=cmd()", "'a"]), tail=pl.Series(["a,b", "-1"]))
    form = FactForm(labels={"=cmd()": "+Label"})
    with predictions_file(tmp_path / "review.csv", form=form) as append:
        append(frame)
    raw = (tmp_path / "review.csv").read_bytes()
    assert raw.startswith(
        b"\xef\xbb\xbfdecision,head,relation,tail,head_label,tail_label,probability,"
    )
    assert raw.count(b"\r\n") == 3
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"))))
    assert [x["head"] for x in rows] == ["'=cmd()", "''a"]
    assert [x["tail"] for x in rows] == ["a,b", "'-1"]
    assert (rows[0]["head_label"], rows[0]["probability"]) == ("'+Label", "0.2500")
    assert [x["why"] for x in rows] == ["stated by en,fr", "mine states y"]
    decisions = read_decisions(tmp_path / "review.csv")
    assert decisions.select("head", "relation", "tail").rows() == [
        ("=cmd()", "r", "a,b"), ("'a", "r", "-1")
    ]  # fmt: skip
    assert decisions["decision"].null_count() == 2


FORMULAS = [
    *("=cmd|' /C calc'!A1", "+1", "-1", "@SUM(A1)", "'=1", "'a", "a=1"),
    *("\uff1d1", "\uff0b1", "\uff0d1", "\uff201"),
]


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_is_guarded_for_review_and_stays_as_it_is_in_a_table(
    tmp_path: Path, name: str
) -> None:
    frame = FOUND.head(1).with_columns(head=pl.lit(name), tail=pl.lit(name))
    for file in ("review.csv", "table.tsv"):
        with predictions_file(tmp_path / file) as append:
            append(frame)
    suspect = SuspectFact(name, "r", name, (name, "r", name), 0.5, ("unlikely",))
    write_suspects([suspect], tmp_path / "suspects.tsv")
    reviewed = (tmp_path / "review.csv").read_text(encoding="utf-8-sig")
    cells = next(csv.DictReader(io.StringIO(reviewed)))
    assert {cells["head"][0], cells["tail"][0]} == {name[0] if name == "a=1" else "'"}
    assert read_decisions(tmp_path / "review.csv").select("head", "tail").row(0) == (name, name)
    for file in ("table.tsv", "suspects.tsv"):
        facts = read_graph(GraphSource(name="mine", train=(tmp_path / file,)))
        assert facts.entities.names.to_list() == [name]


@pytest.mark.parametrize("name", ["p", "p.json", "p.parquet.gz", "p.gz"])
def test_other_endings_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"cannot be written as .* End the name with"):
        write(tmp_path / name, 1)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_a_file_that_could_not_be_finished(tmp_path: Path) -> None:
    write(tmp_path / "p.tsv", 1)
    before = (tmp_path / "p.tsv").read_bytes()

    def write_odd() -> None:
        with predictions_file(tmp_path / "p.tsv") as append:
            append(FOUND)
            append(FOUND.with_columns(head=pl.lit("a\tb")))

    with pytest.raises(DataError, match="cannot stand in a TSV file"):
        write_odd()
    assert (tmp_path / "p.tsv").read_bytes() == before
    assert [x.name for x in tmp_path.iterdir()] == ["p.tsv"]


def test_answers_stand_in_the_order_of_their_questions() -> None:
    answers = [
        [Prediction("a", "r", "b", "B", 1.5, ("x", "y"), 0.5)],
        [],
        [Prediction("c", "r", "b", "C", 0.5, ())],
    ]
    queries = [Query("a", "r"), Query("d", "r"), Query(relation="r", tail="b")]
    assert as_frame(queries, answers).rows() == [
        ("a", "r", "b", "tail", 1.5, 0.5, None, "x,y", ""),
        ("c", "r", "b", "head", 0.5, None, None, "", ""),
    ]  # fmt: skip
    assert dict(as_frame([], []).schema) == SCHEMA
