"""Fold-in: a model with a few more facts, whose new entities get vectors without training.

Names, rules, statements and counts see the new facts at once; a new entity's vector is found by its
facts alone (``fold_vectors``). All else is shared with the model, which stays as it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import torch
from torch import Tensor

from kgraft.errors import KgraftError, KgraftWarning, UnknownNameError, counted, describe
from kgraft.graph.knowledge_graph import Triples, as_triples
from kgraft.graph.vocabulary import Rows
from kgraft.inference.fold_texts import text_vectors
from kgraft.inference.fold_vectors import Compared, FactsOfOne, Floats, VectorFolder
from kgraft.inference.names import ModelNames
from kgraft.inference.predict import Predictor, prepared
from kgraft.io.named_facts import ROLES
from kgraft.linking.added_facts import AddedFacts, NewEntity, add_facts
from kgraft.model.extended_kge import ExtendedKge
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.system.forks import require_threads

COMPARED = "compared"
"""Key of what new entities are compared with, among a model's prepared parts."""

NamedFact = tuple[str, str, str]
"""Head, relation and tail by name."""

NamedLink = tuple[str, str, str]
"""A new entity, another source, and its name of the entity."""


def fold_in(
    model: TrainedModel,
    facts: Iterable[NamedFact] | pl.DataFrame,
    links: Iterable[NamedLink] = (),
    texts: Mapping[str, str] | None = None,
) -> TrainedModel:
    """Return the model with more facts and new entities, as ``TrainedModel.fold_in`` says."""
    require_threads()
    given = facts.select(ROLES).iter_rows() if isinstance(facts, pl.DataFrame) else facts
    predictor, unknown = fold_into(prepared(model), [*given], [*links], texts)
    if unknown:
        warnings.warn(_unheld(unknown), KgraftWarning, stacklevel=3)
    return predictor.model


def fold_into(
    predictor: Predictor,
    facts: Sequence[NamedFact],
    links: Sequence[NamedLink] = (),
    texts: Mapping[str, str] | None = None,
    *,
    max_entities: int | None = None,
) -> tuple[Predictor, list[NamedLink]]:
    """Return the predictor of a model with more facts, and the links to what the model lacks.

    Args:
        predictor: A predictor of the model, for its target.
        facts: As for ``TrainedModel.fold_in``.
        links: Likewise.
        texts: Likewise.
        max_entities: The maximum number of new entities; by default any.

    Raises:
        UnknownNameError: As ``TrainedModel.fold_in``.
        KgraftError: Likewise, or if there are too many new entities.
    """
    model, names = predictor.model, predictor.names
    if model.target is None or names.source != model.target:
        raise KgraftError(
            f"this {model.kind} answers for no target to fold entities into. Use a student, or a "
            "model trained for one graph."
        )
    new = _NewNames(names)
    rows = as_triples([new.fact(*fact) for fact in sorted(facts)])
    unknown = [link for link in links if not new.link(*link)]
    texts = texts or {}
    for name in texts:
        new.text(name)
    entities = new.entities()
    if max_entities is not None and len(entities) > max_entities:
        raise KgraftError(
            f"the facts, links and texts name {len(entities)} entities that the model does "
            f"not know; {max_entities} new ones are the most. Ask about fewer at a time."
        )
    added = add_facts(model.graph, model.target, entities, rows)
    reliability = None
    if model.evidence is not None:
        own = model.evidence.reliability
        reliability = np.concatenate([own, np.ones(len(added.given)), own[added.origin]])
    by_text = text_vectors(names, texts, [x.name for x in entities])
    starts = {
        row: by_text[entity.name]
        for entity, row in zip(entities, added.rows.tolist(), strict=True)
        if entity.name in by_text
    }
    kge = _with_vectors(model, names, added, reliability, starts)
    evidence = model.evidence
    if evidence is not None and reliability is not None:
        index = evidence.index_in(model.graph, model.target).extended(added, reliability)
        evidence = replace(evidence, reliability=reliability, index=index)
    extended = replace(model, kge=kge, graph=added.graph, evidence=evidence)
    found = predictor.extended(extended, added)
    extended.prepared[COMPARED] = model.prepared.get(COMPARED)
    extended.prepared.update({("predictor", None, by): found for by in (None, predictor.by)})
    return found, unknown


class _NewNames:
    """Names of facts and links, those that the model's target lacks being new entities."""

    def __init__(self, names: ModelNames) -> None:
        self._names, self._graph = names, names.model.graph
        self._new: dict[str, list[int]] = {}

    def entities(self) -> list[NewEntity]:
        """Return the new entities, in the order of their names."""
        taken: dict[int, str] = {}
        found = []
        for name, linked in self._new.items():
            rows = list(dict.fromkeys(linked))
            rows.sort(key=lambda row: not self._names.model.kge.has_vector(np.array(row)))
            for row in rows:
                if row in taken:
                    label = self._names.entity_label(row)
                    raise KgraftError(
                        f"{taken[row]!r} and {name!r} are both linked to {label!r}. Link one of "
                        "them to it."
                    )
                taken[row] = name
            found.append(NewEntity(name, tuple(rows)))
        return found

    def fact(self, head: str, relation: str, tail: str) -> tuple[int, int, int]:
        """Return a fact in rows of the graph; a new entity's follow."""
        row = self._names.relation_row(relation)
        return self._entity(head), row, self._entity(tail)

    def link(self, entity: str, source: str, name: str) -> bool:
        """Note the link of a new entity; return False if the model has no such other one."""
        names, part = self._names, self._graph.part(source)
        if source == names.source or names.known_entity(entity) is not None:
            raise KgraftError(
                f"a link joins a new entity with one of another source, not {entity!r} with "
                f"{name!r} of {source}. Take the link out."
            )
        linked = self._new.setdefault(entity, [])
        if name not in part.entities:
            return False
        row = int(part.entity_rows[part.entities.row(name)])
        if (place := int(names.place(np.array([row]))[0])) >= 0:
            known = names.part.entities.name(place)
            raise KgraftError(
                f"{name!r} of {source} is {known!r} of {names.source} already, so it cannot be "
                f"the new {entity!r}. Use that name, or take the link out."
            )
        linked.append(row)
        return True

    def text(self, name: str) -> None:
        """Note an entity with a text, which is new if the target has no such name."""
        if name not in self._names.part.entities:
            self._entity(name)

    def _entity(self, text: str) -> int:
        if not text.strip():
            raise UnknownNameError("a name of a fact is empty")
        if text in self._new:
            return self._graph.n_entities + list(self._new).index(text)
        known = self._names.known_entity(text)
        if known is not None:
            return int(self._names.part.entity_rows[known])
        self._new[text] = []
        return self._graph.n_entities + len(self._new) - 1


