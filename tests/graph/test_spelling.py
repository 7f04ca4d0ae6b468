"""Names that differ in what nobody sees or means have one normal form; others keep theirs."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from kgraft.errors import UnknownNameError
from kgraft.graph.spelling import differences, normal_form
from kgraft.graph.vocabulary import Vocabulary, equal_names

PERCENT = "percent-encoding"
SPACES = "spaces and invisible characters"
LETTERS = "composed letters (NFC and NFD)"
ADDRESS = "the form of an address (https, www., a slash at the end)"

ALIKE = [
    ("http://x/Orl%C3%A9ans", "http://x/Orl\u00e9ans", [PERCENT]),
    ("Java_%28language%29", "Java_(language)", [PERCENT]),
    ("http://x/AC%2fDC", "http://x/AC%2FDC", [PERCENT]),
    ("Orle\u0301ans", "Orl\u00e9ans", [LETTERS]),
    ("Orle%CC%81ans", "Orl\u00e9ans", [PERCENT, LETTERS]),
    ("New\u00a0York", "New York", [SPACES]),
    ("New\u202f York ", "New York", [SPACES]),
    ("\ufeffNew\u200b York", "New York", [SPACES]),
    ("non\u2011stop", "non-stop", [SPACES]),
    ("https://x.org/a", "http://x.org/a", [ADDRESS]),
    ("http://www.X.org/a", "HTTP://x.org/a", [ADDRESS]),
    ("http://x.org/a/", "http://x.org/a", [ADDRESS]),
    ("<http://x.org/a>", "http://x.org/a", [ADDRESS]),
    ("https://www.wikidata.org/wiki/Q5", "http://www.wikidata.org/entity/Q5", [ADDRESS]),
    ("https://fr.dbpedia.org/page/Paris", "http://fr.dbpedia.org/resource/Paris", [ADDRESS]),
    ("<urn:x:a>", "urn:x:a", [ADDRESS]),
    ("https://x.org/a%0Ab", "http://x.org/a b", [PERCENT, SPACES, ADDRESS]),
]

APART = [
    ("http://x/A", "http://x/a"),
    ("Paris", "paris"),
    ("Newyork", "New York"),
    ("New_York", "New York"),
    ("http://x.org/a#b", "http://x.org/a"),
    ("http://x.org", "ftp://x.org"),
    ("100%", "100"),
    ("\u00b2", "2"),
    ("http://x.org/wiki/Q5", "http://x.org/entity/Q5"),
]


@pytest.mark.parametrize(("one", "other", "how"), ALIKE)
def test_names_that_mean_the_same_have_one_form(one: str, other: str, how: list[str]) -> None:
    assert normal_form(pl.Series([one, other])).n_unique() == 1
    assert differences(one, other) == how


@pytest.mark.parametrize(("one", "other"), APART)
def test_other_names_have_forms_of_their_own(one: str, other: str) -> None:
    assert normal_form(pl.Series([one, other])).n_unique() == 2


def test_what_cannot_be_decoded_stays() -> None:
    names = ["%FF", "%zz", "100%", "\U0001f600", ""]
    assert normal_form(pl.Series(names)).to_list() == names


def test_blank_nodes_and_names_of_nothing_are_their_own() -> None:
    names = Vocabulary.of(["a", "_:f#a", " ", "\u200b", "a ", "_:f#a "])
    assert names.first_of_form().tolist() == [0, 1, 2, 3, 0, 5]


def test_a_form_finds_the_only_name_that_has_it() -> None:
    names = Vocabulary.of(["http://x/a", "https://x/a", "http://x/b", "c"])
    asked = pl.Series(["http://x/a", "http://www.x/a", "https://x/b", "c ", "d", " "])
    assert names.rows_by_form(asked).tolist() == [0, -1, 2, 3, -1, -1]
    assert Vocabulary.of([]).rows_by_form(asked).tolist() == [-1] * 6


def test_equal_names_come_before_equal_forms() -> None:
    left = Vocabulary.of(["a", "a ", "http://x/b", "_:n", "e\u0301"])
    right = Vocabulary.of(["_:n", "https://x/b", "a", "\u00e9", "\u00e9 "])
    assert equal_names(left, right).tolist() == [[0, 2]]
    assert equal_names(left, right, "normal").tolist() == [[0, 2], [2, 1]]
    assert equal_names(left, Vocabulary.of([]), "normal").shape == (0, 2)


def test_an_unknown_name_is_compared_with_those_of_its_form() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'Orl\u00e9ans', which differs in"):
        Vocabulary.of(["Orleans", "Orl\u00e9ans"]).row("Orle\u0301ans")


def test_rows_are_whole_numbers() -> None:
    assert Vocabulary.of(["a"]).rows_by_form(pl.Series(["a "])).dtype == np.int64


def test_the_names_themselves_stay_as_they_are() -> None:
    names = pl.Series(["%41", "e\u0301 "])
    normal_form(names)
    assert names.to_list() == ["%41", "e\u0301 "]


@pytest.mark.parametrize(
    ("left", "right", "disjoint"),
    [
        (["a", "b"], ["c", "b"], False),
        (["http://x.org/a"], ["https://www.x.org/a"], False),
        (["a"], ["b", "c"], True),
        (["_:a"], ["_:a"], True),
        ([" "], [" "], False),
        ([], ["a"], True),
    ],
)
def test_names_may_have_nothing_in_common(
    left: list[str], right: list[str], disjoint: bool
) -> None:
    pair = Vocabulary.of(left), Vocabulary.of(right)
    assert pair[0].is_disjoint(pair[1]) is pair[1].is_disjoint(pair[0]) is disjoint
    if disjoint:
        assert not len(equal_names(*pair, "normal"))
