"""Names and labels of a model's entities, relations and facts, and the rows that they stand for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from kgraft.errors import UnknownNameError
from kgraft.graph.knowledge_graph import Triples, no_triples
from kgraft.graph.known_facts import KnownFacts
from kgraft.graph.vocabulary import Rows, unknown
from kgraft.linking.added_facts import AddedFacts
from kgraft.linking.joint_graph import JointSource
from kgraft.model.trained_model import TrainedModel

_SEPARATORS = ("/", "#", ":")
"""Characters between the parts of a name."""

_ENDINGS = (r"[^/#:]+$", r"[^/#:]+[/#:][^/#:]+$")
"""The last part of a name, and its last two."""

_TEXTS = {"row": pl.Int64, "text": pl.String}


@dataclass(frozen=True)
class StatedFact:
    """A fact with the sources that state it.

    Args:
        head: Label or name of the head.
        relation: Name of the relation, as short as it is unambiguous.
        tail: Label or name of the tail.
        stated_by: The sources that state it, also in validation or test.
        names: The full names of the three, in the requested source, or in the first that has one.
    """

    head: str
    relation: str
    tail: str
    stated_by: tuple[str, ...]
    names: tuple[str, str, str]


@dataclass(frozen=True)
class Statement:
    """A fact in the names of one source that states it.

    Args:
        source: The source.
        head: Its name of the head.
        relation: Its name of the relation.
        tail: Its name of the tail.
        labels: Readable labels of the three.
    """

    source: str
    head: str
    relation: str
    tail: str
    labels: tuple[str, str, str]


class ModelNames:
    """A model's rows by name and label, and back, seen from one of its sources.

    Args:
        model: The model.
        source: The source whose names are read, and preferred in output; by default the model's
            target, or a teacher's first source.

    Raises:
        UnknownNameError: If the model has no such source.
    """

    def __init__(self, model: TrainedModel, source: str | None = None) -> None:
        self.model = model
        self.source = source or model.target or model.graph.sources[0]
        self.part: JointSource = model.graph.part(self.source)

    def extended(self, model: TrainedModel, added: AddedFacts) -> ModelNames:
        """Return the names of the model with a few more facts and entities of the source."""
        found = ModelNames(model, self.source)
        rows, size = added.rows.tolist(), added.graph.n_entities
        first = len(self.part.entities)
        names = found.part.entities.names[first:].to_list()
        more = [""] * (size - added.before.n_entities)
        labels, own_names = self._entity_labels + more, self._entity_names + more
        by_label = dict(self._rows_of_label) if any(row < size - len(more) for row in rows) else {}
        for place, (row, name) in enumerate(zip(rows, names, strict=True), start=first):
            of_others = self._labels_of(row)
            labels[row], own_names[row] = next(iter(of_others), name), name
            for label in of_others:
                by_label[label.lower()] = [*by_label.get(label.lower(), []), place]
        places = np.append(self._place_of, np.full(len(more), -1))
        places[added.rows] = np.arange(first, first + len(rows))
        stating = added.graph.triple_sources[len(added.before.triples) :]
        found.__dict__ |= {
            "_place_of": places,
            "_entity_labels": labels,
            "_entity_names": own_names,
            "_rows_of_label": by_label or self._rows_of_label,
            "_relation_names": self._relation_names,
            "_relation_labels": self._relation_labels,
            "own_facts": np.concatenate([self.own_facts, added.given]),
            "known_false": self.known_false,
        }
        for name in ("trained", "known"):
            facts: dict[str, KnownFacts] = dict(getattr(self, name))
            for number in np.unique(stating).tolist():
                source = added.graph.sources[number]
                facts[source] = facts[source].extended(added.facts[stating == number])
            found.__dict__[name] = facts
        return found

    def _labels_of(self, row: int) -> list[str]:
        """Return the labels that sources give to one of the model's entities."""
        found = list[str]()
        for part in self.model.graph.parts.values():
            if part.labels is not None and row < self.model.graph.n_entities:
                texts = part.labels.gather(np.flatnonzero(part.entity_rows == row))
                found += [text for text in texts.to_list() if text]
        return list(dict.fromkeys(found))

    @property
    def n_relations(self) -> int:
        """Number of the model's relations, inverses not counted."""
        return self.model.graph.n_relations

    def entity(self, text: str) -> int:
        """Return the source's row of an entity by name, or by a label or form that only it has.

        The form is the name's normal one, so that it may be in NFD or percent-encoded.

        Raises:
            UnknownNameError: If there is none, or the label belongs to several.
        """
        found = self.known_entity(text)
        if found is None:
            labels = [self.entity_label(row) for row in self.part.entity_rows.tolist()]
            raise unknown(text, pl.Series(labels, dtype=pl.String), self.part.entities.names)
        return found

    def known_entity(self, text: str) -> int | None:
        """Return the source's row of an entity as ``entity`` does, or None if there is none.

        Raises:
            UnknownNameError: If the label belongs to several.
        """
        names = self.part.entities
        if text in names:
            return names.row(text)
        rows = self._rows_of_label.get(text.lower(), [])
        if len(rows) > 1:
            raise UnknownNameError(
                f"{text!r} is the label of {len(rows)} entities; name one of them: "
                f"{', '.join(names.names_of(rows[:5]))}"
            )
        rows = rows or [int(row) for row in names.rows_by_form(pl.Series([text])) if row >= 0]
        return rows[0] if rows else None

    def vector(self, entity: int) -> int:
        """Return the row of the vector of one of the source's entities.

        Raises:
            UnknownNameError: If it has none.
        """
        row = int(self.part.entity_rows[entity])
        if not self.model.kge.has_vector(np.array(row)):
            raise UnknownNameError(
                f"this model has no vector for {self.part.entities.name(entity)!r}, which only its "
                "rules use; ask about an entity that is linked to the target, or retrain with "
                "subgraph.vectors = 'all'"
            )
        return row

    def relation(self, text: str) -> int:
        """Return the source's row of a relation by name, or by the unambiguous end of its name.

        Raises:
            UnknownNameError: If there is none, or the end of a name fits several.
        """
        names = self.part.relations
        if text in names:
            return names.row(text)
        rows = np.flatnonzero(
            np.any([names.names.str.ends_with(mark + text) for mark in _SEPARATORS], axis=0)
        )
        if len(rows) > 1:
            raise UnknownNameError(
                f"{text!r} may be any of {', '.join(names.names_of(rows))}; give the whole name"
            )
        if not len(rows):
            raise unknown(text, names.names.str.extract(f"({_ENDINGS[0]})"), names.names)
        return int(rows[0])

    def relation_row(self, text: str) -> int:
        """Return the model's row of a relation, which is named as for ``relation``."""
        return int(self.part.relation_rows[self.relation(text)])

    def entity_label(self, row: int) -> str:
        """Return a readable label of a model's entity; its name where it has none."""
        return self._entity_labels[row]

    def entity_name(self, row: int) -> str:
        """Return a model's entity's name, another source's where the source has none."""
        return self._entity_names[row]

    def relation_label(self, row: int) -> str:
        """Return the shortest unambiguous end of a relation's name; an inverse has the same."""
        return self._relation_labels[row % self.n_relations]

    def sources(self, row: int) -> tuple[str, ...]:
        """Return the sources that have one of the model's entities."""
        parts = self.model.graph.parts.items()
        return tuple(source for source, part in parts if row in part.entity_rows)

    def fact(self, left: int, relation: int, right: int) -> StatedFact:
        """Return a fact of the model's rows in words; one along an inverse is turned round."""
        fact = self.forward((left, relation, right))
        return StatedFact(*self.labels(fact), self.stated_by(np.array([fact]))[0], self.names(fact))

    def forward(self, fact: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return a fact of the model's rows; one along an inverse is turned round."""
        left, relation, right = fact
        return fact if relation < self.n_relations else (right, relation - self.n_relations, left)

    def labels(self, fact: tuple[int, int, int]) -> tuple[str, str, str]:
        """Return readable labels of a fact of the model's rows."""
        head, relation, tail = fact
        return self.entity_label(head), self.relation_label(relation), self.entity_label(tail)

    def names(self, fact: tuple[int, int, int]) -> tuple[str, str, str]:
        """Return the names of a fact of the model's rows, others' where the source has none."""
        head, relation, tail = fact
        return self._entity_names[head], self._relation_names[relation], self._entity_names[tail]

    def statements(self, fact: tuple[int, int, int]) -> list[Statement]:
        """Return a fact of the model's rows as each source states it, in the source's own names."""
        head, relation, tail = fact
        found = []
        for source in self.stated_by(np.array([fact]))[0]:
            part = self.model.graph.part(source)
            along = part.relation_name(relation)
            own = self._name_in(part, head), along, self._name_in(part, tail)
            found.append(Statement(source, *own, self.labels(fact)))
        return found

    def _name_in(self, part: JointSource, row: int) -> str:
        """Return a source's name of an entity; the source of a target's values has not all."""
        places = np.flatnonzero(part.entity_rows == row)
        return part.entities.name(int(places[0])) if len(places) else self._entity_names[row]

    def stated_by(self, facts: Triples) -> list[tuple[str, ...]]:
        """Return for each fact of the model's rows, ``(n, 3)``, the sources that state it.

        A source also states its validation and test facts.
        """
        stating = [(source, known.contains(facts)) for source, known in self.known.items()]
        return [
            tuple(source for source, states in stating if states[place])
            for place in range(len(facts))
        ]

    def place(self, rows: Rows) -> Rows:
        """Return the source's row of each of the model's entities ``(n,)``, -1 without one."""
        return self._place_of[rows]

    def against(self, stated: Triples) -> str:
        """Return in words what the source states, where a prediction contradicts it."""
        facts = [self.labels((head, relation, tail)) for head, relation, tail in stated.tolist()]
        return "; ".join(
            f"{self.source} states {relation}({head}, {tail})" for head, relation, tail in facts
        )

    @cached_property
    def _place_of(self) -> Rows:
        places = np.full(self.model.graph.n_entities, -1, dtype=np.int64)
        # The first of several of the source's entities that share a row.
        rows, first = np.unique(self.part.entity_rows, return_index=True)
        places[rows] = first
        return places

    @cached_property
    def trained(self) -> dict[str, KnownFacts]:
        """The training facts of each source, in the model's rows."""
        graph = self.model.graph
        return {source: KnownFacts(graph.facts_of([source])) for source in graph.sources}

    @cached_property
    def known(self) -> dict[str, KnownFacts]:
        """All facts of each source, held-out ones too, in the model's rows."""
        graph, held_out = self.model.graph, self.model.held_out
        more = {
            source: KnownFacts(graph.facts_of([source]), facts)
            for source, facts in held_out.items()
        }
        return {**self.trained, **more}

    @cached_property
    def known_false(self) -> KnownFacts:
        """The facts that the source knows to be false, in the model's rows."""
        return KnownFacts(self.model.graph.known_false.get(self.source, no_triples()))

    @cached_property
    def _rows_of_label(self) -> dict[str, list[int]]:
        """The source's rows by the label, in lower case, that any source gives them."""
        own = pl.DataFrame({"row": self.part.entity_rows}).with_row_index("place")
        labels = pl.concat([pl.DataFrame(schema=_TEXTS), *self._labels()])
        by_label = (
            labels.join(own, on="row")
            .with_columns(pl.col("text").str.to_lowercase())
            .group_by("text")
            .agg(pl.col("place").unique().sort())
        )
        return dict(by_label.iter_rows())

    @cached_property
    def _entity_labels(self) -> list[str]:
        names = [_texts(part.entity_rows, part.entities.names) for part in self._parts]
        return _first([*self._labels(), *names])

    @cached_property
    def _entity_names(self) -> list[str]:
        return _first([_texts(part.entity_rows, part.entities.names) for part in self._parts])

    @cached_property
    def _relation_names(self) -> list[str]:
        return _first([_texts(part.relation_rows, part.relations.names) for part in self._parts])

    @cached_property
    def own_facts(self) -> Triples:
        """Distinct facts of the source in all splits, in the model's rows, ``(m, 3)``."""
        held_out = self.model.held_out.get(self.source, no_triples())
        facts: Triples = np.unique(
            np.concatenate([self.model.graph.facts_of([self.source]), held_out]), axis=0
        )
        return facts

    @cached_property
    def _relation_labels(self) -> list[str]:
        labels = []
        for name in self._relation_names:
            endings = (found[0] for ending in _ENDINGS if (found := re.search(ending, name)))
            labels.append(next((ending for ending in endings if self._endings[ending] == 1), name))
        return labels

    @cached_property
    def _endings(self) -> Counter[str]:
        """Number of the names with each ending, of those that are shown and the source's own."""
        names = {*self._relation_names, *self.part.relations.names}
        found = (re.search(ending, name) for name in names for ending in _ENDINGS)
        return Counter(ending[0] for ending in found if ending)

    @property
    def _parts(self) -> list[JointSource]:
        """The source itself, and then all."""
        return [self.part, *self.model.graph.parts.values()]

    def _labels(self) -> list[pl.DataFrame]:
        """Return the labels that each source gives to entities, by row of the model."""
        parts = self.model.graph.parts.values()
        found = [_texts(x.entity_rows, x.labels) for x in parts if x.labels is not None]
        return [frame.filter(pl.col("text") != "") for frame in found]


def _texts(rows: Rows, texts: pl.Series) -> pl.DataFrame:
    return pl.DataFrame({"row": rows, "text": texts}, schema=_TEXTS)


def _first(texts: list[pl.DataFrame]) -> list[str]:
    """Return the first text of each row, all of which have one."""
    found = pl.concat(texts).unique("row", keep="first", maintain_order=True)
    return found.sort("row")["text"].to_list()


def stated(facts: Sequence[StatedFact]) -> str:
    """Return facts in words, each with the sources that state it."""
    return " and ".join(
        f"{x.relation}({x.head}, {x.tail}) [{', '.join(x.stated_by)}]" for x in facts
    )
