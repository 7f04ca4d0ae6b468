"""What a teacher adds: which terms, from which rows, and where a student starts."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from kgraft.linking.linked_subgraph import LinkedSubgraph
from kgraft.model.encoders import complex_product
from kgraft.model.kge import KgeModel
from kgraft.settings import DistillationSettings, ModelSettings
from kgraft.training.auxiliary_loss import StepState
from kgraft.training.batch import Batch
from kgraft.training.distillation import DistillationLoss, warm_start, with_inverses
from kgraft.training.distillation_losses import (
    contrastive_loss,
    feature_loss,
    hint_loss,
    prediction_loss,
    similarity_loss,
)

# Rows of the subgraph; see the fixtures tiny and tiny_subgraph.
ANN, BOB, CAY, DAN, EVE, Z = range(6)
LIKES, KNOWS, SEES = range(3)
INVERSE = 3
# Rows of the teacher, whose relations are sees (0) and likes (1).
TEACHER_ROW = {ANN: 3, BOB: 2, CAY: 1, Z: 0}


def teacher_of(width: int) -> KgeModel:
    return KgeModel.create(ModelSettings(width=width, init_scale=1.0), 4, 2, seed=7)


def student_of(width: int, subgraph: LinkedSubgraph) -> KgeModel:
    graph = subgraph.graph
    settings = ModelSettings(width=width, init_scale=1.0)
    return KgeModel.create(settings, graph.n_entities, graph.n_relations, seed=8)


def step_of(student: KgeModel, queries: list[tuple[int, int]], entities: list[int]) -> StepState:
    """A step of these (head, relation) queries with these candidates; all answers are the first."""
    heads, relations = (torch.tensor(column) for column in zip(*queries, strict=True))
    used, relation_positions = relations.unique(return_inverse=True)
    rows, relation_rows = student.entities[entities], student.relations[used]
    places = torch.tensor([entities.index(head) for head in heads.tolist()])
    asked = complex_product(rows[places], relation_rows[relation_positions])
    batch = Batch(
        torch.tensor(entities),
        used,
        places,
        relation_positions,
        torch.zeros_like(places),
        torch.empty(0, dtype=torch.int64),
        torch.zeros(len(places)),
        torch.ones(len(places)),
        torch.ones(len(entities) + len(used)),
        torch.zeros(len(entities)),
    )
    return StepState(batch, rows, relation_rows, asked)


def terms_of(teaching: DistillationLoss, step: StepState) -> dict[str, Tensor]:
    """The terms, as the trainer asks for them."""
    known = replace(step.batch, auxiliary=teaching.prepare_batch(step.batch))
    terms: dict[str, Tensor] = teaching(replace(step, batch=known))
    return terms


ALL = DistillationSettings(feature=1.0, network=1.0, prediction=1.0, temperature=2.0, every=1)
SEEN = torch.tensor([1, 2, 3, 4])
"""How many facts the teacher has seen about its entities."""

SOME_LINKED = [
    (ANN, LIKES),
    (DAN, LIKES),
    (BOB, KNOWS),
    (CAY, LIKES + INVERSE),
    (Z, SEES + INVERSE),
]


@pytest.mark.parametrize("weights", list(itertools.product([0.0, 1.0], repeat=3)), ids=str)
def test_terms_appear_by_their_weights(
    tiny_subgraph: LinkedSubgraph, weights: tuple[float, ...]
) -> None:
    names = ("feature", "network", "prediction")
    settings = DistillationSettings(**dict(zip(names, weights, strict=True)))
    teaching = DistillationLoss(
        teacher_of(6), tiny_subgraph, ModelSettings(width=4), settings, SEEN
    )
    student = student_of(4, tiny_subgraph)
    terms = terms_of(teaching, step_of(student, SOME_LINKED, [ANN, BOB, CAY, DAN, Z]))
    assert terms.keys() == {name for name, on in zip(names, weights, strict=True) if on}


def test_a_step_without_linked_rows_has_no_terms(tiny_subgraph: LinkedSubgraph) -> None:
    teaching = DistillationLoss(teacher_of(6), tiny_subgraph, ModelSettings(width=4), ALL, SEEN)
    student = student_of(4, tiny_subgraph)
    assert terms_of(teaching, step_of(student, [(DAN, LIKES), (EVE, KNOWS)], [DAN, EVE])) == {}


def test_queries_that_the_teacher_does_not_understand_leave_the_feature_level(
    tiny_subgraph: LinkedSubgraph,
) -> None:
    teaching = DistillationLoss(teacher_of(6), tiny_subgraph, ModelSettings(width=4), ALL, SEEN)
    student = student_of(4, tiny_subgraph)
    # The head is not linked; the relation is unknown; the inverse of an unknown relation is too.
    queries = [(DAN, LIKES), (ANN, KNOWS), (ANN, KNOWS + INVERSE)]
    assert terms_of(teaching, step_of(student, queries, [ANN, DAN])).keys() == {"feature"}


def test_terms_compare_the_rows_that_are_the_same(tiny_subgraph: LinkedSubgraph) -> None:
    teacher, student = teacher_of(6), student_of(4, tiny_subgraph)
    teaching = DistillationLoss(teacher, tiny_subgraph, ModelSettings(width=4), ALL, SEEN)
    with torch.no_grad():
        for number, parameter in enumerate((teaching.feature_map, teaching.query_map)):
            parameter.copy_(torch.randn(6, 4, generator=torch.Generator().manual_seed(number)))
    terms = terms_of(teaching, step_of(student, SOME_LINKED, [ANN, BOB, CAY, DAN, Z]))
    linked = [ANN, BOB, CAY, Z]
    taught = teacher.entities[[TEACHER_ROW[row] for row in linked]]
    # Understood are ann likes ?, cay's inverse of likes, Z's inverse of sees.
    own_queries = complex_product(
        student.entities[[ANN, CAY, Z]],
        student.relations[[LIKES, LIKES + INVERSE, SEES + INVERSE]],
    )
    teacher_queries = complex_product(
        teacher.entities[[3, 1, 0]], teacher.relations[[1, 1 + 2, 0 + 2]]
    )
    own = student.entities[linked]
    expected: dict[str, Tensor] = {
        "feature": feature_loss(taught @ teaching.feature_map, own),
        "network": hint_loss(teacher_queries @ teaching.query_map, own_queries)
        + similarity_loss(teacher_queries, own_queries),
        "prediction": prediction_loss(teacher_queries @ taught.T, own_queries @ own.T, 2.0),
    }
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, msg=name)


def test_a_student_that_starts_from_its_teacher_agrees_with_it(
    tiny_subgraph: LinkedSubgraph,
) -> None:
    teacher, student = teacher_of(6), student_of(6, tiny_subgraph)
    warm_start(student, teacher, tiny_subgraph)
    teaching = DistillationLoss(teacher, tiny_subgraph, ModelSettings(width=6), ALL, SEEN)
    terms = terms_of(teaching, step_of(student, SOME_LINKED, [ANN, BOB, CAY, DAN, Z]))
    for name, value in terms.items():
        assert value.item() == pytest.approx(0.0, abs=1e-5), name


def test_only_the_maps_are_learned(tiny_subgraph: LinkedSubgraph) -> None:
    teaching = DistillationLoss(teacher_of(6), tiny_subgraph, ModelSettings(width=4), ALL, SEEN)
    shapes = {name: tuple(x.shape) for name, x in teaching.named_parameters()}
    assert shapes == {"feature_map": (6, 4), "query_map": (6, 4)}
    assert teaching.feature_map.data_ptr() != teaching.query_map.data_ptr()


def test_inverses_follow_the_relations_and_unknown_stays_unknown() -> None:
    assert with_inverses(torch.tensor([1, -1, 0]), 2).tolist() == [1, -1, 0, 3, -1, 2]


def test_warm_start_copies_linked_rows_and_known_relations(tiny_subgraph: LinkedSubgraph) -> None:
    teacher, student = teacher_of(6), student_of(6, tiny_subgraph)
    fresh = student_of(6, tiny_subgraph)
    warm_start(student, teacher, tiny_subgraph)
    for row in range(6):
        start = teacher.entities[TEACHER_ROW[row]] if row in TEACHER_ROW else fresh.entities[row]
        assert student.entities[row].equal(start), row
    likes, sees = 1, 0  # in the teacher
    for row, known in ((LIKES, likes), (SEES, sees)):
        assert student.relations[row].equal(teacher.relations[known])
        assert student.relations[row + INVERSE].equal(teacher.relations[known + 2])
    for row in (KNOWS, KNOWS + INVERSE):
        assert student.relations[row].equal(fresh.relations[row])


def test_a_student_without_vectors_of_others_starts_alike(tiny_subgraph: LinkedSubgraph) -> None:
    teacher, student = teacher_of(6), student_of(6, tiny_subgraph)
    fewer = KgeModel(student.settings, student.entities[:Z].clone(), student.relations.clone())
    for started in (student, fewer):
        warm_start(started, teacher, tiny_subgraph)
    assert fewer.entities.equal(student.entities[:Z])
    assert fewer.relations.equal(student.relations)
    teaching = DistillationLoss(teacher, tiny_subgraph, ModelSettings(width=6), ALL, SEEN)
    terms = [
        terms_of(teaching, step_of(started, SOME_LINKED[:4], [ANN, BOB, CAY, DAN]))
        for started in (student, fewer)
    ]
    assert terms[0] == terms[1]


def test_a_narrower_student_starts_from_the_strongest_coordinates(
    tiny_subgraph: LinkedSubgraph,
) -> None:
    teacher, student = teacher_of(6), student_of(4, tiny_subgraph)
    teacher.entities[:, [1, 4]] *= 0.01  # complex coordinate 1 of 0, 1, 2 is weak
    warm_start(student, teacher, tiny_subgraph)
    assert student.entities[ANN].equal(teacher.entities[3][[0, 2, 3, 5]])
    assert student.relations[LIKES + INVERSE].equal(teacher.relations[3][[0, 2, 3, 5]])


def test_a_wider_student_keeps_its_own_start_where_the_teacher_has_nothing(
    tiny_subgraph: LinkedSubgraph,
) -> None:
    teacher, student = teacher_of(2), student_of(6, tiny_subgraph)
    fresh = student_of(6, tiny_subgraph)
    warm_start(student, teacher, tiny_subgraph)
    # Complex coordinate 0 is the teacher's; zeros in the others would never move.
    assert student.entities[ANN][[0, 3]].equal(teacher.entities[3])
    assert student.entities[ANN][[1, 2, 4, 5]].equal(fresh.entities[ANN][[1, 2, 4, 5]])
    assert student.relations[LIKES][[1, 2, 4, 5]].equal(fresh.relations[LIKES][[1, 2, 4, 5]])


def test_doubt_counts_a_row_by_what_the_teacher_has_seen(tiny_subgraph: LinkedSubgraph) -> None:
    teacher, student = teacher_of(6), student_of(4, tiny_subgraph)
    halved = ALL.model_copy(update={"half_weight_facts": 2.0, "prediction": 0.0})
    teaching = DistillationLoss(teacher, tiny_subgraph, ModelSettings(width=4), halved, SEEN)
    terms = terms_of(teaching, step_of(student, [(ANN, LIKES)], [ANN, BOB, CAY, DAN, Z]))
    linked = [ANN, BOB, CAY, Z]
    rows = torch.tensor([TEACHER_ROW[row] for row in linked])
    trust = SEEN[rows] / (SEEN[rows] + 2.0)
    taught, own = teacher.entities[rows] @ teaching.feature_map, student.entities[linked]
    torch.testing.assert_close(terms["feature"], feature_loss(taught, own, trust))
    asked = complex_product(student.entities[[ANN]], student.relations[[LIKES]])
    understood = complex_product(teacher.entities[[3]], teacher.relations[[1]])
    trusted = 4 / (4 + 2)  # ann is the teacher's row 3
    hint = hint_loss(understood @ teaching.query_map, asked) * trusted
    # One query is like itself to both.
    torch.testing.assert_close(terms["network"], hint)


def test_infonce_and_relation_vectors_are_forms_of_the_feature_level(
    tiny_subgraph: LinkedSubgraph,
) -> None:
    teacher, student = teacher_of(6), student_of(4, tiny_subgraph)
    settings = DistillationSettings(
        feature_form="infonce", relation_vectors=True, network=0, prediction=0, every=1
    )
    teaching = DistillationLoss(teacher, tiny_subgraph, ModelSettings(width=4), settings, SEEN)
    terms = terms_of(teaching, step_of(student, SOME_LINKED, [ANN, BOB, CAY, DAN, Z]))
    linked = [ANN, BOB, CAY, Z]
    taught = teacher.entities[[TEACHER_ROW[row] for row in linked]] @ teaching.feature_map
    known = torch.tensor([LIKES, LIKES + INVERSE, SEES + INVERSE])
    relation_rows = teacher.relations[[1, 1 + 2, 0 + 2]] @ teaching.relation_map
    expected = contrastive_loss(taught, student.entities[linked]) + contrastive_loss(
        relation_rows, student.relations[known]
    )
    torch.testing.assert_close(terms["feature"], expected)


def test_relation_vectors_mean_nothing_to_another_encoder(tiny_subgraph: LinkedSubgraph) -> None:
    settings = DistillationSettings(relation_vectors=True)
    gru = ModelSettings(encoder="gru", width=4)
    teaching = DistillationLoss(teacher_of(6), tiny_subgraph, gru, settings, SEEN)
    assert {name for name, _ in teaching.named_parameters()} == {"feature_map", "query_map"}


def test_only_so_many_queries_are_distilled(tiny_subgraph: LinkedSubgraph) -> None:
    student = student_of(4, tiny_subgraph)
    few = ALL.model_copy(update={"queries": 2, "feature": 0.0})
    teaching = DistillationLoss(teacher_of(6), tiny_subgraph, ModelSettings(width=4), few, SEEN)
    of_all = terms_of(teaching, step_of(student, SOME_LINKED, [ANN, BOB, CAY, DAN, Z]))
    of_first = terms_of(teaching, step_of(student, SOME_LINKED[:2], [ANN, BOB, CAY, DAN, Z]))
    for name in ("network", "prediction"):
        torch.testing.assert_close(of_all[name], of_first[name])


def test_weights_stay_or_fade(tiny_subgraph: LinkedSubgraph) -> None:
    for schedule, share in (("constant", 1.0), ("fade", 0.25)):
        settings = DistillationSettings(feature=2, network=1, prediction=4, schedule=schedule)
        teaching = DistillationLoss(
            teacher_of(6), tiny_subgraph, ModelSettings(width=4), settings, SEEN
        )
        expected = {"feature": 2 * share, "network": share, "prediction": 4 * share}
        assert teaching.weights(0.75) == expected


def test_the_teacher_is_imitated_every_so_many_steps_and_counts_as_many_times(
    tiny_subgraph: LinkedSubgraph,
) -> None:
    student = student_of(4, tiny_subgraph)
    step = step_of(student, SOME_LINKED, [ANN, BOB, CAY, DAN, Z])
    settings = ALL.model_copy(update={"every": 3})
    seldom, always = (
        DistillationLoss(teacher_of(6), tiny_subgraph, ModelSettings(width=4), own, SEEN)
        for own in (settings, ALL)
    )
    expected = terms_of(always, step)
    assert expected.keys() == {"feature", "network", "prediction"}
    for number in range(7):
        terms = terms_of(seldom, replace(step, batch=replace(step.batch, number=number)))
        if number % 3:
            assert terms == {}
        else:
            for name, value in expected.items():
                torch.testing.assert_close(terms[name], 3 * value, msg=name)
