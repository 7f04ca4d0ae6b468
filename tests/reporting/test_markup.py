"""Elements as text: escaping, attributes, and what any label may hold."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from kgraft.reporting.markup import Markup, element, together


def test_elements_hold_text_and_elements() -> None:
    inner = element("b", "1 < 2 & 3")
    assert inner == "<b>1 &lt; 2 &amp; 3</b>"
    assert element("p", "so: ", inner, class_="note", title='"a"') == (
        '<p class="note" title="&quot;a&quot;">so: <b>1 &lt; 2 &amp; 3</b></p>'
    )


def test_attributes() -> None:
    assert (
        element("text", text_anchor="end", x=1.5, y=None)
        == '<text text-anchor="end" x="1.5"></text>'
    )
    assert element("meta", name="a", content="b") == '<meta name="a" content="b" />'


def test_parts_one_after_the_other() -> None:
    assert together(["<", Markup("<br />")]) == "&lt;<br />"


@given(
    st.text(st.characters(exclude_categories=("Cs",))),
    st.text(st.characters(exclude_categories=("Cs",))),
)
def test_any_text_is_well_formed(text: str, attribute: str) -> None:
    read = ET.fromstring(element("p", text, title=attribute))  # noqa: S314
    kept = "".join(x for x in text if x >= " " and x != "\x7f" and x not in "\ufffe\uffff\ufffd")
    found = "".join(x for x in read.text or "" if x >= " " and x != "\ufffd")
    assert found == kept
    assert set(read.attrib) == {"title"}


def test_control_characters_do_not_break_a_page(parse: Callable[[str], ET.Element]) -> None:
    assert parse(element("p", "a\x00b\x1bc")).text == "a\ufffdb\ufffdc"
