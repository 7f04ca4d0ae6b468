"""Fitting of the frequency prior: its rank, its tables, and its effect on MRR."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from fitting import with_evidence

from kgraft.evaluation.evaluate import evaluate
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.fit_frequency_prior import fit_frequency_prior
from kgraft.rules.edges import Edges
from kgraft.rules.entity_frequencies import EntityFrequencies
from kgraft.rules.rule_bodies import Adjacency
from kgraft.rules.rules import rules_from
from kgraft.settings import ModelSettings, PriorSettings, RuleSettings, TrainSettings

USELESS = rules_from(
    [pl.DataFrame([{"support": 2, "relation": 1, "first": 1, "second": 1, "confidence": 0.5}])], 2
)


def graph_of(triples: list[list[int]], n: int, valid: list[list[int]] = []) -> KnowledgeGraph:  # noqa: B006
    return KnowledgeGraph(
        "mine",
        Vocabulary.of(f"e{x}" for x in range(n)),
        Vocabulary.of(["r", "s"]),
        np.array(triples),
        valid=np.array(valid, dtype=np.int64).reshape(-1, 3),
    )


def connections_of(graph: KnowledgeGraph) -> EntityFrequencies:
    joint = join([graph])
    return EntityFrequencies(joint, "mine", Adjacency(Edges.of(joint)))


@pytest.fixture(scope="module")
def random() -> EntityFrequencies:
    draw = np.random.default_rng(0)
    facts = np.stack(
        [draw.integers(9, size=80), draw.integers(2, size=80), draw.integers(9, size=80)]
    )
    return connections_of(graph_of(np.unique(facts.T, axis=0).tolist(), 9))


def products(connections: EntityFrequencies, size: int, n_entities: int = 9) -> torch.Tensor:
    """Return what is added along each relation for each answer, frequency weighing 2, degree -1."""
    frequency, degree = torch.full((4,), 2.0), torch.full((4,), -1.0)
    prior = fit_frequency_prior(connections, frequency, degree, n_entities=n_entities, rank=size)
    assert prior.entities.shape[1] <= size
    return prior.relations @ prior.entities.T


def exact(connections: EntityFrequencies, n_entities: int = 9) -> torch.Tensor:
    relation, entity, count = connections.answers(np.arange(4))
    table = np.zeros((4, len(connections.degree)))
    table[relation, entity] = 2 * count
    return torch.from_numpy(table - connections.degree)[:, :n_entities].float()


def test_counts_by_hand() -> None:
    # r leads to e1 three times, to e2 once; s from e3 to e0
    facts = [[0, 0, 1], [2, 0, 1], [3, 0, 1], [1, 0, 2], [3, 1, 0]]
    found = products(connections_of(graph_of(facts, 4)), size=5, n_entities=4)
    degrees = np.log1p([2, 4, 2, 2])
    assert found[0].tolist() == pytest.approx(2 * np.log1p([0, 3, 1, 0]) - degrees, abs=1e-5)
    assert found[3].tolist() == pytest.approx(2 * np.log1p([0, 0, 0, 1]) - degrees, abs=1e-5)


@pytest.mark.parametrize("size", [5, 6, 100])
def test_where_there_is_room_for_all_of_it_it_is_exact(
    random: EntityFrequencies, size: int
) -> None:
    torch.testing.assert_close(products(random, size), exact(random), atol=1e-4, rtol=1e-4)


def test_less_room_leaves_more_out(random: EntityFrequencies) -> None:
    wanted = exact(random)
    off = [float((products(random, size) - wanted).norm()) for size in (1, 2, 3, 4, 5)]
    assert off == sorted(off, reverse=True)
    assert off[0] > 1.0
    # One number is for degrees alone.
    degree = torch.from_numpy(-random.degree).expand(4, 9)
    torch.testing.assert_close(products(random, 1), degree)


def test_relations_that_lead_alike_need_no_room_of_their_own() -> None:
    facts = [[x, relation, y] for relation in (0, 1) for x, y in ((0, 1), (2, 1), (3, 4))]
    connections = connections_of(graph_of(facts, 5))
    found = products(connections, size=3, n_entities=5)
    torch.testing.assert_close(found, exact(connections, 5), atol=1e-4, rtol=1e-4)


def test_entities_without_a_row_take_no_part(random: EntityFrequencies) -> None:
    found = products(random, size=5, n_entities=6)
    torch.testing.assert_close(found, exact(random, 6), atol=1e-4, rtol=1e-4)


def test_no_facts_leave_degrees() -> None:
    connections = connections_of(graph_of([[0, 0, 1]], 3))
    frequency, degree = torch.zeros(4), torch.full((4,), -1.0)
    prior = fit_frequency_prior(connections, frequency, degree, n_entities=3, rank=8)
    added = prior.relations @ prior.entities.T
    torch.testing.assert_close(added, torch.from_numpy(-connections.degree).expand(4, 3))


def test_the_same_facts_give_the_same_numbers(random: EntityFrequencies) -> None:
    for size in (3, 5):
        assert products(random, size).equal(products(random, size))


# -------------------------------------------------------------------------------- how it is fitted


def untrained(graph: KnowledgeGraph, rank: int) -> TrainedModel:
    """A model whose vectors know nothing."""
    settings = TrainSettings(
        model=ModelSettings(width=4), rules=RuleSettings(), prior=PriorSettings(rank=rank)
    )
    draw = torch.Generator().manual_seed(2)
    tables = (torch.randn(n, 4, generator=draw) for n in (len(graph.entities), 4))
    return TrainedModel(
        "single", KgeModel(settings.model, *tables), join([graph]), "mine", settings
    )


@pytest.fixture(scope="module")
def popular() -> KnowledgeGraph:
    """Along r, e0 is the answer of every other entity, and others answer once."""
    facts = [[x, 0, 0 if x % 2 else x - 1] for x in range(1, 60)]
    return graph_of(facts[:40], 60, valid=facts[40:])


def knowing(graph: KnowledgeGraph, rank: int) -> TrainedModel:
    model = untrained(graph, rank)
    return with_evidence(model, graph, USELESS, np.ones(len(model.graph.triples)))


def mrr(model: TrainedModel, graph: KnowledgeGraph) -> float:
    collection = Collection("alone", {"mine": graph}, target="mine")
    found = evaluate(model, collection, split="valid", filters=["train+valid"], by="vectors")
    return found.mrr(facts_filter="train+valid", side="tail")


def test_the_prior_improves_vectors(popular: KnowledgeGraph) -> None:
    without, with_prior = knowing(popular, 0), knowing(popular, 8)
    assert without.kge.prior is None
    assert mrr(with_prior, popular) > mrr(without, popular) + 0.3
    assert with_prior.evidence is not None
    assert without.evidence is not None
    assert with_prior.evidence.weights.equal(without.evidence.weights)
    # measured on facts that nothing was fitted to, it is better too
    assert with_prior.evidence.mrr["vectors"] > without.evidence.mrr["vectors"] + 0.1
    assert with_prior.evidence.mrr["both"] == without.evidence.mrr["both"]


def test_without_validation_facts_nothing_is_fitted(popular: KnowledgeGraph) -> None:
    assert knowing(replace(popular, valid=popular.valid[:0]), 8).kge.prior is None
