"""Facts from a target's attributes: numbers and dates as intervals, recurring texts as categories.

Intervals hold equally many entities each, by quantiles, in several finenesses (Wang et al., IJCAI
2022, augment graphs so). They and categories are entities of a source of their own, ``values of
TARGET``: facts lead from the target's entities to them, none of the target's queries has them as
answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.joint_graph import JointGraph, JointSource
from kgraft.settings import AttributeSettings

MOSTLY: Final = 0.95
"""Least share of an attribute's values that are numbers, or dates, for it to be one of them."""

MAX_CHARACTERS: Final = 100
"""Characters of a text that is a category; longer ones are descriptions."""

DATE: Final = r"^(-?\d{1,6})-(\d{2})(?:-(\d{2}))?(?:[T ]\d{2}:\d{2}.*)?(?:Z|[+-]\d{2}:\d{2})?$"
"""Dates of ISO 8601 and XML Schema with a month at least; a year alone is a number."""

SHUFFLES: Final = 10
"""Number of times that values are dealt out anew, at random."""

MAX_COMPARED: Final = 20_000
"""Values of an attribute that this is tried on, a sample of more."""

DEVIATIONS: Final = 4.0
"""Standard deviations above the mean of such times, for values to tell something."""

FACTS: Final = {"entity": pl.Int64, "relation": pl.String, "value": pl.String}

Floats = NDArray[np.float64]


def attribute_facts(graph: KnowledgeGraph, settings: AttributeSettings) -> pl.DataFrame:
    """Return facts from the attributes of a graph that tell something of its training facts.

    Returns:
        The columns of ``FACTS``, without repeats.
    """
    found = [pl.DataFrame(schema=FACTS)]
    if settings.use and graph.attributes is not None:
        answers = _answers(graph)
        found += [x for x in value_facts(graph, settings) if tells_of_answers(x, answers)]
    return pl.concat(found)


def value_facts(graph: KnowledgeGraph, settings: AttributeSettings) -> Iterator[pl.DataFrame]:
    """Yield the facts from each attribute, or fineness of its intervals, without repeats.

    Args:
        graph: A graph with attributes.
        settings: Finenesses, and how many entities a value or attribute must have.
    """
    if graph.attributes is None:
        return
    given = graph.attributes.drop_nulls("value").select("entity", "attribute", "value")
    by_attribute = given.partition_by("attribute", as_dict=True, maintain_order=True)
    for (name,), rows in sorted(by_attribute.items()):
        if rows["entity"].n_unique() >= settings.min_entities:
            for facts in _facts_of_one(str(name), rows, settings):
                yield facts.unique(maintain_order=True)


def tells_of_answers(facts: pl.DataFrame, answers: pl.DataFrame) -> bool:
    """Return True if entities of one value have more answers in common than random ones have.

    The pairs of entities that share a value and an answer are counted, and compared with as many
    values dealt out anew, ``SHUFFLES`` times: there have to be more by ``DEVIATIONS`` standard
    deviations. So numbers that only identify, or mean nothing, are left out.

    Args:
        facts: The facts of one relation, in the columns of ``FACTS``.
        answers: ``entity`` and ``answer``: what the training facts say of each entity.
    """
    draw = np.random.default_rng(0)
    some = np.sort(draw.permutation(len(facts))[:MAX_COMPARED])
    value = facts["value"].cast(pl.Categorical).to_physical()
    frame = pl.DataFrame({"entity": facts["entity"], "value": value})[some]
    own = answers.filter(pl.col("entity").is_in(frame["entity"].unique().implode()))

    def pairs(values: pl.Series) -> float:
        dealt = frame.with_columns(values.alias("value")).join(own, on="entity")
        counts = dealt.group_by("value", "answer").len()["len"].cast(pl.Float64)
        return float((counts * (counts - 1)).sum())

    found = pairs(frame["value"])
    dealt = np.array(
        [pairs(frame["value"].gather(draw.permutation(len(frame)))) for _ in range(SHUFFLES)]
    )
    return bool(found > dealt.mean() + DEVIATIONS * dealt.std())


def _answers(graph: KnowledgeGraph) -> pl.DataFrame:
    """Return what training facts say of each entity: directed relation and other end, as a number.

    Answers of one entity alone are left out: no other can share them.
    """
    heads, relations, tails = graph.train.T
    n, m = len(graph.entities), len(graph.relations)
    answers = np.concatenate([relations * n + tails, (relations + m) * n + heads])
    frame = pl.DataFrame({"entity": np.concatenate([heads, tails]), "answer": answers}).unique(
        maintain_order=True
    )
    return frame.filter(pl.len().over("answer") > 1)


