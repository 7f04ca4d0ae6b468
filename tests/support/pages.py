"""Run the blocks of a page: shell, TOML and Python, and compare what is printed with the page."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from typer.testing import CliRunner

from kgraft.cli.main import app

DOCS = Path(__file__).parents[2] / "docs"
FENCE = re.compile(r"^```([\w-]*)\n(.*?)^```$", re.M | re.S)
SHELL, PYTHON = ("", "console", "sh"), ("python",)
NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?%?")
FRAME = re.compile(r"[━┃┏┳┓┡╇┩│└┴┘─┌┬┐╞╪╡┆├┼┤╷╵]")
RELATIVE, ABSOLUTE, OF_SHARES = 0.25, 15.0, 0.2
"""How far a printed number may be from the page's, and a probability: another machine rounds
otherwise, and MRR of a few dozen queries moves by points."""


@dataclass(frozen=True)
class Block:
    """A block of code of a page, with its language."""

    language: str
    text: str

    @property
    def is_shell(self) -> bool:
        """True for commands, false for what they print."""
        lines = self.text.splitlines()
        return self.language in SHELL and any(
            re.match(r"(\$ )?(kgraft|pip|for|head|python|docker) ", line) for line in lines
        )


def blocks(page: str) -> list[Block]:
    """Return the blocks of code of a page, by its path below docs."""
    return [Block(*found) for found in FENCE.findall((DOCS / page).read_text(encoding="utf-8"))]


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each command of a shell block, and the lines that it prints if the page shows them."""
    text = text.replace("\\\n", " ")
    if "$ " not in text:
        # A loop, and a command with a quoted text of several lines, are one command each.
        whole = r"(^for .*?^done$|^kgraft [^'\n]*'\n[^']*'[^\n]*$)"
        for part in re.split(whole, text, flags=re.M | re.S):
            lines = [part] if re.match(whole, part, flags=re.M | re.S) else part.splitlines()
            yield from ((line, []) for line in lines if line.strip() and line[0] != "#")
        return
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        command, *printed = part.splitlines()
        yield command, printed


def run_page(
    page: str,
    names: dict[str, Any],
    *,
    more: Mapping[str, Sequence[str]],
    skipped: Sequence[str] = (),
    replaced: Mapping[str, str] | None = None,
    compare: bool = True,
) -> int:
    """Run the blocks of a page in the working directory, and return their number.

    Args:
        page: Path below docs.
        names: Names that its Python blocks find, and leave for the next.
        more: Arguments that are added to a command, by its name.
        skipped: Beginnings of blocks that are not run.
        replaced: What is run in place of a text.
        compare: Whether what is printed has to be what the page shows.
    """
    count, printed = 0, ""
    for block in blocks(page):
        text = block.text
        for old, new in (replaced or {}).items():
            text = text.replace(old, new)
        if any(text.startswith(x) for x in skipped):
            continue
        if block.language == "toml":
            tomllib.loads(text)
        elif block.language in PYTHON:
            with redirect_stdout(StringIO()) as out:
                exec(compile(text, page, "exec"), names)  # noqa: S102
            printed = out.getvalue()
        elif block.is_shell:
            for command, expected in commands(text):
                printed = run(command, more)
                if compare and expected:
                    assert_printed(printed, expected)
        elif compare and printed and block.language == "" and len(text.split()) < 6:
            assert_printed(printed, text.splitlines())  # What the Python block above has printed.
        else:
            continue
        count += 1
    return count


def run(command: str, more: Mapping[str, Sequence[str]]) -> str:
    """Run a command of a page, and return what it prints."""
    plain = command.partition(" #")[0].strip()
    words = shlex.split(plain, comments=True)
    if words[0] == "pip":
        assert words[:2] == ["pip", "install"]
        return ""
    if words[0] != "kgraft" or "$" in plain:
        return run_in_shell(plain, more)
    arguments = words[1:]
    name = next(word for word in arguments if not word.startswith("-"))
    if name == "serve":
        return assert_it_serves(arguments)
    done = CliRunner().invoke(app, [*arguments, *more.get(name, ())])
    assert done.exit_code == 0, f"{command}\n{done.output}\n{done.exception}"
    return done.output


def run_in_shell(text: str, more: Mapping[str, Sequence[str]]) -> str:
    """Run a line that needs a shell, with a function in the place of the program."""
    python, added = shlex.quote(sys.executable), shlex.join(more.get("graft", ()))
    function = f'kgraft() {{ {python} -m kgraft "$@" {added}; }}\n'
    found = subprocess.run(
        ["/bin/bash", "-ec", function + text],
        capture_output=True,
        text=True,
        env={**os.environ, "TASK": "1"},
    )
    assert found.returncode == 0, f"{text}\n{found.stderr}"
    return found.stdout


def assert_it_serves(arguments: Sequence[str]) -> str:
    """Start the server on a free port, ask it, and stop it."""
    begun = subprocess.Popen(
        [sys.executable, "-m", "kgraft", *arguments, "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    with begun as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            (address,) = re.findall(r"page is at (http://\S+),", line)
            with urlopen(address) as page:
                assert page.status == 200
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    return line


def assert_printed(printed: str, expected: Sequence[str]) -> None:
    """Compare words with a page's, numbers roughly; ``...`` stands for any lines."""
    parts = re.split(r"^\.\.\.$", "\n".join(expected), flags=re.M)
    got = tokens(printed)
    place = 0
    for number, part in enumerate(parts):
        wanted = tokens(part)
        starts = [place] if number == 0 else range(place, len(got) - len(wanted) + 1)
        begin = next((x for x in starts if alike(got[x : x + len(wanted)], wanted)), None)
        assert begin is not None, f"not printed:\n{part.strip()}\nbut:\n{printed}"
        place = begin + len(wanted)
    assert not parts[-1].strip() or place == len(got), f"more is printed:\n{printed}"


def tokens(text: str) -> list[str]:
    """Return the words of a text, without the frames of tables."""
    return FRAME.sub(" ", text).split()


def alike(got: Sequence[str], wanted: Sequence[str]) -> bool:
    """Compare words: numbers within bounds, all others exactly."""
    return len(got) == len(wanted) and all(map(close, got, wanted))


def close(one: str, other: str) -> bool:
    """Compare two words, and the numbers in them."""
    if NUMBER.sub("#", one) != NUMBER.sub("#", other):
        return False
    pairs = zip(NUMBER.findall(one), NUMBER.findall(other), strict=True)
    return all(abs(value(a) - value(b)) <= allowed(b) for a, b in pairs)


def allowed(number: str) -> float:
    """Return how far a printed number may be from one of a page: a probability has decimals."""
    if len(number.strip("%").partition(".")[2]) > 1:
        return OF_SHARES if abs(value(number)) <= 1 else ABSOLUTE
    return max(ABSOLUTE, RELATIVE * abs(value(number)))


def value(text: str) -> float:
    """Return the number that a text is."""
    return float(text.strip("%").replace(",", ""))
