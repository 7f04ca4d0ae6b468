"""Responses of the API, and sentences for wrong requests."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from kgraft.inference.predict import predict
from kgraft.io.read_collection import read_collection
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.train import train
from kgraft.serving.entity_view import MAX_NAME_LENGTH
from kgraft.serving.model_reloader import ModelReloader
from kgraft.settings import TrainSettings

Get = Callable[..., httpx.Response]
Talk = Callable[..., Any]
Fact = tuple[str, str, str]


def test_an_answer_is_what_the_library_answers(get: Get, student: TrainedModel, fact: Fact) -> None:
    head, relation, _ = fact
    answer = get("/v1/predict", head=head, relation=relation, k=4).json()
    expected = [vars(x) for x in predict(student, head=head, relation=relation, k=4)]
    expected = json.loads(json.dumps(expected))
    predictions = answer["answers"][0]["predictions"]
    assert [x["tail"] for x in predictions] == [x["tail"] for x in expected]
    assert [x["score"] for x in predictions] == pytest.approx([x["score"] for x in expected])
    assert [x["stated_by"] for x in predictions] == [x["stated_by"] for x in expected]


def test_several_queries_of_all_three_kinds(talk: Talk, fact: Fact) -> None:
    head, relation, tail = fact
    queries = [
        {"head": head, "relation": relation},
        {"relation": relation, "tail": tail},
        {"head": head, "tail": tail},
    ]
    body = {"queries": queries, "k": 3, "typed": True}
    answer = talk(lambda client: client.post("/v1/predict", json=body)).json()
    first, second, third = (x["predictions"] for x in answer["answers"])
    assert {x["head"] for x in first} == {head}
    assert {x["tail"] for x in second} == {tail}
    assert {(x["head"], x["tail"]) for x in third} == {(head, tail)}
    assert all(len(x) <= 3 for x in (first, second, third))


def test_concurrent_requests_get_their_own_answers(talk: Talk, student: TrainedModel) -> None:
    names = student.graph.parts["mine"].entities.names.to_list()[:40]

    async def session(client: httpx.AsyncClient) -> Any:
        asked = [
            client.get("/v1/predict", params={"head": name, "relation": "r1", "k": 1 + at % 5})
            for at, name in enumerate(names)
        ]
        lost = client.get("/v1/predict", params={"head": "nobody", "relation": "r1"})
        answers = await asyncio.gather(*asked, lost)
        return answers, (await client.get("/metrics")).text

    (*answers, lost), metrics = talk(session)
    assert lost.status_code == 404
    for at, (name, answer) in enumerate(zip(names, answers, strict=True)):
        predictions = answer.json()["answers"][0]["predictions"]
        assert {x["head"] for x in predictions} == {name}
        assert len(predictions) == 1 + at % 5
    blocks = next(x for x in metrics.splitlines() if x.startswith("kgraft_block_queries_count"))
    assert float(blocks.split()[-1]) < len(names)


def test_similar_entities_are_placed_on_the_map(get: Get, fact: Fact) -> None:
    found = get("/v1/similar", entity=fact[0], k=5).json()
    assert len(found["neighbours"]) == 5
    assert fact[0] not in {x["name"] for x in found["neighbours"]}
    places = [found, *found["neighbours"]]
    assert all(-1 <= coordinate <= 1 for x in places for coordinate in x["position"])
    shown = get("/v1/map").json()
    assert [round(x, 3) for x in found["position"]] in shown["points"]


def test_a_fact_is_explained(get: Get, fact: Fact) -> None:
    head, relation, tail = fact
    found = get("/v1/explain", head=head, relation=relation, tail=tail).json()
    assert (found["head"], found["relation"], found["tail"]) == fact
    assert "mine" in {x["source"] for x in found["stated_by"]}


def test_entities_are_searched(get: Get, fact: Fact) -> None:
    assert get("/v1/entities", q=fact[0], limit=1).json()["entities"][0]["name"] == fact[0]
    assert get("/v1/entities", q="").json() == {"entities": []}


def test_what_is_around_an_entity(get: Get, fact: Fact) -> None:
    head, relation, tail = fact
    found = get("/v1/entity", name=head).json()
    stated = [x for x in found["facts"] if x["tail"]["name"] == tail and x["head"]["name"] == head]
    assert relation in {x["relation"]["name"] for x in stated}
    assert any("mine" in x["stated_by"] for x in stated)
    assert found["names"]["mine"] == head
    assert {x["asks_for"] for x in found["queries"]} <= {"head", "tail"}


def test_what_is_served(get: Get) -> None:
    about = get("/v1/model").json()
    assert about["kind"] == "student"
    assert about["source"] == "mine"
    assert [x["name"] for x in about["sources"]] == ["mine", "atlas", "cards"]
    assert {x["name"] for x in about["relations"]} == {f"r{number}" for number in range(10)}
    assert get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/v1/predict?head=nobody&relation=r1", 404, "no entity is called 'nobody'"),
        ("/v1/predict?head=mine:1&relation=nothing", 404, "nothing"),
        ("/v1/predict?head=mine:1", 422, "a query gives two of head, relation and tail"),
        ("/v1/predict?head=mine:1&relation=r1&k=0", 422, "k: input should be greater than"),
        ("/v1/predict?head=mine:1&relation=r1&k=101", 422, "k: input should be less than"),
        ("/v1/predict?head=mine:1&relation=r1&k=many", 422, "k: input should be a valid integer"),
        ("/v1/predict?head=&relation=r1", 422, "head: string should have at least 1"),
        (f"/v1/entity?name={'x' * (MAX_NAME_LENGTH + 1)}", 422, "name: string should have at most"),
        ("/v1/similar", 422, "entity: field required"),
        ("/v1/explain?head=mine:1&relation=r1", 422, "tail: field required"),
        ("/v1/nothing", 404, "there is no such path"),
        ("/page/../../pyproject.toml", 404, "there is no such path"),
        ("/page/%2e%2e/app.py", 404, "there is no such path"),
        ("/v1/entity?name=../../../etc/passwd", 404, "no entity is called"),
    ],
)
def test_a_wrong_request_gets_a_sentence(
    get: Get, fact: Fact, path: str, status: int, sentence: str
) -> None:
    answer = get(path.replace("mine:1", fact[0]))
    assert answer.status_code == status
    assert answer.json()["detail"].startswith(sentence) or sentence in answer.json()["detail"]
    assert answer.json()["detail"][-1] in ".?"


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b"{", 400, "the body is no JSON"),
        (b"\xff", 400, "the body is no JSON"),
        (b"[" * 100_000, 400, "the body is no JSON"),
        (b'{"queries":' + b"[" * 50_000 + b"]" * 50_000 + b"}", 400, "the body is no JSON"),
        (b"", 422, "the body is a JSON object"),
        (b"[]", 422, "the body is a JSON object"),
        (b"{}", 422, "queries: field required"),
        (b'{"queries": []}', 422, "queries: list should have at least 1"),
        (b'{"queries": [{"head": 1}]}', 422, "queries.0.head: input should be a valid string"),
        (b'{"queries": [{"head": "\\ud800", "tail": "x"}]}', 422, "queries.0.head: "),
        (b'{"queries": [{"who": "x"}]}', 422, "queries.0.who: extra inputs are not permitted"),
        (b'{"queries": [{"head": "x", "tail": "y"}], "k": 1e999}', 422, "k: "),
        (json.dumps({"queries": [{"head": "x"}] * 65}).encode(), 422, "queries: list should have"),
    ],
)
def test_a_wrong_body_gets_a_sentence(talk: Talk, body: bytes, status: int, sentence: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = talk(lambda client: client.post("/v1/predict", content=body, headers=headers))
    assert (answer.status_code, answer.json()["detail"][: len(sentence)]) == (status, sentence)


def test_predictions_come_without_the_layers_of_fastapi(
    talk: Talk, fact: Fact, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"queries": [{"head": fact[0], "relation": fact[1]}], "k": 2}
    asked = talk(lambda client: client.get("/v1/predict", params={**body["queries"][0], "k": 2}))
    passed: list[str] = []
    real = FastAPI.__call__

    async def heard(app: FastAPI, scope: Any, receive: Any, send: Any) -> None:
        passed.append(scope.get("path", scope["type"]))
        await real(app, scope, receive, send)

    monkeypatch.setattr(FastAPI, "__call__", heard)

    async def session(client: httpx.AsyncClient) -> list[httpx.Response]:
        lost = {"queries": [{"head": "nobody", "relation": fact[1]}]}
        found = [await client.post("/v1/predict", json=x) for x in (body, lost)]
        assert passed == []
        found.append(await client.post("/v1/predict", json={"queries": []}))
        assert passed == ["/v1/predict"]
        return [*found, await client.get("/metrics")]

    direct, lost, wrong, metrics = talk(session)
    assert direct.content == asked.content
    assert direct.headers["content-security-policy"]
    assert (lost.status_code, wrong.status_code) == (404, 422)
    assert 'kgraft_requests_total{route="/v1/predict",status="200"} 1.0' in metrics.text


def test_a_wrong_method_is_told(talk: Talk) -> None:
    answer = talk(lambda client: client.delete("/v1/predict"))
    assert answer.status_code == 405
    assert "does not take this method" in answer.json()["detail"]


def test_the_page_and_its_parts_load_from_here_alone(get: Get) -> None:
    for path in ("/", "/docs"):
        page = get(path)
        assert page.headers["content-type"].startswith("text/html")
        assert "//" not in page.text.replace("<!doctype", "")
    api = get("/openapi.json").json()
    assert set(api["paths"]) == {
        f"/v1/{name}"
        for name in (
            *("predict", "similar", "explain", "ask", "entities", "entity", "model", "map"),
            *("relations", "relation", "missing", "decisions"),
        )
    }


def test_libraries_of_the_page_are_those_that_are_listed(get: Get) -> None:
    vendor = files("kgraft.serving") / "page" / "vendor"
    text = (vendor / "LICENCES.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"`([\w.]+\.m?js)` \| `([0-9a-f]{64})`", text))
    names = {file.name for file in vendor.iterdir()} - {"LICENCES.md"}
    assert {*listed} == names
    for name in names:
        answer = get(f"/page/vendor/{name}")
        assert sha256(answer.content).hexdigest() == listed[name]
        assert "/javascript" in answer.headers["content-type"]
        assert "max-age" in answer.headers["cache-control"]
    assert text.count("Permission is hereby granted") == len(names)


def test_the_pages_own_files_are_short_and_have_no_inline_code() -> None:
    page = files("kgraft.serving") / "page"
    for file in page.iterdir():
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            assert text.count("\n") <= 400, file.name
            assert "innerHTML" not in text, file.name
    html = (page / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]*src=)|\son\w+=|style=", html) == []


@pytest.mark.parametrize("facts", ["a\tr\ta\n", "a\tr\tb\n"])
def test_a_model_of_one_fact_is_served(tmp_path: Path, talk: Talk, facts: str) -> None:
    (tmp_path / "tiny.tsv").write_text(facts)
    settings = TrainSettings.model_validate(
        {"model": {"width": 4}, "training": {"epochs": 1, "negatives": 4}}
    )
    train(read_collection(tmp_path / "tiny.tsv"), settings).save(tmp_path / "model")

    async def session(client: Any) -> list[httpx.Response]:
        query = {"queries": [{"head": "a", "relation": "r"}]}
        return [
            await client.post("/v1/predict", json=query),
            await client.get("/v1/map"),
            await client.get("/v1/model"),
            await client.get("/"),
        ]

    answers = talk(session, model=ModelReloader(tmp_path / "model"))
    assert [x.status_code for x in answers] == [200] * 4
    assert len(answers[0].json()["answers"][0]["predictions"]) <= 2


NEW = [{"head": "zoe", "relation": "r1", "tail": "mine:3"}]


def test_facts_of_a_request_are_folded_in_for_it_alone(talk: Talk, student: TrainedModel) -> None:
    body = {"queries": [{"head": "zoe", "relation": "r1"}], "facts": NEW, "k": 3}
    expected = student.fold_in([("zoe", "r1", "mine:3")]).predict(head="zoe", relation="r1", k=3)

    async def session(client: httpx.AsyncClient) -> Any:
        with_facts = [client.post("/v1/predict", json=body) for _ in range(3)]
        plain = [client.get("/v1/predict", params={"head": "zoe", "relation": "r1"})]
        return await asyncio.gather(*with_facts, *plain)

    *answers, plain = talk(session)
    for answer in answers:
        predictions = answer.json()["answers"][0]["predictions"]
        assert [x["tail"] for x in predictions] == [x.tail for x in expected]
    assert plain.status_code == 404


def test_a_text_of_a_request_is_folded_in_too(talk: Talk, student: TrainedModel) -> None:
    text = student.graph.parts["mine"].entities.name(3)
    body = {"queries": [{"head": "zoe", "relation": "r1"}], "k": 3}
    body |= {"texts": [{"entity": "zoe", "text": text}]}
    expected = student.fold_in(texts={"zoe": text}).predict(head="zoe", relation="r1", k=3)

    async def session(client: httpx.AsyncClient) -> Any:
        long = {**body, "texts": [{"entity": "zoe", "text": "x" * 2001}]}
        return [await client.post("/v1/predict", json=x) for x in (body, long)]

    answer, refused = talk(session)
    predictions = answer.json()["answers"][0]["predictions"]
    assert [x["tail"] for x in predictions] == [x.tail for x in expected]
    assert refused.status_code == 422


@pytest.mark.parametrize(
    ("more", "status", "complaint"),
    [
        ({"facts": [{**NEW[0], "relation": "r111"}]}, 404, "called 'r111'"),
        ({"facts": [{"head": "zoe", "relation": "r1"}]}, 422, "facts.0.tail: field required"),
        ({"facts": [{**NEW[0], "head": f"z{x}"} for x in range(101)]}, 422, "facts: "),
        ({"facts": [{**NEW[0], "head": f"z{x}"} for x in range(11)]}, 422, "10 new ones"),
        ({"facts": NEW, "links": [{"entity": "zoe", "source": "x", "name": "y"}]}, 404, "'x'"),
        ({"links": [{"entity": "zoe", "source": "mine", "name": "y"}]}, 422, "a link joins"),
    ],
    ids=str,
)
def test_facts_that_cannot_be_folded_in(
    talk: Talk, more: dict[str, Any], status: int, complaint: str
) -> None:
    body = {"queries": [{"head": "zoe", "relation": "r1"}]} | more
    answer = talk(lambda client: client.post("/v1/predict", json=body))
    assert (answer.status_code, complaint in answer.json()["detail"]) == (status, True), answer.text
