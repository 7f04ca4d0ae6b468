import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st
from pyoxigraph import NamedNode, RdfFormat, parse

from kgraft.io.iris import iri_of, labels_of_iris, names_of_iris


def test_an_iri_stays_as_it_is() -> None:
    for iri in ("http://ja.dbpedia.org/resource/ダイアー・ストレイツ", "urn:isbn:0-486-27557-4"):
        assert iri_of(iri) == iri


def test_other_names_are_encoded() -> None:
    assert iri_of("two words/é") == "urn:kgraft:two%20words%2F%C3%A9"
    assert iri_of("urn:kgraft:x") == "urn:kgraft:urn%3Akgraft%3Ax"


@given(st.text(st.characters(codec="utf-8")))
@example("http://x/a b")
@example("http://x/%zz")
@example("http://x/<")
@example("_:file#b0")
@example("")
@example("urn:kgraft:%41")
def test_every_name_comes_back_from_a_valid_iri(name: str) -> None:
    iri = iri_of(name)
    line = f"<{iri}> <{iri}> <{iri}> .\n".encode()
    (quad,) = parse(line, format=RdfFormat.N_TRIPLES)
    assert isinstance(quad.subject, NamedNode)
    assert names_of_iris(pl.Series([quad.subject.value, "http://x/%41"])).to_list() == [
        name,
        "http://x/%41",
    ]


def test_readable_part_of_iris() -> None:
    names = {
        "http://dbpedia.org/resource/AC/DC": "AC/DC",
        "http://dbpedia.org/resource/500_Days_of_Summer": "500 Days of Summer",
        "http://el.dbpedia.org/resource/%CE%91%CE%B2": "Αβ",
        "http://www.w3.org/2002/07/owl#Thing": "Thing",
        "https://example.org/a/b": "b",
        "https://example.org/": None,
        "el:5": None,
        "plain name": None,
    }
    assert labels_of_iris(pl.Series(list(names))).to_list() == list(names.values())
