"""A student's subgraph has entities that its target does not: rules go by them, vectors do not.

Mine states ``r(x0, y0)`` to ``r(x7, y7)`` and holds out two more. Big knows the same people, and
things ``a0`` to ``a9`` of its own between them: ``r1(xi, ai)`` and ``r2(ai, yi)``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kgraft.errors import DataError, UnknownNameError
from kgraft.evaluation.evaluate import evaluate
from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples
from kgraft.graph.vocabulary import Vocabulary
from kgraft.inference.predict import predict
from kgraft.inference.rules import StatedFact, rules
from kgraft.linking.collection import Collection, collect
from kgraft.linking.links import Links
from kgraft.model.directory import load_model, save_model
from kgraft.model.evidence import WAYS
from kgraft.model.kge import KgeModel
from kgraft.model.model_card import model_card
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline import embeddings
from kgraft.pipeline.pretrain import pretrain
from kgraft.pipeline.retrain import retrain
from kgraft.rules.rule_answers import CONFIDENCE_OFFSET, NO_ANSWER_ODDS
from kgraft.settings import (
    DistillationSettings,
    ModelSettings,
    RetrainSettings,
    SubgraphSettings,
    TrainingSettings,
    TrainSettings,
)
from kgraft.training.sampler import TripleSampler

N = 10
ROWS = np.arange(N)
A, X, Y = ROWS, ROWS + N, ROWS + 2 * N
"""Big's rows; mine's are those of ``x`` and ``y``, each ``N`` less."""
R1, R2, KNOWS = range(3)

SETTINGS = RetrainSettings(
    model=ModelSettings(width=8),
    training=TrainingSettings(epochs=2, min_steps=0, batch_size=32, negatives=16, validate_every=1),
)


def facts(heads: Triples, relation: int, tails: Triples) -> Triples:
    return np.stack([heads, np.full_like(heads, relation), tails], axis=1)


@pytest.fixture(scope="module")
def collection() -> Collection:
    stated = facts(X - N, 0, Y - N)
    mine = KnowledgeGraph(
        "mine",
        Vocabulary.of(f"{kind}{i}" for kind in "xy" for i in ROWS),
        Vocabulary.of(["r"]),
        *(stated[:8], stated[8:9], stated[9:]),
    )
    big = KnowledgeGraph(
        "big",
        Vocabulary.of(f"{kind}{i}" for kind in "AXY" for i in ROWS),
        Vocabulary.of(["r1", "r2", "knows"]),
        np.concatenate([facts(X, R1, A), facts(A, R2, Y), facts(X, KNOWS, np.roll(X, 1))]),
        test=np.array([[X[0], R1, A[1]], [X[0], KNOWS, X[1]]]),
    )
    pairs = np.stack([np.arange(2 * N), np.arange(N, 3 * N)], axis=1)
    links = Links("mine", "big", pairs, np.ones(2 * N, dtype=np.float32))
    return collect([mine, big], [links], target="mine", name="detour")


@pytest.fixture(scope="module")
def teacher(collection: Collection) -> TrainedModel:
    return pretrain(collection, TrainSettings(model=SETTINGS.model, training=SETTINGS.training))


@pytest.fixture(scope="module")
def student(collection: Collection, teacher: TrainedModel) -> TrainedModel:
    """By the default settings of subgraphs."""
    return retrain(collection, teacher, SETTINGS)


def with_vectors_of_all(**changes: Any) -> RetrainSettings:
    return SETTINGS.model_copy(update={"subgraph": SubgraphSettings(vectors="all"), **changes})


def test_only_the_targets_entities_have_vectors(student: TrainedModel) -> None:
    assert (student.kge.n_entities, student.graph.n_entities) == (2 * N, 3 * N)
    assert len(student.graph.triples) == 8 + 3 * N
    assert f"{N} further entities have no vector" in model_card(student)


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> list[tuple[set[tuple[int, ...]], int]]:
    """Of each run the facts that are learned, stated or inferred, and how many have vectors."""
    found: list[tuple[set[tuple[int, ...]], int]] = []

    class Spied(TripleSampler):
        def __init__(self, triples: Triples, n_entities: int, *rest: Any, **options: Any) -> None:
            every = np.concatenate([triples, options["pseudo_facts"].triples])
            found.append(({*map(tuple, every.tolist())}, n_entities))
            super().__init__(triples, n_entities, *rest, **options)

    monkeypatch.setattr(embeddings, "TripleSampler", Spied)
    return found


def test_vectors_learn_the_facts_between_the_targets_entities(
    collection: Collection, teacher: TrainedModel, learned: list[tuple[set[tuple[int, ...]], int]]
) -> None:
    model = retrain(collection, teacher, SETTINGS)
    [(all_facts, n_entities)] = learned
    relation = {
        name: int(part.relation_rows[part.relations.row(name)])
        for source, name in (("mine", "r"), ("big", "knows"))
        for part in [model.graph.part(source)]
    }
    stated = facts(X - N, relation["r"], Y - N)[:8]
    known = facts(X - N, relation["knows"], np.roll(X, 1) - N)
    inferred = facts(X - N, relation["r"], Y - N)[8:]  # by r1 and r2
    expected = np.concatenate([stated, known, inferred]).tolist()
    assert all_facts == {*map(tuple, expected)}
    assert n_entities == 2 * N


def test_vectors_of_all_learn_all_facts(
    collection: Collection, teacher: TrainedModel, learned: list[tuple[set[tuple[int, ...]], int]]
) -> None:
    # Nothing but the facts moves the rows from where they start.
    nothing = DistillationSettings(feature=0, network=0, prediction=0, warm_start=False)
    model = retrain(collection, teacher, with_vectors_of_all(distillation=nothing))
    assert model.kge.n_entities == model.graph.n_entities == 3 * N
    [(all_facts, n_entities)] = learned
    assert all_facts >= {*map(tuple, model.graph.triples.tolist())}
    assert n_entities == 3 * N
    start = KgeModel.create(SETTINGS.model, 3 * N, model.graph.n_relations)
    assert (model.kge.entities != start.entities).any(dim=1).all()
    assert "further entities" not in model_card(model)


def test_rules_infer_by_way_of_them(student: TrainedModel) -> None:
    [found] = predict(student, head="x9", relation="r", k=1, by="rules")
    # Held out, so that mine states it, and rules alone infer it.
    assert (found.tail, found.stated_by) == ("y9", ("mine",))
    said = 8 / (10 + 5) + CONFIDENCE_OFFSET  # 8 of 10 paths, and 5 wrong ones charged
    assert found.score == pytest.approx(said / (said + NO_ANSWER_ODDS))
    [back] = predict(student, relation="r", tail="y9", k=1, by="rules")
    assert (back.head, back.score) == ("x9", found.score)


def test_without_them_nothing_follows(collection: Collection, teacher: TrainedModel) -> None:
    induced = SETTINGS.model_copy(update={"subgraph": SubgraphSettings(mode="induced")})
    model = retrain(collection, teacher, induced)
    assert model.graph.n_entities == 2 * N
    assert {x.score for x in predict(model, head="x9", relation="r", by="rules", k=2 * N)} == {0.0}


def test_an_example_names_them(student: TrainedModel) -> None:
    [rule] = (x for x in rules(student, n_examples=2) if "r1" in x.text)
    assert rule.text == "r(X, Y) if r1(X, A) and r2(A, Y)"
    assert rule.support == 8
    assert rule.examples == tuple(
        tuple(
            StatedFact(*names, (source,), names)
            for names, source in (
                ((f"x{i}", "r", f"y{i}"), "mine"),
                ((f"x{i}", "r1", f"A{i}"), "big"),
                ((f"A{i}", "r2", f"y{i}"), "big"),
            )
        )
        for i in (0, 1)
    )


def test_they_are_saved_and_the_loaded_model_answers_alike(
    student: TrainedModel, collection: Collection, tmp_path: Path
) -> None:
    save_model(student, tmp_path / "student")
    loaded = load_model(tmp_path / "student")
    assert loaded.kge.entities.equal(student.kge.entities)
    assert loaded.graph.n_entities == student.graph.n_entities
    assert rules(loaded) == rules(student)
    for by in WAYS:
        for target in ("mine", "big"):
            before, after = (
                evaluate(x, collection, target=target, by=by) for x in (student, loaded)
            )
            assert after.rows() == before.rows()
        for source, name in (("mine", "x9"), ("big", "X9")):
            asked: dict[str, Any] = {"head": name, "relation": "r1" if source == "big" else "r"}
            assert predict(loaded, source=source, by=by, **asked) == predict(
                student, source=source, by=by, **asked
            )


@pytest.mark.parametrize("by", WAYS)
def test_they_are_neither_answers_nor_asked_about(student: TrainedModel, by: Any) -> None:
    found = predict(student, source="big", head="X0", relation="r1", k=3 * N, by=by)
    others = {f"{kind}{i}" for kind in "XY" for i in ROWS} - {"X0"}
    assert sorted(x.tail for x in found) == sorted(others)
    for given in (
        {"head": "A0", "relation": "r2"},
        {"relation": "r1", "tail": "A0"},
        {"head": "X0", "tail": "A0"},
        {"head": "A0", "tail": "Y0"},
    ):
        with pytest.raises(UnknownNameError, match="no vector for 'A0'"):
            predict(student, source="big", by=by, **given)  # type: ignore[arg-type]


def test_with_vectors_of_all_they_are_both(collection: Collection, teacher: TrainedModel) -> None:
    model = retrain(collection, teacher, with_vectors_of_all())
    found = predict(model, source="big", head="A0", relation="r2", k=3 * N)
    assert len(found) == 3 * N - 1  # all but A0
    assert model.scorer_for(collection, "big").known.all()


@pytest.mark.parametrize("by", WAYS)
def test_the_model_faces_a_background_without_knowing_them(
    student: TrainedModel, collection: Collection, by: Any
) -> None:
    known = student.scorer_for(collection, "big", by).known
    assert known.tolist() == [False] * N + [True] * 2 * N
    ranks = evaluate(student, collection, target="big", by=by).ranks
    # Of X0 r1 ? the answer A1 is unknown: it ties with 8 others behind all known candidates, as A0
    # is filtered. Of ? r1 A1 nothing is understood: the known ones tie, but X1, which is filtered.
    assert (ranks["tail", "all"].optimistic[0], ranks["tail", "all"].pessimistic[0]) == (21, 29)
    assert (ranks["head", "all"].optimistic[0], ranks["head", "all"].pessimistic[0]) == (1, 19)


def test_where_no_fact_is_between_the_targets_entities_there_is_nothing_to_learn(
    collection: Collection, teacher: TrainedModel
) -> None:
    mine = replace(collection.graphs["mine"], train=np.empty((0, 3), dtype=np.int64))
    [links] = collection.links
    few = replace(links, pairs=links.pairs[:1], confidence=links.confidence[:1])
    bare = replace(collection, graphs={**collection.graphs, "mine": mine}, links=(few,))
    with pytest.raises(DataError, match="no fact to train on in mine, big"):
        retrain(bare, teacher, SETTINGS)
    assert len(retrain(bare, teacher, with_vectors_of_all()).log) == 2


def test_they_teach_no_other_student(student: TrainedModel, collection: Collection) -> None:
    third = KnowledgeGraph(
        "third", Vocabulary.of(["t0", "t1"]), Vocabulary.of(["r"]), np.array([[0, 0, 1]])
    )
    others = collect(
        [third, *collection.graphs.values()],
        [Links("third", "big", np.array([[0, A[0]], [1, X[0]]]), np.ones(2, dtype=np.float32))],
        target="third",
    )
    taught = retrain(others, student, SETTINGS)
    np.testing.assert_array_equal(np.isfinite(taught.kge.entities.numpy()), True)
    one = student.graph.parts["big"].entity_rows[A[0]]
    assert one >= student.kge.n_entities
