"""What comes from data and reaches a terminal: shown, and never obeyed."""

from __future__ import annotations

import io
import json
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from kgraft.system.terminal import HIDDEN, Terminal, encodable, visible, visible_lines

EVIL = "a\x1b]0;b\x07\x9b2J\u202ec\r\nError: \u2066d\x7f\ud800"
"""Sets a title, clears the screen, turns the text, and begins a line of its own."""

SHOWN = "a\\u001b]0;b\\u0007\\u009b2J\\u202ec\\u000d\\u000aError: \\u2066d\\u007f\\ud800"


def test_hidden_characters_are_written_as_json_writes_them() -> None:
    assert visible(EVIL) == SHOWN
    assert json.loads(f'"{SHOWN}"') == EVIL


@given(st.text())
def test_nothing_hidden_is_left_and_nothing_else_changes(text: str) -> None:
    shown = visible(text)
    assert not HIDDEN.search(shown)
    assert HIDDEN.search(text) or shown == text
    assert visible_lines(text).split("\n") == [visible(line) for line in text.split("\n")]


def test_writing_of_all_people_stays_as_it_is() -> None:
    for text in ("Zoë", "日本", "می‌خواهم", "ভারত", "👩‍👩‍👧", "مصر", "[/b] :smile:"):
        assert visible(text) == text


@pytest.mark.parametrize("kind", ["string", "styled", "table", "title"])
def test_a_terminal_shows_what_is_hidden(capsys: pytest.CaptureFixture[str], kind: str) -> None:
    name = EVIL if kind != "styled" else re.sub("[\x07\r\n]", "", EVIL)
    table = Table("name", title=name if kind == "title" else None)
    table.add_row(name if kind == "table" else "x")
    printed = {"string": name, "styled": Text(name, "bold")}.get(kind, table)
    Terminal().print(printed, soft_wrap=True)
    said = capsys.readouterr().out
    assert not HIDDEN.search(said.replace("\n", ""))
    assert visible(name) in said.replace("\n", "")


def test_a_table_of_hidden_characters_stays_in_line(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("name", "after")
    table.add_row("a\x1b[2J\nb", "x")
    table.add_row("b", "x")
    Terminal().print(table)
    lines = capsys.readouterr().out.splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 6


@given(st.text(), st.sampled_from(["ascii", "cp1252", "latin-1", "utf-8", "gb18030"]))
def test_text_can_be_written_in_any_encoding_and_json_reads_it_as_the_same(
    text: str, encoding: str
) -> None:
    shown = encodable(visible_lines(json.dumps(text, ensure_ascii=False)), encoding)
    assert json.loads(shown.encode(encoding).decode(encoding)) == text


def test_a_table_lines_up_where_the_encoding_lacks_its_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    table = Table("name", "after")
    table.add_row("東京", "x")
    table.add_row("Bern", "x")
    Terminal().print(table)
    output.flush()
    lines = output.buffer.getvalue().decode().splitlines()  # type: ignore[attr-defined]
    assert any("\\u6771\\u4eac" in line for line in lines)
    assert len({len(line) for line in lines}) == 1
