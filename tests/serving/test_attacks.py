"""Hostile clients over real sockets; all other clients are still answered."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from kgraft.model.directory import save_model
from kgraft.model.trained_model import TrainedModel
from kgraft.serving.entity_view import MAX_NAME_LENGTH
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


def test_the_longest_name_fits_into_a_head(reloader: ModelReloader, listen: Any) -> None:
    longest = quote(chr(0x10FFFD) * MAX_NAME_LENGTH)
    with listen(reloader) as address, closing(socket.create_connection(address)) as one:
        one.sendall(f"GET /v1/entity?name={longest} HTTP/1.1\r\nHost: x\r\n".encode())
        one.sendall(b"Connection: close\r\n\r\n")
        assert received(one).startswith(b"HTTP/1.1 404 ")


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


@contextmanager
def served(directory: Path, log: Path, **options: Any) -> Iterator[tuple[str, int]]:
    """Serve a model in a process of its own, and yield its address; it must end well."""
    command = [sys.executable, "-m", "kgraft", "serve", directory, "--port", "0", "--threads", "1"]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            **options,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
            assert found, log.read_text()
            yield "127.0.0.1", int(found[1])
        finally:
            process.terminate()
    assert process.returncode == 128 + signal.SIGTERM


@pytest.mark.slow
@pytest.mark.usefixtures("many_files")
def test_more_connections_than_open_files_leave_the_server_answering(
    directory: Path, tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource")

    def few_files() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    log = tmp_path / "log"
    with served(directory, log, preexec_fn=few_files) as address, ExitStack() as stack:
        for _ in range(600):
            stack.enter_context(closing(socket.create_connection(address)))
        begin = time.monotonic()
        assert healthy(address)
        assert time.monotonic() - begin < 5
    assert log.read_text() == "Stopped.\n"


def answer_of(address: tuple[str, int], fact: tuple[str, str, str]) -> Any:
    """Ask for a fact's tail and for entities like its head; vectors answer the second at least."""
    head, relation = quote(fact[0]), quote(fact[1])
    found = []
    for path in (f"predict?head={head}&relation={relation}", f"similar?entity={head}"):
        with urllib.request.urlopen(f"http://{address[0]}:{address[1]}/v1/{path}") as answer:
            found.append(json.load(answer))
    return found


@pytest.mark.slow
def test_files_that_change_in_place_change_no_answer(
    directory: Path, tmp_path: Path, fact: tuple[str, str, str]
) -> None:
    place = Path(shutil.copytree(directory, tmp_path / "student"))
    with served(place, tmp_path / "log") as address:
        first = answer_of(address, fact)
        for path in sorted(place.iterdir()):
            with path.open("r+b") as file:
                file.write(bytes(path.stat().st_size))
        assert answer_of(address, fact) == first
        for path in sorted(place.iterdir()):
            os.truncate(path, 0)
        assert answer_of(address, fact) == first
        time.sleep(2)  # until the manifest has been looked at
        assert answer_of(address, fact) == first


@pytest.mark.slow
def test_files_copied_over_others_under_load_end_in_the_new_model(
    directory: Path, another: TrainedModel, tmp_path: Path, fact: tuple[str, str, str]
) -> None:
    place = Path(shutil.copytree(directory, tmp_path / "student"))
    save_model(another, tmp_path / "another")
    with served(tmp_path / "another", tmp_path / "log") as address:
        expected = answer_of(address, fact)
    with served(place, tmp_path / "log") as address:
        first, found, begin = answer_of(address, fact), [], time.monotonic()
        assert first != expected
        # cp -r writes into the files that are there; the manifest may come first or last.
        for path in sorted((tmp_path / "another").iterdir()):
            with path.open("rb") as new, (place / path.name).open("r+b") as old:
                old.truncate()
                while piece := new.read(10_000):
                    old.write(piece)
                    old.flush()
                    found.append(answer_of(address, fact))
        (place / "rules.parquet").unlink()
        while not found or (found[-1] != expected and time.monotonic() - begin < 30):
            found.append(answer_of(address, fact))
    # One of the two at any time, and then the new one: perhaps from one request to the next of
    # the same round.
    answers = [answer for one in found for answer in one]
    old, new = (one * len(found) for one in (first, expected))
    change = next(at for at, answer in enumerate(answers) if answer != old[at])
    assert answers == old[:change] + new[change:]
