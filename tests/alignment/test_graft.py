"""Grafting: what links a graph with a teacher's sources, what is kept, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from kgraft.alignment.align import align
from kgraft.alignment.graft import GRAFT_METRIC, LINKS_DIRECTORY, Graft, graft, link_target
from kgraft.alignment.settings import AlignSettings, GraftSettings
from kgraft.alignment.teacher_sources import joining_links, teacher_sources
from kgraft.errors import DataError, ModelDirectoryError
from kgraft.graph.knowledge_graph import ATTRIBUTE_SCHEMA, KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.linking.links import Links
from kgraft.model.attributes import ATTRIBUTES
from kgraft.model.directory import load_model
from kgraft.model.gain import gains_of
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline import fit_target as stages
from kgraft.pipeline.pretrain import pretrain
from kgraft.pipeline.run import RunOptions
from kgraft.settings import RetrainSettings, TrainSettings
from kgraft.system.progress import Silence

IRI = "http://x.org/"
SAME_AS = "http://www.w3.org/2002/07/owl#sameAs"


@pytest.fixture(scope="module")
def short(fast_student: RetrainSettings) -> RetrainSettings:
    training = fast_student.training.model_copy(update={"epochs": 2, "min_steps": 0})
    return fast_student.model_copy(update={"training": training})


@pytest.fixture(scope="module")
def grafted(generated: Collection, teacher: TrainedModel, short: RetrainSettings) -> Graft:
    """The target of the generated collection, whose names end as the teacher's, without a link."""
    return graft(generated.target_graph, teacher, short)


def names_of(links: Links, graphs: dict[str, KnowledgeGraph]) -> set[tuple[str, str]]:
    left, right = (graphs[x].entities for x in (links.left, links.right))
    return set(
        zip(left.names_of(links.pairs[:, 0]), right.names_of(links.pairs[:, 1]), strict=True)
    )


def test_links_are_found_and_a_student_gains_by_them(generated: Collection, grafted: Graft) -> None:
    linked = grafted.linked
    for x in linked.collection.links:
        assert x.left == "mine"
        if x.kind == "entity":
            pairs = names_of(x, dict(linked.collection.graphs))
            right = [one.split(":")[1] == other.split(":")[1] for one, other in pairs]
            assert np.mean(right) > 0.95
    assert linked.linkage.found == linked.linkage.linked > 0.9 * linked.linkage.entities
    assert linked.linkage.relations_by_name == linked.linkage.relations
    gains = gains_of(grafted.student.metrics)
    assert gains["all"].gain > 0.05
    assert gains["covered"].queries / gains["all"].queries == pytest.approx(
        linked.linkage.covered, abs=0.01
    )
    assert grafted.student.metrics[GRAFT_METRIC]["found"] == linked.linkage.found
    assert "by links found" in repr(grafted)
    assert linked.collection.target_graph.train is generated.target_graph.train


def test_the_same_links_are_found_again(
    generated: Collection, teacher: TrainedModel, grafted: Graft
) -> None:
    again = link_target(generated.target_graph, teacher)
    assert again.alignment.to_frame().equals(grafted.linked.alignment.to_frame())


def test_links_of_a_collection_count_first_and_the_teacher_s_own_are_not_found_again(
    generated: Collection, teacher: TrainedModel
) -> None:
    linked = link_target(generated, teacher)
    own = generated.target_graph
    given = [x for x in generated.links if x.joins(own.name) and x.kind == "entity"]
    rows = {row for x in given for row in x.pairs[:, int(x.right == own.name)].tolist()}
    assert linked.linkage.given == len(rows)
    assert all(x.links.joins(own.name) for x in linked.alignment.proposed)
    kept = [x for x in linked.collection.links if not x.provenance]
    assert sum(map(len, kept)) == sum(len(x) for x in generated.links if x.joins(own.name))


def test_a_teacher_s_joint_rows_are_made_again_by_its_links(teacher: TrainedModel) -> None:
    sources = teacher_sources(teacher)
    again = join(list(sources.values()), joining_links(teacher.graph))
    assert again.n_entities == teacher.graph.n_entities
    for name, part in teacher.graph.parts.items():
        assert np.array_equal(again.parts[name].entity_rows, part.entity_rows)
        assert len(sources[name].valid) == len(teacher.held_out.get(name, ()))


