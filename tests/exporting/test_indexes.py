"""Indexes and databases that live in a directory: USearch, LanceDB, Qdrant's local mode."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from kgraft.errors import DataError, KgraftError
from kgraft.exporting.export import ABOUT, export
from kgraft.exporting.selection import merge_prior, select
from kgraft.exporting.vector_stores import publish
from kgraft.model.trained_model import TrainedModel


def test_usearch(student: TrainedModel, check_scores, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from usearch.index import Index

    export(student, tmp_path / "el.usearch")
    index = Index.restore(str(tmp_path / "el.usearch" / "entities.usearch"))
    names = pl.read_parquet(tmp_path / "el.usearch" / "entities.parquet")["name"]
    relations = pl.read_parquet(tmp_path / "el.usearch" / "relations.parquet")
    assert names.to_list() == student.graph.parts["mine"].entities.names.to_list()
    check_scores(np.stack(index.get(np.arange(len(names)))), relations["vector"].to_numpy())
    vectors = merge_prior(student.kge).entities.numpy()
    query = vectors[5]
    best = np.argmax(vectors @ query)
    assert index.search(query, 3).keys[0] == best
    about = json.loads((tmp_path / "el.usearch" / ABOUT).read_text())
    assert about["format"] == "usearch"


@pytest.mark.slow
def test_lancedb(student: TrainedModel, check_scores, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    import lancedb

    export(student, tmp_path / "el.lancedb")
    database = lancedb.connect(tmp_path / "el.lancedb")
    entities, relations = (
        pl.from_arrow(database.open_table(f"mine_{x}").to_arrow())
        for x in ("entities", "relations")
    )
    assert entities["name"].to_list() == student.graph.parts["mine"].entities.names.to_list()
    check_scores(entities["vector"].to_numpy(), relations["vector"].to_numpy())
    vectors = merge_prior(student.kge).entities.numpy()
    query = vectors[5]
    found = database.open_table("mine_entities").search(query).distance_type("dot").limit(1)
    best = int(np.argmax(vectors @ query))
    assert found.to_list()[0]["name"] == entities["name"][best]
    export(student, tmp_path / "el.lancedb", overwrite=True)


def rows(client, collection: str) -> tuple[np.ndarray, list[dict]]:  # type: ignore[no-untyped-def,type-arg]
    points, _ = client.scroll(collection, limit=10_000, with_vectors=True)
    return np.array([x.vector for x in points], dtype=np.float32), [x.payload for x in points]


def test_qdrant_in_a_directory(student: TrainedModel, check_scores, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from qdrant_client import QdrantClient

    export(student, tmp_path / "el.qdrant")
    client = QdrantClient(path=str(tmp_path / "el.qdrant"))
    (entities, named), (relations, _) = (
        rows(client, f"mine_{x}") for x in ("entities", "relations")
    )
    check_scores(entities, relations)
    assert [x["name"] for x in named] == student.graph.parts["mine"].entities.names.to_list()
    assert {x["source"] for x in named} == {"mine"}
    vectors = merge_prior(student.kge).entities
    query = vectors[5]
    best = int((vectors @ query).argmax())
    answer = client.query_points("mine_entities", query=query.tolist(), limit=1).points[0]
    assert answer.payload["name"] == named[best]["name"]
    assert answer.score == pytest.approx(float(vectors[best] @ query), abs=1e-4)
    client.close()


def test_an_alias_leads_to_the_new_rows_only_when_they_are_whole(  # type: ignore[no-untyped-def]
    tiny, by_size, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qdrant_client import QdrantClient

    client = QdrantClient(":memory:")
    first, second = (by_size(tiny.graphs["mine"], [x] * 5, [1, 1]) for x in (1, 2))
    publish(client, select(first), overwrite=False)
    with pytest.raises(DataError, match=r"Qdrant has 'mine_entities' already"):
        publish(client, select(second), overwrite=False)

    upload, calls = client.upload_collection, []

    def fail(*args: object, **more: object) -> None:
        calls.append(args)
        if len(calls) == 2:
            raise OSError("no network")
        upload(*args, **more)

    monkeypatch.setattr(client, "upload_collection", fail)
    with pytest.raises(OSError, match="no network"):
        publish(client, select(second), overwrite=True)
    assert len(client.get_collections().collections) == 2
    assert rows(client, "mine_entities")[0][:, 0].tolist() == [1] * 5
    monkeypatch.undo()
    publish(client, select(second), overwrite=True)
    assert rows(client, "mine_entities")[0][:, 0].tolist() == [2] * 5
    assert len(client.get_collections().collections) == 2


def test_a_collection_that_is_not_ours_is_not_replaced(tiny, by_size) -> None:  # type: ignore[no-untyped-def]
    from qdrant_client import QdrantClient, models

    client = QdrantClient(":memory:")
    space = models.VectorParams(size=2, distance=models.Distance.COSINE)
    client.create_collection("mine_relations", vectors_config=space)
    model = by_size(tiny.graphs["mine"], [1] * 5, [1, 1])
    with pytest.raises(DataError, match=r"'mine_relations' that kgraft has not made"):
        publish(client, select(model), overwrite=True)
    assert [x.name for x in client.get_collections().collections] == ["mine_relations"]


def test_a_server_that_is_not_there_is_a_sentence(student: TrainedModel) -> None:
    with pytest.raises(KgraftError, match=r"http://127.0.0.1:9: Qdrant cannot be written to"):
        export(student, "http://127.0.0.1:9")
