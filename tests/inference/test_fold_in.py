"""New entities with a few facts: their vectors, the evidence about them, names, and errors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from kgraft.errors import DataError, KgraftError, KgraftWarning, UnknownNameError
from kgraft.graph.known_facts import KnownFacts
from kgraft.inference.fact_files import with_files
from kgraft.inference.fold_in import fold_into
from kgraft.inference.fold_vectors import Compared, FactsOfOne, VectorFolder
from kgraft.inference.predict import Predictor, Query, prepared
from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.model.evidence import Evidence
from kgraft.model.fact_scores import fact_scorer
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.rules.evidence_index import EvidenceIndex
from kgraft.settings import ModelSettings, TrainSettings

WIDTH = 16


def test_one_fact_leads_to_entities_with_that_fact(two_groups: TrainedModel) -> None:
    for country, alike in (("north", "c0"), ("south", "c9")):
        extended = two_groups.fold_in([("new", "in", country)])
        assert extended.predict(head="new", relation="in", k=1)[0].tail == country
        nearest = extended.similar("new", k=5)
        assert alike in {x.name for x in nearest}
        assert {x.name for x in extended.similar("c3", k=9)} >= {"new"}


def test_a_new_entity_may_answer_others(two_groups: TrainedModel) -> None:
    extended = two_groups.fold_in([("new", "in", "south")])
    heads = {x.head: x.stated_by for x in extended.predict(relation="in", tail="south", k=20)}
    assert heads["new"] == ("mine",)
    assert heads["c0"] == ()
    assert len(two_groups.predict(relation="in", tail="south", k=20)) == len(heads) - 1


def test_new_entities_learn_from_each_other(two_groups: TrainedModel) -> None:
    extended = two_groups.fold_in([("new", "in", "west"), ("west", "in", "south")])
    new, west = (extended.graph.part("mine").entity_rows[-2 + place] for place in range(2))
    heads = torch.tensor([new, *range(10)])
    scores = extended.kge.score_facts(
        heads, torch.zeros(11, dtype=torch.int64), torch.full((11,), west)
    )
    assert scores[0] > scores[1:].mean()
    assert not extended.kge.vectors(heads[:1]).equal(two_groups.kge.entities[:10].mean(0)[None])


def test_facts_about_known_entities_move_no_vector(two_groups: TrainedModel) -> None:
    extended = two_groups.fold_in([("c0", "in", "south"), ("c0", "in", "north")])
    assert extended.kge is two_groups.kge
    assert len(extended.graph.triples) == len(two_groups.graph.triples) + 1
    known = {x.tail: x.known for x in extended.predict(head="c0", relation="in")}
    assert known["south"]


def test_the_model_stays_as_it_is(two_groups: TrainedModel) -> None:
    before = two_groups.predict(head="c1", relation="in")
    entities = two_groups.kge.entities.clone()
    extended = two_groups.fold_in([("new", "in", "south")])
    assert extended.kge.entities is two_groups.kge.entities
    assert two_groups.kge.entities.equal(entities)
    assert two_groups.predict(head="c1", relation="in") == before
    with pytest.raises(UnknownNameError):
        two_groups.predict(head="new", relation="in")


def test_entities_are_folded_in_one_after_the_other(two_groups: TrainedModel) -> None:
    once = two_groups.fold_in([("new", "in", "south")])
    twice = once.fold_in([("newer", "in", "new"), ("newest", "in", "north")])
    assert twice.predict(head="new", relation="in", k=1)[0].tail == "south"
    assert twice.predict(head="newest", relation="in", k=1)[0].tail == "north"
    rows = torch.from_numpy(once.graph.part("mine").entity_rows[-1:])
    assert twice.kge.vectors(rows).equal(once.kge.vectors(rows))


@pytest.mark.parametrize("encoder", ["complex", "gru", "transformer"])
def test_the_loss_has_its_gradient(two_groups: TrainedModel, encoder: str) -> None:
    settings = ModelSettings.model_validate({"encoder": encoder, "width": WIDTH})
    kge = KgeModel.create(settings.model_copy(update={"init_scale": 0.5}), 12, 1, seed=1)
    facts = two_groups.graph.triples
    compared = Compared.of(kge, np.arange(12), facts)
    folder = VectorFolder(kge, compared, KnownFacts(facts), 0.03)
    own = FactsOfOne(np.array([0, 0, 1]), np.array([10, 3, 4]), np.array([1.0, 0.5, 2.0]))
    start = kge.entities[:5].mean(0)
    loss, at = folder._loss(own), start.double().numpy()
    _, gradient = loss(at)
    step = 1e-2 * np.eye(WIDTH)[:4]
    slopes = [(loss(at + x)[0] - loss(at - x)[0]) / 2e-2 for x in step]
    np.testing.assert_allclose(slopes, gradient[:4], rtol=0.05, atol=0.02)
    assert loss(folder.vector(own, start).double().numpy())[0] < loss(at)[0]
    assert all(x.grad is None for x in kge.encoder.parameters())


# ---------------------------------------------------------------------------- rules and statements


@pytest.fixture(scope="module")
def cases(student: TrainedModel) -> tuple[TrainedModel, list[tuple[str, str, str]], list]:
    """The generated student, facts of two new entities, and a link of one to atlas."""
    part = student.graph.part("mine")
    free = np.setdiff1d(student.graph.part("atlas").entity_rows, part.entity_rows)
    place = int(np.flatnonzero(student.graph.part("atlas").entity_rows == free[0])[0])
    atlas = student.graph.part("atlas").entities.name(place)
    names = part.entities.names.to_list()
    facts = [
        ("new", "r1", names[3]),
        (names[5], "r2", "new"),
        ("new", "r0", names[9]),
        ("other", "r1", "new"),
        ("other", "r4", names[2]),
    ]
    return student, facts, [("new", "atlas", atlas)]


def test_the_index_is_that_of_the_graph_with_the_facts(cases) -> None:  # type: ignore[no-untyped-def]
    student, facts, links = cases
    extended = student.fold_in(facts, links)
    graph, evidence = extended.graph, extended.evidence
    assert isinstance(evidence, Evidence)
    found = evidence.index
    anew = EvidenceIndex(graph, "mine", evidence.rules, evidence.reliability)
    assert found is not None
    entities = np.repeat(np.arange(graph.n_entities), 2 * graph.n_relations)
    along = np.tile(np.arange(2 * graph.n_relations), graph.n_entities)
    for name in ("inferred", "stated"):
        one, other = (getattr(x, name)(entities, along) for x in (found, anew))
        columns = {"q": one.query, "y": one.entity, "p": one.probability}
        others = {"q": other.query, "y": other.entity, "p": other.probability}
        both = [pl.DataFrame(x).sort("q", "y").cast(pl.Float64) for x in (columns, others)]
        np.testing.assert_allclose(*(x.to_numpy() for x in both), rtol=1e-5)
        assert len(both[0]) > 0
    np.testing.assert_allclose(found.frequencies.degree, anew.frequencies.degree, rtol=1e-5)
    np.testing.assert_array_equal(found.frequencies.linked, anew.frequencies.linked)
    relations = np.arange(2 * graph.n_relations)
    for one, other in zip(
        found.frequencies.answers(relations), anew.frequencies.answers(relations), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    new = graph.part("mine").entity_rows[-2:]
    assert len(found.stated(new, np.full(2, 3)).entity) >= 0
    edges = {*found.edges.frame.iter_rows()}
    assert edges == {*anew.edges.frame.iter_rows()}
    assert len(edges) == len(found.edges.frame)


def test_facts_are_described_as_in_the_graph_with_the_facts(cases) -> None:  # type: ignore[no-untyped-def]
    student, facts, links = cases
    extended = student.fold_in(facts, links)
    judge = prepared(extended).judge
    assert judge is not None
    assert extended.evidence is not None
    anew = fact_scorer(extended.graph, "mine", extended.kge, extended.evidence)
    assert judge.scorer.candidates.tolist() == anew.candidates.tolist()
    one, other = judge.scorer.statistics, anew.statistics
    rows = np.arange(extended.graph.n_entities)
    for along in range(2 * extended.graph.n_relations):
        asked = np.full(len(rows), along)
        for name in ("own", "others"):
            counts = [getattr(x, name).of(rows, asked) for x in (one, other)]
            assert counts[0].tolist() == counts[1].tolist()
    for name in ("single", "queries", "facts"):
        assert getattr(one.own, name).tolist() == getattr(other.own, name).tolist()
    assert one.degree.tolist() == other.degree.tolist()
    assert one.known_to.tolist() == other.known_to.tolist()
    has = (x.domain._has.toarray() > 0 for x in (judge.scorer, anew))
    np.testing.assert_array_equal(*has)


def test_a_link_brings_what_its_source_states(cases) -> None:  # type: ignore[no-untyped-def]
    student, facts, links = cases
    linked, alone = student.fold_in(facts[:1], links), student.fold_in(facts[:1])
    row = linked.graph.part("mine").entity_rows[-1]
    assert row in linked.graph.part("atlas").entity_rows
    assert linked.graph.n_entities == student.graph.n_entities
    own = linked.graph.triples[(linked.graph.triples[:, [0, 2]] == row).any(1)]
    assert len(own) > 1
    stated = [
        x
        for relation in linked.graph.part("mine").relations.names.to_list()
        for x in linked.predict(head="new", relation=relation, k=999)
        if x.stated_by
    ]
    by_alone = [
        x
        for relation in alone.graph.part("mine").relations.names.to_list()
        for x in alone.predict(head="new", relation=relation, k=999)
        if x.stated_by
    ]
    assert len(stated) > len(by_alone) == 1
    vectors = [
        x.kge.vectors(torch.from_numpy(x.graph.part("mine").entity_rows[-1:]))
        for x in (linked, alone)
    ]
    assert not vectors[0].equal(vectors[1])


def test_new_facts_are_known_and_explained(cases) -> None:  # type: ignore[no-untyped-def]
    student, facts, links = cases
    extended = student.fold_in(facts, links)
    head, relation, tail = facts[0]
    answer = next(
        x for x in extended.predict(head=head, relation=relation, k=999) if x.tail == tail
    )
    assert (answer.probability, answer.known) == (1.0, True)
    explained = extended.explain(head, relation, tail)
    assert "mine" in {x.source for x in explained.stated_by}
    fresh = Predictor(extended)  # prepared anew, from the graph
    queries = [Query(head="new", relation="r3"), Query(relation="r2", tail="new")]
    for one, other in zip(
        prepared(extended).answer(queries, 20), fresh.answer(queries, 20), strict=True
    ):
        assert [x.tail for x in one] == [x.tail for x in other]
        assert [x.stated_by for x in one] == [x.stated_by for x in other]
        assert [x.score for x in one] == pytest.approx([x.score for x in other], abs=1e-4)
        assert [x.probability for x in one] == pytest.approx(
            [x.probability for x in other], abs=0.05
        )


def test_names_may_be_labels_and_ends(tiny: Collection) -> None:
    settings = TrainSettings(model=ModelSettings(width=4))
    graph = join(list(tiny.graphs.values()), tiny.links)
    kge = KgeModel.create(settings.model, graph.n_entities, graph.n_relations)
    model = TrainedModel("joint", kge, graph, "mine", settings)
    extended = model.fold_in([("zoe", "likes", "BOB"), ("zoe", "likes", "bob")])
    assert len(extended.graph.triples) == len(graph.triples) + 1
    with pytest.raises(UnknownNameError, match="is the label of 2 entities"):
        model.fold_in([("zoe", "likes", "Sam")])
    with pytest.raises(UnknownNameError, match="did you mean 'likes'"):
        model.fold_in([("zoe", "like", "bob")])
    with pytest.raises(UnknownNameError, match="a name of a fact is empty"):
        model.fold_in([(" ", "likes", "bob")])
    for link, complaint in (
        (("zoe", "big", "A"), "'A' of big is 'ann' of mine already"),
        (("ann", "big", "Z"), "a link joins a new entity"),
        (("zoe", "mine", "ann"), "a link joins a new entity"),
    ):
        with pytest.raises(KgraftError, match=complaint):
            model.fold_in([("zoe", "likes", "bob")], [link])
    with pytest.raises(KgraftError, match="'zoe' and 'yve' are both linked to 'Z'"):
        model.fold_in([], [("zoe", "big", "Z"), ("yve", "big", "Z")])
    with pytest.raises(UnknownNameError, match="no source is called 'small'"):
        model.fold_in([], [("zoe", "small", "Z")])
    with pytest.warns(KgraftWarning, match="1 link to entities of which the model has no fact"):
        model.fold_in([("zoe", "likes", "bob")], [("zoe", "big", "Y")])
    with pytest.raises(KgraftError, match="name 2 entities that the model does not know; 1 new"):
        fold_into(prepared(model), [("zoe", "likes", "yve")], max_entities=1)


def test_it_needs_a_target_and_is_not_saved(
    two_groups: TrainedModel, teacher: TrainedModel, tmp_path: Path
) -> None:
    with pytest.raises(KgraftError, match="this teacher answers for no target"):
        teacher.fold_in([("new", "r1", "other")])
    extended = two_groups.fold_in([("new", "in", "south")])
    with pytest.raises(KgraftError, match="1 entity folded in cannot be saved"):
        extended.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_many_threads_may_fold_in_at_once(student: TrainedModel) -> None:
    names = student.graph.part("mine").entities.names.to_list()[:8]
    prepared(student)

    def ask(name: str) -> list[str]:
        extended = student.fold_in([("new", "r1", name)])
        return [x.tail for x in extended.predict(head="new", relation="r1", k=200) if x.known]

    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(ask, names)] == [[name] for name in names]


# ------------------------------------------------------------------------------------------- files


def test_files_of_facts_and_links(cases, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    student, facts, links = cases
    path, linking = tmp_path / "facts.tsv", tmp_path / "links.tsv"
    path.write_text("".join("\t".join(x) + "\n" for x in facts))
    linking.write_text("".join("\t".join(x) + "\n" for x in [*links, ("new", "atlas", "nowhere")]))
    found, told = with_files(prepared(student), path, linking)
    assert told == [
        f"2 new entities with 5 facts from {path}",
        f"1 link of {linking} count for nothing, as the model has no fact of 'nowhere' of atlas",
    ]
    by_python = student.fold_in(facts, links)
    query = Query(head="new", relation="r3")
    assert found.answer([query], 5) == prepared(by_python).answer([query], 5)


@pytest.mark.parametrize("ending", ["tsv", "csv", "parquet"])
def test_a_relation_that_is_unknown_is_named(
    student: TrainedModel, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"facts.{ending}"
    frame = pl.DataFrame(
        {"head": ["new", "new"], "relation": ["r1", "rr1"], "tail": ["mine:1", "mine:2"]}
    )
    match ending:
        case "parquet":
            frame.write_parquet(path)
        case _:
            frame.write_csv(path, separator="," if ending == "csv" else "\t")
    with pytest.raises(DataError, match="no entity or relation is called 'rr1'; did you") as failed:
        with_files(prepared(student), path)
    assert failed.value.line == (None if ending == "parquet" else 3)
    links = tmp_path / "links.tsv"
    links.write_text("new\tatlas\ta\nnew\tatlantis\ta\n")
    path = tmp_path / "right.tsv"
    path.write_text("new\tr1\tmine:1\n")
    with pytest.raises(
        DataError, match="line 2: no other source of the model is called 'atlantis'"
    ):
        with_files(prepared(student), path, links)
