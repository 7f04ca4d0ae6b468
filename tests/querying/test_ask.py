"""Queries to a trained model: names, stated and predicted facts, counts, and odd queries."""

from __future__ import annotations

import random
from contextlib import suppress

import numpy as np
import polars as pl
import pytest

pytest.importorskip("rdflib", reason="needs the extra 'ask'")

from made_facts import SHAPES

from kgraft.errors import KgraftError, UnknownNameError
from kgraft.inference.predict import Predictor
from kgraft.io.interchange import from_frame
from kgraft.linking.collection import Collection, collect
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.train import train
from kgraft.querying.ask import Asker, asker
from kgraft.querying.pattern import QueryError
from kgraft.settings import TrainSettings


@pytest.fixture(scope="module")
def path(generated: Collection) -> tuple[str, str, str, str, str]:
    """Two training facts of the target, one after the other, in names."""
    graph = generated.target_graph
    ends = {}
    for head, relation, tail in graph.train.tolist():
        ends.setdefault(head, (relation, tail))
    head, relation, tail = next(x for x in graph.train.tolist() if x[2] in ends)
    further, end = ends[tail]
    entities, relations = graph.entities, graph.relations
    return (
        entities.name(head),
        relations.name(relation),
        entities.name(tail),
        relations.name(further),
        entities.name(end),
    )


def test_stated_facts_are_certain_and_name_their_sources(
    student: TrainedModel, path: tuple[str, ...]
) -> None:
    head, first, middle, second, end = path
    query = f"SELECT ?x WHERE {{ <{head}> :{first} ?v . ?v :{second} ?x }} LIMIT 50"
    found = {x.bindings["x"]: x for x in student.ask(query)}
    answer = found[end]
    assert answer.probability == 1
    assert answer.others == {"v": middle}
    assert [(x.head, x.tail, x.basis, x.probability) for x in answer.hops] == [
        (head, middle, "stated", 1.0),
        (middle, end, "stated", 1.0),
    ]
    assert all("mine" in hop.stated_by for hop in answer.hops)


def test_an_answer_is_the_product_of_its_facts(
    student: TrainedModel, path: tuple[str, ...]
) -> None:
    head, first, _, second, _ = path
    query = f"SELECT ?x ?v WHERE {{ <{head}> :{first} ?v . ?v :{second} ?x }} LIMIT 40"
    answers = student.ask(query)
    values = [x.probability for x in answers]
    assert values == sorted(values, reverse=True)
    assert {hop.basis for x in answers for hop in x.hops} >= {"stated", "predicted"}
    for x in answers:
        product = np.prod([hop.probability for hop in x.hops])
        assert x.probability == pytest.approx(product, rel=1e-4)
    assert student.ask(query, limit=3)[:3] == answers[:3]
    assert answers.to_frame().columns == ["x", "v", "probability"]


def test_held_out_facts_are_stated_and_others_of_the_query_are_not(
    student: TrainedModel, generated: Collection
) -> None:
    graph = generated.target_graph
    head, relation, tail = graph.test[0].tolist()
    names = graph.entities.name(head), graph.relations.name(relation)
    query = f"SELECT ?x {{ <{names[0]}> :{names[1]} ?x }} LIMIT 192"
    certain = [x.bindings["x"] for x in student.ask(query) if x.probability == 1]
    facts = np.concatenate([graph.train, graph.valid, graph.test])
    same = facts[(facts[:, 0] == head) & (facts[:, 1] == relation), 2]
    assert graph.entities.name(tail) in certain
    assert sorted(certain) == sorted(graph.entities.names_of(np.unique(same)))
    model = asker(student)
    part = student.graph.part("mine")
    own = part.joint(graph.train[graph.train[:, 0] != head])
    without = Asker(Predictor(student), own).ask(query)
    assert all((x.probability or 0) < 1 for x in without)
    assert model.facts.known is not None


def test_an_entity_answers_a_query_about_itself_only_where_facts_are_loops() -> None:
    names = [f"n{place}" for place in range(12)]
    facts = [(x, "next", names[(place + 1) % 12]) for place, x in enumerate(names)]
    facts += [(x, "same", x) for x in names[1:]]
    frame = pl.DataFrame(facts, schema=["head", "relation", "tail"], orient="row")
    settings = TrainSettings.model_validate({"model": {"width": 8}, "training": {"epochs": 2}})
    model = train(collect([from_frame("g", frame)], [], target="g", name="g"), settings, alone=True)
    for query in ("<n0> :next ?x", "?x :next <n0>"):
        found = [x.bindings["x"] for x in model.ask(f"SELECT ?x {{ {query} }}", limit=12)]
        assert len(found) == 11
        assert "n0" not in found
    assert "n0" in [x.bindings["x"] for x in model.ask("SELECT ?x { <n0> :same ?x }", limit=12)]
    assert not model.ask("SELECT ?x { ?x :next ?x }")
    back = model.ask("SELECT ?x { <n0> :next/^:next ?x }", limit=12)
    assert back[0].bindings["x"] == "n0"  # Through another entity it may be.


