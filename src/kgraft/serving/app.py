"""The app: routes, the page's files, and errors as sentences."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib.metadata import version
from importlib.resources import files

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from kgraft.errors import UnknownNameError
from kgraft.serving.batcher import BusyError
from kgraft.serving.guard import App, Guard, refused
from kgraft.serving.limits import LIMITS, Limits
from kgraft.serving.model_reloader import ModelReloader
from kgraft.serving.request_queue import RequestQueue
from kgraft.serving.routes import router, v1

PAGE = {
    "/": ("index.html", "text/html"),
    "/docs": ("docs.html", "text/html"),
    "/favicon.ico": ("icon.svg", "image/svg+xml"),
    **{
        f"/page/{name}": (name, "text/css" if name.endswith(".css") else "text/javascript")
        for name in (
            "style.css", "main.js", "parts.js", "search.js", "entity.js", "explanation.js",
            "drawing.js", "atlas.js", "docs.js",
        )
    },
}  # fmt: skip
"""The files of the page by their paths. They are read once; no request names a file."""


def create_app(
    live: ModelReloader,
    *,
    limits: Limits = LIMITS,
    token: str | None = None,
    hosts: Collection[str] | None = None,
) -> App:
    """Return the app that serves a model.

    Args:
        live: The model.
        limits: What is taken from clients.
        token: What clients have to show, if anything.
        hosts: The names that the server goes by; None takes any.
    """
    desk = RequestQueue(live, limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        live.watching = desk.metrics.load
        desk.metrics.load(True)
        live.start()
        yield
        live.stop()
        desk.close()

    app = FastAPI(
        title="kgraft",
        version=version("kgraft"),
        summary="Predictions of a knowledge graph's missing facts, and why.",
        docs_url=None,  # FastAPI's own page loads from other hosts; /docs is ours
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.desk = desk
    app.include_router(router)
    app.include_router(v1)
    for path, (name, kind) in PAGE.items():
        content = (files("kgraft.serving") / "page" / name).read_bytes()
        app.add_api_route(path, _file(content, kind), methods=["GET"], include_in_schema=False)
    app.add_exception_handler(UnknownNameError, _unknown)
    app.add_exception_handler(BusyError, _busy)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _by_status)
    app.add_exception_handler(Exception, _failed)
    return Guard(app, desk.metrics, limits, token, hosts)


def _file(content: bytes, kind: str) -> Callable[[], Awaitable[Response]]:
    async def file() -> Response:
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

    return file


async def _unknown(_: Request, error: Exception) -> Response:
    return refused(404, str(error))


async def _failed(_: Request, __: Exception) -> Response:
    """Say that it is not the client's fault; the server's log gets the error itself."""
    return refused(500, "the server failed to answer this; its log says why")


async def _busy(request: Request, _: Exception) -> Response:
    limits: Limits = request.app.state.desk.limits
    problem = f"{limits.waiting} requests wait already; try again in {limits.retry} second(s)"
    return refused(503, problem, {"Retry-After": str(limits.retry)})


async def _malformed(_: Request, error: Exception) -> Response:
    """Say in one sentence what does not fit, and where."""
    if not isinstance(error, RequestValidationError):
        raise error
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"] if part not in ("body", "query"))
    if problem["loc"] == ("body",):
        return refused(
            422, "the body is a JSON object with the header 'Content-Type: application/json'"
        )
    if problem["type"] == "json_invalid":
        return refused(400, "the body is no JSON; send an object as /docs describes it")
    what = problem["msg"].removeprefix("Value error, ")
    what = what[:1].lower() + what[1:]
    return refused(422, f"{where}: {what}" if where else what)


async def _by_status(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    sentences = {
        400: "the body is no JSON; send an object as /docs describes it",
        404: "there is no such path; /docs lists those that there are",
        405: "this path does not take this method; /docs lists what it takes",
    }
    problem = sentences.get(error.status_code) or HTTPStatus(error.status_code).phrase
    return refused(error.status_code, problem, dict(error.headers or {}))
