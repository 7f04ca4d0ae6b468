"""Which rows are exported, and what they are called."""

from __future__ import annotations

import numpy as np
import pytest

from kgraft.errors import DataError, UnknownNameError
from kgraft.exporting.selection import merge_prior, select
from kgraft.model.trained_model import TrainedModel


def test_by_default_the_targets_rows_or_all_of_a_teacher(
    student: TrainedModel, teacher: TrainedModel
) -> None:
    chosen = select(student)
    assert chosen.sources == ("mine",)
    np.testing.assert_array_equal(chosen.entities.vectors, merge_prior(student.kge).entities)
    both = select(teacher)
    assert both.sources == ("atlas", "cards")
    parts = teacher.graph.parts
    assert len(both.entities) == len(parts["atlas"].entities) + len(parts["cards"].entities)
    # Linked entities share a vector, and each source names it.
    row = np.intersect1d(parts["atlas"].entity_rows, parts["cards"].entity_rows)[0]
    named = [
        (source, parts[source].entities.name(np.flatnonzero(parts[source].entity_rows == row)[0]))
        for source in ("atlas", "cards")
    ]
    about = both.entities.about
    for source, name in named:
        place = about["name"].to_list().index(name)
        assert about["source"][place] == source
        np.testing.assert_array_equal(both.entities.vectors[place], teacher.kge.entities[row])


def test_a_sources_entities_without_a_vector_are_left_out(student: TrainedModel) -> None:
    chosen = select(student, sources=["atlas"])
    part = student.graph.parts["atlas"]
    has = part.entity_rows < student.kge.n_entities
    assert 0 < has.sum() < len(has)
    assert chosen.entities.about["name"].to_list() == part.entities.names_of(np.flatnonzero(has))
    np.testing.assert_array_equal(
        chosen.entities.vectors, merge_prior(student.kge).entities[part.entity_rows[has]]
    )


def test_labels_come_with_the_rows(tiny, by_size) -> None:  # type: ignore[no-untyped-def]
    model = by_size(tiny.graphs["mine"], [1, 2, 3, 4, 5], [1, 2])
    chosen = select(model)
    assert chosen.entities.about.to_dict(as_series=False) == {
        "name": ["ann", "bob", "cay", "dan", "eve"],
        "source": ["mine"] * 5,
        "label": ["Ann", "Bob", "Sam", "Sam", None],
    }
    assert chosen.relations.about.to_dict(as_series=False) == {
        "name": ["likes", "knows"] * 2,
        "source": ["mine"] * 4,
        "label": ["likes", "knows"] * 2,
        "inverse": [False, False, True, True],
    }
    np.testing.assert_array_equal(chosen.entities.vectors[:, 0], [1, 2, 3, 4, 5])


def test_relations_have_the_rows_of_their_source(student: TrainedModel) -> None:
    chosen = select(student, sources=["cards"])
    rows = student.graph.parts["cards"].relation_rows
    both = np.concatenate([rows, rows + student.graph.n_relations])
    np.testing.assert_array_equal(
        chosen.relations.vectors, merge_prior(student.kge).relations[both]
    )
    assert chosen.relations.about["name"][0] == "verb0"


def test_tables_are_called_after_the_target_or_as_one_likes(
    student: TrainedModel, teacher: TrainedModel
) -> None:
    assert list(select(student).tables) == ["mine_entities", "mine_relations"]
    assert list(select(teacher).tables) == ["teacher_entities", "teacher_relations"]
    assert list(select(student, name="x").tables) == ["x_entities", "x_relations"]


def test_what_is_not_there_is_refused(student: TrainedModel, teacher: TrainedModel) -> None:
    with pytest.raises(UnknownNameError, match="no source is called 'globe'"):
        select(student, sources=["globe"])
    with pytest.raises(DataError, match=r"no vector of an entity of no source\. Name one of mine"):
        select(student, sources=[])


def test_rows_are_written_in_batches_with_progress(student: TrainedModel) -> None:
    chosen = select(student)
    parts = list(chosen.batches(chosen.entities, "rows"))
    covered = np.concatenate([np.arange(len(chosen.entities))[part] for part in parts])
    np.testing.assert_array_equal(covered, np.arange(len(chosen.entities)))
