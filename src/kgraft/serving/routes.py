"""The questions that clients may ask, each with its limits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kgraft.inference.explanation import Explanation
from kgraft.inference.predict import Prediction
from kgraft.inference.predict import Query as Question
from kgraft.serving.entity_view import Surroundings, Thing, Verb
from kgraft.serving.limits import ANSWERS, QUERIES, TEXT
from kgraft.serving.metrics import CONTENT_TYPE
from kgraft.serving.request_queue import RequestQueue
from kgraft.serving.search import Found
from kgraft.serving.served_model import Asked, ServedModel

Text = Annotated[str, Field(min_length=1, max_length=TEXT)]
K = Annotated[int, Field(ge=1, le=ANSWERS, description="The most answers.")]
Entity = Annotated[Text, Query(description="Name or label of an entity.")]


class AskedQuery(BaseModel):
    """Two of head, relation and tail; the third is asked for."""

    model_config = ConfigDict(extra="forbid")

    head: Text | None = Field(None, description="Name or label of the head.")
    relation: Text | None = Field(
        None, description="Name of the relation, or its last part where that is unambiguous."
    )
    tail: Text | None = Field(None, description="Name or label of the tail.")

    @model_validator(mode="after")
    def _two_of_three(self) -> AskedQuery:
        self.question()
        return self

    def question(self) -> Question:
        """Return the query as the model takes it."""
        return Question(self.head, self.relation, self.tail)


class PredictRequest(BaseModel):
    """One query or several."""

    model_config = ConfigDict(extra="forbid")

    queries: list[AskedQuery] = Field(min_length=1, max_length=QUERIES)
    k: K = 10
    typed: bool = Field(
        False, description="Answer only by what is in the relation's observed domain or range."
    )


@dataclass(frozen=True)
class Answered:
    """A query's answers, best first."""

    predictions: list[Prediction]


@dataclass(frozen=True)
class Predictions:
    """The answers to each query, in the order of the queries."""

    answers: list[Answered]


@dataclass(frozen=True)
class Neighbour:
    """A similar entity, by the cosine of the vectors, and where it is on the map."""

    name: str
    label: str
    similarity: float
    sources: list[str]
    x: float
    y: float


@dataclass(frozen=True)
class Neighbours:
    """An entity on the map, from -1 to 1, and those that are most like it."""

    x: float
    y: float
    neighbours: list[Neighbour]


@dataclass(frozen=True)
class Entities:
    """Entities that a text may mean, the likeliest first."""

    entities: list[Found]


@dataclass(frozen=True)
class SourceSize:
    """A source and how much of it the model has."""

    name: str
    entities: int
    facts: int


@dataclass(frozen=True)
class AboutModel:
    """What is served."""

    kind: str
    source: str
    answers_by: str
    calibrated: bool
    entities: int
    sources: list[SourceSize]
    relations: list[Verb]
    examples: list[Thing]
    metrics: dict[str, Any]


@dataclass(frozen=True)
class Map:
    """Some of the entities on the map, and the share of the variance that each direction has."""

    points: list[tuple[float, float]]
    explained: list[float]


@dataclass(frozen=True)
class Problem:
    """Why there is no answer, in a sentence."""

    detail: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": description}
    for status, description in {
        400: "This is no JSON.",
        401: "The token is missing or wrong.",
        404: "The model does not know a name.",
        408: "The request arrived too slowly.",
        413: "The request is too large.",
        421: "The server does not go by this name.",
        422: "The request does not fit.",
        503: "Too many requests wait; try again.",
    }.items()
}

router = APIRouter()
v1 = APIRouter(prefix="/v1", responses=PROBLEMS)


def desk_of(request: Request) -> RequestQueue:
    """Return where an app's requests meet its model."""
    desk: RequestQueue = request.app.state.desk
    return desk


async def _predicted(request: Request, asked: Asked) -> JSONResponse:
    answers = await desk_of(request).predict(asked)
    return JSONResponse({"answers": [{"predictions": [vars(x) for x in xs]} for xs in answers]})


@v1.post("/predict", response_model=Predictions)
async def predict(request: Request, asked: PredictRequest) -> Response:
    """Answer queries (h, r, ?), (?, r, t) or (h, ?, t)."""
    queries = tuple(query.question() for query in asked.queries)
    return await _predicted(request, Asked(queries, asked.k, asked.typed))


@v1.get("/predict", response_model=Predictions)
async def predict_one(
    request: Request,
    head: Text | None = None,
    relation: Text | None = None,
    tail: Text | None = None,
    k: K = 10,
    typed: bool = False,
) -> Response:
    """Answer one query, as typed into a browser."""
    try:
        query = AskedQuery(head=head, relation=relation, tail=tail)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None
    return await _predicted(request, Asked((query.question(),), k, typed))


@v1.get("/similar", response_model=Neighbours)
async def similar(request: Request, entity: Entity, k: K = 10) -> Response:
    """Return the entities whose vectors are the most like an entity's."""
    (x, y), found = await desk_of(request).ask(lambda served: served.similar(entity, k))
    neighbours = [{**vars(at.neighbour), "x": at.place[0], "y": at.place[1]} for at in found]
    return JSONResponse({"x": x, "y": y, "neighbours": neighbours})


@v1.get("/explain", response_model=Explanation)
async def explain(request: Request, head: Entity, relation: Text, tail: Entity) -> Response:
    """Say why the model finds a fact plausible."""
    found = await desk_of(request).ask(lambda served: served.explain(head, relation, tail))
    return JSONResponse(asdict(found))


@v1.get("/entities", response_model=Entities)
async def entities(
    request: Request,
    q: Annotated[str, Field(max_length=TEXT, description="What is typed.")],
    limit: K = 10,
) -> Response:
    """Search entities by how their names or labels begin, or nearly so."""
    found = await desk_of(request).ask(lambda served: served.search.find(q, limit))
    return JSONResponse({"entities": [vars(x) for x in found]})


@v1.get("/entity", response_model=Surroundings)
async def entity(request: Request, name: Entity) -> Response:
    """Return what the sources state about an entity, and what may be asked about it."""
    desk = desk_of(request)
    found = await desk.ask(lambda served: served.around(name, desk.limits.facts))
    return JSONResponse(asdict(found))


@v1.get("/model", response_model=AboutModel)
async def model(request: Request) -> Response:
    """Say what is served."""
    return JSONResponse(asdict(_about(desk_of(request).live.current)))


@v1.get("/map", response_model=Map)
async def map_of_entities(request: Request) -> Response:
    """Return some of the entities in the two directions in which they differ most."""
    atlas = desk_of(request).live.current.atlas
    points = atlas.places[atlas.shown].round(3).tolist()
    return JSONResponse({"points": points, "explained": atlas.explained})


@router.api_route("/healthz", methods=["GET", "HEAD"], include_in_schema=False)
async def healthz() -> Response:
    """Say that the server answers."""
    return JSONResponse({"status": "ok"})


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Return the server's counts, for Prometheus."""
    return Response(desk_of(request).metrics.text(), media_type=CONTENT_TYPE)


def _about(served: ServedModel) -> AboutModel:
    found, graph = served.model, served.model.graph
    facts = graph.facts_of
    return AboutModel(
        found.kind,
        served.named.source,
        served.predictor.by,
        served.predictor.by in found.calibration,
        len(served.search),
        [SourceSize(name, len(x.entities), len(facts([name]))) for name, x in graph.parts.items()],
        list(served.neighbourhood.verbs.values()),
        list(served.neighbourhood.examples()),
        dict(found.metrics),
    )
