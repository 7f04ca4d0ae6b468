"""Names that stay in a teacher's table: the same ones, and read whole where that is not safe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from kgraft.graph import vocabulary
from kgraft.io.staged_names import StoredVocabulary
from kgraft.linking.collection import Collection
from kgraft.model import stored_names
from kgraft.model.directory import load_model, save_model
from kgraft.model.graph_tables import read_joint_graph
from kgraft.model.manifest import read_manifest
from kgraft.model.stored_names import stored_entities
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.inputs import fingerprint_of_inputs
from kgraft.pipeline.retrain import retrain
from kgraft.settings import RetrainSettings


@pytest.fixture
def saved(teacher: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A teacher's directory, whose few names count as many."""
    monkeypatch.setattr(stored_names, "SMALL", 0)
    monkeypatch.setattr(vocabulary, "PIECE", 7)
    save_model(teacher, tmp_path / "teacher")
    return tmp_path / "teacher"


def test_names_are_those_of_the_whole_table(saved: Path, teacher: TrainedModel) -> None:
    lazy, read = (load_model(saved, lazy=lazy).graph for lazy in (True, False))
    assert pq.read_metadata(saved / "entities.parquet").num_row_groups > len(teacher.graph.parts)
    for source, part in teacher.graph.parts.items():
        found, whole = lazy.parts[source], read.parts[source]
        assert isinstance(found.entities, StoredVocabulary)
        assert not isinstance(whole.entities, StoredVocabulary)
        assert len(found.entities) == len(part.entities)
        rows = np.array([len(part.entities) - 1, 0, 3, 0])
        assert found.entities.names_of(rows) == part.entities.names_of(rows)
        asked = pl.concat([part.entities.gather(rows), pl.Series(["nobody"])])
        assert found.entities.rows(asked).tolist() == [*rows.tolist(), -1]
        assert "names" not in vars(found.entities)
        assert found.entities.names.equals(part.entities.names)
        assert np.array_equal(found.entity_rows, part.entity_rows)
        assert found.relations == part.relations
        labels = [None if x.labels is None else x.labels.to_list() for x in (found, whole, part)]
        assert labels[0] == labels[1] == labels[2]
    assert np.array_equal(lazy.triples, read.triples)
    assert lazy.triples.dtype == np.int32


def test_retraining_is_the_same_and_reads_no_table_of_names(
    saved: Path, generated: Collection, teacher: TrainedModel, fast_student: RetrainSettings
) -> None:
    lazy = load_model(saved, lazy=True)
    prints = [fingerprint_of_inputs("", x.settings, [], [], [x]) for x in (teacher, lazy)]
    assert str(prints[0]) == str(prints[1])
    students = [retrain(generated, x, fast_student) for x in (teacher, lazy)]
    assert students[0].kge.entities.equal(students[1].kge.entities)
    assert not any("names" in vars(x.entities) for x in lazy.graph.parts.values())


def _mixed(names: pl.DataFrame, path: Path) -> None:
    names.write_parquet(path)


def _coded(names: pl.DataFrame, path: Path) -> None:
    pq.write_table(names.to_arrow(), path, row_group_size=5, use_dictionary=True)


def _without_statistics(names: pl.DataFrame, path: Path) -> None:
    names.write_parquet(path, statistics=False)


def _apart(names: pl.DataFrame, path: Path) -> None:
    schema = names.to_arrow().schema
    with pq.ParquetWriter(path, schema, use_dictionary=False) as writer:
        for part in (names[:3], names[-3:], names[3:-3].head(0), names[3:6]):
            writer.write_table(part.to_arrow().cast(schema))


def _other_columns(names: pl.DataFrame, path: Path) -> None:
    names.with_columns(pl.col("row").cast(pl.UInt32)).write_parquet(path, use_pyarrow=True)


@pytest.mark.parametrize(
    "write", [_mixed, _coded, _without_statistics, _apart, _other_columns], ids=lambda x: x.__name__
)
def test_a_table_that_is_written_otherwise_is_read_whole(
    saved: Path, write: Callable[[pl.DataFrame, Path], None]
) -> None:
    path, manifest = saved / "entities.parquet", read_manifest(saved)
    write(pl.read_parquet(path), path)
    assert stored_entities(path, manifest["sources"]) is None


def test_a_repeated_name_is_refused_as_without_leaving_names(saved: Path) -> None:
    path, manifest = saved / "entities.parquet", read_manifest(saved)
    names = pl.read_parquet(path)
    first = names.filter(pl.col("source") == manifest["sources"][0])
    rest = names.filter(pl.col("source") != manifest["sources"][0])
    repeated = first.with_columns(name=pl.lit("twice"))
    with pq.ParquetWriter(path, names.to_arrow().schema, use_dictionary=["source"]) as writer:
        for _, part in [("", repeated), *rest.partition_by("source", as_dict=True).items()]:
            writer.write_table(part.to_arrow())
    for lazy in (True, False):
        with pytest.raises(ValueError, match="'twice' is repeated"):
            read_joint_graph(saved, manifest, lazy=lazy)
