"""Facts known to be false, and facts stated with a confidence, from training to evaluation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples
from kgraft.graph.known_facts import KnownFacts
from kgraft.inference.complete import complete
from kgraft.inference.predict import Predictor, predict
from kgraft.io.interchange import from_arrays
from kgraft.linking.collection import Collection, collect
from kgraft.linking.join import join
from kgraft.linking.links import Links
from kgraft.linking.stated_weights import false_facts, stated_weights
from kgraft.model.directory import load_model
from kgraft.model.ensemble import EnsembleScorer, EvidenceScorer
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.candidate_lists import false_queries, score_sample
from kgraft.pipeline.fit_calibration import (
    fit_calibration,
    shares_by_all_ways,
    shares_by_vectors,
)
from kgraft.pipeline.fit_ensemble import fit_ensemble
from kgraft.pipeline.inputs import add_data
from kgraft.pipeline.pretrain import pretrain
from kgraft.pipeline.retrain import retrain, retraining_context
from kgraft.pipeline.train import train, training_context
from kgraft.rules.edges import Edges
from kgraft.rules.mining import mine_rules
from kgraft.settings import RetrainSettings, RuleSettings, TrainSettings
from kgraft.training.batch import Batch
from kgraft.training.checkpoint import Fingerprint
from kgraft.training.losses import sampled_softmax
from kgraft.training.sampler import TripleSampler
from kgraft.training.validation import draw_samples


def with_target(collection: Collection, **changes: object) -> Collection:
    """Return a collection whose target is changed."""
    target = replace(collection.target_graph, **changes)  # type: ignore[arg-type]
    return replace(collection, graphs={**collection.graphs, target.name: target})


def proposed_first(model: TrainedModel, graph: KnowledgeGraph, n: int) -> Triples:
    """Return facts that a model proposes first and no split states, ``(n, 3)``."""
    known, found = KnownFacts(graph.triples), []
    for head, relation in np.unique(graph.train[:, :2], axis=0)[:n].tolist():
        names = graph.entities.name(head), graph.relations.name(relation)
        for answer in predict(model, head=names[0], relation=names[1], k=30):
            fact = [head, relation, graph.entities.row(answer.tail)]
            if not known.contains(np.array([fact]))[0]:
                found.append(fact)
                break
    return np.array(found)


def log_probability(model: TrainedModel, facts: Triples) -> float:
    """Return the mean log softmax of the tails of a target's facts among its entities."""
    part = model.graph.part(model.target or "")
    heads, relations, _ = (torch.from_numpy(x) for x in part.joint(facts).T)
    candidates = torch.from_numpy(part.entity_rows)
    scores = model.kge.score(heads, relations, side="tail", candidates=candidates)
    found = torch.log_softmax(scores, 1).gather(1, torch.from_numpy(facts[:, 2:].copy()))
    return float(found.mean())


@pytest.fixture(scope="module")
def negated(generated: Collection, student: TrainedModel) -> Collection:
    """The generated collection, whose target negates what its student proposes first."""
    return with_target(generated, known_false=proposed_first(student, generated.target_graph, 60))


@pytest.fixture(scope="module")
def taught(
    negated: Collection, teacher: TrainedModel, fast_student: RetrainSettings
) -> TrainedModel:
    """A student of it."""
    return retrain(negated, teacher, fast_student)


def test_negatives_are_taught_as_wrong(generated: Collection, fast: TrainSettings) -> None:
    plain = train(generated, fast, alone=True)
    false = proposed_first(plain, generated.target_graph, 100)
    taught = train(with_target(generated, known_false=false), fast, alone=True)
    before, after = (log_probability(model, false) for model in (plain, taught))
    assert after < before - 2
    graph = generated.target_graph
    before, after = (log_probability(model, graph.train) for model in (plain, taught))
    assert after > before - 0.5
    assert taught.metrics["validation_mrr"] > plain.metrics["validation_mrr"] - 0.02


def test_negatives_are_never_proposed(negated: Collection, taught: TrainedModel) -> None:
    graph = negated.target_graph
    false = {
        (graph.entities.name(h), graph.relations.name(r), graph.entities.name(t))
        for h, r, t in graph.known_false
    }
    for head, relation, tail in sorted(false)[:10]:
        for asked in ({"head": head, "tail": None}, {"head": None, "tail": tail}):
            answers = predict(taught, relation=relation, k=500, **asked)  # type: ignore[arg-type]
            assert not false & {(x.head, x.relation, x.tail) for x in answers}
        relations = predict(taught, head=head, tail=tail, k=50)
        assert relation not in {x.relation for x in relations}
    for facts in complete(Predictor(taught), k=50, min_probability=0):
        assert not false & set(facts.select("head", "relation", "tail").rows())


def test_a_model_directory_keeps_negatives_and_confidences(
    negated: Collection, fast: TrainSettings, tmp_path: Path
) -> None:
    draw = np.random.default_rng(0)
    given = {"train": draw.uniform(0.1, 1.0, len(negated.target_graph.train))}
    model = train(with_target(negated, confidence=given), fast, alone=True)
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model").graph
    assert again.known_false.keys() == {"mine"}
    np.testing.assert_array_equal(again.known_false["mine"], negated.target_graph.known_false)
    np.testing.assert_array_equal(again.confidence, given["train"])
    graph = again.graphs()["mine"]
    np.testing.assert_array_equal(graph.known_false, negated.target_graph.known_false)
    np.testing.assert_array_equal(graph.confidence["train"], given["train"])


