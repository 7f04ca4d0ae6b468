"""The API's paths, their parameters and their responses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict, Field, model_validator

from kgraft.inference import predict as inference
from kgraft.inference.explanation import Explanation
from kgraft.serving.entity_view import Entity, EntityView, Relation
from kgraft.serving.request_queue import RequestQueue
from kgraft.serving.served_model import PredictJob, SimilarEntities

MAX_ANSWERS = 100  # to one query
MAX_QUERIES = 64  # in one request
MAX_NAME_LENGTH = 2_000  # characters of a name or a search

Text = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)]
EntityName = Annotated[Text, Query(description="Name or label of an entity.", examples=["Syria"])]
K = Annotated[int, Field(ge=1, le=MAX_ANSWERS, description="Maximum number of results.")]
Typed = Annotated[
    bool,
    Field(description="Answer only with entities in the relation's observed domain or range."),
]


class PredictQuery(BaseModel):
    """Two of head, relation and tail; the third is predicted."""

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
        description="Queries, each with two of head, relation, tail.",
    )
    k: K = 10
    typed: Typed = False


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


@dataclass(frozen=True)
class Map:
    """Positions of a sample of entities, and the share of the variance along each axis."""

    points: list[tuple[float, float]]
    explained_variance: list[float]


@dataclass(frozen=True)
class Problem:
    """A sentence that says why there is no result."""

    detail: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": description}
    for status, description in {
        400: "The body is not JSON.",
        401: "The token is missing or wrong.",
        404: "The model does not know a name.",
        408: "The request arrived too slowly.",
        413: "The request is too large.",
        421: "The server does not go by this name.",
        422: "A parameter is missing or has a wrong value.",
        503: "Too many requests wait; try again.",
    }.items()
}

router = APIRouter()
v1 = APIRouter(prefix="/v1", responses=PROBLEMS)


def _queue(request: Request) -> RequestQueue:
    queue: RequestQueue = request.app.state.queue
    return queue


async def _predict(request: Request, job: PredictJob) -> Predictions:
    answers = await _queue(request).predict(job)
    return Predictions([QueryAnswers(list(found)) for found in answers])


@v1.post("/predict")
async def predict(request: Request, asked: PredictMany) -> Predictions:
    """Answer queries (h, r, ?), (?, r, t) or (h, ?, t)."""
    queries = tuple(query.query() for query in asked.queries)
    return await _predict(request, PredictJob(queries, asked.k, asked.typed))


@v1.get("/predict")
async def predict_one(request: Request, asked: Annotated[PredictOne, Query()]) -> Predictions:
    """Answer one query, given by two of head, relation and tail."""
    return await _predict(request, PredictJob((asked.query(),), asked.k, asked.typed))


@v1.get("/similar")
async def similar(request: Request, entity: EntityName, k: K = 10) -> SimilarEntities:
    """Return the entities with the most similar vectors, by cosine."""
    return await _queue(request).call(lambda model: model.similar(entity, k))


@v1.get("/explain")
async def explain(
    request: Request,
    head: EntityName,
    relation: Annotated[Text, Query(description="Name of the relation.", examples=["borders"])],
    tail: Annotated[EntityName, Query(examples=["Israel"])],
) -> Explanation:
    """Explain the score of a fact by statements, rules, paths and similar facts."""
    return await _queue(request).call(lambda model: model.explain(head, relation, tail))


@v1.get("/entities")
async def entities(
    request: Request,
    q: Annotated[
        str, Query(max_length=MAX_NAME_LENGTH, description="Text to find.", examples=["syr"])
    ],
    limit: K = 10,
) -> Entities:
    """Search entities by the beginning of a name, label or word, or by similar spelling."""
    return Entities(await _queue(request).call(lambda model: model.search.find(q, limit)))


@v1.get("/entity")
async def entity(request: Request, name: EntityName) -> EntityView:
    """Return an entity's facts with their sources, and suggested queries about it."""
    queue = _queue(request)
    return await queue.call(lambda model: model.view(name, queue.limits.facts_per_entity))


@v1.get("/model")
async def model(request: Request) -> ModelInfo:
    """Return the sources, relations, metrics and example entities of the model."""
    served = _queue(request).reloader.model
    trained, graph, by = served.model, served.model.graph, served.predictor.by
    return ModelInfo(
        kind=trained.kind,
        source=served.named.source,
        answers_by=by,
        calibrated=by in trained.calibration,
        entities=len(served.search),
        sources=[
            SourceSize(name, len(part.entities), len(graph.facts_of([name])))
            for name, part in graph.parts.items()
        ],
        relations=list(served.entities.relations.values()),
        examples=list(served.entities.examples()),
        metrics=dict(trained.metrics),
    )


@v1.get("/map", response_model=Map)
async def entity_map(request: Request) -> Response:
    """Return entities along the first two principal components of their vectors."""
    return Response(_queue(request).reloader.model.map_json, media_type="application/json")


@router.api_route("/healthz", methods=["GET", "HEAD"], include_in_schema=False)
async def health() -> dict[str, str]:
    """Confirm that the server answers."""
    return {"status": "ok"}


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Return the server's counters, for Prometheus."""
    return Response(_queue(request).metrics.text(), media_type=CONTENT_TYPE_LATEST)
