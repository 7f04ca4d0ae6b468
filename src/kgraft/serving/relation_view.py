"""Views of the target's relations: their facts, and how complete they are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from kgraft.inference.predict import Predictor
from kgraft.serving.entity_view import EntityFact, EntityIndex


@dataclass(frozen=True)
class RelationSize:
    """A relation of the target.

    Args:
        name: Its name.
        label: The readable end of it.
        facts: Number of the target's facts, in all splits.
        others: Number of training facts that other sources state, and the target does not.
        complete: The estimated share of the true facts that the target states, if there is one.
        missing: The estimated number of true facts that it lacks.
    """

    name: str
    label: str
    facts: int
    others: int
    complete: float | None
    missing: float | None


@dataclass(frozen=True)
class Relations:
    """The target's relations, those with the most facts first."""

    relations: list[RelationSize]


@dataclass(frozen=True)
class RelationView:
    """A relation with its facts.

    Args:
        size: Its size and completeness.
        names: Its name in each source that has it.
        facts: Training facts along it, those of the target first.
        n_facts: Number of all, of which ``facts`` may hold only the first.
    """

    size: RelationSize
    names: dict[str, str]
    facts: tuple[EntityFact, ...]
    n_facts: int


class RelationIndex:
    """The relations of a model's target.

    Args:
        predictor: A prepared model.
        entities: The facts of the model by entity.
    """

    def __init__(self, predictor: Predictor, entities: EntityIndex) -> None:
        self._predictor, self._entities = predictor, entities
        self._names = predictor.names

    @cached_property
    def _sizes(self) -> dict[int, RelationSize]:
        names, judge = self._names, self._predictor.judge
        graph, n = names.model.graph, names.n_relations
        known = None if judge is None else judge.fitted.completeness
        own = np.bincount(names.own_facts[:, 1], minlength=n)
        fact = ["head", "relation", "tail"]
        facts = pl.DataFrame(graph.triples, schema=fact).with_columns(
            own=pl.Series(graph.triple_sources == graph.sources.index(names.source))
        )
        distinct = facts.group_by(fact).agg(pl.col("own").any())
        counted = distinct.filter(~pl.col("own")).group_by("relation").len()
        others: dict[int, int] = dict(counted.iter_rows())
        return {
            row: RelationSize(
                relation.name,
                relation.label,
                int(own[row]),
                others.get(row, 0),
                None if known is None else float(known.overall[row]),
                None if known is None else float(own[row] / known.overall[row] - own[row]),
            )
            for row, relation in self._entities.relations.items()
        }

    def all(self) -> Relations:
        """Return all relations."""
        return Relations(sorted(self._sizes.values(), key=lambda x: (-x.facts, x.name)))

    def view(self, relation: str, max_facts: int) -> RelationView:
        """Return the view of a relation, by its name or the end of it.

        Raises:
            UnknownNameError: If there is none, or several.
        """
        names = self._names
        row = names.relation_row(relation)
        facts, n_facts = self._entities.along(row, max_facts)
        parts = names.model.graph.parts.items()
        places = {
            source: (part, np.flatnonzero(part.relation_rows == row)) for source, part in parts
        }
        by_source = {x: part.relations.name(at[0]) for x, (part, at) in places.items() if len(at)}
        return RelationView(self._sizes[row], by_source, facts, n_facts)
