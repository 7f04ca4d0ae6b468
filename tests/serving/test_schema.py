"""Requests made up from the API's own description: none of them finds a server error."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgraft.io.decision_file import DecisionFile
from kgraft.serving.app import create_app
from kgraft.serving.model_reloader import ModelReloader

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis")


@pytest.fixture(scope="module")
def app(reloader: ModelReloader, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    kept = DecisionFile(tmp_path_factory.mktemp("kept") / "decisions.csv")
    yield create_app(reloader, decisions=kept)
    reloader.model.missing.stop()


def _ask(app: Any, **request: Any) -> httpx.Response:
    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(**request)

    return asyncio.run(once())


@pytest.fixture(scope="module")
def schema(app: Any) -> Any:
    return schemathesis.openapi.from_dict(_ask(app, method="GET", url="/openapi.json").json())


OPERATIONS = [
    ("POST", "/v1/predict"),
    ("POST", "/v1/ask"),
    ("POST", "/v1/decisions"),
    *(
        ("GET", f"/v1/{name}")
        for name in (
            *("predict", "similar", "explain", "entities", "entity", "model", "map"),
            *("relations", "relation", "missing", "decisions"),
        )
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_request_finds_a_server_error(
    app: Any, schema: Any, reloader: ModelReloader, method: str, path: str
) -> None:
    operation, known = schema[path][method], reloader.model.named.part.entities.name(0)

    @given(data=st.data())
    @settings(max_examples=40, suppress_health_check=list(HealthCheck), derandomize=True)
    def check(data: st.DataObject) -> None:
        mode = data.draw(st.sampled_from(list(schemathesis.GenerationMode)))
        case = data.draw(operation.as_strategy(generation_mode=mode))
        request = case.as_transport_kwargs(base_url="http://localhost")
        wanted = ("method", "url", "params", "headers")
        kept = {key: request[key] for key in wanted if key in request}
        for name in ("entity", "name", "head", "tail"):
            # Names made up are unknown, so some are put in place of them that are not.
            if name in (kept.get("params") or {}) and data.draw(st.booleans()):
                kept["params"][name] = known
        body = request.get("json", request.get("data"))
        content = json.dumps(body) if "json" in request else body
        sent = content if isinstance(content, str | bytes) else None
        try:
            answer = _ask(app, **kept, content=sent)
        except httpx.InvalidURL:  # longer than the client sends
            return
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert answer.json()["detail"][-1] in ".?"

    check()


@pytest.mark.slow
@given(body=st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["queries", "head", "relation", "tail", "k", "typed"]) | st.text(), inner
    ),
))  # fmt: skip
@settings(max_examples=150, suppress_health_check=list(HealthCheck), derandomize=True)
def test_any_json_gets_an_answer_or_a_sentence(app: Any, body: Any) -> None:
    headers = {"Content-Type": "application/json"}
    content = json.dumps(body)
    answer = _ask(app, method="POST", url="/v1/predict", content=content, headers=headers)
    assert answer.status_code in (200, 400, 404, 422)
    if answer.status_code != 200:
        assert answer.json()["detail"][-1] in ".?"
