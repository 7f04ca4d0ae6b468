"""Hostile clients over real sockets; all other clients are still answered."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from kgraft.serving.guard import LIMITS
from kgraft.serving.model_reloader import ModelReloader

pytestmark = pytest.mark.chaos

HURRIED = replace(LIMITS, timeout_seconds=0.5, connections=20, body_bytes=100_000)


@pytest.fixture(scope="module")
def address(reloader: ModelReloader, listen: Callable[..., Any]) -> Iterator[tuple[str, int]]:
    with listen(reloader, HURRIED) as place:
        yield place


def healthy(address: tuple[str, int]) -> bool:
    with urllib.request.urlopen(f"http://{address[0]}:{address[1]}/healthz") as answer:
        return bool(answer.status == 200)


def received(connection: socket.socket) -> bytes:
    """Return all that comes until the other side closes."""
    connection.settimeout(10)
    found = b""
    try:
        while part := connection.recv(1 << 16):
            found += part
    except ConnectionResetError:
        pass
    return found


def _send_on(connection: socket.socket, data: bytes, pause: float = 0.0) -> None:
    """Send the same again and again, for no longer than twenty seconds."""
    connection.settimeout(20)
    begin = time.monotonic()
    while time.monotonic() - begin < 20:
        connection.sendall(data)
        time.sleep(pause)


@pytest.fixture
def many_files() -> Iterator[None]:
    """Room for both ends of a thousand connections in this process."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 3000:
        pytest.skip(f"this machine allows a process {hard} files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "beginning",
    [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"GET /"],
    ids=["none", "head", "line"],
)
def test_a_client_that_sends_no_whole_head_is_cut_off(
    address: tuple[str, int], beginning: bytes
) -> None:
    with closing(socket.create_connection(address)) as slow:
        slow.sendall(beginning)
        assert healthy(address)
        assert received(slow) == b""


def test_dripping_bytes_wins_no_time(address: tuple[str, int]) -> None:
    with closing(socket.create_connection(address)) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\n")
        with pytest.raises(ConnectionError):
            _send_on(slow, b"X: y\r\n", pause=0.05)


def test_a_client_that_sends_no_body_is_told_and_cut_off(address: tuple[str, int]) -> None:
    with closing(socket.create_connection(address)) as slow:
        slow.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert received(slow).startswith(b"HTTP/1.1 408 ")


def test_a_client_that_takes_no_answer_is_cut_off(address: tuple[str, int]) -> None:
    with closing(socket.socket()) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(address)
        # Many answers, none of which is taken; at last the server takes no more requests either.
        with pytest.raises(ConnectionError):
            _send_on(slow, 100 * b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
    assert healthy(address)


def test_a_huge_body_is_refused_before_it_is_sent(address: tuple[str, int]) -> None:
    client = HTTPConnection(*address, timeout=10)
    client.putrequest("POST", "/v1/predict")
    client.putheader("Content-Length", str(10**12))
    client.endheaders()
    assert client.getresponse().status == 413
    client.close()


def test_a_body_without_end_is_cut_off(address: tuple[str, int]) -> None:
    with closing(socket.create_connection(address)) as endless:
        endless.sendall(
            b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        with pytest.raises(ConnectionError):
            _send_on(endless, chunk)
    assert healthy(address)


def test_a_huge_head_is_refused(address: tuple[str, int]) -> None:
    with closing(socket.create_connection(address)) as big:
        big.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000)
        assert received(big)[:12] in (b"HTTP/1.1 400", b"")
    assert healthy(address)


@pytest.mark.usefixtures("many_files")
def test_a_thousand_idle_connections_make_room_for_who_asks(address: tuple[str, int]) -> None:
    with ExitStack() as stack:
        crowd = [
            stack.enter_context(closing(socket.create_connection(address))) for _ in range(1000)
        ]
        assert healthy(address)
        # Those that waited for the longest time have gone.
        assert {received(connection) for connection in crowd[:900]} == {b""}


def test_no_request_opens_a_file(
    reloader: ModelReloader, address: tuple[str, int], tmp_path: Path
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("s3cret")
    opened: list[str] = []

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(("open", "os.")) and "secret.txt" in str(arguments):
            opened.append(event)

    sys.addaudithook(hear)
    (tmp_path / "secret.txt").read_text()
    assert opened == ["open"]
    opened.clear()
    for path in (str(secret), f"../../../../../..{secret}", f"file://{secret}", f"{secret}\0.css"):
        written = [quote(path), quote(quote(path)), quote(path, safe="")]
        targets = [f"/{x}" for x in written] + [f"/page/{x}" for x in written] + [quote(path)]
        targets += [f"/v1/entity?name={x}" for x in written]
        targets += [f"/v1/predict?head={x}&relation={x}" for x in written]
        for target in targets:
            with closing(socket.create_connection(address)) as client:
                client.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n".encode())
                client.sendall(b"Connection: close\r\n\r\n")
                answer = received(client)
            assert answer.startswith(b"HTTP/1.1 4")
            assert b"s3cret" not in answer
        body = json.dumps({"queries": [{"head": path, "relation": path}]}).encode()
        head = f"POST /v1/predict HTTP/1.1\r\nHost: {quote(path)}\r\nContent-Length: {len(body)}"
        with closing(socket.create_connection(address)) as client:
            kind = b"\r\nContent-Type: application/json\r\n\r\n"
            client.sendall(head.encode() + kind + body)
            assert b"s3cret" not in client.recv(1 << 16)
    assert opened == []


def test_when_all_connections_are_at_work_one_more_is_told_to_come_again(
    reloader: ModelReloader, listen: Callable[..., Any]
) -> None:
    patient = replace(HURRIED, timeout_seconds=30.0)
    with listen(reloader, patient) as address, ExitStack() as stack:
        for _ in range(patient.connections):
            busy = stack.enter_context(closing(socket.create_connection(address)))
            busy.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        time.sleep(0.5)  # until all of their heads have been read
        late = stack.enter_context(closing(socket.create_connection(address)))
        late.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = received(late)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1" in answer
    assert b"20 connections already" in answer


@pytest.mark.slow
@pytest.mark.usefixtures("many_files")
def test_more_connections_than_open_files_leave_the_server_answering(
    directory: Path, tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource")
    log = tmp_path / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "kgraft",
                "serve",
                str(directory),
                "--port",
                "0",
                "--threads",
                "1",
            ],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)),
        ) as process,
        ExitStack() as stack,
    ):
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert found, log.read_text()
        address = ("127.0.0.1", int(found[1]))
        for _ in range(600):
            stack.enter_context(closing(socket.create_connection(address)))
        begin = time.monotonic()
        assert healthy(address)
        assert time.monotonic() - begin < 5
        process.terminate()
    assert log.read_text() == "Stopped.\n"
