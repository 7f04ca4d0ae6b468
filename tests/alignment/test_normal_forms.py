"""Names in one spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgraft.alignment.labels import endings, normal_form, numbers, without_remark


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Ηνωμένα_Αραβικά Εμιράτα!", "inomena aravika emirata"),
        ("Ｅjército  Imperial-Japonés", "ejercito imperial japones"),
        ("Straße", "strasse"),
        ("AC/DC", "ac dc"),
        ("R2-D2", "r2 d2"),
        ("...", ""),
    ],
)
def test_spelling_case_punctuation_and_script_go(text: str, form: str) -> None:
    assert normal_form(text) == form


@given(st.text(max_size=30))
def test_a_normal_form_is_its_own(text: str) -> None:
    form = normal_form(text)
    assert normal_form(form) == form
    assert form.isascii()


def test_a_remark_goes_but_not_a_whole_label() -> None:
    assert without_remark("Brazil_(1985 film)") == "Brazil"
    assert without_remark("(film)") == "(film)"
    assert without_remark("f(x) of y") == "f(x) of y"


def test_endings_begin_at_every_separator() -> None:
    assert endings("ex:zone/Asia/Tokyo") == [
        "ex:zone/Asia/Tokyo",
        "zone/Asia/Tokyo",
        "Asia/Tokyo",
        "Tokyo",
    ]
    assert endings("http://example.org/resource/Rome") == ["resource/Rome", "Rome"]


def test_numbers_tell_labels_apart() -> None:
    assert numbers("apollo 11 of 1969") == ("11", "1969")
