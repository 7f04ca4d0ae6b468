"""A served model, and clients in the process, over a socket, or in a browser."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("fastapi", reason="needs the extra 'serve'")

import httpx
from chromium import chromium

from kgraft.io.decision_file import DecisionFile
from kgraft.linking.collection import Collection
from kgraft.model.directory import save_model
from kgraft.model.trained_model import TrainedModel
from kgraft.serving.app import create_app
from kgraft.serving.guard import LIMITS, Guard, Limits
from kgraft.serving.model_reloader import ModelReloader
from kgraft.serving.server import Server, server_config
from kgraft.serving.server import listen as listening_socket

Client = httpx.AsyncClient
Session = Callable[[Client], Coroutine[Any, Any, Any]]


@pytest.fixture(scope="session")
def directory(student: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generated collection's student on disk; entities are mine:0 to mine:191, with gaps."""
    place = tmp_path_factory.mktemp("served") / "student"
    save_model(student, place)
    return place


@pytest.fixture(scope="session")
def reloader(directory: Path) -> ModelReloader:
    """That student, loaded once for all tests that leave it as it is."""
    return ModelReloader(directory)


@pytest.fixture(scope="session")
def fact(generated: Collection) -> tuple[str, str, str]:
    """A training fact of the target, in names."""
    graph = generated.target_graph
    head, relation, tail = graph.train[0]
    return (
        graph.entities.name(head),
        graph.relations.name(relation),
        graph.entities.name(tail),
    )


@pytest.fixture(scope="session")
def another(student: TrainedModel) -> TrainedModel:
    """The student with each entity's vector another's and without rules: its answers differ."""
    kge = type(student.kge)(
        student.settings.model, student.kge.entities.flip(0), torch.clone(student.kge.relations)
    )
    return replace(student, kge=kge, evidence=None)


@asynccontextmanager
async def started(app: Guard) -> AsyncIterator[Client]:
    """Yield a client of an app whose life span has begun."""
    inner: Any = app.app.app  # type: ignore[attr-defined]
    async with inner.router.lifespan_context(inner):
        transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client


@pytest.fixture
def talk(reloader: ModelReloader) -> Callable[..., Any]:
    """Run a session with a client of the served student; options go to ``create_app``."""

    def run(session: Session, *, model: ModelReloader | None = None, **options: Any) -> Any:
        async def whole() -> Any:
            async with started(create_app(model or reloader, **options)) as client:
                return await session(client)

        return asyncio.run(whole())

    return run


@pytest.fixture
def get(talk: Callable[..., Any]) -> Callable[..., httpx.Response]:
    """Ask the served student once."""

    def ask(path: str, **parameters: Any) -> httpx.Response:
        return talk(lambda client: client.get(path, params=parameters or None))

    return ask


@contextmanager
def _listening(
    reloader: ModelReloader, limits: Limits = LIMITS, **options: Any
) -> Iterator[tuple[str, int]]:
    """Serve a model over a socket, in a thread, and yield its address."""
    config = server_config(create_app(reloader, limits=limits, **options), limits)
    config.timeout_graceful_shutdown = 1
    server = Server(config)
    listener = listening_socket("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        while not server.started:
            threading.Event().wait(0.01)
            assert thread.is_alive()
        yield listener.getsockname()[:2]
    finally:
        server.should_exit = True
        thread.join()


Listen = Callable[..., AbstractContextManager[tuple[str, int]]]


@pytest.fixture(scope="session")
def listen() -> Listen:
    """Serve a model over a socket: a context with the address; options go to ``create_app``."""
    return _listening


WEBGL = (
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
)
"""Options for WebGL without a graphics card."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium."""
    with chromium(*WEBGL) as started:
        yield started


@pytest.fixture(scope="session")
def url(reloader: ModelReloader, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the served student, which keeps decisions."""
    decisions = DecisionFile(tmp_path_factory.mktemp("kept") / "decisions.csv")
    with _listening(reloader, decisions=decisions) as (host, port):
        yield f"http://{host}:{port}"


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    """A page on which nothing may go wrong that is not looked for."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    wrong: list[str] = []
    hosts: set[str] = set()
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    refused = "Content Security Policy"
    opened.on("console", lambda x: wrong.append(x.text) if refused in x.text else None)
    opened.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    yield opened
    context.close()
    assert wrong == []
    assert hosts <= {url.removeprefix("http://")}


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory for screenshots: that which KGRAFT_SCREENSHOTS names, or pytest's own."""
    named = os.environ.get("KGRAFT_SCREENSHOTS")
    place = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    place.mkdir(parents=True, exist_ok=True)
    return place
