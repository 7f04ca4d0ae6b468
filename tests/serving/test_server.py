"""The socket that a server listens on, and the limits that it sets."""

from __future__ import annotations

import socket
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from kgraft.errors import KgraftWarning
from kgraft.serving.guard import LIMITS
from kgraft.serving.server import listen, serve, within_file_limit


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Servers are not run; what they were told is kept."""
    kept: list[Any] = []

    def run(server: uvicorn.Server, sockets: list[socket.socket]) -> None:
        kept.append(server.config.app)
        for listener in sockets:
            listener.close()

    monkeypatch.setattr(uvicorn.Server, "run", run)
    return kept


def test_its_own_machine_asks_it_by_its_own_names(directory: Path, configured: list[Any]) -> None:
    said: list[str] = []
    serve(directory, port=0, ready=said.append)
    assert said[0].startswith("http://127.0.0.1:")
    assert configured[0].hosts == {"localhost", "127.0.0.1", "::1"}


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_an_ipv6_address_is_written_as_urls_want_it(directory: Path, configured: list[Any]) -> None:
    said: list[str] = []
    serve(directory, host="::1", port=0, ready=said.append)
    assert said[0].startswith("http://[::1]:")


@pytest.mark.slow
def test_others_can_ask_only_with_a_warning_or_a_token(
    directory: Path, configured: list[Any]
) -> None:
    with pytest.warns(KgraftWarning, match=r"whoever can reach 0\.0\.0\.0 may ask"):
        serve(directory, host="0.0.0.0", port=0)  # noqa: S104
    serve(directory, host="0.0.0.0", port=0, token="secret")  # noqa: S104, S106
    assert [x.hosts for x in configured] == [None, None]


def test_connections_send_small_packets_at_once() -> None:
    with (
        listen("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(
    ("files", "connections"), [(1 << 20, 400), (1024, 400), (256, 64), (100, 1)]
)
def test_connections_stay_below_the_limit_on_open_files(
    monkeypatch: pytest.MonkeyPatch, files: int, connections: int
) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert within_file_limit(LIMITS).connections == connections
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert within_file_limit(LIMITS) == LIMITS


@pytest.mark.chaos
@pytest.mark.slow
def test_the_load_is_measured(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], talk: Callable[..., Any]
) -> None:
    script = import_module("serve")
    measured = script.measured(directory, clients=3, seconds=0.5, threads=1)
    assert measured["errors"] == 0
    assert measured["clients"] == 3
    assert measured["predictions"] > 0
    assert measured["p50_ms"] <= measured["p95_ms"] <= measured["p99_ms"]
    assert measured["predictions_per_second"] == pytest.approx(measured["predictions"] / 0.5)


def test_questions_are_different_facts_with_a_gap(reloader: Any, talk: Callable[..., Any]) -> None:
    bodies = import_module("serve").questions(reloader.model.model)
    assert len(bodies) == len(set(bodies)) > 100
    headers = {"Content-Type": "application/json"}

    async def session(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/v1/predict", content=bodies[0], headers=headers)

    assert len(talk(session).json()["answers"][0]["predictions"]) == 10
