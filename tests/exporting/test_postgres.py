"""PostgreSQL with pgvector, started here: on a socket in a temporary directory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from postgres import postgres

from kgraft.errors import DataError, KgraftError
from kgraft.exporting.export import export
from kgraft.exporting.selection import merge_prior
from kgraft.model.trained_model import TrainedModel

psycopg = pytest.importorskip("psycopg", exc_type=ImportError)


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The address of a server that lives as long as this module's tests."""
    with postgres() as address:
        yield address


def test_tables_give_the_models_scores(student: TrainedModel, check_scores, database: str) -> None:  # type: ignore[no-untyped-def]
    from pgvector.psycopg import register_vector

    export(student, database)
    with psycopg.connect(database) as connection:
        register_vector(connection)
        ask = "SELECT name, vector FROM mine_{} ORDER BY id"
        entities = connection.execute(ask.format("entities")).fetchall()
        relations = connection.execute(ask.format("relations")).fetchall()
        names = [x[0] for x in entities]
        assert names == student.graph.parts["mine"].entities.names.to_list()
        vectors = [np.stack([x[1].to_numpy() for x in rows]) for rows in (entities, relations)]
        check_scores(*vectors)
        own = merge_prior(student.kge).entities.numpy()
        query = own[5]
        found = connection.execute(
            "SELECT name, -(vector <#> %s) FROM mine_entities ORDER BY vector <#> %s LIMIT 1",
            (query, query),
        ).fetchone()
        scores = own @ query
        assert found[0] == names[int(np.argmax(scores))]
        assert found[1] == pytest.approx(float(scores.max()), abs=1e-4)
        comment = connection.execute("SELECT obj_description('mine_entities'::regclass)").fetchone()
        assert "conj" in json.loads(comment[0].removeprefix("kgraft "))["score"]


def test_tables_are_replaced_only_if_they_may_be(
    student: TrainedModel, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(student, database, name="twice")
    with pytest.raises(DataError, match="a table 'twice_entities' already"):
        export(student, database, name="twice")
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE twice_entities SET label = 'old'")
        connection.execute("CREATE TABLE theirs_relations (id int)")

    def fail(*_: object) -> Iterator[slice]:
        yield slice(0, 1)
        raise RuntimeError("stopped")

    with monkeypatch.context() as broken:
        broken.setattr("kgraft.exporting.selection.Selection.batches", fail)
        with pytest.raises(RuntimeError, match="stopped"):
            export(student, database, name="twice", overwrite=True)
    with pytest.raises(DataError, match="a table 'theirs_relations' that kgraft has not made"):
        export(student, database, name="theirs", overwrite=True)
    with psycopg.connect(database) as connection:
        count = "SELECT count(*) FROM twice_entities WHERE label = 'old'"
        n = len(student.graph.parts["mine"].entities)
        assert connection.execute(count).fetchone() == (n,)
        assert connection.execute("SELECT to_regclass('theirs_entities')").fetchone() == (None,)
    export(student, database, name="twice", overwrite=True)
    with psycopg.connect(database) as connection:
        assert connection.execute(count).fetchone() == (0,)


def test_a_server_that_is_not_there_is_a_sentence(student: TrainedModel, tmp_path: Path) -> None:
    with pytest.raises(KgraftError, match="the database cannot be written to"):
        export(student, f"postgresql://me:secret@/postgres?host={tmp_path}")
