"""Questions in words: entities, relation paths, what is learned from, and how they are answered."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

pytest.importorskip("sklearn", reason="needs the extra 'questions'")

from kgraft.errors import DataError, KgraftError
from kgraft.io.interchange import from_frame
from kgraft.linking.collection import collect
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.train import train
from kgraft.querying.ask import asker
from kgraft.querying.entity_linking import QuestionLinker
from kgraft.querying.path_ranker import LearnedPaths, learn_paths
from kgraft.querying.pattern import QueryError
from kgraft.querying.question_pairs import QuestionPair, read_pairs
from kgraft.querying.questions import (
    QuestionAnswers,
    is_question,
    learn_questions,
    question_asker,
)
from kgraft.querying.relation_paths import StatedPaths, path_steps
from kgraft.settings import TrainSettings

LANDS = ("Freedonia", "Sylvania", "Ruritania", "Grand Fenwick", "Borduria", "Elbonia")


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    """Countries on a circle, with languages, currencies and cities; Elbonia has no language."""
    facts = []
    for place, land in enumerate(LANDS):
        facts += [(land, "sharesBorderWith", LANDS[(place + 1) % len(LANDS)])]
        facts += [(LANDS[(place + 1) % len(LANDS)], "sharesBorderWith", land)]
        facts += [(land, "currency", f"{land} Dollar"), (f"{land} City", "capital_of", land)]
        if land != "Elbonia":
            facts += [(land, "language", ("Freedish", "Sylvish")[place % 2])]
    frame = pl.DataFrame(facts, schema=["head", "relation", "tail"], orient="row")
    settings = TrainSettings.model_validate({"model": {"width": 8}, "training": {"epochs": 3}})
    graph = from_frame("lands", frame)
    return train(collect([graph], [], target="lands", name="lands"), settings, alone=True)


def asked(model: TrainedModel, question: str, **options: Any) -> QuestionAnswers:
    found = model.ask(question, **options)
    assert isinstance(found, QuestionAnswers)
    return found


@pytest.mark.parametrize(
    ("question", "entity", "path", "answers"),
    [
        ("What is the currency of Freedonia?", "Freedonia", ("currency",), {"Freedonia Dollar"}),
        ("Which languages are spoken by those who share a border with Sylvania?", "Sylvania",
         ("sharesBorderWith", "language"), {"Freedish"}),
        ("GRAND FENWICK's langauges", "Grand Fenwick", ("language",), {"Sylvish"}),
        ("what is Ruritania City the capital of", "Ruritania City", ("capital_of",), {"Ruritania"}),
        ("capital of Borduria", "Borduria", ("^capital_of",), {"Borduria City"}),
        ("the currency of Rurittania?", "Ruritania", ("currency",), {"Ruritania Dollar"}),
    ],
)  # fmt: skip
def test_names_of_relations_tell_what_a_question_means(
    model: TrainedModel, question: str, entity: str, path: tuple[str, ...], answers: set[str]
) -> None:
    found = asked(model, question)
    assert found.entity == entity
    assert found.paths[0].relations == path
    assert sum(x.probability for x in found.paths) == pytest.approx(1)
    best = max(x.probability or 0 for x in found)
    assert {x.bindings["x"] for x in found if (x.probability or 0) >= best - 1e-9} == answers
    assert best == pytest.approx(found.paths[0].probability)
    assert "guessed by the names of relations" in found.reading
    assert found.reading in repr(found)


def test_a_missing_fact_is_predicted(model: TrainedModel) -> None:
    found = asked(model, "What is the language of Elbonia?")
    assert found.paths[0].relations == ("language",)
    assert found[0].hops[0].basis != "stated"
    assert 0 < (found[0].probability or 0) < found.paths[0].probability
    assert len(asked(model, "What is the language of Elbonia?", limit=2)) == 2


@pytest.mark.parametrize(
    ("question", "problem"),
    [
        ("who let the dogs out?", "no entity of lands is named"),
        ("who rules Freedonia?", "no relation of lands is named.*are .*currency"),
        ("what " * 300 + "Freedonia", "characters"),
    ],
)
def test_what_is_not_recognized_is_an_error(
    model: TrainedModel, question: str, problem: str
) -> None:
    with pytest.raises(QueryError, match=problem):
        model.ask(question)


def test_patterns_and_questions_are_told_apart() -> None:
    assert is_question("the currency of Freedonia")
    assert not is_question("SELECT ?x { ?x :currency ?y }")
    for text in ("Freedonia", "DROP ALL", "select ?x where", "PREFIX a: <http://x.org/>"):
        assert not is_question(text)


PAIRS = [
    ("how does one pay in Freedonia", "currency"),
    ("what do they speak in Freedonia", "language"),
    ("what do they speak in Sylvania", "language"),
    ("what do the neighbours of Borduria speak", "sharesBorderWith/language"),
    ("what do the neighbours of Sylvania speak", "<sharesBorderWith> / :language"),
    ("from where is Freedonia ruled", "^capital_of"),
    ("from where is Sylvania ruled", "^:capital_of"),
]


def test_what_questions_mean_is_learned_from_paths(model: TrainedModel, tmp_path: Path) -> None:
    learned = learn_questions(model, PAIRS)
    assert learned.questions == len(PAIRS)
    assert set(learned.paths) == {
        ("currency",), ("language",), ("sharesBorderWith", "language"), ("^capital_of",)
    }  # fmt: skip
    found = asked(model, "from where do they rule Ruritania", learned=learned)
    assert found.paths[0].relations == ("^capital_of",)
    assert found[0].bindings == {"x": "Ruritania City"}
    assert "learned from 7 questions" in found.reading
    learned.save(tmp_path / "learned")
    again = LearnedPaths.read(tmp_path / "learned")
    text = ["what speaks one in E"]
    assert again.ranked(text) == learned.ranked(text)
    assert again.ranked(text)[0][0][0] == ("language",)


def test_what_questions_mean_is_learned_from_answers(model: TrainedModel, tmp_path: Path) -> None:
    file = tmp_path / "questions.tsv"
    file.write_text(
        "question\tanswers\tentity\n"
        "how does one pay in Freedonia\tFreedonia Dollar\n"
        "how does one pay there\tSylvania Dollar\tSylvania\n"
        "what do they speak in Freedonia\tFreedish\t\n\n"
        "who is next to Freedonia\tSylvania|Elbonia\n",
        encoding="utf-8-sig",
    )
    learned = learn_questions(model, file)
    assert ("currency",) in learned.paths
    assert ("sharesBorderWith",) in learned.paths
    found = asked(model, "what does one speak in Borduria", learned=learned)
    assert found.paths[0].relations == ("language",)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("question\tway\nx\ty\n", 1, "name the columns"),
        ("question\tpath\tgold\nx\ty\n", 1, "'gold'"),
        ("question\tpath\n\tcurrency\n", 2, "no question"),
        ("question\tpath\nabout Freedonia\t\n", 2, "neither path nor answers"),
        ("question\tpath\nabout Freedonia\tcurrency\textra\n", 2, "3 cells"),
        ("question\tpath\nabout Freedonia\tmoney\n", 2, "'money'"),
        ("question\tpath\nabout Freedonia\tcurrency//language\n", 2, "step without a name"),
        ("question\tpath\n\nabout Nowhere\tcurrency\n", 3, "no entity of lands is named"),
        ("question\tanswers\nabout Freedonia\tRupee\n", 2, "'Rupee'"),
        ("question\tpath\tentity\nabout it\tcurrency\tMars\n", 2, "'Mars'"),
    ],
)
def test_errors_name_file_and_line(
    model: TrainedModel, tmp_path: Path, text: str, line: int, problem: str
) -> None:
    file = tmp_path / "pairs.tsv"
    file.write_text(text)
    with pytest.raises(DataError, match=problem) as error:
        learn_questions(model, file)
    assert (error.value.path, error.value.line) == (str(file), line)


def test_other_files_and_models_are_refused(model: TrainedModel, tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(b"\x00" * 64)
    for name in ("odd", "missing"):
        with pytest.raises(DataError, match="kgraft questions"):
            LearnedPaths.read(tmp_path / name)
    learned = learn_paths(["money of E", "tongue of E"], [("money",), ("tongue",)], [0, 1])
    with pytest.raises(DataError, match="another model"):
        model.ask("what is the money of Freedonia", learned=learned)
    with pytest.raises(DataError, match="no question has a path"):
        learn_questions(model, [])
    with pytest.raises(DataError, match="sentence encoder 'nothing'"):
        learn_questions(model, PAIRS, encoder="nothing")


def test_a_sentence_encoder_may_be_named(
    model: TrainedModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = ("pay", "speak", "neighbours", "ruled")

    class Encoder:
        def encode(self, texts: list[str]) -> Any:
            return np.array([[float(word in text) for word in words] for text in texts])

    library = SimpleNamespace(StaticModel=SimpleNamespace(from_pretrained=lambda _: Encoder()))
    monkeypatch.setitem(sys.modules, "model2vec", library)
    learned = learn_questions(model, PAIRS, encoder="model2vec:small")
    learned.save(tmp_path / "learned")
    again = LearnedPaths.read(tmp_path / "learned")
    hub: list[tuple[str, bool]] = []

    def here(name: str, *, local_files_only: bool) -> str:
        hub.append((name, local_files_only))
        if name == "gone":
            raise FileNotFoundError(name)
        return name

    monkeypatch.setattr("huggingface_hub.snapshot_download", here)
    with pytest.raises(DataError, match=r"'gone' is not on this machine.*hf download gone"):
        asked(model, "where is Ruritania ruled", learned=replace(again, encoder="model2vec:gone"))
    found = asked(model, "where is Ruritania ruled", learned=again)
    assert hub == [("gone", True), ("small", True)]
    assert found.paths[0].relations == ("^capital_of",)


def test_many_questions_choose_how_strongly_words_count() -> None:
    texts = [f"{word} of E number {n}" for n in range(60) for word in ("pay", "tongue")]
    paths = [("currency",), ("language",)] * 60
    learned = learn_paths(texts, paths, [n // 2 for n in range(120)])
    assert learned.ranked(["the tongue of E"])[0][0][0] == ("language",)
    only = learn_paths(texts[:2], [("currency",)] * 2, [0, 1])
    assert only.ranked(["anything"]) == [[(("currency",), 1.0)]]


def test_the_best_of_many_unlikely_paths_is_taken() -> None:
    weights, bias = np.zeros((1, 80), np.float32), np.zeros(80, np.float32)
    paths = tuple((f"r{n}",) for n in range(80))
    learned = LearnedPaths(paths, weights, bias, "tfidf", ("E",), np.ones(1, np.float32), 80)
    found = learned.ranked(["E"])[0]
    assert [path for path, _ in found] == list(paths[:5])
    assert found[0][1] == pytest.approx(1 / 80)
    few = learn_paths([f"word{n} of E" for n in range(40)], list(paths[:40]), list(range(40)))
    assert few.ranked(["word7 of E"])[0][0][0] == ("r7",)
    bias[7] = 0.1
    assert [path for path, _ in learned.ranked(["E"])[0]] == [("r7",)]


def test_paths_are_found_by_the_answers_that_they_lead_to() -> None:
    facts = np.array([(0, 0, 1), (0, 0, 2), (1, 1, 3), (2, 1, 4), (5, 0, 3), (0, 2, 3)])
    stated = StatedPaths(facts, 6, 3)
    assert stated.paths_between(0, np.array([1, 2])) == [(0,)]
    assert stated.paths_between(0, np.array([3, 4])) == [(0, 1)]
    assert stated.paths_between(0, np.array([3])) == [(2,)]
    assert stated.paths_between(3, np.array([0]))[0] == (5,)
    assert (5, 0) not in stated.paths_between(5, np.array([1]))
    assert not StatedPaths(facts[:1], 6, 3).paths_between(0, np.array([5]))


def test_short_and_filling_words_are_names_only_as_they_are_written(model: TrainedModel) -> None:
    names = asker(model).names
    rows = names.part.entity_rows
    linker = QuestionLinker(names, rows)
    linker._row |= {"in": 1, "us": 2, "who": 3, "them": 4}
    linker._exact |= {"US", "Them", "in", "usa"}
    linker._row["usa"] = 5
    assert linker.link("the currency of usa ?").entity == 5
    assert linker.link("who lives in the US?").entity == 2
    assert linker.link("what is the country of Them?").entity == 4
    assert linker.link("who tells us about Freedonia").entity == linker.link("Freedonia").entity
    with pytest.raises(KgraftError, match="named in the question"):
        linker.link("Them is in them")
    assert linker.link("the currency there", "sylvania").rest == "the currency there"


def test_a_question_whose_entity_is_not_found_in_time_is_given_up(model: TrainedModel) -> None:
    words = " ".join(f"word{n}" for n in range(100))
    with pytest.raises(KgraftError, match="the question takes too long"):
        question_asker(model).ask(words, seconds=-1)
    with pytest.raises(KgraftError, match="the question has 1,001 characters"):
        model.ask("what is " + "x" * 993)


def test_steps_of_paths_may_have_slashes() -> None:
    assert path_steps("^<http://x.org/a> / b") == ["^<http://x.org/a>", "b"]


def test_files_of_pairs_are_read(tmp_path: Path) -> None:
    file = tmp_path / "q.tsv"
    file.write_text("Question\tPath\r\nabout A\tr/s\r\n")
    assert read_pairs(file) == [QuestionPair("about A", "r/s", line=2)]
