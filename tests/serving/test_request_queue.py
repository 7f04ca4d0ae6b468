"""Full queues, and errors of the server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx

from kgraft.serving.guard import LIMITS
from kgraft.serving.model_reloader import ModelReloader
from kgraft.serving.served_model import ServedModel


def test_who_finds_the_queue_full_is_told_when_to_come_again(
    reloader: ModelReloader, talk: Callable[..., Any], monkeypatch: Any
) -> None:
    begun, allowed = threading.Event(), threading.Event()
    real = ServedModel.predict

    def slow(served: ServedModel, jobs: Any) -> Any:
        begun.set()
        allowed.wait()
        return real(served, jobs)

    monkeypatch.setattr(ServedModel, "predict", slow)
    few = replace(LIMITS, queue_length=4, block_queries=1)
    name = reloader.model.named.part.entities.name(0)

    async def session(client: httpx.AsyncClient) -> list[httpx.Response]:
        parameters = {"head": name, "relation": "r1"}

        def ask() -> asyncio.Future[httpx.Response]:
            return asyncio.ensure_future(client.get("/v1/predict", params=parameters))

        asked = [ask()]
        await asyncio.to_thread(begun.wait)
        asked += [ask() for _ in range(19)]
        while sum(x.done() for x in asked) < 15:
            await asyncio.sleep(0.01)
        # A full queue of predictions keeps nobody from asking for anything else.
        other = await client.get("/v1/similar", params={"entity": name})
        allowed.set()
        return [other, *await asyncio.gather(*asked)]

    other, *answers = talk(session, limits=few)
    assert other.status_code == 200
    refused = [x for x in answers if x.status_code == 503]
    # One is being answered, four wait.
    assert len(refused) == 15
    assert {x.headers["retry-after"] for x in refused} == {"1"}
    assert refused[0].json()["detail"].startswith("4 requests wait already")
    assert all(x.status_code == 200 for x in answers if x not in refused)


def test_an_error_of_ours_is_none_of_the_clients(
    reloader: ModelReloader, listen: Callable[..., Any], monkeypatch: Any
) -> None:
    def broken(served: ServedModel, jobs: Any) -> Any:
        raise ValueError("something that nobody has thought of")

    monkeypatch.setattr(ServedModel, "predict", broken)
    with listen(reloader) as (host, port):
        url = f"http://{host}:{port}/v1/predict?head=x&relation=y"
        answers = [httpx.get(url) for _ in range(2)]
    assert [x.status_code for x in answers] == [500, 500]
    assert answers[0].json()["detail"] == "the server failed to answer this; its log says why."
