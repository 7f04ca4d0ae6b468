"""The app: the API, the page's files, and errors as sentences."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from mimetypes import MimeTypes
from typing import ClassVar

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from kgraft.errors import KgraftError, UnknownNameError
from kgraft.io.decision_file import DecisionFile
from kgraft.serving.guard import BEARER, LIMITS, Guard, Limits, error_response
from kgraft.serving.model_reloader import ModelReloader
from kgraft.serving.request_queue import BusyError, RequestQueue
from kgraft.serving.review import Review
from kgraft.serving.routes import JSON, router, v1
from kgraft.serving.schema import PredictMany

PATHS = {"/": "index.html", "/docs": "index.html", "/favicon.ico": "icon.svg"}
"""Page files by path; all are also under ``/page/``, and libraries under ``/page/vendor/``."""

PAGE = files("kgraft.serving") / "page"

LIBRARIES = {file.name for file in (PAGE / "vendor").iterdir()}

SENTENCES = {
    400: "the body is no JSON; send an object as /docs describes it",
    404: "there is no such path; /docs lists those that there are",
    405: "this path does not take this method; /docs lists what it takes",
}
"""Sentences for statuses that FastAPI sets itself."""


def create_app(
    reloader: ModelReloader,
    *,
    limits: Limits = LIMITS,
    token: str | None = None,
    hosts: Collection[str] | None = None,
    decisions: DecisionFile | None = None,
) -> Guard:
    """Return the ASGI app that serves a model.

    Args:
        reloader: The model.
        limits: Limits on clients.
        token: Token that clients send, if one is needed.
        hosts: Accepted host names; None accepts all.
        decisions: Keeps the decisions about missing facts; without it none are taken.
    """
    queue = RequestQueue(reloader, limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        reloader.on_load = queue.metrics.count_load
        queue.metrics.count_load(True)
        reloader.start()
        yield
        reloader.stop()
        queue.close()

    app = FastAPI(
        title="kgraft",
        version=version("kgraft"),
        summary="Predictions of missing facts of a knowledge graph, with explanations.",
        docs_url=None,  # FastAPI's page loads its parts from other hosts
        redoc_url=None,
        redirect_slashes=False,  # a redirect would repeat whatever Host the client sent
        lifespan=lifespan,
    )
    app.state.queue, app.state.review = queue, Review(decisions)
    app.include_router(router)
    # Guard checks the token; the dependency declares it in openapi.json.
    app.include_router(v1, dependencies=[] if token is None else [Depends(BEARER)])
    paths = {path: PAGE / name for path, name in PATHS.items()}
    for directory, place in (("/page", PAGE), ("/page/vendor", PAGE / "vendor")):
        paths |= {f"{directory}/{x.name}": x for x in place.iterdir() if x.is_file()}
    for path, file in paths.items():
        app.add_api_route(path, _page_file(file), include_in_schema=False)
    for kind in (
        UnknownNameError,
        KgraftError,
        BusyError,
        RequestValidationError,
        HTTPException,
        Exception,
    ):
        app.add_exception_handler(kind, _error)
    return Guard(PredictDirectly(app, queue), queue.metrics, limits, token, hosts)


@dataclass(frozen=True)
class PredictDirectly:
    """ASGI middleware that answers predictions without FastAPI, whose layers take as long.

    A request that it cannot answer goes on to the app, which says what is wrong with it.

    Args:
        app: The app.
        queue: Answers the predictions.
    """

    app: FastAPI
    queue: RequestQueue
    path: ClassVar[str] = "/v1/predict"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if not self._concerns(scope):
            await self.app(scope, receive, send)
            return
        received = list[Message]()

        async def again() -> Message:
            return received.pop(0) if received else await receive()

        try:
            while not received or received[-1].get("more_body"):
                received.append(await receive())
            body = b"".join(x.get("body", b"") for x in received)
            job = PredictMany.model_validate_json(body).job()
        except (ValueError, HTTPException):
            await self.app(scope, again, send)
            return
        scope["route"] = self
        try:
            response = Response(await self.queue.predict(job), media_type=JSON)
        except (KgraftError, BusyError) as error:
            response = _response_to(error, self.queue.limits)
        await response(scope, receive, send)

    def _concerns(self, scope: Scope) -> bool:
        if scope["type"] != "http" or (scope["method"], scope["path"]) != ("POST", self.path):
            return False
        return (b"content-type", b"application/json") in scope["headers"]


def _page_file(file: Traversable) -> Callable[[], Awaitable[Response]]:
    """Return an endpoint with a file's content, which is read now: no request reads a file."""
    content = file.read_bytes()
    media_type, _ = MimeTypes().guess_type(file.name)
    # The libraries are large, and change with a release alone.
    kept = "max-age=3600" if file.name in LIBRARIES else "no-cache"

    async def endpoint() -> Response:
        return Response(content, media_type=media_type, headers={"Cache-Control": kept})

    return endpoint


async def _error(request: Request, error: Exception) -> Response:
    limits: Limits = request.app.state.queue.limits
    return _response_to(error, limits)


def _response_to(error: Exception, limits: Limits) -> Response:
    """Return the response to a request that failed."""
    match error:
        case UnknownNameError():
            return error_response(404, str(error))
        case KgraftError():
            return error_response(422, str(error))
        case BusyError():
            seconds = str(limits.retry_seconds)
            problem = (
                f"{limits.queue_length} requests wait already; try again in {seconds} second(s)"
            )
            return error_response(503, problem, {"Retry-After": seconds})
        case RequestValidationError():
            return error_response(*_first_problem(error))
        case HTTPException():
            problem = SENTENCES.get(error.status_code, error.detail)
            return error_response(error.status_code, problem, dict(error.headers or {}))
    return error_response(500, "the server failed to answer this; its log says why")


def _first_problem(error: RequestValidationError) -> tuple[int, str]:
    """Return the status and a sentence about the first wrong value."""
    problem = error.errors()[0]
    if problem["loc"] == ("body",):
        return 422, "the body is a JSON object with the header 'Content-Type: application/json'"
    if problem["type"] == "json_invalid":
        return 400, SENTENCES[400]
    field = ".".join(str(part) for part in problem["loc"] if part not in ("body", "query"))
    message = problem["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    return 422, f"{field}: {message}" if field else message
