"""The most plausible missing facts of a graph."""

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
from kgraft.inference import candidates
from kgraft.inference.complete import complete
from kgraft.inference.predict import Predictor, predict
from kgraft.inference.prediction_files import SCHEMA
from kgraft.linking.collection import Collection
from kgraft.linking.joint_graph import join
from kgraft.model.calibration import Calibration
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.settings import ModelSettings, TrainSettings


@pytest.fixture
def model(tiny: Collection) -> TrainedModel:
    """Mine and big together; ann to eve are 1 to 5, Z is 9; likes is 1, knows 2, sees 3, inverses
    the same. Odds are shares.
    """
    settings = TrainSettings(model=ModelSettings(width=2))
    entities, relations = (
        torch.tensor([[number, 0.0] for number in numbers])
        for numbers in ([1.0, 2.0, 3.0, 4.0, 5.0, 9.0], [1.0, 2.0, 3.0] * 2)
    )
    graph = join(list(tiny.graphs.values()), tiny.links)
    kge = KgeModel(settings.model, entities, relations)
    curve = {"vectors": Calibration(((-50.0, -50.0), (50.0, 50.0)))}
    return TrainedModel("joint", kge, graph, "mine", settings, calibration=curve)


class Counting:
    """Hears how much is to be done, and how much of it is."""

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


def test_every_relation_is_asked_for_its_domain_and_range(model: TrainedModel) -> None:
    likes, knows = complete(Predictor(model), k=1, min_probability=0)
    assert dict(likes.schema) == SCHEMA
    # Mine says that bob knows cay. Asked whom bob knows: eve; and who knows cay: eve.
    assert [x[:4] for x in knows.sort("head").rows()] == [
        ("bob", "knows", "eve", "tail"), ("eve", "knows", "cay", "head")
    ]  # fmt: skip
    # ann and cay like somebody, bob, cay (so says big) and dan are liked: by eve, each.
    assert [x[:4] for x in likes.sort("head", "tail").rows()] == [
        ("ann", "likes", "eve", "tail"),
        ("cay", "likes", "eve", "tail"),
        ("eve", "likes", "bob", "head"),
        ("eve", "likes", "cay", "head"),
        ("eve", "likes", "dan", "head"),
    ]


def test_what_the_target_states_is_left_out_and_others_are_named(model: TrainedModel) -> None:
    found = pl.concat(complete(Predictor(model), k=9, min_probability=0))
    facts = {row[:3]: row[6] for row in found.rows()}
    assert not facts.keys() & {("ann", "likes", "bob"), ("bob", "knows", "cay")}
    assert facts["ann", "likes", "cay"] == "big"
    assert facts["ann", "likes", "dan"] == ""
    assert len(facts) == len(found)


def test_a_fact_found_twice_counts_by_its_larger_probability(model: TrainedModel) -> None:
    found = pl.concat(complete(Predictor(model), k=9, min_probability=0))
    probability = {row[:3]: row[5] for row in found.rows()}
    sides = [
        next(x for x in predict(model, **asked) if (x.head, x.tail) == ("ann", "cay"))
        for asked in (
            {"head": "ann", "relation": "likes"},
            {"relation": "likes", "tail": "cay"},
        )
    ]
    chances = [x.probability for x in sides if x.probability is not None]
    assert len(set(chances)) == 2
    assert probability["ann", "likes", "cay"] == pytest.approx(max(chances))


def test_only_probable_facts_the_most_probable_first(model: TrainedModel) -> None:
    everything = pl.concat(complete(Predictor(model), k=9, min_probability=0))
    for least in (0.1, 0.4):
        found = pl.concat(complete(Predictor(model), k=9, min_probability=least))
        assert len(found) == (everything["probability"] >= least).sum()
        for facts in found.partition_by("relation"):
            assert facts["probability"].is_sorted(descending=True)
    assert sum(map(len, complete(Predictor(model), min_probability=1.0))) == 0


def test_typed_answers_are_in_domain_and_range(model: TrainedModel) -> None:
    likes, knows = complete(Predictor(model), k=9, min_probability=0, typed=True)
    assert set(likes["head"]) <= {"ann", "cay"}
    assert set(likes["tail"]) <= {"bob", "cay", "dan"}
    assert len(knows) == 0  # only bob, and only cay, which mine states


def test_blocks_do_not_matter_and_progress_is_reported(
    model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = pl.concat(complete(Predictor(model), min_probability=0))
    monkeypatch.setattr(candidates, "MAX_QUERIES", 1)
    heard = Counting()
    found = pl.concat(complete(Predictor(model), min_probability=0, listener=heard))
    assert found.equals(wanted)
    # likes: 2 heads and 3 tails; knows: 1 and 1
    assert (heard.what, heard.total, heard.done, heard.ended) == ("complete mine", 7, 7, 1)


def test_a_reader_who_stops_ends_the_progress(model: TrainedModel) -> None:
    heard = Counting()
    facts = complete(Predictor(model), min_probability=0, listener=heard)
    next(facts)
    facts.close()  # type: ignore[attr-defined]
    assert heard.ended == 1


def test_without_probabilities_all_answers_have_to_be_taken(model: TrainedModel) -> None:
    blind = Predictor(replace(model, calibration={}))
    with pytest.raises(KgraftError, match="gives no probabilities"):
        next(complete(blind))
    found = pl.concat(complete(blind, k=1, min_probability=0))
    assert found["probability"].null_count() == len(found) == 7


def test_a_trained_student_completes_its_target(student: TrainedModel) -> None:
    predictor = Predictor(student)
    found = pl.concat(complete(predictor, k=5, min_probability=0.3))
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


def found_of(facts: list[pl.DataFrame]) -> set[tuple[str, str, str]]:
    return {row[:3] for frame in facts for row in frame.rows()}


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


def test_held_out_facts_are_stated_but_do_not_change_probabilities(
    model: TrainedModel, tiny: Collection
) -> None:
    known = replace(model, held_out=model.graph.held_out(tiny.graphs.values()))
    plain, told = (predict(x, head="ann", relation="likes") for x in (model, known))
    assert [(x.tail, x.score, x.probability) for x in plain] == [
        (x.tail, x.score, x.probability) for x in told
    ]
    stated = {x.tail: x.stated_by for x in told}
    assert (stated["cay"], stated["eve"], stated["dan"]) == (("mine", "big"), ("mine",), ())
    explained = known.explain("ann", "likes", "eve")
    assert [(x.source, x.head, x.tail) for x in explained.stated_by] == [("mine", "ann", "eve")]