def test_negatives_and_confidences_reach_a_student_through_its_teacher(
    generated: Collection, fast: TrainSettings
) -> None:
    atlas = generated.graphs["atlas"]
    false = np.stack([atlas.train[:5, 2], atlas.train[:5, 1], atlas.train[:5, 0]], axis=1)
    false = false[~KnownFacts(atlas.triples).contains(false)]
    given = {"train": np.linspace(0.2, 1.0, len(atlas.train))}
    atlas = replace(atlas, known_false=false, confidence=given)
    known = replace(generated, graphs={**generated.graphs, "atlas": atlas})
    teacher = pretrain(known, fast)
    graph = retraining_context(known, teacher).graph
    assert 0 < len(graph.known_false["atlas"]) <= len(false)
    stated = graph.triple_sources == graph.sources.index("atlas")
    assert graph.confidence is not None
    assert set(graph.confidence[stated].tolist()) < set(given["train"].tolist())
    assert (graph.confidence[~stated] == 1).all()


def test_a_fact_that_the_target_negates_is_not_learned_from_others() -> None:
    mine = from_arrays("mine", [(0, 0, 1), (1, 0, 2)], known_false=[(0, 0, 2)])
    other = from_arrays("other", [(0, 0, 2), (2, 0, 1)])
    same = np.stack([np.arange(3)] * 2, axis=1)
    links = Links("mine", "other", same, np.ones(3, dtype=np.float32))
    graph = join([mine, other], [links])
    weights = stated_weights(graph, "mine")
    assert weights is not None
    assert weights.tolist() == [1, 1, 0, 1]
    assert false_facts(graph, weights, 3).tolist() == [[0, 0, 2]]
    assert stated_weights(graph) is None  # a teacher has no target; the fact that is stated counts
    assert len(false_facts(graph, None, 3)) == 0
    context = training_context(collect([mine, other], [links], target="mine"))
    assert context.task.weights is not None
    assert context.task.weights[2] == 0


def test_facts_weigh_as_they_are_certain(generated: Collection, teacher: TrainedModel) -> None:
    given = np.where(np.arange(len(generated.target_graph.train)) % 2, 1.0, 0.25)
    known = with_target(generated, confidence={"train": given})
    for context in (
        training_context(known, alone=True),
        training_context(known),
        retraining_context(known, teacher),
    ):
        weights = context.task.weights
        assert weights is not None
        assert weights[weights > 0].mean() == pytest.approx(1.0)
        own = weights[: len(given)]
        np.testing.assert_allclose(own / own.max(), given, rtol=1e-6)
    assert training_context(generated, alone=True).task.weights is None


# ------------------------------------------------------------------------------------ single steps


def test_the_loss_of_a_wrong_answer_is_the_log_of_the_rest() -> None:
    torch.manual_seed(0)
    queries, candidates = torch.randn(3, 4), torch.randn(6, 4)
    answers, weights = torch.tensor([1, 2, 5]), torch.tensor([1.0, -0.5, 2.0])
    leaves = [x.clone().requires_grad_() for x in (queries, candidates)]
    log_p = torch.log_softmax(leaves[0] @ leaves[1].T, dim=1).gather(1, answers[:, None])[:, 0]
    rest = torch.log1p(-log_p.exp())
    expected = -(weights * torch.where(weights < 0, -rest, log_p)).sum()
    expected.backward()
    found = sampled_softmax(queries, candidates, answers, weights_B=weights, has_known_false=True)
    torch.testing.assert_close((found.losses * weights).sum(), expected.detach())
    torch.testing.assert_close(found.of_queries, leaves[0].grad)
    torch.testing.assert_close(found.of_candidates, leaves[1].grad)


def test_a_certain_wrong_answer_has_a_finite_gradient() -> None:
    queries, candidates = torch.tensor([[100.0]]), torch.tensor([[1.0], [-1.0]])
    found = sampled_softmax(
        queries, candidates, torch.tensor([0]), weights_B=torch.tensor([-1.0]), has_known_false=True
    )
    assert found.losses.isfinite().all()
    assert found.of_queries.isfinite().all()