def with_attribute_facts(
    graph: JointGraph, target: KnowledgeGraph, settings: AttributeSettings
) -> JointGraph:
    """Return a joint graph with facts from its target's attributes, and rows for them at the end.

    Args:
        graph: Sources joined by links.
        target: Its target, with attributes.
        settings: As in ``attribute_facts``.
    """
    facts = attribute_facts(target, settings)
    if not len(facts):
        return graph
    values, relations = (
        Vocabulary(facts[x].unique(maintain_order=True)) for x in ("value", "relation")
    )
    part = JointSource(
        values,
        relations,
        graph.n_entities + np.arange(len(values)),
        graph.n_relations + np.arange(len(relations)),
        license=target.license,
    )
    heads = graph.part(target.name).entity_rows[facts["entity"].to_numpy()]
    rows = part.relation_rows_of(facts["relation"]), part.entity_rows_of(facts["value"])
    added = np.stack([heads, *rows], axis=1)
    given = graph.confidence
    return replace(
        graph,
        parts={**graph.parts, values_of(target.name, graph.sources): part},
        n_entities=graph.n_entities + len(values),
        n_relations=graph.n_relations + len(relations),
        triples=np.concatenate([graph.triples, added]),
        triple_sources=np.append(
            graph.triple_sources, np.full(len(added), len(graph.parts), dtype=np.int16)
        ),
        confidence=None if given is None else np.append(given, np.ones(len(added))),
    )


def values_of(target: str, sources: Sequence[str]) -> str:
    """Return the name of the source of a target's values, which none of the sources has."""
    name = f"values of {target}"
    while name in sources:
        name += "'"
    return name


def _facts_of_one(
    attribute: str, rows: pl.DataFrame, settings: AttributeSettings
) -> Iterator[pl.DataFrame]:
    """Yield the facts from one attribute's entities and values."""
    values = rows["value"].str.strip_chars()
    for kind, numbers in (("date", _years(values)), ("number", _numbers(values))):
        known = numbers.is_not_null()
        if known.mean() >= MOSTLY:  # type: ignore[operator]
            found = numbers.filter(known).to_numpy()
            for count in settings.intervals:
                yield _frame(
                    rows["entity"].filter(known),
                    f"{attribute} ({count} intervals)",
                    _intervals(attribute, found, count, is_date=kind == "date"),
                )
            return
    texts = rows.with_columns(values.alias("value")).filter(
        pl.col("value").str.len_chars().is_between(1, MAX_CHARACTERS),
        pl.col("entity").n_unique().over("value") >= settings.min_entities,
    )
    names = pl.select(pl.lit(f"{attribute}: ") + texts["value"]).to_series()
    yield _frame(texts["entity"], f"{attribute} (value)", names)


def _frame(entities: pl.Series, relation: str, values: pl.Series) -> pl.DataFrame:
    columns = {"entity": entities, "relation": [relation] * len(entities), "value": values}
    return pl.DataFrame(columns, schema=FACTS)


def _numbers(values: pl.Series) -> pl.Series:
    """Return values as finite numbers, null where they are none."""
    found = values.cast(pl.Float64, strict=False)
    return found.set(~found.is_finite().fill_null(value=False), None)


def _years(values: pl.Series) -> pl.Series:
    """Return dates as years with a fraction, null where values are none."""
    year, month, day = (values.str.extract(DATE, x).cast(pl.Float64) for x in (1, 2, 3))
    return year + (month - 1) / 12 + (day.fill_null(1) - 1) / 372


def _intervals(attribute: str, numbers: Floats, count: int, *, is_date: bool) -> pl.Series:
    """Return the name of each number's interval, of at most ``count`` of equally many numbers."""
    edges = np.unique(np.quantile(numbers, np.arange(1, count) / count, method="higher"))
    edges = edges[edges > numbers.min()]
    digits = 6 if len({f"{x:.6g}" for x in edges}) == len(edges) else 15
    shown = [_date(x) if is_date else f"{x:,.{digits}g}" for x in edges]
    if not shown:
        names = [f"{attribute}: any"]
    else:
        between = [f"{attribute}: {x} to {y}" for x, y in pairwise(shown)]
        names = [f"{attribute}: below {shown[0]}", *between, f"{attribute}: from {shown[-1]}"]
    places = np.searchsorted(edges, numbers, side="right")
    return pl.Series(names, dtype=pl.String).gather(places)


def _date(years: float) -> str:
    """Return a date as text: its year, month and day."""
    year = int(np.floor(years))
    month = int((years - year) * 12 + 1e-6)
    day = round((years - year - month / 12) * 372)
    return f"{year:04}-{month + 1:02}-{day + 1:02}"