def test_only_the_target_is_matched(collection_of, pairs_of) -> None:
    labels = {x: x.lower() for x in "pqPQ"} | {"s": "p", "t": "q"}
    made = collection_of({"a": "p in q", "b": "P of Q", "c": "s at t"}, labels=labels)
    assert pairs_of(align(made)) == {"p=P", "q=Q", "p=s", "q=t", "P=s", "Q=t"}
    assert pairs_of(align(made, target="a")) == {"p=P", "q=Q", "p=s", "q=t"}
    two = collection_of({"a": "p in q, q in r", "b": "P of Q, Q of R"}, {"a b": "p=P"})
    masked = AlignSettings(labels={"use": False})
    assert align(two, masked, target="b").to_frame().equals(align(two, masked).to_frame())


# ------------------------------------------------------------------ what is in the data, and files


def little(name: str, *sentences: str, labels: dict[str, str] | None = None) -> KnowledgeGraph:
    facts = [x.split() for x in sentences]
    entities = Vocabulary.of(dict.fromkeys(x for head, _, tail in facts for x in (head, tail)))
    relations = Vocabulary.of(dict.fromkeys(x for _, x, _ in facts))
    rows = [[entities.row(h), relations.row(r), entities.row(t)] for h, r, t in facts]
    called = labels and pl.Series([labels.get(x) for x in entities.names], dtype=pl.String)
    return KnowledgeGraph(name, entities, relations, np.array(rows), labels=called)


@pytest.fixture(scope="module")
def numbers(fast: TrainSettings) -> TrainedModel:
    """A teacher of two sources whose names are numbers, with one value of an attribute."""
    values = {"entity": [0, 1], "attribute": ["code"] * 2, "value": ["ZZ-9000", "4"]}
    frame = pl.DataFrame(values).with_columns(datatype=pl.lit("x"), language=pl.lit(None))
    wiki = little("wiki", "w/Q1 w/P1 w/Q2", "w/Q2 w/P1 w/Q3", "w/Q3 w/P1 w/Q1")
    wiki = replace(wiki, attributes=frame.cast(pl.Schema(ATTRIBUTE_SCHEMA)))
    web = little("web", f"{IRI}a {IRI}r {IRI}b", f"{IRI}b {IRI}r {IRI}c")
    sure = np.ones(1, dtype=np.float32)
    links = (Links("wiki", "web", np.array([[2, 2]]), sure),)
    return pretrain(Collection("two", {"wiki": wiki, "web": web}, links), fast)


def test_statements_of_sameness_and_equal_iris_link(numbers: TrainedModel, tmp_path: Path) -> None:
    (tmp_path / "mine.nt").write_text(
        f"<u:1> <u:r> <u:2> .\n<u:2> <u:r> <{IRI}b> .\n<u:1> <{SAME_AS}> <{IRI}a> .\n"
    )
    linked = link_target(tmp_path / "mine.nt", numbers)
    linkage = linked.linkage
    assert (linkage.given, linkage.stated, linkage.same_iri) == (0, 1, 1)
    assert linkage.entities == 3
    pairs = [
        pair for x in linked.collection.links for pair in names_of(x, linked.collection.graphs)
    ]
    assert {("u:1", f"{IRI}a"), (f"{IRI}b", f"{IRI}b")} <= {*pairs}


@pytest.mark.parametrize("turned", [False, True])
def test_a_file_links_with_any_source(numbers: TrainedModel, tmp_path: Path, turned: bool) -> None:
    links = [("u:1", "w/Q1"), ("u:2", f"{IRI}b")]
    lines = ["\t".join(pair[::-1] if turned else pair) for pair in links]
    (tmp_path / "same.tsv").write_text("\n".join(lines) + "\n")
    own = little("mine", "u:1 likes u:2", "u:2 likes u:3")
    linked = link_target(own, numbers, links=[tmp_path / "same.tsv"])
    assert linked.linkage.given == 2
    assert {x.right for x in linked.collection.links} >= {"wiki", "web"}
    (tmp_path / "same.tsv").write_text("nothing\tnowhere\n")
    with pytest.raises(DataError, match=r"same\.tsv: none of these links joins a name of 'mine'"):
        link_target(own, numbers, links=[tmp_path / "same.tsv"])


