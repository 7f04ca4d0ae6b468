"""Clients that send more than they read, or leave: others are answered as before."""

from __future__ import annotations

import re
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from kgraft.serving.model_reloader import ModelReloader
from kgraft.serving.served_model import ServedModel

pytestmark = pytest.mark.chaos

Address = tuple[str, int]
Fact = tuple[str, str, str]


@pytest.fixture
def address(reloader: ModelReloader, listen: Callable[..., Any]) -> Iterator[Address]:
    with listen(reloader) as place:
        yield place


def request_of(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


def count_of(address: Address, route: str) -> int:
    """Return how many requests of a route have been answered."""
    text = httpx.get(f"http://{address[0]}:{address[1]}/metrics").text
    counts = re.findall(rf'^kgraft_requests_total{{route="{route}",.*}} (\S+)$', text, re.MULTILINE)
    return sum(int(float(x)) for x in counts)


def test_requests_sent_ahead_are_answered_in_order(address: Address, fact: Fact) -> None:
    paths = ["/healthz", f"/v1/similar?{urlencode({'entity': fact[0]})}", "/nothing", "/v1/map"] * 5
    with closing(socket.create_connection(address)) as ahead:
        ahead.sendall(b"".join(map(request_of, paths)) + request_of("/", "Connection: close"))
        ahead.settimeout(20)
        found = b"".join(iter(lambda: ahead.recv(1 << 16), b""))
    statuses = re.findall(rb"HTTP/1\.1 (\d+) ", found)
    assert statuses == [b"200", b"200", b"404", b"200"] * 5 + [b"200"]
    assert found.endswith(b"</html>\n")


def test_who_reads_no_response_is_worked_for_no_further(address: Address) -> None:
    with closing(socket.socket()) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(address)
        deaf.sendall(1000 * request_of("/openapi.json"))
        time.sleep(1)
        begun = count_of(address, "none")
        time.sleep(1)
        assert count_of(address, "none") <= begun + 1
        assert 0 < begun < 100


def test_many_who_read_no_response_hold_nobody_up(address: Address) -> None:
    with ExitStack() as stack:
        for _ in range(100):
            deaf = stack.enter_context(closing(socket.create_connection(address)))
            deaf.sendall(1000 * request_of("/v1/map"))
        taken = []
        for _ in range(20):
            begin = time.perf_counter()
            urllib.request.urlopen(f"http://{address[0]}:{address[1]}/healthz").close()
            taken.append(time.perf_counter() - begin)
    assert sorted(taken)[10] < 0.3
    assert max(taken) < 3


def test_who_has_left_is_not_worked_for(
    reloader: ModelReloader,
    listen: Callable[..., Any],
    fact: Fact,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked: list[str] = []
    begun, allowed = threading.Event(), threading.Event()
    known = reloader.model.explain(*fact)

    def slow(_: ServedModel, head: str, *__: str) -> Any:
        asked.append(head)
        begun.set()
        allowed.wait()
        return known

    monkeypatch.setattr(ServedModel, "explain", slow)
    explain = "/v1/explain?" + urlencode(dict(zip(("head", "relation", "tail"), fact, strict=True)))
    with listen(reloader) as address:
        leaving = []
        for _ in range(50):
            leaving.append(socket.create_connection(address))
            leaving[-1].sendall(request_of(explain))
        begun.wait()
        for one in leaving:
            one.close()
        while count_of(address, "/v1/explain") < 50:
            time.sleep(0.01)
        threading.Timer(0.2, allowed.set).start()
        assert (
            httpx.get(f"http://{address[0]}:{address[1]}{explain}", timeout=20).status_code == 200
        )
        text = httpx.get(f"http://{address[0]}:{address[1]}/metrics").text
    # The one that was being worked on, and the one that has stayed.
    assert len(asked) == 2
    assert 'kgraft_requests_total{route="/v1/explain",status="499"} 50.0' in text
    assert caplog.messages == []


@pytest.mark.slow
def test_starving_is_measured(directory: Path, tmp_path: Path) -> None:
    script = import_module("starve")
    found = script.main([str(directory), "--clients", "20", "--out", str(tmp_path / "x.json")])
    assert found == 0
