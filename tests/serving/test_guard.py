"""Requests that are refused, and headers of every response."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from kgraft.serving import guard
from kgraft.serving.guard import LIMITS

Talk = Callable[..., Any]
SHORT = replace(LIMITS, body_bytes=1000, timeout_seconds=0.05)


def test_every_answer_forbids_what_comes_from_elsewhere(talk: Talk) -> None:
    for path in ("/", "/v1/model", "/nothing"):
        headers = talk(lambda client, path=path: client.get(path)).headers
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("shown", "status"),
    [("Bearer secret", 200), ("Bearer secre", 401), ("Bearer secrets", 401), ("secret", 401)],
)
def test_the_token_is_asked_for(talk: Talk, shown: str, status: int) -> None:
    async def session(client: httpx.AsyncClient) -> list[httpx.Response]:
        headers = {"Authorization": shown}
        return [await client.get(path, headers=headers) for path in ("/v1/model", "/metrics")]

    for answer in talk(session, token="secret"):  # noqa: S106
        assert answer.status_code == status
        if status == 401:
            assert answer.json()["detail"].startswith("this server asks for a token")
            assert answer.headers["www-authenticate"] == "Bearer"


def test_the_token_is_compared_in_constant_time(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def says_yes(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return True

    # What hmac says decides, so that nothing else compares.
    monkeypatch.setattr(guard, "hmac", SimpleNamespace(compare_digest=says_yes))
    asked = talk(
        lambda client: client.get("/v1/model", headers={"Authorization": "Bearer x"}),
        token="secret",  # noqa: S106
    )
    assert asked.status_code == 200
    assert compared == [(b"x", b"secret")]


def test_the_token_is_checked_before_the_body(talk: Talk) -> None:
    answer = talk(
        lambda client: client.post(
            "/v1/predict", content=b"{", headers={"Content-Type": "application/json"}
        ),
        token="secret",  # noqa: S106
    )
    assert answer.status_code == 401


def test_the_token_is_declared_where_it_is_needed(talk: Talk) -> None:
    def declared(token: str | None) -> Any:
        api = talk(lambda client: client.get("/openapi.json"), token=token).json()
        return api["paths"]["/v1/map"]["get"].get("security")

    assert declared("secret") == [{"HTTPBearer": []}]
    assert declared(None) is None


def test_no_answer_repeats_the_host_that_a_client_names(talk: Talk) -> None:
    for path in ("/v1/model/", "/docs/", "/v1"):
        answer = talk(lambda client, path=path: client.get(path, headers={"Host": "evil.example"}))
        assert answer.status_code == 404
        assert "evil" not in f"{answer.headers}{answer.text}"


def test_without_a_token_the_page_and_the_health_are_seen(talk: Talk) -> None:
    async def session(client: httpx.AsyncClient) -> list[int]:
        return [(await client.get(x)).status_code for x in ("/", "/healthz", "/v1/model")]

    assert talk(session, token="secret") == [200, 200, 401]  # noqa: S106


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8000", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("evil.example", 421),
        ("evil.example:8000", 421),
        ("", 421),
    ],
)
def test_another_name_for_this_machine_is_refused(talk: Talk, host: str, status: int) -> None:
    hosts = ("localhost", "127.0.0.1", "::1")
    answer = talk(lambda client: client.get("/healthz", headers={"Host": host}), hosts=hosts)
    assert answer.status_code == status
    if status == 421:
        assert "ask for 127.0.0.1 or ::1 or localhost" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "site", "status"),
    [
        ("/v1/model", "same-origin", 200),
        ("/v1/model", "none", 200),
        ("/v1/model", None, 200),
        ("/v1/model", "same-site", 403),
        ("/v1/model", "cross-site", 403),
        ("/metrics", "cross-site", 403),
        ("/", "cross-site", 200),
        ("/healthz", "cross-site", 200),
    ],
)
def test_a_page_of_another_site_has_nothing_worked_out(
    talk: Talk, path: str, site: str | None, status: int
) -> None:
    headers = {} if site is None else {"Sec-Fetch-Site": site}
    answer = talk(lambda client: client.get(path, headers=headers))
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["detail"].startswith("a page of another site may not ask")


@pytest.mark.parametrize("length", ["1001", "9" * 50, "-1", "x"])
def test_a_body_that_says_it_is_too_large_is_not_read(talk: Talk, length: str) -> None:
    headers = {"Content-Length": length}
    answer = talk(
        lambda client: client.post("/v1/predict", headers=headers, content=b""), limits=SHORT
    )
    assert answer.status_code == 413
    assert "1,000 bytes" in answer.json()["detail"]


def test_a_body_that_does_not_say_how_large_it_is_is_cut_off(talk: Talk) -> None:
    given = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal given
        for _ in range(1000):
            given += 1
            yield b"x" * 100

    answer = talk(lambda client: client.post("/v1/predict", content=chunks()), limits=SHORT)
    assert answer.status_code == 413
    assert given == 11


def test_a_body_that_does_not_come_is_not_waited_for(talk: Talk) -> None:
    async def dawdling() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(10)

    answer = talk(lambda client: client.post("/v1/predict", content=dawdling()), limits=SHORT)
    assert answer.status_code == 408
    assert "within 0.05 seconds" in answer.json()["detail"]


def test_requests_are_counted_by_route_and_status(talk: Talk) -> None:
    async def session(client: httpx.AsyncClient) -> str:
        for path in ("/healthz", "/v1/similar", "/a", "/b"):
            await client.get(path)
        return (await client.get("/metrics")).text

    counts = talk(session)
    assert 'kgraft_requests_total{route="/healthz",status="200"} 1.0' in counts
    assert 'kgraft_requests_total{route="/v1/similar",status="422"} 1.0' in counts
    # Paths that clients make up do not make up counts.
    assert 'kgraft_requests_total{route="none",status="404"} 2.0' in counts
