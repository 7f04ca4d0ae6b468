"""Relations that correspond become one, and facts along inverse and narrower ones are restated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.linking.coverage import covered
from kgraft.linking.join import join, join_relations
from kgraft.linking.joint_graph import JointGraph
from kgraft.linking.linked_subgraph import connect
from kgraft.linking.links import Links
from kgraft.linking.matched_relations import MatchedRelations, match_relations
from kgraft.settings import MatchingSettings
from kgraft.system.arrays import is_mapped, mapped

SETTINGS = MatchingSettings(support=2, threshold=0.6, part_threshold=0.7, margin=1.0, caution=0.0)

SAME = {
    "mine": "v borders w, w borders x, x borders y",
    "other": "V near W, W near X, X near Y, Y near Z",
}
INVERSE = {
    "mine": "v rules w, w rules x, x rules y",
    "other": "W subject V, X subject W, Y subject X, Z subject Y",
}
NARROWER = {
    "mine": "v speaks w, w speaks x, x speaks y, v speaks x, w speaks y",
    "other": "V official W, W official X, X official Y, Y official Z",
}
LINKS = {"mine other": "v=V w=W x=X y=Y"}


def matched(collection, **changes) -> MatchedRelations:
    settings = SETTINGS.model_copy(update=changes)
    return match_relations(list(collection.graphs.values()), collection.links, settings)


def facts(joint: JointGraph, source: str) -> set[str]:
    """Return a source's facts by the names of the first source that has them."""
    part = joint.part(source)
    names = {}
    for other in reversed(joint.parts.values()):
        names |= dict(zip(other.relation_rows.tolist(), other.relations.names, strict=True))
    entities = dict(zip(part.entity_rows.tolist(), part.entities.names, strict=True))
    return {f"{entities[h]} {names[r]} {entities[t]}" for h, r, t in joint.facts_of([source])}


def test_relations_that_are_the_same_share_a_row(collection_of) -> None:
    found = matched(collection_of(SAME, LINKS))
    assert [(x.relation, x.other, x.kind) for x in found.found] == [("borders", "near", "same")]
    joint = found.join()
    assert joint.n_relations == 1
    assert {name: rows.tolist() for name, rows in joint.found_relations.items()} == {"other": [0]}
    assert facts(joint, "other") == {"V borders W", "W borders X", "X borders Y", "Y borders Z"}


def test_an_inverse_is_restated_with_its_ends_exchanged(collection_of) -> None:
    found = matched(collection_of(INVERSE, LINKS))
    joint = found.join()
    assert found.graphs[1].relations.names.to_list() == ["subject", "inverse of subject"]
    assert {"V rules W", "W rules X", "X rules Y", "Y rules Z"} <= facts(joint, "other")
    # The facts as they were stated stay, and those of the target change in nothing.
    assert {"W subject V", "Z subject Y"} <= facts(joint, "other")
    assert facts(joint, "mine") == {"v rules w", "w rules x", "x rules y"}
    assert found.origins["other"].tolist() == [0 + 2 - 1]  # one own relation more: its inverse


def test_a_narrower_relation_counts_as_the_broader(collection_of) -> None:
    found = matched(collection_of(NARROWER, LINKS))
    assert [(x.relation, x.other, x.kind) for x in found.found] == [
        ("speaks", "official", "broader")
    ]
    joint = found.join()
    assert {"V speaks W", "Y speaks Z"} <= facts(joint, "other")
    assert found.origins["other"].tolist() == [0]


def test_a_broader_relation_says_nothing(collection_of) -> None:
    turned = {"mine": NARROWER["other"].lower(), "other": NARROWER["mine"].upper()}
    made = collection_of(
        {"mine": turned["mine"], "other": turned["other"].replace("SPEAKS", "speaks")}, LINKS
    )
    assert matched(made).graphs[1] is made.graphs["other"]


def test_relations_of_one_name_are_left_as_they_are(collection_of) -> None:
    made = collection_of(
        {
            "mine": INVERSE["mine"] + ", v subject z",
            "other": INVERSE["other"],
        },
        LINKS,
    )
    # The target has a relation of that name, and tells the two apart.
    assert matched(made).graphs[1] is made.graphs["other"]
    assert not matched(made).found


def test_matching_can_be_switched_off(collection_of) -> None:
    made = collection_of(SAME, LINKS)
    found = matched(made, use=False)
    assert found.links == made.links
    assert found.join().n_relations == 2


@pytest.mark.parametrize("sentences", [SAME, INVERSE, NARROWER])
def test_coverage_counts_corresponding_relations(collection_of, sentences) -> None:
    mine = f"{sentences['mine']}, z likes v"
    made = collection_of({**sentences, "mine": mine}, {"mine other": "v=V w=W x=X y=Y z=Z"})
    own = made.graphs["mine"]
    asked = np.array([[own.entities.row("y"), 0, own.entities.row("z")]])
    by_names = join(list(made.graphs.values()), made.links)
    assert covered(matched(made).join(), "mine", asked).all()
    assert not covered(by_names, "mine", asked).any()


