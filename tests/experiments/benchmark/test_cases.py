"""Cases: they survive the way to their process, and the affordable k-hop subgraph."""

from __future__ import annotations

import pytest

from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.linking.linked_subgraph import connect
from kgraft.settings import RetrainSettings, SubgraphSettings, TrainSettings
from kgraft_experiments.benchmark.cases import Case, ablation, comparison, teachers
from kgraft_experiments.benchmark.settings import BenchmarkSettings

TEACHER = Case(targets=("a", "b"), system="teacher", settings=TrainSettings())
STUDENT = Case(
    targets=("a",),
    system="student",
    settings=RetrainSettings(subgraph=SubgraphSettings(budget=3)),
    variant="k-hop",
    share=0.5,
    teacher=TEACHER,
)


@pytest.mark.parametrize("case", [TEACHER, STUDENT])
def test_a_case_comes_back_from_json_as_it_was(case: Case) -> None:
    again = Case.model_validate_json(case.model_dump_json())
    assert again == case
    assert type(again.settings) is type(case.settings)


def test_a_case_says_what_it_is() -> None:
    assert str(TEACHER) == "teacher for a,b (seed 0, width 200)"
    assert str(STUDENT) == "student, k-hop, 50% of the links for a (seed 0, width 200)"


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (TEACHER, True),
        (STUDENT, False),
        (STUDENT.model_copy(update={"variant": "all"}), False),
        (STUDENT.model_copy(update={"variant": "all", "share": 1.0}), True),
        (TEACHER.model_copy(update={"system": "joint"}), False),
    ],
)
def test_teachers_and_students_by_their_own_settings_are_kept(case: Case, expected: bool) -> None:
    assert case.keeps_model is expected


def test_a_target_named_twice_is_one_case_and_so_is_its_teacher(generated: Collection) -> None:
    settings = BenchmarkSettings()
    teacher_of = teachers(generated, ["mine"], settings.pretrain, reuse=False)
    cases = comparison(["mine", "mine"], ["teacher"], settings, teacher_of, seeds=[0, 1])
    assert cases == [teacher_of("mine")]


def test_a_k_hop_student_has_at_most_twice_the_facts_of_an_induced_one(
    generated: Collection,
) -> None:
    settings = BenchmarkSettings()
    teacher_of = teachers(generated, ["mine"], settings.pretrain, reuse=False)
    cases = ablation(generated, ["mine"], settings, teacher_of, seeds=[0])
    [budget] = [x.settings.subgraph.budget for x in cases if x.variant == "k-hop"]
    background = join([generated.graphs[x] for x in ("atlas", "cards")], generated.links)
    own = generated.graphs["mine"]
    induced = len(connect(own, generated.links, background).graph.triples)
    assert len(own.train) + budget == 2 * induced
