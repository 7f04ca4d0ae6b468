"""The tools of assistants: bounded questions to a served model, answered as structured data."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from mcp.types import CallToolResult, TextContent
from pydantic import Field

from kgraft.errors import KgraftError
from kgraft.inference.complete import complete as missing_facts
from kgraft.inference.explanation import Explanation
from kgraft.inference.predict import Query
from kgraft.querying.sparql import LONGEST as LONGEST_QUERY
from kgraft.serving.assistant_text import MAX_TEXT, cleaned
from kgraft.serving.entity_view import Entity, EntityView, Relation
from kgraft.serving.request_queue import BusyError, RequestQueue
from kgraft.serving.schema import (
    AskAnswers,
    PredictJob,
    QueryAnswers,
    SourceSize,
)
from kgraft.serving.search import find_relations
from kgraft.serving.served_model import ServedModel
from kgraft.system.progress import Silence

MAX_RESULTS = 50  # of one call
MAX_RELATIONS = 200  # of a description
MAX_QUERIES = 1_000  # that a completion asks
SECONDS = 30.0  # until a call is given up

Name = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
NameOrNothing = Annotated[str, Field(max_length=MAX_TEXT)]
Limit = Annotated[int, Field(ge=1, le=MAX_RESULTS, description="Maximum number of results.")]
Probability = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class GraphDescription:
    """The graph that is asked about, and the sources whose facts count.

    Args:
        graph: Its name.
        sources: Itself and the linked graphs, with their sizes.
        relations: Relations of the graph, of which these may be the first only.
        n_relations: Number of its relations.
        examples: Entities with facts of many relations.
        has_probabilities: Whether predictions have probabilities, or scores alone.
    """

    graph: str
    sources: list[SourceSize]
    relations: list[Relation]
    n_relations: int
    examples: list[Entity]
    has_probabilities: bool


@dataclass(frozen=True)
class Matches:
    """Entities and relations that match a search, the best match first."""

    entities: list[Entity]
    relations: list[Relation]


@dataclass(frozen=True)
class MissingFact:
    """A fact that the graph does not state, with readable labels of its ends.

    ``stated_by`` are the other sources that state it, none where it is inferred.
    """

    head: str
    relation: str
    tail: str
    head_label: str
    tail_label: str
    probability: float
    stated_by: list[str]


@dataclass(frozen=True)
class MissingFacts:
    """Facts that the graph does not state, the most probable first.

    Args:
        facts: The facts.
        n_facts: Number of facts that were found, of which ``facts`` may be the first only.
        all_asked: Whether all queries were asked; if not, there may be more such facts.
    """

    facts: list[MissingFact]
    n_facts: int
    all_asked: bool


class AssistantTools:
    """The tools, each an asynchronous function; their docstrings are what assistants read.

    Args:
        queue: Calls the model, one call after another.
        seconds: Time until a call is given up.
    """

    def __init__(self, queue: RequestQueue, seconds: float = SECONDS) -> None:
        self._queue, self._seconds = queue, seconds

    async def _answer(self, function: Callable[[ServedModel], Any]) -> CallToolResult:
        """Return the result of a function of the model, as data and as the same in JSON.

        Raises:
            KgraftError: If the model cannot answer, or not in time.
        """
        try:
            async with asyncio.timeout(self._seconds):
                found = await self._queue.call(function)
        except TimeoutError as error:
            raise KgraftError(
                f"this took longer than {self._seconds:g} seconds, and was given up; ask for less"
            ) from error
        except BusyError as error:
            raise KgraftError("too many calls wait already; try again later") from error
        data = cleaned(json.loads(found))
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        content = TextContent(type="text", text=text)
        return CallToolResult(content=[content], structured_content=data)

    async def describe(self) -> Annotated[CallToolResult, GraphDescription]:
        """Describe the graph: its sources, relations, and a few entities as examples."""
        return await self._answer(_described)

    async def search(
        self,
        text: Annotated[Name, Field(description="Beginning of a name, a label or a word in it.")],
        limit: Limit = 10,
    ) -> Annotated[CallToolResult, Matches]:
        """Find entities and relations by the beginning of a name or word, or a similar spelling.

        Other tools take the names that are found here.
        """
        return await self._answer(
            lambda model: Matches(
                model.search.find(text, limit),
                find_relations(model.entities.relations.values(), text, limit),
            )
        )

    async def neighbourhood(
        self,
        entity: Annotated[Name, Field(description="Name or label of an entity.")],
        relation: Annotated[
            NameOrNothing, Field(description="List only facts along this one.")
        ] = "",
        limit: Limit = 25,
    ) -> Annotated[CallToolResult, EntityView]:
        """List the stated facts about an entity, each with the sources that state it.

        Suggests relations for `predict`, too.
        """
        return await self._answer(lambda model: model.view(entity, limit, relation or None))

    async def predict(
        self,
        head: Annotated[NameOrNothing, Field(description="Name or label of the head.")] = "",
        relation: Annotated[NameOrNothing, Field(description="Name of the relation.")] = "",
        tail: Annotated[NameOrNothing, Field(description="Name or label of the tail.")] = "",
        limit: Limit = 10,
        typed: Annotated[
            bool, Field(description="Only entities that the relation has been observed with.")
        ] = False,
    ) -> Annotated[CallToolResult, QueryAnswers]:
        """Answer a query by two of head, relation and tail: the third is predicted.

        For example head and relation for the tails. Answers are stated facts and predicted ones,
        the best first; `stated_by` is empty for those that no source states.
        """
        query = _query(head, relation, tail)

        def predicted(model: ServedModel) -> QueryAnswers:
            answers = model.predict([PredictJob((query,), limit, typed)])[0]
            if isinstance(answers, Exception):
                raise answers
            return QueryAnswers(list(answers[0]))

        return await self._answer(predicted)

    async def ask(
        self,
        query: Annotated[
            str,
            Field(
                min_length=1,
                max_length=LONGEST_QUERY,
                description="SELECT, ASK or COUNT in SPARQL. Names are written :Name, or <an IRI>, "
                'or "a name with spaces".',
                examples=["SELECT ?x WHERE { ?x :borders :Syria ; :languages :Arabic }"],
            ),
        ],
        limit: Limit = 10,
    ) -> Annotated[CallToolResult, AskAnswers]:
        """Answer a pattern of several facts in SPARQL, where some of the facts may be missing.

        Takes UNION, FILTER NOT EXISTS, MINUS and VALUES. Each answer has its probability, and the
        facts that it rests on: stated ones, inferred ones and predicted ones.
        """
        seconds = self._queue.limits.ask_seconds
        return await self._answer(lambda model: model.ask(query, limit, seconds, MAX_RESULTS))

    async def explain(
        self,
        head: Annotated[Name, Field(description="Name or label of the head.")],
        relation: Annotated[Name, Field(description="Name of the relation.")],
        tail: Annotated[Name, Field(description="Name or label of the tail.")],
    ) -> Annotated[CallToolResult, Explanation]:
        """Explain how probable a fact is: who states it, and rules, paths and similar facts."""
        return await self._answer(lambda model: model.explain(head, relation, tail))

    async def complete(
        self,
        entity: Annotated[NameOrNothing, Field(description="Facts about this entity.")] = "",
        relation: Annotated[NameOrNothing, Field(description="Facts along this relation.")] = "",
        min_probability: Annotated[
            Probability, Field(description="Minimum probability of a fact.")
        ] = 0.5,
        limit: Limit = 25,
    ) -> Annotated[CallToolResult, MissingFacts]:
        """Find facts that the graph lacks, about an entity, along a relation, or both."""
        if not entity and not relation:
            raise KgraftError("name an entity, a relation, or both; all facts at once are too many")
        return await self._answer(
            lambda model: _missing(model, entity, relation, min_probability, limit)
        )


def _query(head: str, relation: str, tail: str) -> Query:
    try:
        return Query(head or None, relation or None, tail or None)
    except ValueError as error:
        raise KgraftError(str(error)) from error


def _described(model: ServedModel) -> GraphDescription:
    info = model.info
    return GraphDescription(
        info.source,
        info.sources,
        info.relations[:MAX_RELATIONS],
        len(info.relations),
        info.examples,
        model.predictor.judge is not None,
    )


class _Counts(Silence):
    """A listener that counts the queries that there are, and lets them be."""

    total = 0

    def begin(self, name: str, total: int) -> None:  # noqa: ARG002 - the name is for others
        """Keep the total."""
        self.total = total


def _missing(
    model: ServedModel, entity: str, relation: str, min_probability: float, limit: int
) -> MissingFacts:
    """Return missing facts, the most probable first."""
    counts = _Counts()
    frames = missing_facts(
        model.predictor,
        k=MAX_RESULTS,
        min_probability=min_probability,
        entity=model.entity_name(entity) if entity else None,
        relation=relation or None,
        max_queries=MAX_QUERIES + 1,
        listener=counts,
    )
    rows = [row for frame in frames for row in frame.iter_rows(named=True)]
    rows.sort(key=lambda row: -row["probability"])
    facts = [
        MissingFact(
            row["head"],
            row["relation"],
            row["tail"],
            model.label(row["head"]),
            model.label(row["tail"]),
            row["probability"],
            [x for x in row["stated_by"].split(",") if x],
        )
        for row in rows[:limit]
    ]
    return MissingFacts(facts, len(rows), counts.total <= MAX_QUERIES)
