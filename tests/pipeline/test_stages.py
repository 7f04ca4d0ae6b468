"""Stages of a run: shown, stored under a fingerprint of all inputs, and taken up again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kgraft.errors import DataError, KgraftWarning
from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.collection import Collection
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline import fit_target as stages
from kgraft.pipeline.retrain import retrain
from kgraft.pipeline.run import RunOptions
from kgraft.pipeline.train import train
from kgraft.settings import RetrainSettings, TrainSettings
from kgraft.system.progress import Silence

NAMES = [
    "rules",
    "rule weights",
    "pseudo-facts",
    "embeddings for mine",
    "ensemble",
    "calibration",
    "fact probability",
]
FUNCTIONS = {
    "rules": "mine_rules",
    "rule_weights": "fit_rule_weights",
    "pseudo_facts": "infer_pseudo_facts",
    "embeddings": "fit_embeddings",
    "ensemble": "fit_ensemble",
    "calibration": "fit_calibration",
    "fact_probability": "fit_fact_probability",
}
"""The function that computes each stage, by the name of its file."""


class Shown(Silence):
    """A listener that notes each stage: name, units done, total, and whether it ended."""

    def __init__(self) -> None:
        self.stages: list[list[object]] = []

    def begin(self, what: str, total: int) -> None:
        self.stages.append([what, 0, total, False])

    def advance(self, steps: int) -> None:
        self.stages[-1][1] += steps  # type: ignore[operator]

    def end(self) -> None:
        self.stages[-1][3] = True


@pytest.fixture(scope="module")
def short(fast_student: RetrainSettings) -> RetrainSettings:
    training = fast_student.training.model_copy(update={"epochs": 2, "min_steps": 0, "patience": 9})
    return fast_student.model_copy(update={"training": training})


@pytest.fixture(scope="module")
def whole(generated: Collection, teacher: TrainedModel, short: RetrainSettings) -> TrainedModel:
    return retrain(generated, teacher, short, options=RunOptions(Silence()))


def assert_same(one: TrainedModel, other: TrainedModel) -> None:
    assert one.metrics == other.metrics
    assert one.calibration == other.calibration
    for name, value in one.kge.tensors().items():
        assert other.kge.tensors()[name].equal(value), name
    assert one.evidence is not None
    assert other.evidence is not None
    assert one.evidence.weights.equal(other.evidence.weights)
    assert one.evidence.rules.frame.equals(other.evidence.rules.frame)
    assert one.evidence.rules.frame.schema == other.evidence.rules.frame.schema


def test_every_stage_is_shown_from_its_begin_to_its_end(
    generated: Collection, teacher: TrainedModel, short: RetrainSettings
) -> None:
    shown = Shown()
    retrain(generated, teacher, short, options=RunOptions(shown))
    assert [name for name, *_ in shown.stages] == NAMES
    for name, done, total, ended in shown.stages:
        assert ended, name
        if name == "rules" or name == "calibration":  # Facts with rare answers are passed over.
            assert 0 < done <= total  # type: ignore[operator]
        elif not str(name).startswith("embeddings"):  # Pseudo-facts are drawn.
            assert done == total, name


def test_a_stage_that_fails_is_ended(
    generated: Collection, fast: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = Shown()
    monkeypatch.setattr(stages, "fit_calibration", fail)
    with pytest.raises(RuntimeError):
        train(generated, fast, options=RunOptions(shown))
    assert all(ended for *_, ended in shown.stages)


def fail(*_: object, **__: object) -> None:
    raise RuntimeError("stopped")


@pytest.mark.parametrize("stopped", list(FUNCTIONS))
def test_a_stopped_run_goes_on_after_the_last_finished_stage(
    generated: Collection,
    teacher: TrainedModel,
    short: RetrainSettings,
    whole: TrainedModel,
    tmp_path: Path,
    stopped: str,
) -> None:
    options = RunOptions(Silence(), tmp_path / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, FUNCTIONS[stopped], fail)
        with pytest.raises(RuntimeError):
            retrain(generated, teacher, short, options=options)
    finished = list(FUNCTIONS)[: list(FUNCTIONS).index(stopped)]
    files = {path.stem for path in (tmp_path / "run").glob("*.safetensors")}
    assert files == set(finished)
    torn = tmp_path / "run" / f".{'ab' * 16}.embeddings.safetensors"
    torn.write_bytes(b"as a kill leaves it")
    with pytest.MonkeyPatch.context() as patch:
        for name in finished:
            patch.setattr(stages, FUNCTIONS[name], fail)
        assert_same(retrain(generated, teacher, short, options=options), whole)
    assert not torn.exists()


def with_target(collection: Collection, **changes: object) -> Collection:
    own = replace(collection.target_graph, **changes)  # type: ignore[arg-type]
    return replace(collection, graphs={**collection.graphs, own.name: own})


def renamed(vocabulary: Vocabulary) -> Vocabulary:
    return Vocabulary.of(f"{name}'" for name in vocabulary.names)


def doubtful(collection: Collection) -> Collection:
    """The last link of the first links is less sure."""
    first, *others = collection.links
    confidence = first.confidence.copy()
    confidence[-1] *= 0.5
    return replace(collection, links=(replace(first, confidence=confidence), *others))


def fewer_links(collection: Collection) -> Collection:
    first, *others = collection.links
    shorter = replace(first, pairs=first.pairs[1:], confidence=first.confidence[1:])
    return replace(collection, links=(shorter, *others))


CHANGES: dict[str, Callable[[Collection], Collection]] = {
    "facts": lambda x: with_target(x, train=x.target_graph.train[1:]),
    "order of facts": lambda x: with_target(x, train=x.target_graph.train[::-1]),
    "validation facts": lambda x: with_target(x, valid=x.target_graph.valid[1:]),
    "test facts": lambda x: with_target(x, test=x.target_graph.test[1:]),
    "entity names": lambda x: with_target(x, entities=renamed(x.target_graph.entities)),
    "link confidences": doubtful,
    "links": fewer_links,
}


Start = Callable[[Collection, Path], TrainedModel]


@pytest.fixture(scope="module", params=["train", "retrain"])
def start(
    request: pytest.FixtureRequest,
    teacher: TrainedModel,
    fast: TrainSettings,
    short: RetrainSettings,
) -> Start:
    """A command that keeps its run in a directory."""

    def begin(collection: Collection, directory: Path) -> TrainedModel:
        options = RunOptions(Silence(), directory)
        if request.param == "train":
            return train(collection, fast, options=options)
        return retrain(collection, teacher, short, options=options)

    return begin


@pytest.fixture(scope="module")
def stopped_run(
    start: Start, generated: Collection, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The directory of a run that stopped before its last stage."""
    directory = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "fit_calibration", fail)
        with pytest.raises(RuntimeError):
            start(generated, directory)
    return directory


