"""The API's paths, answered with JSON that has been encoded in the threads of the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from kgraft.inference.explanation import Explanation
from kgraft.serving.entity_view import MAX_NAME_LENGTH, EntityView
from kgraft.serving.map_view import Map
from kgraft.serving.missing_facts import Basis
from kgraft.serving.relation_view import Relations, RelationView
from kgraft.serving.request_queue import RequestQueue
from kgraft.serving.review import DecidedFact, Decisions, Proposals, Review
from kgraft.serving.schema import (
    PROBLEMS,
    AskAnswers,
    AskQuery,
    DecisionBody,
    Entities,
    EntityName,
    K,
    ModelInfo,
    Predictions,
    PredictJob,
    PredictMany,
    PredictOne,
    Text,
)
from kgraft.serving.served_model import ServedModel, SimilarEntities

JSON = "application/json"

MAX_OFFSET = 1_000_000  # facts to skip

RelationName = Annotated[Text, Query(description="Name of the relation.", examples=["borders"])]

router = APIRouter()
v1 = APIRouter(prefix="/v1", responses=PROBLEMS)


def _queue(request: Request) -> RequestQueue:
    queue: RequestQueue = request.app.state.queue
    return queue


def _review(request: Request) -> Review:
    review: Review = request.app.state.review
    return review


async def _call(request: Request, function: Callable[[ServedModel], Any]) -> Response:
    return Response(await _queue(request).call(function), media_type=JSON)


@v1.post("/predict", response_model=Predictions)
async def predict(request: Request, asked: PredictMany) -> Response:
    """Answer queries (h, r, ?), (?, r, t) or (h, ?, t)."""
    return Response(await _queue(request).predict(asked.job()), media_type=JSON)


@v1.get("/predict", response_model=Predictions)
async def predict_one(request: Request, asked: Annotated[PredictOne, Query()]) -> Response:
    """Answer one query, given by two of head, relation and tail, or judge a fact."""
    job = PredictJob((asked.query(),), asked.k, asked.typed)
    return Response(await _queue(request).predict(job), media_type=JSON)


@v1.post("/ask", response_model=AskAnswers)
async def ask(request: Request, asked: AskQuery) -> Response:
    """Answer a pattern of several facts, in SPARQL, over a graph that lacks some."""
    seconds = _queue(request).limits.ask_seconds
    return await _call(request, lambda model: model.ask(asked.query, asked.limit, seconds))


@v1.get("/similar", response_model=SimilarEntities)
async def similar(request: Request, entity: EntityName, k: K = 10) -> Response:
    """Return the entities with the most similar vectors, by cosine."""
    return await _call(request, lambda model: model.similar(entity, k))


@v1.get("/explain", response_model=Explanation)
async def explain(
    request: Request,
    head: EntityName,
    relation: RelationName,
    tail: Annotated[EntityName, Query(examples=["Israel"])],
) -> Response:
    """Explain the score of a fact by statements, rules, paths and similar facts."""
    return await _call(request, lambda model: model.explain(head, relation, tail))


@v1.get("/entities", response_model=Entities)
async def entities(
    request: Request,
    q: Annotated[
        str, Query(max_length=MAX_NAME_LENGTH, description="Text to find.", examples=["syr"])
    ],
    limit: K = 10,
) -> Response:
    """Search entities by the beginning of a name, label or word, or by similar spelling."""
    return await _call(request, lambda model: Entities(model.search.find(q, limit)))


@v1.get("/entity", response_model=EntityView)
async def entity(request: Request, name: EntityName) -> Response:
    """Return an entity's facts with their sources, and suggested queries about it."""
    most = _queue(request).limits.facts_per_entity
    return await _call(request, lambda model: model.view(name, most))


@v1.get("/relations", response_model=Relations)
async def relations(request: Request) -> Response:
    """Return the relations of the graph, with their facts and how complete they are."""
    return await _call(request, lambda model: model.relations.all())


@v1.get("/relation", response_model=RelationView)
async def relation(request: Request, name: RelationName) -> Response:
    """Return a relation's facts with their sources, and how complete it is."""
    most = _queue(request).limits.facts_per_entity
    return await _call(request, lambda model: model.relations.view(name, most))


@v1.get("/missing", response_model=Proposals)
async def missing(
    request: Request,
    relation: Annotated[Text | None, Query(description="Only facts along this one.")] = None,
    basis: Annotated[
        Basis | None,
        Query(description="Only facts that other sources state, or only inferred ones."),
    ] = None,
    undecided: Annotated[bool, Query(description="Only facts without a decision.")] = False,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET, description="Facts to skip.")] = 0,
    k: K = 10,
) -> Response:
    """Return the most probable facts that the graph lacks, as far as they have been found."""
    review = _review(request)
    return await _call(
        request,
        lambda model: review.proposals(model, relation, basis, offset, k, undecided=undecided),
    )


@v1.get("/decisions", response_model=Decisions)
async def decisions(request: Request) -> Response:
    """Return the decisions about facts that this server keeps."""
    review = _review(request)
    return await _call(request, lambda _: review.all())


@v1.post("/decisions", response_model=DecidedFact)
async def decide(request: Request, asked: DecisionBody) -> Response:
    """Accept or refuse a missing fact, or take that back; a later re-training learns from it."""
    fact, review = (asked.head, asked.relation, asked.tail), _review(request)
    return await _call(request, lambda model: review.decide(model, fact, asked.decision))


@v1.get("/model", response_model=ModelInfo)
async def model(request: Request) -> Response:
    """Return the sources, relations, metrics and example entities of the model."""
    return Response(_queue(request).reloader.model.info_json, media_type=JSON)


@v1.get("/map", response_model=Map)
async def entity_map(request: Request) -> Response:
    """Return entities along the first two principal components of their vectors."""
    return Response(_queue(request).reloader.model.map_json, media_type=JSON)


@router.api_route("/healthz", methods=["GET", "HEAD"], include_in_schema=False)
async def health() -> dict[str, str]:
    """Confirm that the server answers."""
    return {"status": "ok"}


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Return the server's counters, for Prometheus."""
    return Response(_queue(request).metrics.text(), media_type=CONTENT_TYPE_LATEST)
