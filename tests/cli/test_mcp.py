"""The server for assistants from the command line, in a process of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kgraft.cli.main import app

pytest.importorskip("mcp", reason="needs the extra 'mcp'")

from mcp import Client, StdioServerParameters

HELLO = (
    '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18",'
    '"capabilities":{},"clientInfo":{"name":"test","version":"1"}}}\n'
)


def command(student: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "kgraft", "mcp", str(student), "--threads", "1", *options]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_client_lists_and_calls_every_tool_over_stdio(student: Path, mode: str) -> None:
    first, *rest = command(student)
    server = StdioServerParameters(command=first, args=rest, env=dict(os.environ))
    calls = {
        "describe": {},
        "search": {"text": "mine:1"},
        "neighbourhood": {"entity": "mine:1"},
        "predict": {"head": "mine:1", "relation": "r1"},
        "ask": {"query": 'SELECT ?x WHERE { "mine:1" :r1 ?x . ?x :r2 ?y }'},
        "explain": {"head": "mine:1", "relation": "r1", "tail": "mine:2"},
        "complete": {"entity": "mine:1"},
    }

    async def whole() -> None:
        async with Client(server, mode=mode) as client:
            assert [x.name for x in (await client.list_tools()).tools] == list(calls)
            for name, arguments in calls.items():
                result = await client.call_tool(name, arguments)
                assert not result.is_error, result.content
                assert result.structured_content

    asyncio.run(whole())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, None])
def test_it_ends_with_its_input_or_a_signal_and_prints_the_protocol_alone(
    student: Path, number: signal.Signals | None
) -> None:
    with subprocess.Popen(
        command(student),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(HELLO)
        process.stdin.flush()
        assert process.stdout.readline().startswith('{"jsonrpc":"2.0","id":1,"result"')
        if number is not None:
            process.send_signal(number)
        out, errors = process.communicate(timeout=30)
    assert out == ""
    assert process.returncode == (0 if number is None else 128 + number)
    assert errors == ("" if number is None else "Stopped.\n")


@pytest.mark.slow
def test_a_client_asks_over_http(student: Path) -> None:
    with subprocess.Popen(
        command(student, "--http", "--port", "0"),
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:\d+/mcp", process.stdout.readline())
            assert found

            async def whole() -> None:
                async with Client(found[0]) as client:
                    result = await client.call_tool("search", {"text": "mine:1"})
                    assert result.structured_content

            asyncio.run(whole())
        finally:
            process.terminate()
    assert process.returncode == 128 + signal.SIGTERM


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, ["mcp", *map(str, arguments)])
    assert result.exit_code == 1
    return result.output


def test_what_cannot_be_served_is_told_in_a_sentence(student: Path, tmp_path: Path) -> None:
    assert "there is no manifest.json here" in run(tmp_path / "nothing")
    assert "--port and --token-file go with --http" in run(student, "--port", "80")


def test_without_its_extra_it_says_what_to_install(
    student: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "kgraft.serving.mcp_server", raising=False)
    monkeypatch.setitem(sys.modules, "mcp.server", None)
    assert "needs mcp.server. Install it: pip install 'kgraft[mcp]'" in run(student)
