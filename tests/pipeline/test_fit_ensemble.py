"""What vectors, rules and statements weigh, by validation facts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from fitting import with_evidence

from kgraft.evaluation.evaluate import evaluate
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.collection import Collection, collect
from kgraft.linking.join import join
from kgraft.linking.links import Links
from kgraft.model.ensemble import DEFAULT_WEIGHTS
from kgraft.model.evidence import EVIDENCE_METRIC, By, Evidence
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline import candidate_lists
from kgraft.pipeline import fit_ensemble as fit_ensemble_module
from kgraft.pipeline.fit_ensemble import FittedEnsemble
from kgraft.pipeline.train import train
from kgraft.rules.rules import Rules, rules_from
from kgraft.settings import (
    ModelSettings,
    PriorSettings,
    RuleSettings,
    TrainingSettings,
    TrainSettings,
)

N = 60
R, S = range(2)
R_FOLLOWS_FROM_S = {"relation": R, "first": S, "confidence": 0.75}


def rules_of(*rules: dict[str, Any]) -> Rules:
    return rules_from([pl.DataFrame([{"support": 2} | rule]) for rule in rules], 2)


def shifted(relation: int, shift: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    entities = np.arange(N)
    return np.stack([entities, np.full(N, relation), (entities * 7 + shift) % N], axis=1)


@pytest.fixture(scope="module")
def mine() -> KnowledgeGraph:
    """Relation s leads where relation r leads; r is to be found out for 20 entities."""
    facts = shifted(R, 5)
    return KnowledgeGraph(
        "mine",
        Vocabulary.of(f"e{x}" for x in range(N)),
        Vocabulary.of(["r", "s"]),
        np.concatenate([facts[20:], shifted(S, 5)]),
        valid=facts[:20],
    )


def untrained(
    *graphs: KnowledgeGraph, links: tuple[Links, ...] = (), rank: int = 0
) -> TrainedModel:
    """A model whose vectors know nothing."""
    settings = TrainSettings(
        model=ModelSettings(width=4), rules=RuleSettings(), prior=PriorSettings(rank=rank)
    )
    graph = join(graphs, links)
    draw = torch.Generator().manual_seed(2)
    entities = torch.randn(graph.n_entities, 4, generator=draw)
    relations = torch.randn(2 * graph.n_relations, 4, generator=draw)
    kge = KgeModel(settings.model, entities, relations)
    return TrainedModel("joint", kge, graph, graphs[0].name, settings, metrics={"other": 1})


def with_rules(model: TrainedModel, target: KnowledgeGraph, *rules: dict[str, Any]) -> TrainedModel:
    return with_evidence(model, target, rules_of(*rules))


def evidence_of(model: TrainedModel) -> Evidence:
    assert model.evidence is not None
    return model.evidence


def measured(model: TrainedModel, collection: Collection, by: By | None = None) -> float:
    found = evaluate(model, collection, split="valid", filters=["train+valid"], by=by)
    return found.mrr(facts_filter="train+valid")


def test_a_frequent_answer_is_a_candidate_though_vectors_rank_it_low() -> None:
    entities = np.arange(1, 900)
    facts = np.stack([entities, np.full(899, R), np.where(entities % 10 == 0, 1, 0)], axis=1)
    likes = Vocabulary.of(["likes", "knows"])
    names = Vocabulary.of(f"e{x}" for x in range(900))
    crowd = KnowledgeGraph("crowd", names, likes, facts[:700], valid=facts[700:])
    mrr = evidence_of(with_rules(untrained(crowd), crowd)).mrr
    assert mrr["vectors"] < 0.2
    # Of tails nearly all are the most frequent one; heads are as good as unknown.
    assert mrr["both"] > 0.45


def test_answers_may_be_more_often_linked_than_other_entities(mine: KnowledgeGraph) -> None:
    other = KnowledgeGraph("other", mine.entities, Vocabulary.of(["t"]), shifted(0, 1)[:30])
    # All tails of r in the validation facts are linked, and few other entities.
    linked = np.union1d(mine.valid[:, 2], np.arange(5))
    sure = np.ones(len(linked), dtype=np.float32)
    links = Links("mine", "other", np.stack([linked, linked], axis=1), sure)
    model = with_rules(untrained(mine, other, links=(links,)), mine)
    apart = with_rules(untrained(mine, other), mine)
    weights = evidence_of(model).weights
    assert weights[R, 9] > 0.1
    assert evidence_of(apart).weights[:, 9:].abs().max() == 0


def test_what_only_rules_can_answer_is_answered_by_them(mine: KnowledgeGraph) -> None:
    model = with_rules(untrained(mine), mine, R_FOLLOWS_FROM_S)
    mrr = evidence_of(model).mrr
    assert mrr["vectors"] < 0.2
    assert mrr["rules"] == 1.0
    assert mrr["both"] > 0.9
    assert model.answers_by == "rules"
    assert model.metrics == {"other": 1, EVIDENCE_METRIC: mrr}
    collection = Collection("alone", {"mine": mine}, target="mine")
    assert measured(model, collection) == 1.0
    assert measured(model, collection, "both") > 0.9
    # vectors count for less than by default, and rules for more
    weights = evidence_of(model).weights[[R, R + 2]]
    assert (weights[:, 0] < DEFAULT_WEIGHTS[0]).all()
    assert (weights[:, 2] == DEFAULT_WEIGHTS[2]).all()  # nothing is stated by others
    assert (weights[:, 1] > DEFAULT_WEIGHTS[1]).all()


def test_what_only_another_source_states_is_answered_by_it(mine: KnowledgeGraph) -> None:
    facts = np.concatenate([mine.valid, shifted(R, 9)[40:]])
    other = KnowledgeGraph("other", mine.entities, mine.relations, facts)
    same = np.stack([np.arange(N)] * 2, axis=1)
    links = (Links("mine", "other", same, np.ones(N, dtype=np.float32)),)
    useless = {"relation": S, "first": R, "second": R, "third": R, "confidence": 0.75}
    model = with_rules(untrained(mine, other, links=links), mine, useless)
    assert evidence_of(model).mrr["rules"] == 1.0
    assert model.answers_by == "rules"
    collection = collect([mine, other], links, target="mine", name="two")
    assert measured(model, collection) == 1.0


def test_without_validation_facts_weights_are_the_default_ones(mine: KnowledgeGraph) -> None:
    target = KnowledgeGraph("mine", mine.entities, mine.relations, mine.train)
    model = with_rules(untrained(target), target, R_FOLLOWS_FROM_S)
    assert evidence_of(model).weights.equal(torch.tensor(DEFAULT_WEIGHTS).repeat(4, 1))
    assert evidence_of(model).mrr == {}
    assert (model.answers_by, model.metrics[EVIDENCE_METRIC]) == ("vectors", {})
    assert model.scorer() is model.kge


@pytest.mark.parametrize("longest", [0, 2])
def test_only_a_model_with_rules_has_evidence(mine: KnowledgeGraph, longest: int) -> None:
    settings = TrainSettings(
        model=ModelSettings(width=4),
        training=TrainingSettings(epochs=1),
        rules=RuleSettings(longest=longest),
    )
    model = train(Collection("alone", {"mine": mine}, target="mine"), settings)
    assert (model.evidence is not None) == (longest > 0)
    assert (EVIDENCE_METRIC in model.metrics) == (longest > 0)
    # Rules alone answer all; what else there is takes nothing from them.
    assert model.answers_by == ("both" if longest else "vectors")


def test_rules_and_agreement_are_kept(mine: KnowledgeGraph) -> None:
    model, rules = untrained(mine), rules_of(R_FOLLOWS_FROM_S)
    agreement = np.linspace(0, 1, len(model.graph.triples))
    evidence = evidence_of(with_evidence(model, mine, rules, agreement))
    assert evidence.rules is rules
    assert evidence.reliability is agreement


@pytest.mark.parametrize("by", ["vectors", "rules"])
def test_ways_are_measured_as_evaluation_measures_them(mine: KnowledgeGraph, by: By) -> None:
    # a rule that is right for some, and untrained vectors; other facts of r are filtered
    half = KnowledgeGraph(
        "mine", mine.entities, mine.relations, mine.train[::2], mine.valid, mine.test
    )
    model = with_rules(untrained(half), half, R_FOLLOWS_FROM_S)
    found = evidence_of(model).mrr[by]
    wanted = measured(model, Collection("alone", {"mine": half}, target="mine"), by)
    assert 0 < wanted < 1
    assert found == pytest.approx(wanted, abs=1e-6)


def test_the_same_call_gives_the_same_weights(mine: KnowledgeGraph) -> None:
    one, other = (
        evidence_of(with_rules(untrained(mine), mine, R_FOLLOWS_FROM_S)) for _ in range(2)
    )
    assert one.weights.equal(other.weights)
    assert one.mrr == other.mrr
    assert not one.weights.equal(torch.tensor(DEFAULT_WEIGHTS).repeat(4, 1))


def test_relations_without_validation_facts_share_what_others_have_learned(
    mine: KnowledgeGraph,
) -> None:
    weights = evidence_of(with_rules(untrained(mine), mine, R_FOLLOWS_FROM_S)).weights
    assert weights[S].equal(weights[S + 2])
    assert weights[S, 0] < DEFAULT_WEIGHTS[0]
    assert not weights[R].equal(weights[R + 2])
    assert not weights[S + 2].equal(weights[R + 2])


def test_a_mixture_is_measured_on_facts_that_it_was_not_fitted_to(
    mine: KnowledgeGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_ensemble_module, "PRIOR_STRENGTH", 1e-3)  # lets one fact decide
    # A fact of which both ends are in one fold.
    alike = np.ptp(candidate_lists.folds(N)[mine.valid[:, [0, 2]]], axis=1) == 0
    valid = mine.valid[alike][:1]
    target = KnowledgeGraph("mine", mine.entities, mine.relations, mine.train, valid)
    useless = {"relation": R, "first": S, "second": S, "confidence": 0.75}
    model = with_rules(untrained(target), target, useless)
    collection = Collection("alone", {"mine": target}, target="mine")
    fitted = measured(model, collection, "both")
    # The queries for tail and head are in one part: measured apart, they have the default weights.
    default = torch.tensor(DEFAULT_WEIGHTS).repeat(4, 1)
    unfitted = replace(model, evidence=replace(evidence_of(model), weights=default, index=None))
    assert measured(unfitted, collection, "both") < fitted
    assert evidence_of(model).mrr["both"] == pytest.approx(
        measured(unfitted, collection, "both"), abs=1e-6
    )


def test_known_answers_are_no_rivals(
    tiny: Collection, by_size: Callable[..., TrainedModel]
) -> None:
    # ann knows cay is asked for. Who knows cay: bob, whom a surer rule names, is known already.
    mine = tiny.graphs["mine"]
    ann_knows_cay = {"relation": 1, "first": 0, "second": 1, "confidence": 0.25}
    bob_knows = {"relation": 3, "first": 3, "answer": 1, "confidence": 0.75}
    model = with_rules(by_size(mine, [1, 2, 3, 4, 5], [1, 1]), mine, ann_knows_cay, bob_knows)
    asked = torch.tensor([2]), torch.tensor([1])
    scores = model.scorer("rules").score(*asked, side="head", candidates=None)
    # 0.25 and 0.75, each and 0.01, as shares of the answers and of the 0.3 of none
    wanted = np.array([[0.26, 0.76, 0.0, 0.0, 0.0]]) / (0.26 + 0.76 + 0.3)
    assert scores.numpy() == pytest.approx(wanted)
    mrr = evidence_of(model).mrr
    # by vectors eve and dan are above cay; eve, dan and cay above ann
    assert mrr["vectors"] == pytest.approx((1 / 3 + 1 / 4) / 2)
    assert mrr["rules"] == 1.0


def test_an_answer_among_ties_has_their_mean_rank(
    tiny: Collection, by_size: Callable[..., TrainedModel]
) -> None:
    mine = tiny.graphs["mine"]
    useless = {"relation": 0, "first": 1, "second": 1, "confidence": 0.25}
    model = with_rules(by_size(mine, [1, 2, 3, 4, 5], [1, 1]), mine, useless)
    # cay among five; ann among four, as bob is known
    assert evidence_of(model).mrr["rules"] == pytest.approx((1 / 3 + 1 / 2.5) / 2)


def test_validation_facts_are_the_sample_that_chose_the_epoch(mine: KnowledgeGraph) -> None:
    # rules answer none but the one fact that is sampled
    model = untrained(mine)
    few = model.settings.training.model_copy(update={"validation_queries": 1, "seed": 3})
    settings = model.settings.model_copy(update={"training": few})
    sampled = mine.valid[np.random.default_rng(3).permutation(20)[0]]
    others = mine.train[(mine.train[:, 1] == R) | (mine.train[:, 0] == sampled[0])]
    target = KnowledgeGraph("mine", mine.entities, mine.relations, others, mine.valid)
    alone = TrainedModel("joint", model.kge, join([target]), "mine", settings)
    assert evidence_of(with_rules(alone, target, R_FOLLOWS_FROM_S)).mrr["rules"] == 1.0
    all_of_them = TrainedModel("joint", model.kge, join([target]), "mine", model.settings)
    assert evidence_of(with_rules(all_of_them, target, R_FOLLOWS_FROM_S)).mrr["rules"] < 0.2


def beside(valid: Any, mine: Any, other: Any, n: int) -> tuple[KnowledgeGraph, Collection]:
    """A graph and another one, all entities of which are linked."""
    names, relations = Vocabulary.of(map(str, range(n))), Vocabulary.of(["r", "s"])
    own = KnowledgeGraph("mine", names, relations, np.array(mine), valid=np.array(valid))
    big = KnowledgeGraph("big", names, relations, np.array(other))
    links = Links("mine", "big", np.stack([np.arange(n)] * 2, 1), np.ones(n, dtype=np.float32))
    return own, collect([own, big], [links], target="mine")


def test_what_is_stated_is_weighed_however_low_it_ranks_by_vectors() -> None:
    n = 3 * candidate_lists.CANDIDATES
    facts = np.stack([np.arange(n), np.zeros(n, dtype=np.int64), (np.arange(n) * 7 + 3) % n], 1)
    mine, collection = beside(facts[:50], facts[50:], facts, n)
    model = untrained(mine, collection.graphs["big"], links=collection.links)
    useless = rules_of({"relation": S, "first": R, "confidence": 0.5})
    found = with_evidence(model, mine, useless, np.full(len(model.graph.triples), 0.9))
    assert found.evidence is not None
    assert found.evidence.mrr["rules"] == pytest.approx(1.0)


def test_certain_agreement_is_measured_as_it_answers() -> None:
    # The other graph states two answers; a rule says which.
    mine, collection = beside([[0, R, 1]], [[0, S, 1]], [[0, R, 1], [0, R, 2]], 5)
    model = untrained(mine, collection.graphs["big"], links=collection.links)
    found = with_evidence(model, mine, rules_of(R_FOLLOWS_FROM_S), np.ones(3))
    assert found.evidence is not None
    measured = evaluate(found, collection, split="valid", filters=["train+valid"], by="rules")
    assert found.evidence.mrr["rules"] == pytest.approx(measured.mrr(facts_filter="train+valid"))


@pytest.mark.parametrize(
    ("ahead", "chosen"),
    [
        ([0.1, 0.1, 0.1, 0.0], "vectors"),  # mean 0.075, standard error 0.022
        ([0.5, -0.3, 0.1, -0.2], "both"),  # mean 0.025, standard error 0.157
        ([-0.1, -0.1, -0.1, -0.1], "both"),
    ],
)
def test_another_way_is_the_default_only_beyond_the_standard_error(
    ahead: list[float], chosen: By
) -> None:
    both = torch.full((4,), 0.5)
    ranks = {"vectors": both + torch.tensor(ahead), "rules": both - 0.4, "both": both}
    assert FittedEnsemble(torch.zeros(2, 9), ranks).default == chosen
    assert FittedEnsemble(torch.zeros(2, 9), {}).default is None