def test_a_stated_answer_of_any_score_leaves_the_others_finite(student: TrainedModel) -> None:
    shares = np.full((1, len(asker(student).facts.rows)), -3.0, dtype=np.float32)
    shares[0, 5] = 100.0
    found = asker(student).facts.predicted(shares, np.array([0]), 0)
    assert np.isfinite(found).all()
    assert found[0, 5] <= 1


def test_counts_are_expected_numbers(student: TrainedModel, path: tuple[str, ...]) -> None:
    head, first, *_ = path
    (count,) = student.ask(f"SELECT (COUNT(DISTINCT ?x) AS ?n) {{ <{head}> :{first} ?x }}")
    listed = student.ask(f"SELECT ?x {{ <{head}> :{first} ?x }} LIMIT 192")
    values = [x.probability or 0.0 for x in listed]
    assert count.bindings["n"] == pytest.approx(sum(values), abs=0.02)
    assert count.stated == sum(value == 1 for value in values)
    assert count.probability is None
    (yes,) = student.ask(f"ASK {{ <{head}> :{first} <{path[2]}> }}")
    assert (yes.bindings, yes.probability) == ({}, 1.0)


def test_names_may_be_short_quoted_or_whole(student: TrainedModel, path: tuple[str, ...]) -> None:
    head, first, middle, *_ = path
    for name in (f"<{head}>", f'"{head}"', head, f":{head.removeprefix('mine:')}"):
        (found,) = student.ask(f"ASK {{ {name} :{first} <{middle}> }}")
        assert found.probability == 1
    with pytest.raises(UnknownNameError, match="did you mean"):
        student.ask(f"SELECT ?x {{ ?x :{first} :mime:17 }}")
    with pytest.raises(UnknownNameError, match="no entity or relation is called 'likes'"):
        student.ask("SELECT ?x { ?x :likes ?y }")
    with pytest.raises(ValueError, match="at least 1"):
        student.ask("SELECT ?x { ?x :r1 ?y }", limit=0)


def test_a_teacher_answers_for_its_first_source(teacher: TrainedModel) -> None:
    found = teacher.ask("SELECT ?x ?y { ?x :r1 ?y }", limit=3)
    assert [x.probability for x in found] == [1, 1, 1]


def test_limits_are_kept(student: TrainedModel) -> None:
    model = asker(student)
    assert len(model.ask("SELECT ?x { ?x :r1 ?y } LIMIT 90", most=5)) == 5
    first = model.ask("SELECT ?x { ?x :r1 ?y } LIMIT 4")
    assert model.ask("SELECT ?x { ?x :r1 ?y } LIMIT 2 OFFSET 2")[:] == first[2:]
    with pytest.raises(QueryError, match="beyond the best 10,000"):
        model.ask("SELECT ?x { ?x :r1 ?y } LIMIT 99999", most=99999)
    with pytest.raises(QueryError, match="takes too long"):
        model.ask("SELECT ?x { ?x :r1 ?y }", seconds=-1)


@pytest.mark.slow
def test_random_queries_end_in_answers_and_damaged_ones_in_answers_or_sentences(
    student: TrainedModel,
) -> None:
    draw, model = random.Random(1), asker(student)  # noqa: S311
    entities = student.graph.part("mine").entities.names.to_list()
    for number in range(400):
        pattern = draw.choice(list(SHAPES.values()))
        for place in range(3):
            pattern = pattern.replace(f":e{place} ", f"<{draw.choice(entities)}> ")
            pattern = pattern.replace(f":r{place} ", f":r{draw.randrange(10)} ")
        asked = draw.choice(["?x", "*", "DISTINCT ?x"])
        text = f"SELECT {asked} WHERE {pattern} LIMIT {draw.randint(1, 9)}"
        if number < 200:
            assert all(0 <= (x.probability or 0) <= 1 for x in model.ask(text))
            continue
        place = draw.randrange(len(text))
        text = (
            text[:place] + draw.choice("{}<>?:.;\\\"'\x00é ") + text[place + draw.randint(0, 3) :]
        )
        with suppress(KgraftError):
            model.ask(text)
