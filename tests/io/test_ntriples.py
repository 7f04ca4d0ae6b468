import io
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyoxigraph import Literal, NamedNode, RdfFormat, parse

from kgraft.errors import DataError
from kgraft.io import ntriples
from kgraft.io.ntriples import blocks_of_lines, plain_facts
from kgraft.io.rdf import read_rdf

Row = tuple[str, str, str]

PLAIN = "<http://x/a> <http://x/p> <http://x/b> ."
LITERAL = '<http://x/a> <http://x/n> "A" .'

SIGNS = (
    string.ascii_letters
    + string.digits
    + "/:?#[]@!$&'()*+,;=%-._~ <>\"{}|\\^`\t\x0b\x80é\u202e\ufdd0"
)
IRIS = st.sampled_from(
    ["http://x/a", "http://x/é%20(b)#c", "urn:kgraft:a%20b", "http://[::1]/", "x", "http:///a"]
) | st.builds(
    "{}:{}".format, st.sampled_from(["http", "urn", "a+b", "1"]), st.text(SIGNS, max_size=8)
)
LINES = st.one_of(
    st.builds("<{}> <{}> <{}> .".format, IRIS, IRIS, IRIS),
    st.builds("<http://x/{}> <http://x/p> <http://x/b> .".format, st.text(max_size=4)),
    st.sampled_from([PLAIN, LITERAL, "", "# <a> <b> <c> .", "_:b <http://x/p> _:c ."]),
    st.sampled_from([f" {PLAIN}\t", f"{PLAIN} # comment", f"{PLAIN} {PLAIN}"]),
    st.sampled_from([PLAIN.replace(" ", ""), PLAIN.removesuffix(" .")]),
)


def by_parser(content: bytes) -> list[Row] | SyntaxError:
    found = []
    try:
        for quad in parse(content, format=RdfFormat.N_TRIPLES):
            if not isinstance(quad.object, Literal):
                head, tail = (
                    term.value.replace("urn:kgraft:a%20b", "a b")
                    if isinstance(term, NamedNode)
                    else f"_:g.nt#{term.value}"
                    for term in (quad.subject, quad.object)
                )
                found.append((head, quad.predicate.value.replace("urn:kgraft:a%20b", "a b"), tail))
    except SyntaxError as error:
        return error
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ntriples") / "g.nt"


@given(
    st.lists(LINES, max_size=6),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([1, 80, 1000]),
)
def test_lines_are_read_as_the_parser_reads_them(
    place: Path, lines: list[str], end: str, block: int
) -> None:
    content = end.join([PLAIN, *lines]).encode("utf-8", "surrogatepass")
    place.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ntriples, "BLOCK", block)
        expected = by_parser(content)
        if isinstance(expected, SyntaxError):
            with pytest.raises(DataError) as caught:
                list(read_rdf(place, "ntriples", "scope"))
            assert caught.value.line == expected.lineno
            # A line that breaks where a block ends is told of as one that breaks off.
            assert expected.msg in str(caught.value) or block < len(content)
        else:
            batches = list(read_rdf(place, "ntriples", "scope"))
            assert [row for batch in batches for row in batch.facts.rows()] == expected


def test_plain_facts_need_no_parser() -> None:
    facts, others = plain_facts(f"{PLAIN}\n# comment\n{LITERAL}\n \n{PLAIN}\n")
    row = ("http://x/a", "http://x/p", "http://x/b")
    none = (None, None, None)
    assert facts.rows() == [row, none, none, none, row, none]
    assert others.rows() == [(2, LITERAL)]


def test_an_error_in_a_later_block_names_the_line_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ntriples, "BLOCK", 100)
    path = tmp_path / "g.nt"
    path.write_text(f"{PLAIN}\r\n" * 50 + "<a> <b> .\n")
    with pytest.raises(DataError, match=r"line 51: .*error at line 51") as caught:
        list(read_rdf(path, "ntriples", "scope"))
    assert caught.value.line == 51


def test_bytes_that_are_no_text_do_no_harm_in_a_comment(tmp_path: Path) -> None:
    path = tmp_path / "g.nt"
    path.write_bytes(b"# \xff\n" + PLAIN.encode())
    (batch,) = read_rdf(path, "ntriples", "scope")
    assert len(batch.facts) == 1


def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ntriples, "BLOCK", 1)
    monkeypatch.setattr(ntriples, "LONGEST_LINE", 20)
    content = io.BytesIO(b"#\n" + PLAIN.encode())
    with pytest.raises(DataError, match=r"line 2: the line is longer") as caught:
        list(blocks_of_lines(content, Path("g.nt")))
    assert caught.value.line == 2


def test_bare_values_and_directives_are_read(tmp_path: Path) -> None:
    path = tmp_path / "g.nt"
    values = {"502": "integer", "-0.5": "decimal", "1e3": "double", "true": "boolean"}
    lines = [f"<http://x/a> <http://x/p> {value} ." for value in values]
    path.write_text("\r\n".join(['VERSION "1.2"', PLAIN, *lines]))
    for end in ("", "\n" + LITERAL + " <http://x/g> " + "."):
        (batch,) = read_rdf(path, "ntriples", "scope")
        assert dict(batch.literals.select("value", "datatype").rows()) == {
            value: f"http://www.w3.org/2001/XMLSchema#{kind}" for value, kind in values.items()
        }
        assert len(batch.facts) == 1
        with path.open("a") as file:
            file.write(end)
    # The error is that of the line that is malformed.
    with path.open("a") as file:
        file.write("\r\n<http://x/a> <http://x/p> maybe .\r\n")
    with pytest.raises(DataError) as caught:
        list(read_rdf(path, "ntriples", "scope"))
    assert caught.value.line == 7
