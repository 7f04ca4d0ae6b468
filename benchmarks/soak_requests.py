"""The requests of ``soak.py``: every path of the API, the page, calls of assistants, wrong ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from random import Random
from typing import Any
from urllib.parse import urlencode

import kgraft

PAGE = files("kgraft.serving") / "page"

LEFT = "left before the response"
"""Kind of request whose client does not wait."""

DECIDED = 40
"""Facts that decisions are about; their file does not grow beyond these."""


@dataclass(frozen=True)
class Asked:
    """A request.

    Args:
        kind: Method and path of the API, or in words.
        data: As it is sent.
        statuses: Of the responses that are right.
        assistant: Whether it is sent to the server for assistants.
        said: A text that is in a right response.
    """

    kind: str
    data: bytes
    statuses: Sequence[int] = (200,)
    assistant: bool = False
    said: bytes = b""


def get(path: str, **parameters: Any) -> bytes:
    """Return a GET of a path with parameters."""
    query = f"?{urlencode(parameters)}" if parameters else ""
    return f"GET {path}{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def post(path: str, body: Any, headers: str = "") -> bytes:
    """Return a POST of a value as JSON, or of bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n{headers}\r\n"
    )
    return head.encode() + content


class Requests:
    """Draws requests about the target of a model.

    Args:
        model: The model.
        seed: Of what is drawn.
    """

    def __init__(self, model: kgraft.TrainedModel, seed: int) -> None:
        self.draw = Random(seed)
        graph = model.graph.graphs()[model.target or model.graph.sources[0]]
        heads, relations, tails = (
            vocabulary.names_of(graph.train[:, column])
            for column, vocabulary in enumerate((graph.entities, graph.relations, graph.entities))
        )
        self.facts = list(zip(heads, relations, tails, strict=True))
        self.entities = sorted({*heads, *tails})
        self.relations = sorted(set(relations))
        self.others = [x for x in model.graph.sources if x != graph.name]
        known = set(map(tuple, self.facts))
        drawn = (self._other_fact() for _ in range(2 * DECIDED))
        self.lacked = [fact for fact in drawn if fact not in known][:DECIDED]
        self.kinds: Mapping[str, tuple[int, Callable[[], Asked]]] = {
            x.__name__: (weight, x) for weight, x in self._weighed()
        }

    def __iter__(self) -> Requests:
        return self

    def __next__(self) -> Asked:
        weights = [weight for weight, _ in self.kinds.values()]
        [(_, make)] = self.draw.choices(list(self.kinds.values()), weights)
        return make()

    def _weighed(self) -> list[tuple[int, Callable[[], Asked]]]:
        return [
            (24, self.predict), (8, self.predict_one), (3, self.predict_with_facts),
            (3, self.ask), (6, self.similar), (2, self.explain), (8, self.search),
            (6, self.entity), (2, self.lists), (2, self.relation), (3, self.missing),
            (2, self.decide), (8, self.page), (4, self.health), (12, self.assistant),
            (6, self.wrong), (1, self.left),
        ]  # fmt: skip

    def _entity(self) -> str:
        return self.draw.choice(self.entities)

    def _relation(self) -> str:
        return self.draw.choice(self.relations)

    def _other_fact(self) -> tuple[str, str, str]:
        return self._entity(), self._relation(), self._entity()

    def _query(self) -> dict[str, str]:
        fact = dict(zip(("head", "relation", "tail"), self.draw.choice(self.facts), strict=True))
        del fact[self.draw.choice(("head", "tail", "tail", "relation"))]
        return fact

    def predict(self) -> Asked:
        """Ask for predictions of one query or several."""
        body = {
            "queries": [self._query() for _ in range(self.draw.choice((1, 1, 1, 8)))],
            "k": self.draw.choice((3, 10, 100)),
            "typed": self.draw.random() < 0.2,
        }
        return Asked("post /v1/predict", post("/v1/predict", body), said=b'"score"')

    def predict_one(self) -> Asked:
        """Ask for predictions by GET."""
        return Asked("get /v1/predict", get("/v1/predict", **self._query()), said=b'"score"')

    def predict_with_facts(self) -> Asked:
        """Ask about a new entity."""
        facts = [
            {"head": "a new one", "relation": self._relation(), "tail": self._entity()}
            for _ in range(self.draw.choice((1, 3)))
        ]
        body: dict[str, Any] = {"queries": [{"head": "a new one", "relation": self._relation()}]}
        body["facts"] = facts
        return Asked("post /v1/predict", post("/v1/predict", body), said=b'"score"')

    def ask(self) -> Asked:
        """Ask a pattern of several facts."""
        head, relation, _ = self.draw.choice(self.facts)
        query = f"SELECT ?x ?y WHERE {{ <{head}> <{relation}> ?x . ?x <{self._relation()}> ?y }}"
        return Asked("post /v1/ask", post("/v1/ask", {"query": query, "limit": 5}))

    def similar(self) -> Asked:
        """Ask for similar entities."""
        return Asked("get /v1/similar", get("/v1/similar", entity=self._entity(), k=10))

    def explain(self) -> Asked:
        """Ask for reasons."""
        head, relation, tail = self.draw.choice(self.facts)
        sent = get("/v1/explain", head=head, relation=relation, tail=tail)
        return Asked("get /v1/explain", sent)

    def search(self) -> Asked:
        """Search by the beginning of a name."""
        name = self._entity().rpartition("/")[2]
        return Asked("get /v1/entities", get("/v1/entities", q=name[: self.draw.randint(1, 8)]))

    def entity(self) -> Asked:
        """Ask for an entity's facts."""
        return Asked("get /v1/entity", get("/v1/entity", name=self._entity()))

    def lists(self) -> Asked:
        """Ask for what is long, and the same for all."""
        name = self.draw.choice(("relations", "model", "map", "decisions"))
        return Asked(f"get /v1/{name}", get(f"/v1/{name}"))

    def relation(self) -> Asked:
        """Ask for a relation's facts."""
        return Asked("get /v1/relation", get("/v1/relation", name=self._relation()))

    def missing(self) -> Asked:
        """Ask for missing facts."""
        given = {"relation": self._relation()} if self.draw.random() < 0.5 else {}
        sent = get("/v1/missing", k=20, offset=self.draw.choice((0, 0, 20)), **given)
        return Asked("get /v1/missing", sent)

    def decide(self) -> Asked:
        """Accept or refuse a fact, or take that back."""
        fact = dict(zip(("head", "relation", "tail"), self.draw.choice(self.lacked), strict=True))
        body = fact | {"decision": self.draw.choice(("accept", "refuse", "none"))}
        # What the target holds out is a fact that it states.
        return Asked("post /v1/decisions", post("/v1/decisions", body), (200, 422))

    def page(self) -> Asked:
        """Ask for the page or a part of it."""
        parts = [f"/page/{x.name}" for x in PAGE.iterdir() if x.is_file()]
        parts += [f"/page/vendor/{x.name}" for x in (PAGE / "vendor").iterdir()]
        path = self.draw.choice(("/", "/docs", "/favicon.ico", "/openapi.json", *sorted(parts)))
        return Asked("page", get(path))

    def health(self) -> Asked:
        """Ask whether the server answers, or for its counters."""
        path = self.draw.choice(("/healthz", "/metrics"))
        return Asked(f"get {path}", get(path))

    def assistant(self) -> Asked:
        """Call a tool, as an assistant does."""
        head, relation, tail = self.draw.choice(self.facts)
        tools: dict[str, dict[str, Any]] = {
            "describe": {},
            "search": {"text": head.rpartition("/")[2][:4]},
            "neighbourhood": {"entity": head},
            "predict": {"head": head, "relation": relation},
            "ask": {"query": f"SELECT ?x {{ <{head}> <{relation}> ?x }}"},
            "explain": {"head": head, "relation": relation, "tail": tail},
            "complete": {"entity": head, "min_probability": 0.5},
        }
        name = self.draw.choice(sorted(tools))
        method, params = "tools/call", {"name": name, "arguments": tools[name]}
        said = b'"structuredContent"'
        if self.draw.random() < 0.15:
            params["arguments"] = {"entity": "nobody by this name", "x": 1}
            said = b'"isError":true'
        elif self.draw.random() < 0.1:
            method, params, said = "tools/list", {}, b'"inputSchema"'
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        accept = "Accept: application/json, text/event-stream\r\n"
        return Asked(f"assistant {method}", post("/mcp", body, accept), (200,), True, said)

    def wrong(self) -> Asked:
        """Send what is refused."""
        query = self._query()
        unknown = get("/v1/similar", entity="nobody by this name")
        cases: dict[str, tuple[bytes, int]] = {
            "an unknown name": (unknown, 404),
            "an unknown path": (get("/v1/nothing"), 404),
            "another method": (post("/v1/entity", {}), 405),
            "no JSON": (post("/v1/predict", b"{" * 100), 400),
            "deep JSON": (post("/v1/predict", b"[" * 50_000), 400),
            "an unknown key": (post("/v1/predict", {"queries": [query], "x": 1}), 422),
            "no query": (post("/v1/predict", {"queries": []}), 422),
            "too many answers": (post("/v1/predict", {"queries": [query], "k": 10_000}), 422),
            "no SPARQL": (post("/v1/ask", {"query": "SELECT ?x WHERE { ?x"}), 422),
            "a large body": (post("/v1/predict", b" " * ((1 << 20) + 1)), 413),
            "a page of another site": (
                post("/v1/predict", {"queries": [query]}, "Sec-Fetch-Site: cross-site\r\n"), 403),
            "another host": (get("/v1/model").replace(b"localhost", b"evil.example"), 421),
            "no HTTP": (b"\x16\x03\x01 no request\r\n\r\n", 400),
        }  # fmt: skip
        name = self.draw.choice(sorted(cases))
        data, status = cases[name]
        return Asked(f"wrong: {name}", data, (status,))

    def left(self) -> Asked:
        """Ask for what takes long, and leave."""
        head, relation, tail = self.draw.choice(self.facts)
        return Asked(LEFT, get("/v1/explain", head=head, relation=relation, tail=tail), ())
