"""From proposals through a review to the next student."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from kgraft.errors import DataError
from kgraft.inference.complete import complete
from kgraft.inference.predict import Predictor, predict
from kgraft.inference.prediction_files import form_of, predictions_file
from kgraft.linking.collection import Collection
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.retrain import retrain
from kgraft.pipeline.run import RunOptions
from kgraft.settings import RetrainSettings


class Told:
    """Keeps what a run tells."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def begin(self, what: str, total: int) -> None:
        pass

    def advance(self, steps: int) -> None:
        pass

    def tell(self, text: str) -> None:
        self.lines.append(text)

    def end(self) -> None:
        pass


def test_a_review_changes_the_next_student(
    generated: Collection,
    teacher: TrainedModel,
    student: TrainedModel,
    fast_student: RetrainSettings,
    tmp_path: Path,
) -> None:
    path, predictor = tmp_path / "review.csv", Predictor(student)
    frames = list(complete(predictor, min_probability=0.1))
    form = form_of(predictor, "student", {})
    with predictions_file(path, dict(frames[0].schema), form) as append:
        for frame in frames:
            append(frame)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 10
    for row, decision in zip(rows, ["accept"] * 4 + ["refuse"] * 4, strict=False):
        row["decision"] = decision
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    told = Told()
    found = retrain(
        generated, teacher, fast_student, decisions=path, options=RunOptions(listener=told)
    )
    assert told.lines[0].startswith(f"{path}: 4 accepted (beside 0 stated already), 4 refused, ")
    assert len(found.graph.known_false["mine"]) == 4
    own = found.graph.graphs()["mine"]
    assert len(own.train) == len(generated.target_graph.train) + 4
    for row in rows[4:8]:
        answers = predict(found, head=row["head"], relation=row["relation"], k=200)
        assert row["tail"] not in {x.tail for x in answers}


def test_a_decision_that_cannot_be_followed_ends_the_run(
    generated: Collection, teacher: TrainedModel, tmp_path: Path
) -> None:
    path = tmp_path / "review.csv"
    path.write_text("decision,head,relation,tail\naccept,nobody,r1,mine:3\n")
    with pytest.raises(DataError, match=r"review\.csv, line 2: no entity or relation is called"):
        retrain(generated, teacher, decisions=[path])