def test_facts_that_are_stated_already_are_not_repeated(collection_of) -> None:
    made = collection_of(
        {
            "mine": NARROWER["mine"],
            "other": NARROWER["other"] + ", V talks W, W talks X, X talks Y, V talks X, W talks Y",
        },
        LINKS,
    )
    found = matched(made)
    restated = found.graphs[1]
    # talks is the same as speaks, so the facts of official become facts of talks.
    assert len(restated.relations) == 2
    assert len(restated.train) == len({tuple(x) for x in restated.train.tolist()})
    assert "Y speaks Z" in facts(found.join(), "other")


def test_confidence_and_negatives_go_along(collection_of) -> None:
    made = collection_of(INVERSE, LINKS)
    other = made.graphs["other"]
    doubtful = replace(
        other,
        known_false=np.array([[other.entities.row("V"), 0, other.entities.row("Z")]]),
        confidence={"train": np.array([0.5, 1.0, 1.0, 0.25])},
    )
    found = match_relations([made.graphs["mine"], doubtful], made.links, SETTINGS)
    restated = found.graphs[1]
    names = restated.entities.names
    by_fact = {
        (names[h], r, names[t]): c
        for (h, r, t), c in zip(
            restated.train.tolist(), restated.confidence_of("train"), strict=True
        )
    }
    assert by_fact["V", 1, "W"] == by_fact["W", 0, "V"] == 0.5
    assert by_fact["Y", 1, "Z"] == 0.25
    assert {(names[h], r, names[t]) for h, r, t in restated.known_false.tolist()} == {
        ("V", 0, "Z"),
        ("Z", 1, "V"),
    }


@pytest.mark.parametrize(("sentences", "turned"), [(SAME, 0), (INVERSE, 1), (NARROWER, 0)])
def test_a_student_knows_the_teachers_row(collection_of, sentences, turned: int) -> None:
    made = collection_of(sentences, LINKS)
    target: KnowledgeGraph = made.graphs["mine"]
    teacher = join([made.graphs["other"]])
    subgraph = connect(target, made.links, teacher, relations=SETTINGS)
    [row] = subgraph.graph.part("mine").relation_rows
    assert subgraph.teacher_relations[row] == turned * teacher.n_relations
    plain = connect(target, made.links, teacher)
    assert plain.teacher_relations[plain.graph.part("mine").relation_rows].tolist() == [-1]


@pytest.mark.parametrize("is_stored", [False, True])
def test_graphs_that_are_joined_before_are_joined_by_relations_alone(
    collection_of, tmp_path: Path, is_stored: bool
) -> None:
    made = collection_of({**SAME, "third": "V subject W, X talks Y"}, LINKS)
    graphs, settings = list(made.graphs.values()), SETTINGS
    before = join(graphs, made.links)
    if is_stored:
        np.save(tmp_path / "facts.npy", before.triples)
        before = replace(before, triples=mapped(tmp_path / "facts.npy"))
    expected, found = (
        match_relations(graphs, made.links, settings, restate=False, joined=joined).join()
        for joined in (None, before)
    )
    assert expected.n_relations == found.n_relations < before.n_relations
    assert is_mapped(found.triples) == is_stored
    assert np.array_equal(expected.triples, found.triples)
    assert expected.conflicts == found.conflicts
    for name, part in expected.parts.items():
        assert np.array_equal(part.relation_rows, found.parts[name].relation_rows)
        assert np.array_equal(part.entity_rows, found.parts[name].entity_rows)
        assert np.array_equal(expected.found_relations.get(name), found.found_relations.get(name))


def test_relations_that_were_one_may_be_parted(collection_of) -> None:
    sentences = {"mine": "v one w, w two x", "other": "V uno W, W due X"}
    made = collection_of(sentences, {"mine other": "v=V w=W x=X"})
    graphs = list(made.graphs.values())

    def joined_by(left: str, right: str) -> list[Links]:
        rows = graphs[0].relations.row(left), graphs[1].relations.row(right)
        sure = np.ones(1, dtype=np.float32)
        return [*made.links, Links("mine", "other", np.array([rows]), sure, "relation")]

    before = join(graphs, joined_by("one", "uno"))
    links = joined_by("one", "due")
    expected, found = join(graphs, links), join_relations(before, graphs, links)
    assert np.array_equal(expected.triples, found.triples)
    for name, part in expected.parts.items():
        assert np.array_equal(part.relation_rows, found.parts[name].relation_rows)
