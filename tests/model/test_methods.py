"""Methods of a trained model, which are functions of higher layers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kgraft.errors import KgraftError, ModelDirectoryError
from kgraft.evaluation.evaluate import evaluate
from kgraft.inference.explain import explain
from kgraft.inference.predict import Predictor, predict
from kgraft.inference.rules import rules
from kgraft.inference.similar import similar
from kgraft.linking.collection import Collection
from kgraft.model.directory import load_model, save_model
from kgraft.model.trained_model import TrainedModel

FUNCTIONS: dict[str, tuple[Callable[..., Any], set[str]]] = {
    "save": (save_model, {"beside"}),
    "evaluate": (evaluate, {"require_fit"}),
    "predict": (predict, set()),
    "explain": (explain, set()),
    "similar": (similar, set()),
    "rules": (rules, set()),
}
"""The function of each method, and its parameters that the method leaves out."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_method_takes_what_its_function_takes(name: str) -> None:
    function, left_out = FUNCTIONS[name]
    _, *own = inspect.signature(getattr(TrainedModel, name)).parameters.values()
    _, *others = inspect.signature(function).parameters.values()
    assert own == [x for x in others if x.name not in left_out]


def test_a_model_is_saved_and_read_again(student: TrainedModel, tmp_path: Path) -> None:
    student.save(tmp_path / "student")
    with pytest.raises(ModelDirectoryError, match="there is a model already"):
        student.save(tmp_path / "student")
    student.save(tmp_path / "student", overwrite=True)
    assert repr(load_model(tmp_path / "student")) == repr(student)


def test_a_model_is_measured(student: TrainedModel, generated: Collection) -> None:
    asked: dict[str, Any] = {"split": "valid", "sides": ("tail",), "tie": "optimistic"}
    found = student.evaluate(generated, max_facts=10, by="vectors", **asked)
    expected = evaluate(student, generated, max_facts=10, by="vectors", **asked)
    assert found.rows() == expected.rows()


def test_a_model_answers(student: TrainedModel) -> None:
    found = student.predict(head="mine:1", relation="r1", k=3, by="vectors", typed=True)
    assert found == predict(student, head="mine:1", relation="r1", k=3, by="vectors", typed=True)
    assert student.similar("mine:1", k=2) == similar(student, "mine:1", k=2)
    explained = student.explain("mine:1", "r1", "mine:2", by="vectors")
    assert explained == explain(student, "mine:1", "r1", "mine:2", by="vectors")


def test_a_model_is_prepared_once_for_many_questions(
    student: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    student.prepared.clear()
    made = []
    prepare = Predictor.__init__

    def counted(self: Predictor, *arguments: Any) -> None:
        made.append(arguments[1:])
        prepare(self, *arguments)

    monkeypatch.setattr(Predictor, "__init__", counted)
    for _ in range(2):
        student.predict(head="mine:1", relation="r1")
        student.explain("mine:1", "r1", "mine:2")
        student.predict(head="mine:1", relation="r1", by="vectors")
    assert made == [(None, None), (None, "vectors")]


def test_a_report_is_written(student: TrainedModel, generated: Collection, tmp_path: Path) -> None:
    student.report(tmp_path / "r.html", generated)
    assert "Student for mine" in (tmp_path / "r.html").read_text()
    student.report(str(tmp_path / "r.html"))
    (tmp_path / "other.html").write_text("<html>mine</html>")
    with pytest.raises(KgraftError, match="this is not a report of kgraft"):
        student.report(tmp_path / "other.html")


def test_an_echo_is_one_line(student: TrainedModel, teacher: TrainedModel) -> None:
    assert repr(student).startswith("<TrainedModel: kind student, target mine, encoder complex, ")
    assert "validation MRR 0." in repr(student)
    assert len(repr(teacher)) < 300
    assert "<td>target</td><td>mine</td>" in student._repr_html_()


def test_models_know_the_held_out_facts_of_their_sources(
    generated: Collection, teacher: TrainedModel, student: TrainedModel
) -> None:
    mine, cards = generated.graphs["mine"], generated.graphs["cards"]
    assert len(student.held_out["mine"]) == len(mine.valid) + len(mine.test)
    assert len(teacher.held_out["cards"]) == len(cards.valid)
    head, relation, tail = next(x[:3] for x in mine.to_frame().rows() if x[3] == "test")
    asked = {"head": head, "relation": relation, "k": len(mine.entities)}
    [answer] = [x for x in student.predict(**asked) if x.tail == tail]
    assert "mine" in answer.stated_by