@pytest.mark.parametrize("changed", list(CHANGES))
def test_a_run_of_other_data_is_never_continued(
    start: Start, stopped_run: Path, generated: Collection, changed: str
) -> None:
    before = {path.name: path.read_bytes() for path in stopped_run.iterdir()}
    with pytest.raises(DataError, match="another run is kept here"):
        start(CHANGES[changed](generated), stopped_run)
    assert {path.name: path.read_bytes() for path in stopped_run.iterdir()} == before


def test_a_run_of_the_same_data_is_continued(
    start: Start, stopped_run: Path, generated: Collection, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "fit_embeddings", fail)
        assert start(generated, Path(shutil.copytree(stopped_run, tmp_path / "run"))).metrics


@pytest.mark.parametrize(
    "setting", ["prior.rank", "rules.support", "training.seed", "subgraph.mode"]
)
def test_a_run_of_other_settings_is_never_continued(
    generated: Collection,
    teacher: TrainedModel,
    short: RetrainSettings,
    tmp_path: Path,
    setting: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = RunOptions(Silence(), tmp_path / "run")
    monkeypatch.setattr(stages, "infer_pseudo_facts", fail)
    with pytest.raises(RuntimeError):
        retrain(generated, teacher, short, options=options)
    part, name = setting.split(".")
    other = {"mode": "induced"}.get(name, 5)
    own = getattr(short, part).model_copy(update={name: other})
    with pytest.raises(DataError, match="another run is kept here"):
        retrain(generated, teacher, short.model_copy(update={part: own}), options=options)


def test_a_run_of_a_renamed_teacher_is_never_continued(
    generated: Collection,
    teacher: TrainedModel,
    short: RetrainSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = RunOptions(Silence(), tmp_path / "run")
    monkeypatch.setattr(stages, "infer_pseudo_facts", fail)
    with pytest.raises(RuntimeError):
        retrain(generated, teacher, short, options=options)
    triples = teacher.graph.triples.copy()
    triples[0] = triples[0][[2, 1, 0]]
    other = replace(teacher, graph=replace(teacher.graph, triples=triples))
    with pytest.raises(DataError, match="another run is kept here"):
        retrain(generated, other, short, options=options)


def test_a_run_of_another_version_is_never_continued(
    generated: Collection, fast: TrainSettings, tmp_path: Path
) -> None:
    options = RunOptions(Silence(), tmp_path / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kgraft.pipeline.inputs.version", lambda _: "0.0.0")
        patch.setattr("kgraft.pipeline.run.version", lambda _: "0.0.0")
        train(generated, fast, options=options)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    told = r"kgraft 0\.0\.0 began the run.*Finish it with kgraft 0\.0\.0, or delete it"
    with pytest.raises(DataError, match=told):
        train(generated, fast, options=options)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_later_stages_depend_on_what_earlier_ones_found(
    generated: Collection, teacher: TrainedModel, short: RetrainSettings, tmp_path: Path
) -> None:
    """Mining under a time limit finds other rules on another machine."""
    options = RunOptions(Silence(), tmp_path / "run")
    retrain(generated, teacher, short, options=options)
    (tmp_path / "run" / "rules.safetensors").unlink()
    with pytest.MonkeyPatch.context() as patch:
        mine = stages.mine_rules
        patch.setattr(stages, "mine_rules", lambda *a, **o: mine(*a, **o).with_min_confidence(0.5))
        with pytest.raises(DataError, match="belongs to another run"):
            retrain(generated, teacher, short, options=options)


def test_a_stage_that_cannot_be_stored_is_told_and_the_run_goes_on(
    generated: Collection,
    teacher: TrainedModel,
    short: RetrainSettings,
    whole: TrainedModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("kgraft.training.checkpoint.save_file", full)
    with pytest.warns(KgraftWarning, match=r"could not be saved \(No space left"):
        found = retrain(generated, teacher, short, options=RunOptions(Silence(), tmp_path / "run"))
    assert_same(found, whole)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"fingerprint": 3}'])
def test_a_damaged_run_file_is_told(
    generated: Collection, fast: TrainSettings, tmp_path: Path, content: str
) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(DataError, match=r"run\.json|another run"):
        train(generated, fast, options=RunOptions(Silence(), tmp_path))


def test_facts_of_other_links_weigh_otherwise(generated: Collection) -> None:
    """The change of confidences above is one that matters."""
    first = generated.links[0].confidence
    assert not np.array_equal(first, doubtful(generated).links[0].confidence)