def _with_vectors(
    model: TrainedModel,
    names: ModelNames,
    added: AddedFacts,
    reliability: Floats | None,
    by_text: Mapping[int, Tensor],
) -> KgeModel:
    """Return the model's vectors with those of the new entities, some of which begin by a text."""
    if not len(added.rows):
        return model.kge
    graph, kge = added.graph, model.kge
    positions = added.about_new()
    facts = graph.triples[positions]
    weights = np.ones(len(facts)) if reliability is None else reliability[positions]
    own = {x: of_one(facts, weights, x, graph.n_relations) for x in added.rows.tolist()}
    entities = names.part.entity_rows
    entities = np.sort(entities[kge.has_vector(entities)])
    alike = {row: _alike(model, entities, x) for row, x in own.items()}
    starts = {row: _mean_of_means([kge.vectors(x) for x in rows]) for row, rows in alike.items()}
    starts |= by_text
    found = _solved(model, names, added, own, starts)
    prior = None
    if kge.prior is not None:
        means = [_mean_of_means([kge.prior_rows(x) for x in rows]) for rows in alike.values()]
        prior = torch.stack(means)
    return ExtendedKge.of(kge, added.rows, torch.stack([found[x] for x in own]), prior)


def _solved(
    model: TrainedModel,
    names: ModelNames,
    added: AddedFacts,
    own: Mapping[int, FactsOfOne],
    starts: Mapping[int, Tensor],
) -> dict[int, Tensor]:
    """Return the vector of each new entity, found one after the other."""
    base = model.kge.with_prior(None)
    known = names.trained[names.source].extended(added.given)
    compared = model.prepared.get(COMPARED)
    if compared is None:
        entities = np.sort(names.part.entity_rows)
        stated = model.graph.facts_of([names.source])
        compared = Compared.of(base, entities[base.has_vector(entities)], stated)
        model.prepared[COMPARED] = compared
    # First those with most facts about entities that have a vector.
    order = sorted(own, key=lambda row: -int(base.has_vector(own[row].others).sum()))
    rows = np.array(order)
    join = any(np.isin(x.others, rows).any() for x in own.values())
    found, kge = dict(starts), base
    # Vectors of new entities that facts join are found once more by each other's.
    for row in order * (2 if join else 1):
        folder = VectorFolder(kge, compared, known, model.settings.training.regularization)
        facts = own[row]
        there = kge.has_vector(facts.others)
        facts = FactsOfOne(facts.along[there], facts.others[there], facts.weights[there])
        if len(facts.along):
            found[row] = folder.vector(facts, found[row])
        if join:
            kge = ExtendedKge.of(kge, np.array([row]), found[row][None])
    return found


def _mean_of_means(groups: Sequence[Tensor]) -> Tensor:
    return torch.stack([x.mean(0) for x in groups]).mean(0)


def of_one(facts: Triples, weights: Floats, entity: int, m: int) -> FactsOfOne:
    """Return the facts about an entity, seen from it, but for those with itself."""
    heads, relations, tails = facts.T
    out = np.flatnonzero((heads == entity) & (tails != entity))
    into = np.flatnonzero((tails == entity) & (heads != entity))
    return FactsOfOne(
        np.concatenate([relations[out], relations[into] + m]),
        np.concatenate([tails[out], heads[into]]),
        np.concatenate([weights[out], weights[into]]),
    )


def _alike(model: TrainedModel, entities: Rows, facts: FactsOfOne) -> list[Tensor]:
    """Return for each relation of an entity the other entities that have it."""
    heads, relations, tails = model.graph.triples.T
    m, found = model.graph.n_relations, []
    is_candidate = np.zeros(model.graph.n_entities, dtype=np.bool_)
    is_candidate[entities] = True
    for along in np.unique(facts.along).tolist():
        there = relations == along % m
        own = np.unique(heads[there] if along < m else tails[there])
        if len(own := own[is_candidate[own]]):
            found.append(torch.from_numpy(own))
    return found or [torch.from_numpy(entities)]


def _unheld(links: Sequence[NamedLink]) -> str:
    entity, source, name = links[0]
    return describe(
        f"{counted(len(links), 'link')} to entities of which the model has no fact, as "
        f"{entity!r} to {name!r} of {source}, count for nothing",
        remedy="A student has the facts of its teacher's sources about entities near its links; "
        "re-train it with the new links to use others",
    )
