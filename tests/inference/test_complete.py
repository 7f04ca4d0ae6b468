"""The facts that a graph lacks, with their probabilities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from kgraft.errors import KgraftError
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.known_facts import KnownFacts
from kgraft.graph.vocabulary import Vocabulary
from kgraft.inference import fact_judge
from kgraft.inference.complete import COLUMNS, complete
from kgraft.inference.predict import Predictor, predict
from kgraft.linking.collection import Collection
from kgraft.linking.completeness import Completeness, SplitSizes
from kgraft.linking.join import join
from kgraft.model.calibration import Calibration
from kgraft.model.fact_probability import DEGREES, FactProbability
from kgraft.model.fact_scores import FEATURES
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.settings import ModelSettings, TrainSettings


def by_share(n_relations: int) -> FactProbability:
    """A judge for whom the log odds are the share, and nothing is held out."""
    f = len(FEATURES)
    coefficients = np.zeros(f + 1)
    coefficients[1] = 1.0
    half = np.full(n_relations, 0.5)
    return FactProbability(
        np.zeros(f),
        np.ones(f),
        coefficients,
        np.zeros(n_relations),
        ((-1.0, -1.0), (1.0, 1.0)),
        np.zeros(n_relations, dtype=bool),
        Completeness(half, half, half, half, ("none",) * n_relations, 1.0),
        SplitSizes(3, 1, 0),
        np.zeros(len(DEGREES) + 1),
    )


@pytest.fixture
def model(tiny: Collection) -> TrainedModel:
    """Mine and big together; ann to eve are 1 to 5, Z is 9; likes is 1, knows 2, sees 3, inverses
    the same.
    """
    settings = TrainSettings(model=ModelSettings(width=2))
    entities, relations = (
        torch.tensor([[number, 0.0] for number in numbers])
        for numbers in ([1.0, 2.0, 3.0, 4.0, 5.0, 9.0], [1.0, 2.0, 3.0] * 2)
    )
    graph = join(list(tiny.graphs.values()), tiny.links)
    kge = KgeModel(settings.model, entities, relations)
    curve = {"vectors": Calibration(((-50.0, -50.0), (50.0, 50.0)))}
    return TrainedModel(
        "joint",
        kge,
        graph,
        "mine",
        settings,
        calibration=curve,
        fact_probability=by_share(graph.n_relations),
    )


class Counting:
    """A listener that counts the work announced and the work done."""

    def __init__(self) -> None:
        self.total = self.done = self.ended = 0

    def begin(self, what: str, total: int) -> None:
        self.what, self.total = what, total

    def advance(self, steps: int) -> None:
        self.done += steps

    def tell(self, text: str) -> None:
        pass

    def end(self) -> None:
        self.ended += 1


def found_of(facts: list[pl.DataFrame]) -> set[tuple[str, str, str]]:
    return {row[:3] for frame in facts for row in frame.rows()}


def test_every_relation_is_asked_on_one_side(model: TrainedModel) -> None:
    likes, knows = complete(Predictor(model), k=1, min_probability=0)
    assert dict(likes.schema) == COLUMNS
    # Best is eve, 5; likely to like are those who like or know in any source.
    assert set(likes["tail"]) | set(knows["tail"]) == {"eve"}
    assert set(likes["asked"]) == {"tail"}
    assert {"ann", "cay"} <= set(likes["head"])


def test_a_probability_is_worked_out_by_hand(model: TrainedModel) -> None:
    likes, _ = complete(Predictor(model), k=9, min_probability=0)
    # Scores of ann, likes: 1 to 5 for ann to eve; bob is stated.
    others = np.array([1.0, 3.0, 4.0, 5.0])
    odds = others - np.log(np.exp(others).sum())
    expected = dict(zip(("ann", "cay", "dan", "eve"), 1 / (1 + np.exp(-odds)), strict=True))
    found = likes.filter(pl.col("head") == "ann")
    assert dict(zip(found["tail"], found["probability"], strict=True)) == pytest.approx(expected)
    assert found["probability_if_asked"].to_list() == pytest.approx(found["probability"].to_list())


def test_what_the_target_states_is_left_out_and_others_are_named(model: TrainedModel) -> None:
    found = pl.concat(complete(Predictor(model), k=9, min_probability=0))
    facts = {x["head"] + x["relation"] + x["tail"]: x for x in found.to_dicts()}
    assert not facts.keys() & {"annlikesbob", "bobknowscay"}
    assert (facts["annlikescay"]["stated_by"], facts["annlikescay"]["list"]) == ("big", "stated")
    assert (facts["annlikesdan"]["stated_by"], facts["annlikesdan"]["list"]) == ("", "inferred")
    assert len(facts) == len(found)


def test_only_probable_facts_the_most_probable_first(model: TrainedModel) -> None:
    everything = pl.concat(complete(Predictor(model), k=9, min_probability=0))
    for least in (0.1, 0.4):
        found = pl.concat(complete(Predictor(model), k=9, min_probability=least))
        assert len(found) == (everything["probability"] >= least).sum() > 0
        for facts in found.partition_by("relation"):
            assert facts["probability"].is_sorted(descending=True)
    assert sum(map(len, complete(Predictor(model), min_probability=1.0))) == 0


def test_blocks_do_not_matter_and_progress_is_reported(
    model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = pl.concat(complete(Predictor(model), min_probability=0))
    monkeypatch.setattr(fact_judge, "AT_ONCE", 1)
    listener = Counting()
    found = pl.concat(complete(Predictor(model), min_probability=0, listener=listener))
    assert found.equals(wanted)
    assert (listener.what, listener.ended) == ("complete mine", 1)
    assert listener.done == listener.total > 0


def test_a_reader_who_stops_ends_the_progress(model: TrainedModel) -> None:
    listener = Counting()
    facts = complete(Predictor(model), min_probability=0, listener=listener)
    next(facts)
    facts.close()  # type: ignore[attr-defined]
    assert listener.ended == 1


def test_a_model_without_a_judge_completes_nothing(model: TrainedModel) -> None:
    blind = Predictor(replace(model, fact_probability=None))
    with pytest.raises(KgraftError, match="gives no probabilities of facts"):
        next(complete(blind, min_probability=0))
    with pytest.raises(KgraftError, match="gives no probabilities of facts"):
        next(complete(Predictor(model, "big"), min_probability=0))


def test_validation_and_test_facts_are_not_missing(model: TrainedModel, tiny: Collection) -> None:
    mine = tiny.graphs["mine"]
    held_out = {x[:3] for x in mine.to_frame().rows() if x[3] != "train"}
    before = found_of(list(complete(Predictor(model), min_probability=0)))
    assert before & held_out
    known = replace(model, held_out=model.graph.held_out([mine]))
    after = found_of(list(complete(Predictor(known), min_probability=0)))
    assert after == before - held_out


def test_more_known_facts_are_not_missing(model: TrainedModel) -> None:
    before = found_of(list(complete(Predictor(model), min_probability=0)))
    # In another order of rows, and with a name that the model lacks.
    more = KnowledgeGraph(
        "elsewhere",
        Vocabulary.of(["eve", "fay", "ann"]),
        Vocabulary.of(["likes"]),
        np.array([[2, 0, 0], [1, 0, 0]]),
    )
    after = found_of(list(complete(Predictor(model), min_probability=0, known=more)))
    assert after == before - {("ann", "likes", "eve")} != before


def test_stated_facts_are_certain_and_others_keep_their_probability(
    model: TrainedModel, tiny: Collection
) -> None:
    known = replace(model, held_out=model.graph.held_out(tiny.graphs.values()))
    plain, more = (predict(x, head="ann", relation="likes") for x in (model, known))
    before, after = ({x.tail: x.probability for x in found} for found in (plain, more))
    assert before["bob"] == after["bob"] == 1
    # Held out are that ann likes cay and eve.
    assert after == {**before, "cay": 1.0, "eve": 1.0} != before
    stated = {x.tail: x.stated_by for x in more}
    assert (stated["cay"], stated["eve"], stated["dan"]) == (("mine", "big"), ("mine",), ())
    explained = known.explain("ann", "likes", "eve")
    assert [(x.source, x.head, x.tail) for x in explained.stated_by] == [("mine", "ann", "eve")]
    assert explained.probability == 1


def test_a_fact_has_one_probability_wherever_it_is_shown(student: TrainedModel) -> None:
    predictor = Predictor(student)
    found = pl.concat(complete(predictor, k=5, min_probability=0.2)).head(40)
    assert len(found)
    for row in found.iter_rows(named=True):
        ends = {name: row[name] for name in ("head", "relation", "tail")}
        for asked in ends:
            given = {name: value for name, value in ends.items() if name != asked}
            answers = student.predict(**given, k=200)
            answer = next(x for x in answers if getattr(x, asked) == row[asked])
            assert answer.probability == pytest.approx(row["probability"], abs=1e-5)
        assert student.explain(*ends.values()).probability == pytest.approx(
            row["probability"], abs=1e-5
        )


def test_a_trained_student_completes_its_target(student: TrainedModel) -> None:
    found = pl.concat(complete(Predictor(student), k=5, min_probability=0.1))
    part = student.graph.part("mine")
    rows = np.stack(
        [
            part.entities.rows(found["head"]),
            part.relations.rows(found["relation"]),
            part.entities.rows(found["tail"]),
        ],
        axis=1,
    )
    own = KnownFacts(student.graph.facts_of(["mine"]))
    assert len(found)
    assert not own.contains(part.joint(rows)).any()
    assert found.select("head", "relation", "tail").is_unique().all()


def test_a_second_answer_of_a_functional_relation_contradicts_the_first(
    model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fact_judge, "MIN_FACTS", 1)
    (contradiction, *_), plain = (
        pl.concat(complete(Predictor(model), k=9, min_probability=0, contradictions=x))
        .filter(pl.col("head") == "bob", pl.col("relation") == "knows", pl.col("tail") == "eve")
        .to_dicts()
        for x in (True, False)
    )
    assert plain == []
    assert contradiction["contradicts"] == "mine states knows(Bob, Sam)"
    # One query with one answer: a second one is as rare as (1 - 2 / 3).
    assert contradiction["probability"] < 0.3334
    answer = next(x for x in model.predict(head="bob", relation="knows") if x.tail == "eve")
    assert answer.contradicts == contradiction["contradicts"]
    assert answer.probability == pytest.approx(contradiction["probability"])
    assert "Contradicted: mine states" in str(model.explain("bob", "knows", "eve"))


def test_what_is_known_to_be_false_is_never_proposed(model: TrainedModel) -> None:
    before = found_of(list(complete(Predictor(model), min_probability=0)))
    part = model.graph.part("mine")
    ann, eve = (part.entities.row(name) for name in ("ann", "eve"))
    false = part.joint(np.array([[ann, part.relations.row("likes"), eve]]))
    graph = replace(model.graph, known_false={"mine": false})
    knowing = replace(model, graph=graph)
    after = found_of(list(complete(Predictor(knowing), min_probability=0)))
    assert after == before - {("ann", "likes", "eve")} != before
    assert knowing.explain("ann", "likes", "eve").probability == 0
