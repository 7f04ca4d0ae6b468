"""Progress on a terminal, in a notebook, and in the log."""

from __future__ import annotations

import builtins
import io
import logging
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from kgraft.system.progress import Bar, Listener, LogLines, NotebookBar, Silence, default_listener
from kgraft.system.terminal import Terminal


class Screen(io.StringIO):
    """Standard error as a terminal."""

    def isatty(self) -> bool:
        return True


def on_screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    return screen


class Outputs:
    """Keeps what a notebook would show."""

    def __init__(self) -> None:
        self.shown: list[dict[str, str]] = []

    def display(self, content: dict[str, str], **how: Any) -> Any:
        assert how == {"raw": True, "display_id": True}
        self.shown.append(content)
        return SimpleNamespace(update=lambda content, **_: self.shown.append(content))


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch) -> Outputs:
    outputs, module = Outputs(), ModuleType("IPython.display")
    module.display = outputs.display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setattr(builtins, "get_ipython", lambda: shell, raising=False)
    return outputs


def work(listener: Listener) -> None:
    listener.begin("student for <b>mine", 200)
    listener.advance(50)
    listener.tell("epoch 1: loss 0.5")
    listener.advance(150)
    listener.end()


def test_off_a_terminal_lines_go_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    listener = default_listener()
    assert isinstance(listener, LogLines)
    with caplog.at_level(logging.INFO, "kgraft"):
        work(listener)
    assert {(x.name, x.levelname) for x in caplog.records} == {("kgraft", "INFO")}
    assert caplog.messages[0] == "student for <b>mine: epoch 1: loss 0.5"
    assert caplog.messages[1].endswith(" seconds")
    assert len(caplog.messages) == 2


def test_a_name_from_data_stays_on_its_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "kgraft"):
        listener = LogLines()
        listener.begin("a\nb", 1)
        listener.tell("c\x1b")
    assert caplog.messages == ["a\\u000ab: c\\u001b"]


def test_without_a_handler_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    work(LogLines())
    assert capfd.readouterr() == ("", "")


def test_a_terminal_shows_a_bar_and_takes_it_away(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = on_screen(monkeypatch)
    listener = default_listener()
    assert isinstance(listener, Bar)
    work(listener)
    assert "student for <b>mine" in screen.getvalue()
    assert screen.getvalue().endswith("\x1b[2K")


def test_a_notebook_shows_a_bar_without_widgets(outputs: Outputs) -> None:
    listener = default_listener()
    assert isinstance(listener, NotebookBar)
    work(listener)
    first, told, last = (x["text/html"] for x in outputs.shown)
    assert 'value="0" max="200"' in first
    assert 'value="50"' in told
    assert "epoch 1: loss 0.5" in told
    assert "100 %" in last
    assert "student for &lt;b&gt;mine" in last
    assert "student for <b>mine: 100 %" in outputs.shown[-1]["text/plain"]


def test_a_quiet_logger_silences_bars_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    screen = on_screen(monkeypatch)
    caplog.set_level(logging.WARNING, "kgraft")
    assert isinstance(default_listener(), Silence)
    work(default_listener())
    assert screen.getvalue() == ""
    work(Bar(Terminal(stderr=True)))
    assert screen.getvalue() != ""