def test_values_that_a_teacher_has_kept_find_a_link(numbers: TrainedModel, tmp_path: Path) -> None:
    numbers.save(tmp_path / "teacher")
    loaded = load_model(tmp_path / "teacher")
    own = little("mine", "one likes two", "two likes three")
    value = {"entity": [1], "attribute": ["id"], "value": ["zz-9000"]}
    frame = pl.DataFrame(value).with_columns(datatype=pl.lit("x"), language=pl.lit(None))
    own = replace(own, attributes=frame.cast(pl.Schema(ATTRIBUTE_SCHEMA)))
    found = link_target(own, loaded).alignment.to_frame()
    assert found.select("left_name", "right_name").rows() == [("two", "w/Q1")]
    assert "zz-9000" in found["evidence"][0]
    loaded.save(tmp_path / "copy")
    kept = load_model(tmp_path / "copy").attributes()["wiki"]
    assert kept["value"].to_list() == ["ZZ-9000", "4"]


def test_attributes_are_read_and_checked_only_when_aligning(
    numbers: TrainedModel, tmp_path: Path
) -> None:
    numbers.save(tmp_path / "teacher")
    (tmp_path / "teacher" / ATTRIBUTES).write_bytes(b"damaged")
    loaded = load_model(tmp_path / "teacher")
    with pytest.raises(ModelDirectoryError, match=r"attributes\.parquet: this file was changed"):
        link_target(little("mine", "one likes two"), loaded)


# ------------------------------------------------------------------------- directories and errors


def test_the_student_s_directory_has_the_found_links(grafted: Graft, tmp_path: Path) -> None:
    grafted.save(tmp_path / "student")
    assert load_model(tmp_path / "student").metrics[GRAFT_METRIC]["found"] > 0
    found = pl.read_csv(tmp_path / "student" / LINKS_DIRECTORY / "mine-atlas.tsv", separator="\t")
    assert found.columns == ["left", "right", "confidence", "evidence"]
    with pytest.raises(ModelDirectoryError, match="--overwrite"):
        grafted.save(tmp_path / "student")
    grafted.save(tmp_path / "student", overwrite=True)


def test_a_stopped_graft_goes_on(
    generated: Collection,
    teacher: TrainedModel,
    short: RetrainSettings,
    grafted: Graft,
    tmp_path: Path,
) -> None:
    class Shown(Silence):
        def begin(self, name: str, total: int) -> None:  # noqa: ARG002
            begun.append(name)

    begun: list[str] = []
    works, options = stages.fit_calibration, RunOptions(Shown(), tmp_path / "run")

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("stopped")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "fit_calibration", fails)
        with pytest.raises(RuntimeError):
            graft(generated.target_graph, teacher, short, options=options, compare_alone=False)
    assert stages.fit_calibration is works
    begun.clear()
    again = graft(generated.target_graph, teacher, short, options=options, compare_alone=False)
    assert begun[0] == "align"
    assert "embeddings for mine" not in begun
    assert again.student.kge.entities.equal(grafted.student.kge.entities)


def test_without_validation_facts_nothing_is_compared(
    generated: Collection, teacher: TrainedModel, short: RetrainSettings
) -> None:
    own = replace(generated.target_graph, valid=generated.target_graph.valid[:0])
    settings = GraftSettings.model_validate(short.model_dump(exclude_unset=True))
    student = graft(own, teacher, settings).student
    assert gains_of(student.metrics) == {}
    assert student.metrics[GRAFT_METRIC]["covered"] is None


def test_settings_of_align_are_used(generated: Collection, teacher: TrainedModel) -> None:
    masked = AlignSettings(labels={"use": False})
    with pytest.raises(DataError, match="no entity of 'mine' is linked"):
        graft(generated.target_graph, teacher, GraftSettings(align=masked))


@pytest.mark.parametrize(
    ("own", "problem", "remedy"),
    [
        (
            little("mine", "one likes two"),
            r"'mine' is linked .* no link was found: .*'one'.*numbers for names, and no labels",
            "--links FILE",
        ),
        (little("web", "one likes two"), "'web' is the name of one of the teacher's", "Rename"),
        (replace(little("mine", "a r b"), train=np.empty((0, 3))), "no training facts", "a file"),
    ],
)
def test_errors_tell_the_remedy(
    fast: TrainSettings, own: KnowledgeGraph, problem: str, remedy: str
) -> None:
    web = little("web", "w/Q1 w/P1 w/Q2", "w/Q2 w/P1 w/Q3")
    teacher = pretrain(Collection("one", {"web": web}), fast)
    with pytest.raises(DataError, match=problem) as caught:
        graft(own, teacher)
    assert remedy in str(caught.value)
