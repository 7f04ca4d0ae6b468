"""SPARQL over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

pytest.importorskip("fastapi", reason="needs the extra 'serve'")
pytest.importorskip("rdflib", reason="needs the extra 'ask'")

from kgraft.model.trained_model import TrainedModel
from kgraft.querying.sparql import LONGEST
from kgraft.serving.guard import LIMITS

Talk = Callable[..., Any]


def ask(talk: Talk, body: Any, **options: Any) -> httpx.Response:
    found: httpx.Response = talk(lambda client: client.post("/v1/ask", json=body), **options)
    return found


def test_an_answer_is_what_the_library_answers(
    talk: Talk, student: TrainedModel, fact: tuple[str, str, str]
) -> None:
    head, relation, _ = fact
    query = f"SELECT ?x WHERE {{ <{head}> :{relation} ?x }}"
    found = ask(talk, {"query": query, "limit": 3}).json()
    expected = student.ask(query, limit=3)
    assert [x["bindings"] for x in found["answers"]] == [x.bindings for x in expected]
    assert found["answers"][0]["hops"][0]["basis"] == "stated"
    assert found["bounded"] is False
    many = f"SELECT ?x WHERE {{ <{head}> :{relation} ?x }} LIMIT 5000"
    assert len(ask(talk, {"query": many}).json()["answers"]) == 100


def test_a_question_in_words_is_answered_too(talk: Talk, fact: tuple[str, str, str]) -> None:
    head, relation, tail = fact
    found = ask(talk, {"query": f"which {relation} has {head} ?", "limit": 3}).json()
    assert found["reading"].startswith(f"{head}: {relation} (")
    assert found["answers"][0]["bindings"] == {"x": tail}
    answer = ask(talk, {"query": "which colour has the sky"})
    assert answer.status_code == 422
    assert "no entity of mine is named" in answer.json()["detail"]


def test_wrong_requests_get_a_sentence(talk: Talk) -> None:
    for body, status, problem in (
        ({"query": "SELECT ?x { ?x :nowhere ?y }"}, 404, "'nowhere'"),
        ({"query": "SELECT ?x { ?x :r1 ?y OPTIONAL { ?x :r2 ?z } }"}, 422, "OPTIONAL"),
        ({"query": "x" * (LONGEST + 1)}, 422, "20000 characters"),
        ({"query": "SELECT ?x { ?x :r1 ?y }", "limit": 0}, 422, "limit"),
        ({}, 422, "field required"),
    ):
        answer = ask(talk, body)
        assert answer.status_code == status
        assert problem in answer.json()["detail"]


def test_a_query_that_takes_too_long_is_given_up(talk: Talk) -> None:
    limits = replace(LIMITS, ask_seconds=-1.0)
    answer = ask(talk, {"query": "SELECT ?x { ?x :r1 ?y }"}, limits=limits)
    assert answer.status_code == 422
    assert "takes too long" in answer.json()["detail"]
