"""Missing facts and decisions about them, over the API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kgraft.errors import KgraftError
from kgraft.inference.complete import complete
from kgraft.inference.predict import Predictor
from kgraft.io.decision_file import DecisionFile
from kgraft.io.decisions import decide, read_decisions
from kgraft.linking.collection import Collection
from kgraft.model.trained_model import TrainedModel
from kgraft.serving import missing_facts
from kgraft.serving.missing_facts import MissingFacts

Talk = Callable[..., Any]
Fact = tuple[str, str, str]


@pytest.fixture
def predictor(student: TrainedModel) -> Predictor:
    return Predictor(student)


@pytest.fixture
def missing(predictor: Predictor) -> Iterator[MissingFacts]:
    found = MissingFacts(predictor)
    yield found
    found.stop()


def finished(missing: MissingFacts, relation: str | None = None) -> missing_facts.Found:
    for _ in range(2000):
        found = missing.find(relation, None)
        if found.asked == found.queries:
            return found
        found_thread = missing._thread
        assert found_thread is not None
        found_thread.join(0.01)
    raise AssertionError("this never ends")


async def whole(client: httpx.AsyncClient, **parameters: Any) -> Any:
    """Return the missing facts when all queries have been asked."""
    for _ in range(2000):
        found = (await client.get("/v1/missing", params=parameters)).json()
        if found["asked"] == found["queries"]:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError("this never ends")


def test_missing_facts_are_those_of_complete(missing: MissingFacts, predictor: Predictor) -> None:
    found = finished(missing)
    frames = complete(predictor, min_probability=missing_facts.MIN_PROBABILITY)
    expected = {row[:3] for frame in frames for row in frame.iter_rows()}
    assert {row[:3] for row in found.facts.iter_rows()} == expected
    assert found.queries > 0
    assert found.facts["probability"].is_sorted(descending=True)
    relation = found.facts["relation"][0]
    along = missing.find(relation, "inferred").facts
    assert {*along["relation"]} <= {relation}
    assert {*along["list"]} <= {"inferred"}


def test_the_relation_that_is_asked_for_comes_first(
    missing: MissingFacts, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    whole = missing_facts.complete

    def counted(*args: Any, **options: Any) -> Any:
        begun.append(options["relation"])
        return whole(*args, **options)

    monkeypatch.setattr(missing_facts, "complete", counted)
    last = max(missing._queries, key=lambda row: missing._queries[row])
    names = predictor.names.part
    relation = names.relations.name(names.relation_rows.tolist().index(last))
    finished(missing, relation)
    assert begun[0] == relation
    finished(missing)
    assert sorted(begun) == sorted({*begun})


def test_work_rests_without_a_client(
    missing: MissingFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missing_facts, "LEASE_SECONDS", -1.0)
    found = missing.find(None, None)
    assert missing._thread is not None
    missing._thread.join(0.3)
    assert missing._thread.is_alive()
    assert missing.find(None, None).asked < found.queries
    missing.stop()
    monkeypatch.setattr(missing_facts, "LEASE_SECONDS", 20.0)
    assert len(finished(missing).facts) > 0


def test_a_request_that_outlives_its_model_begins_no_search(missing: MissingFacts) -> None:
    missing.close()
    assert len(missing.find(None, None).facts) == 0
    assert missing._thread is None


def test_a_search_that_fails_is_told(
    missing: MissingFacts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise MemoryError("too large")

    monkeypatch.setattr(missing_facts, "complete", fails)
    missing.find(None, None)
    assert missing._thread is not None
    missing._thread.join()
    with pytest.raises(KgraftError, match=r"has failed \(too large\)"):
        missing.find(None, None)
    assert "has failed" in caplog.text


def test_decisions_go_into_a_file_that_retraining_reads(
    talk: Talk, tmp_path: Path, generated: Collection
) -> None:
    path = tmp_path / "decisions.csv"

    async def session(client: httpx.AsyncClient) -> Any:
        found = (await whole(client, k=2))["facts"]
        assert [x["decision"] for x in found] == [None, None]
        for fact, decision in zip(found, ("accept", "refuse"), strict=True):
            body = {role: fact[role] for role in ("head", "relation", "tail")}
            answer = await client.post("/v1/decisions", json={**body, "decision": decision})
            assert answer.json() == {**body, "decision": decision}
        assert (await client.get("/v1/decisions")).json()["file"] == "decisions.csv"
        return (await whole(client, k=2))["facts"]

    facts = talk(session, decisions=DecisionFile(path))
    assert [x["decision"] for x in facts] == ["accept", "refuse"]

    async def left(client: httpx.AsyncClient) -> Any:
        return await whole(client, k=2), await whole(client, k=2, undecided=True)

    every, undecided = talk(left, decisions=DecisionFile(path))
    assert undecided["n_facts"] == every["n_facts"] - 2
    assert [x["decision"] for x in undecided["facts"]] == [None, None]
    graph, counts = decide(generated.target_graph, read_decisions(path), path)
    assert (counts.accepted, counts.refused) == (1, 1)
    accepted = facts[0]
    assert graph.entities.name(graph.train[-1][0]) == accepted["head"]
    text = path.read_text(encoding="utf-8-sig")
    assert f"{accepted['probability']:.4f}" in text

    async def undone(client: httpx.AsyncClient) -> Any:
        body = {role: accepted[role] for role in ("head", "relation", "tail")}
        await client.post("/v1/decisions", json={**body, "decision": "none"})
        return (await client.get("/v1/decisions")).json()["decisions"]

    assert [x["decision"] for x in talk(undone, decisions=DecisionFile(path))] == ["refuse"]


def test_a_decision_that_cannot_be_kept_ends_in_a_sentence(
    talk: Talk, tmp_path: Path, fact: Fact
) -> None:
    body = dict(zip(("head", "relation", "tail"), fact, strict=True))
    path = tmp_path / "decisions.csv"

    def sent(change: dict[str, str], **options: Any) -> tuple[int, str]:
        def session(client: httpx.AsyncClient) -> Any:
            return client.post("/v1/decisions", json={**body, "decision": "accept", **change})

        answer = talk(session, **options)
        return answer.status_code, answer.json()["detail"]

    status, problem = sent({})
    assert (status, "start it with a file" in problem) == (422, True)
    status, problem = sent({}, decisions=DecisionFile(path))
    assert (status, problem) == (
        422, "mine states this fact already; only its own files can change that."
    )  # fmt: skip
    assert sent({"head": "nobody"}, decisions=DecisionFile(path))[0] == 404
    assert sent({"decision": "perhaps"}, decisions=DecisionFile(path))[0] == 422
    assert not path.exists()
    path.write_text("decision,head,relation,tail\nperhaps,a,b,c\n", encoding="utf-8")
    kept = object.__new__(DecisionFile)
    kept.path = path
    status, problem = sent({"tail": fact[0]}, decisions=kept)
    assert (status, "line 2" in problem) == (422, True)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:8000"}, 403),
        ({"Origin": "http://localhost"}, 200),
        # Behind a proxy the origin is the proxy's, and the browser says that it is the page's own.
        ({"Origin": "https://kg.example", "Sec-Fetch-Site": "same-origin"}, 200),
        ({}, 200),
    ],
)
def test_no_other_page_decides(
    talk: Talk, tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    async def session(client: httpx.AsyncClient) -> int:
        first = (await whole(client, k=1))["facts"][0]
        body = {role: first[role] for role in ("head", "relation", "tail")}
        answer = await client.post(
            "/v1/decisions", json={**body, "decision": "accept"}, headers=headers
        )
        return answer.status_code

    path = tmp_path / "decisions.csv"
    assert talk(session, decisions=DecisionFile(path)) == status
    assert path.exists() == (status == 200)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_a_form_of_another_page_decides_nothing(
    talk: Talk, tmp_path: Path, kind: str | None
) -> None:
    """Browsers send such bodies across sites without asking first."""
    path = tmp_path / "decisions.csv"

    async def session(client: httpx.AsyncClient) -> int:
        first = (await whole(client, k=1))["facts"][0]
        body = {role: first[role] for role in ("head", "relation", "tail")}
        sent = httpx.Request("POST", "http://x", json={**body, "decision": "accept"}).content
        headers = {} if kind is None else {"Content-Type": kind}
        return (await client.post("/v1/decisions", content=sent, headers=headers)).status_code

    assert talk(session, decisions=DecisionFile(path)) in (415, 422)
    assert not path.exists()


def test_relations_with_their_facts(talk: Talk, generated: Collection, fact: Fact) -> None:
    async def session(client: httpx.AsyncClient) -> Any:
        every = (await client.get("/v1/relations")).json()["relations"]
        one = (await client.get("/v1/relation", params={"name": fact[1]})).json()
        lost = await client.get("/v1/relation", params={"name": "nothing"})
        return every, one, lost.status_code

    every, one, lost = talk(session)
    graph = generated.target_graph
    assert {x["name"] for x in every} == {*graph.relations.names}
    assert sum(x["facts"] for x in every) == len(graph.triples)
    assert all(0 < x["complete"] < 1 and x["missing"] >= 0 for x in every)
    assert one["size"] in every
    assert one["names"]["mine"] == fact[1]
    stated = {
        (x["head"]["name"], x["tail"]["name"]) for x in one["facts"] if "mine" in x["stated_by"]
    }
    assert (fact[0], fact[2]) in stated
    assert lost == 404
