"""Requests and responses of the API, and their JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from kgraft.inference import predict as inference
from kgraft.inference.fold_in import NamedFact, NamedLink
from kgraft.querying.answers import Answer
from kgraft.querying.sparql import LONGEST as MAX_QUERY_LENGTH
from kgraft.serving.entity_view import MAX_NAME_LENGTH, Entity, Relation

MAX_ANSWERS = 100  # to one query
MAX_QUERIES = 64  # in one request
MAX_FACTS = 100  # to fold in, and links, in one request
MAX_NEW = 10  # entities to fold in
MAX_TEXT = 2000  # characters of a text about one

Text = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)]
EntityName = Annotated[Text, Query(description="Name or label of an entity.", examples=["Syria"])]
K = Annotated[int, Field(ge=1, le=MAX_ANSWERS, description="Maximum number of results.")]
Typed = Annotated[
    bool,
    Field(description="Answer only with entities in the relation's observed domain or range."),
]


@dataclass(frozen=True)
class PredictJob:
    """A request for predictions.

    Args:
        queries: Its queries.
        k: The most answers to each.
        typed: Answer only with entities in the observed domain or range of the relation.
        facts: Facts to fold in for this request.
        links: Links of their new entities.
        texts: Texts about new entities.
    """

    queries: tuple[inference.Query, ...]
    k: int
    typed: bool
    facts: tuple[NamedFact, ...] = ()
    links: tuple[NamedLink, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()


class PredictQuery(BaseModel):
    """Two of head, relation and tail; the third is predicted. All three are a fact to judge."""

    model_config = ConfigDict(extra="forbid")

    head: Text | None = Field(None, description="Name or label of the head.", examples=["Syria"])
    relation: Text | None = Field(
        None, description="Name of the relation, or its unambiguous end.", examples=["borders"]
    )
    tail: Text | None = Field(None, description="Name or label of the tail.")

    @model_validator(mode="after")
    def _two_of_three(self) -> PredictQuery:
        self.query()
        return self

    def query(self) -> inference.Query:
        """Return the query as the model takes it."""
        return inference.Query(self.head, self.relation, self.tail)


class NewFact(BaseModel):
    """A fact to fold in; entities that the model does not know are new."""

    model_config = ConfigDict(extra="forbid")

    head: Text
    relation: Text
    tail: Text


class NewLink(BaseModel):
    """A link of a new entity to another source's name of it."""

    model_config = ConfigDict(extra="forbid")

    entity: Text
    source: Text
    name: Text


class NewText(BaseModel):
    """A text about a new entity."""

    model_config = ConfigDict(extra="forbid")

    entity: Text
    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]


class PredictOne(PredictQuery):
    """A query with its options."""

    k: K = 10
    typed: Typed = False


class PredictMany(BaseModel):
    """Queries with their options."""

    model_config = ConfigDict(extra="forbid")

    queries: list[PredictQuery] = Field(
        min_length=1,
        max_length=MAX_QUERIES,
        description="Queries, each with two of head, relation, tail, or all three.",
    )
    facts: list[NewFact] = Field(
        default=[],
        max_length=MAX_FACTS,
        description="Facts that count for this request alone; unknown entities are new.",
    )
    links: list[NewLink] = Field(
        default=[], max_length=MAX_FACTS, description="Links of the new entities."
    )
    texts: list[NewText] = Field(
        default=[],
        max_length=MAX_NEW,
        description="Texts about new entities; labels of known ones tell what words mean.",
    )
    k: K = 10
    typed: Typed = False

    def job(self) -> PredictJob:
        """Return the queries as the model takes them."""
        return PredictJob(
            tuple(query.query() for query in self.queries),
            self.k,
            self.typed,
            tuple((x.head, x.relation, x.tail) for x in self.facts),
            tuple((x.entity, x.source, x.name) for x in self.links),
            tuple((x.entity, x.text) for x in self.texts),
        )


class AskQuery(BaseModel):
    """A query in SPARQL, or a question in words."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field(
        min_length=1,
        max_length=MAX_QUERY_LENGTH,
        description="SELECT or ASK, or a question in words, as docs/asking.md describes it.",
        examples=["SELECT ?x WHERE { ?x :borders :Syria ; :languages :Arabic }"],
    )
    limit: K = 10


@dataclass(frozen=True)
class AskAnswers:
    """Answers to a query in SPARQL or a question in words, best first.

    Args:
        answers: The answers.
        bounded: Whether others that were not looked at may be as probable.
        reading: How a question was understood: its entity, and the relations that it may mean.
    """

    answers: list[Answer]
    bounded: bool
    reading: str = ""


@dataclass(frozen=True)
class QueryAnswers:
    """The answers to a query, best first."""

    predictions: list[inference.Prediction]


@dataclass(frozen=True)
class Predictions:
    """The answers to each query, in the order of the queries."""

    answers: list[QueryAnswers]


@dataclass(frozen=True)
class Entities:
    """Entities that match a search, the best match first."""

    entities: list[Entity]


@dataclass(frozen=True)
class SourceSize:
    """A source and its size."""

    name: str
    entities: int
    facts: int


@dataclass(frozen=True)
class ModelInfo:
    """The served model."""

    kind: str
    source: str
    answers_by: str
    calibrated: bool
    entities: int
    sources: list[SourceSize]
    relations: list[Relation]
    examples: list[Entity]
    metrics: dict[str, Any]


class DecisionBody(NewFact):
    """A decision about a fact; ``none`` takes it back."""

    decision: Literal["accept", "refuse", "none"]


@dataclass(frozen=True)
class Problem:
    """A sentence that says why there is no result."""

    detail: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": description}
    for status, description in {
        400: "The body is not JSON.",
        401: "The token is missing or wrong.",
        403: "A page of another site asks.",
        404: "The model does not know a name.",
        408: "The request arrived too slowly.",
        413: "The request is too large.",
        421: "The server does not go by this name.",
        422: "A parameter is missing or has a wrong value.",
        503: "Too many requests wait; try again.",
    }.items()
}


_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def encoded(response: Any) -> bytes:
    """Return a response as JSON; it is of one of the API's types, so it is not checked again."""
    kind = type(response)
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind].dump_json(response)