@pytest.mark.parametrize("path_length", [1, 3])
def test_an_epoch_asks_for_each_negative_both_ways(path_length: int) -> None:
    facts = np.array([[0, 0, 1], [1, 0, 2], [2, 1, 3]])
    false = np.array([[0, 1, 3], [2, 0, 1]])
    sampler = TripleSampler(
        facts, 4, 2, known_false=false, path_length=path_length,
        batch_size=3 * path_length, negatives=2, seed=0,
    )  # fmt: skip
    batches: list[Batch] = list(sampler.epoch(1))
    assert sum(len(x) for x in batches) == sampler.n_queries == 10 * path_length
    assert len(batches) == sampler.n_steps
    wrong = []
    for batch in batches:
        weights = batch.weights.view(-1, path_length)
        assert bool((weights[:, 0] < 0).any()) == batch.has_known_false
        assert (weights[weights[:, 0] < 0, 1:] == 0).all()
        places = (batch.weights < 0).nonzero()[:, 0]
        wrong += [
            (
                int(batch.entities[batch.heads[x]]),
                int(batch.relations[batch.relation_positions[x]]),
                int(batch.entities[batch.tails[x]]),
            )
            for x in places.tolist()
        ]
    assert sorted(wrong) == sorted([(0, 1, 3), (3, 3, 0), (2, 0, 1), (1, 2, 2)])


# --------------------------------------------------------------------- calibration, rules, metrics


def test_queries_of_negatives_that_validation_does_not_ask_serve_calibration(
    negated: Collection, taught: TrainedModel
) -> None:
    (sample,) = draw_samples(taught.graph, [negated.target_graph], taught.settings.training)
    assert len(sample.known_false)
    asked = KnownFacts(sample.facts)
    for side in ("head", "tail"):
        blocks = false_queries(sample, side)  # type: ignore[arg-type]
        for block in blocks:
            query, _ = asked.answers(block[:, 0], block[:, 1], side)  # type: ignore[arg-type]
            assert not len(query)
    plain = replace(sample, known_false=sample.known_false[:0])
    assert false_queries(plain, "tail") == []


@pytest.mark.parametrize("by_rules", [False, True])
def test_negatives_make_probabilities_smaller(
    generated: Collection, student: TrainedModel, by_rules: bool
) -> None:
    (sample,) = draw_samples(student.graph, [generated.target_graph], student.settings.training)
    part = student.graph.part("mine")
    false = part.joint(proposed_first(student, generated.target_graph, 150))
    found = []
    for known in (sample, replace(sample, known_false=false)):
        if by_rules:
            assert student.evidence is not None
            index = student.evidence.index_in(student.graph, "mine")
            evidence = EvidenceScorer(index, student.kge.n_entities, student.kge.n_relations)
            scorer = EnsembleScorer(student.kge, evidence, student.evidence.weights)
            scored = score_sample(scorer, known)
            ensemble = fit_ensemble(scored.facts, scorer, prior_rank=2)
            assert ensemble.held_out is not None
            n_entities = student.graph.n_entities
            shares = shares_by_all_ways(scored.queries, ensemble.held_out, n_entities)
        else:
            shares = shares_by_vectors(student.kge, known)
        calibration = fit_calibration(shares).calibration
        found.append(calibration["both" if by_rules else "vectors"])
    grid = torch.linspace(-6, 0, 20)
    before, after = (float(x.probability(grid).mean()) for x in found)
    assert after < before - 0.02


def test_uncertain_facts_count_less_for_rules() -> None:
    # r1(x, y) follows from r0(x, y) in 12 cases, half of them stated with little confidence.
    facts = [(x, 0, x + 20) for x in range(20)] + [(x, 1, x + 20) for x in range(12)]
    plain = from_arrays("g", facts)
    uncertain = (plain.train[:, 1] == 1) & (plain.train[:, 0] >= 6)
    less = replace(plain, confidence={"train": np.where(uncertain, 0.25, 1.0)})
    settings = RuleSettings(longest=1, support=2, confidence=0.01)
    found = []
    for graph in (plain, less):
        frame = mine_rules(Edges.of(join([graph])), np.arange(2), settings).frame
        of_rule = (frame["relation"] == 1) & (frame["first"] == 0) & frame["answer"].is_null()
        row = frame.filter(of_rule)
        found.append((row["support"].item(), row["confidence"].item()))
    assert found[0] == (12, pytest.approx(12 / 25))
    assert found[1] == (round(6 + 6 * 0.25), pytest.approx(7.5 / 25))


def test_metrics_are_weighted_by_confidence(generated: Collection, student: TrainedModel) -> None:
    graph = generated.target_graph
    plain = student.evaluate(generated)
    ranks = plain.ranks["tail", "all"].realistic
    weights = np.where(ranks > np.median(ranks), 0.1, 1.0)
    known = with_target(generated, confidence={"test": weights})
    found = student.evaluate(known, sides=("tail",))
    assert len(graph.test) == len(weights)
    assert found.mrr("tail") == pytest.approx(np.average(1 / ranks, weights=weights))
    assert found.mrr("tail") > plain.mrr("tail")
    total = sum(x["mrr"] * x["queries"] for x in student.evaluate(known).by_relation())
    assert total > sum(x["mrr"] * x["queries"] for x in plain.by_relation())


def test_fingerprints_tell_negatives_and_confidences() -> None:
    graph = from_arrays("g", [(0, 0, 1), (1, 0, 2)])
    graphs = [
        graph,
        replace(graph, known_false=np.array([[0, 0, 2]])),
        replace(graph, confidence={"train": np.array([0.5, 1.0])}),
        replace(graph, confidence={"train": np.array([1.0, 0.5])}),
    ]
    assert len({str(add_data(Fingerprint(), [x], ())) for x in graphs}) == 4
