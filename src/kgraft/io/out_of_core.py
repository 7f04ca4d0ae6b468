"""Graphs read out of core: names become numbers, and repeats are left out, by DuckDB on the disk.

The readers are those of ``kgraft.io.read_graph``. What they read in batches goes into files, with a
hash in place of each entity; DuckDB sorts the names and the facts, exchanges hashes for rows, and
leaves out repeats, in bounded memory. Rows and facts are those of ``read_graph``.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kgraft.errors import KgraftError, first_line
from kgraft.graph.assemble import FactRows, warn_of_repeats
from kgraft.graph.identities import SameNames, is_identity
from kgraft.graph.knowledge_graph import SPLITS, Floats, KnowledgeGraph, Triples
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.named_facts import ROLES, FactNames
from kgraft.io.read_graph import Reading, assembled
from kgraft.io.source import GraphSource
from kgraft.io.splits import draw_splits
from kgraft.io.staged_names import NAMES, StagedNames, StoredVocabulary
from kgraft.system.arrays import mapped, write_pieces
from kgraft.system.extras import import_extra
from kgraft.system.memory import give_back
from kgraft.system.progress import Listener

_FACTS: Final = pa.schema(
    [
        ("split", pa.int8()),
        ("file", pa.int32()),
        ("head", pa.int64()),
        ("relation", pa.int64()),
        ("tail", pa.int64()),
        ("confidence", pa.float64()),
        ("line", pa.int64()),
    ]
)

ROWS_AT_ONCE: Final = 1_000_000
"""Rows of DuckDB's results in memory at once."""

TELL_EVERY: Final = 10.0
"""Seconds between two reports of progress within a file."""

_FIRST: Final = """
CREATE TABLE first AS
SELECT hash, min(file_row_number) AS place, min(low) <> max(high) AS clash
FROM name GROUP BY hash
"""

_ENTITIES: Final = """
CREATE TABLE entity AS
SELECT first.hash, name.name
FROM first JOIN name ON first.place = name.file_row_number ORDER BY name.name
"""
"""The names in the order of their UTF-8 bytes; a name's row is its ``rowid``."""

_LISTED: Final = """
CREATE VIEW numbered AS
SELECT s.* REPLACE (r.row AS relation) FROM staged s JOIN relation r ON s.relation = r.former
"""

_NUMBERED: Final = """
CREATE VIEW numbered AS
SELECT s.* REPLACE (h.rowid AS head, r.row AS relation, t.rowid AS tail) FROM staged s
JOIN entity h ON s.head = h.hash JOIN relation r ON s.relation = r.former
JOIN entity t ON s.tail = t.hash
"""

_DISTINCT: Final = """
CREATE TABLE fact AS
SELECT split, head, relation, tail, min(file_row_number) AS place,
max(CASE WHEN list_contains($certain, file) THEN 1 ELSE coalesce(confidence, 1) END) AS confidence
FROM numbered GROUP BY split, head, relation, tail
"""

_REPEATED: Final = """
CREATE TABLE repeated AS
SELECT a.split, a.place, a.head, a.relation, a.tail FROM fact a SEMI JOIN
(SELECT split, head, relation, tail FROM fact WHERE split > 0) b
ON a.head = b.head AND a.relation = b.relation AND a.tail = b.tail AND b.split > a.split
"""


@dataclass(frozen=True)
class OutOfCore:
    """Reads graphs by way of files.

    Args:
        spill: Directory for these files, which is removed by ``read_graph``'s caller.
        memory: Bytes of memory for DuckDB.
        threads: Threads of DuckDB.
        listener: Receives the progress.
    """

    spill: Path
    memory: int
    threads: int
    listener: Listener

    def read_graph(self, source: GraphSource, further: SameNames | None = None) -> KnowledgeGraph:
        """Read a graph as ``kgraft.io.read_graph.read_graph`` does, with its facts in files.

        A graph with statements of sameness, facts known to be false, or another spelling of names
        is read out of core and then assembled in memory, from arrays of numbers.
        """
        place = self.spill / f"graph-{sum(1 for _ in self.spill.iterdir())}"
        place.mkdir()
        seed = 0
        while (graph := _Attempt(self, source, place, seed).graph(further)) is None:
            seed += 2
        return graph


class _Attempt:
    """A graph read with one seed of hashes."""

    def __init__(self, how: OutOfCore, source: GraphSource, place: Path, seed: int) -> None:
        self._how, self._source, self._place = how, source, place
        self._names = StagedNames(place / "names.parquet", seed)
        self._reading = Reading(source, FactNames(self._names))
        self._files = [(split, path) for split in SPLITS for path in getattr(source, split)]
        self._pieces: list[tuple[int, Path | None]] = []  # number of facts, file
        self._certain: list[int] = []  # files of which not all have confidences

    def graph(self, further: SameNames | None) -> KnowledgeGraph | None:
        """Return the graph; None if two names have one hash."""
        self._stage()
        pa.default_memory_pool().release_unused()
        give_back()
        with self._duckdb() as connection:
            self._connection = connection
            self._how.listener.begin(f"numbering {self._source.name}", 1)
            if not self._number():
                return None
            if self._is_plain(further):
                found = self._plain()
            else:
                found = assembled(self._reading, self._in_memory(), further)
            self._how.listener.end()
            return found

    # ------------------------------------------------------------------------------- reading

    def _stage(self) -> None:
        """Write all facts, with hashes of their entities, to a file."""
        paths = [*(path for _, path in self._files), *self._source.attributes]
        total = sum(path.stat().st_size for path in paths if path.exists())
        self._how.listener.begin(f"reading {self._source.name}", total)
        self._reported = time.monotonic()
        coded = ["split", "file", "relation", "confidence"]
        with pq.ParquetWriter(
            self._place / "facts.parquet", _FACTS, use_dictionary=coded, compression="zstd"
        ) as writer:
            for number, (_, path) in enumerate(self._files):
                self._stage_file(number, writer)
                self._how.listener.advance(path.stat().st_size)
        for path in self._source.attributes:
            self._reading.read_attributes(path)
        self._names.close()
        self._how.listener.end()

    def _stage_file(self, number: int, writer: pq.ParquetWriter) -> None:
        split, path = self._files[number]
        is_given = True
        for rows in self._reading.read(path):
            size = len(rows.triples)
            self._pieces.append((size, rows.path))
            columns = {
                "split": np.full(size, SPLITS.index(split), np.int8),
                "file": np.full(size, number, np.int32),
                **dict(zip(ROLES, rows.triples.T, strict=True)),
                "confidence": pa.nulls(size, pa.float64()),
                "line": pa.nulls(size, pa.int64()),
            }
            if rows.confidence is not None:
                columns["confidence"] = rows.confidence
            if rows.lines is not None:
                columns["line"] = rows.lines.to_arrow()
            writer.write_table(pa.table(columns, schema=_FACTS))
            is_given &= rows.confidence is not None or rows.stated_as_text
            if time.monotonic() - self._reported > TELL_EVERY:
                self._how.listener.tell(f"{self._n_facts:,} facts")
                self._reported = time.monotonic()
        if not is_given:  # See ``agreed``.
            self._certain.append(number)

    @property
    def _n_facts(self) -> int:
        return sum(size for size, _ in self._pieces)

    # ----------------------------------------------------------------------------- numbering

    @contextmanager
    def _duckdb(self) -> Iterator[Any]:
        duckdb = import_extra("duckdb", extra="prepare")
        config = {
            "memory_limit": f"{self._how.memory >> 20}MiB",
            "threads": self._how.threads,
            "temp_directory": str(self._place / "spilled"),
        }
        file = self._place / "numbers.duckdb"
        file.unlink(missing_ok=True)
        try:
            with duckdb.connect(str(file), config=config) as connection:
                connection.execute("SET enable_progress_bar = false")
                yield connection
        except duckdb.OutOfMemoryException as error:
            raise KgraftError(
                f"DuckDB cannot do with {self._how.memory / 2**30:.1f} GiB of memory "
                f"({first_line(error)[:300]}). Give it more with --memory, or more room with "
                "--spill."
            ) from error
        except duckdb.IOException as error:
            raise KgraftError(
                f"{self._how.spill}: DuckDB cannot write here ({first_line(error)[:300]}). "
                "Make room on the disk, or name another directory with --spill."
            ) from error
        finally:
            for left in (file, self._place / "facts.parquet", self._place / "names.parquet"):
                left.unlink(missing_ok=True)
            shutil.rmtree(self._place / "spilled", ignore_errors=True)

    def _number(self) -> bool:
        """Give names their rows, in the order of names; return False for a clash of hashes."""
        facts, names = (str(self._place / f"{x}.parquet") for x in ("facts", "names"))
        self._connection.read_parquet(facts, file_row_number=True).create_view("staged")
        if not self._reading.has_list:
            self._connection.read_parquet(names, file_row_number=True).create_view("name")
            self._connection.execute(_FIRST)
            if self._one("SELECT count(*) FROM first WHERE clash"):
                return False
            self._connection.execute(_ENTITIES)
            self._connection.execute("DROP TABLE first")
            file = self._place / "entities.parquet"
            self._names.is_numbered(StoredVocabulary(file, self._write_names(file)))
            self._reading.attributes = [self._with_rows(x) for x in self._reading.attributes]
        _, rows = self._reading.in_order()
        self._relations = pa.table({"former": np.arange(len(rows)), "row": rows})
        self._connection.register("relation", self._relations)
        self._connection.execute(_LISTED if self._reading.has_list else _NUMBERED)
        return True

    def _write_names(self, file: Path) -> int:
        """Write the entities' names in the order of their rows; return how many there are."""
        written = 0
        with pq.ParquetWriter(file, NAMES, use_dictionary=False, compression="zstd") as writer:
            for batch in self._tables("SELECT name FROM entity ORDER BY rowid"):
                writer.write_batch(batch.cast(NAMES))
                written += len(batch)
        return written

    def _with_rows(self, attributes: pl.DataFrame) -> pl.DataFrame:
        """Return literals with rows of entities in place of hashes."""
        hashed = attributes.with_row_index("number").select("number", hash="entity").to_arrow()
        self._connection.register("hashed", hashed)
        rows = self._connection.execute(
            "SELECT e.rowid AS row FROM hashed h JOIN entity e ON h.hash = e.hash ORDER BY number"
        ).fetchnumpy()["row"]
        return attributes.with_columns(entity=pl.Series(rows.astype(np.int64)))

    # ------------------------------------------------------------------------------- results

    def _is_plain(self, further: SameNames | None) -> bool:
        """Return True if there is nothing but facts to number and repeats to leave out."""
        _, relations = self._reading.vocabularies()
        states_sameness = is_identity(relations.names).any() and self._source.identities != "facts"
        return not (
            states_sameness or further or self._source.negatives or self._source.spelling != "exact"
        )

    def _plain(self) -> KnowledgeGraph:
        """Return the graph with mapped facts."""
        self._connection.execute(_DISTINCT, {"certain": self._certain})
        n_distinct = self._one("SELECT count(*) FROM fact")
        entities, relations = self._reading.vocabularies()
        if self._one("SELECT count(*) FROM fact WHERE split > 0"):
            self._leave_out_repeats(entities, relations)
        facts = {split: self._facts(split) for split in SPLITS}
        graph = KnowledgeGraph(
            self._source.name,
            entities,
            relations,
            train=facts["train"][0],
            valid=facts["valid"][0],
            test=facts["test"][0],
            labels=self._reading.labels(entities),
            attributes=self._reading.literals(),
            duplicates=self._n_facts - n_distinct,
            confidence={split: x for split, (_, x) in facts.items() if x is not None},
            license=self._source.license,
        )
        return graph if self._source.split is None else draw_splits(graph, self._source.split)

    def _leave_out_repeats(self, entities: Vocabulary, relations: Vocabulary) -> None:
        self._connection.execute(_REPEATED)
        for split in ("valid", "train"):
            of_split = "FROM repeated WHERE split = $1", SPLITS.index(split)
            if not (count := self._one(f"SELECT count(*) {of_split[0]}", of_split[1])):
                continue
            place, head, relation, tail = self._connection.execute(
                f"SELECT place, head, relation, tail {of_split[0]} ORDER BY place LIMIT 1",
                [of_split[1]],
            ).fetchall()[0]
            file, line = self._connection.execute(
                "SELECT file, line FROM numbered WHERE file_row_number = $1", [place]
            ).fetchall()[0]
            first = entities.name(head), relations.name(relation), entities.name(tail)
            path = self._files[file][1]
            warn_of_repeats(self._source.name, split, count, first, path, line)
        self._connection.execute("DELETE FROM fact WHERE place IN (SELECT place FROM repeated)")

    def _facts(self, split: str) -> tuple[Triples, Floats | None]:
        """Return a split's facts, mapped, and their confidences if there are any below 1."""
        number, of_split = SPLITS.index(split), "FROM fact WHERE split = $1"
        count = self._one(f"SELECT count(*) {of_split}", number)
        file = self._place / f"{split}.npy"
        in_order = f"{of_split} ORDER BY head, relation, tail"
        query = f"SELECT head, relation, tail {in_order}"
        pieces = (np.stack(batch, axis=1) for batch in self._batches(query, number))
        write_pieces(file, pieces, np.empty((0, 3), dtype=np.int64), count)
        confidence = None
        if self._one(f"SELECT count(*) {of_split} AND confidence < 1", number):
            query = f"SELECT confidence {in_order}"
            confidence = np.concatenate([batch[0] for batch in self._batches(query, number)])
        return mapped(file), confidence

    def _in_memory(self) -> dict[str, list[FactRows]]:
        """Return the facts of each split with their files and lines, as they were read."""
        every = pl.DataFrame(
            self._connection.sql(
                "SELECT split, file, head, relation, tail, confidence, line FROM numbered "
                "ORDER BY file_row_number"
            ).to_arrow_table()
        )
        found: dict[str, list[FactRows]] = {split: [] for split in SPLITS}
        begin = 0
        for size, path in self._pieces:
            rows = every[begin : begin + size]
            begin += size
            if not size:
                continue
            triples = rows.select(ROLES).to_numpy().astype(np.int64)
            lines = None if rows["line"].null_count() else rows["line"]
            certain = rows["file"][0] in self._certain or rows["confidence"].null_count() > 0
            confidence = None if certain else rows["confidence"].to_numpy()
            found[SPLITS[rows["split"][0]]].append(FactRows(triples, path, lines, confidence))
        return found

    def _one(self, query: str, *values: int) -> Any:
        return self._connection.execute(query, [*values]).fetchall()[0][0]

    def _batches(self, query: str, *values: int) -> Iterator[list[NDArray[Any]]]:
        """Yield the columns of a query's result, a batch of rows at a time."""
        for batch in self._tables(query, *values):
            yield [column.to_numpy(zero_copy_only=False) for column in batch.columns]

    def _tables(self, query: str, *values: int) -> Iterator[pa.RecordBatch]:
        """Yield a query's result, a batch of rows at a time."""
        # A connection has one result at a time, which here may not be read to its end.
        with self._connection.cursor() as own:
            yield from own.sql(query, params=[*values] or None).to_arrow_reader(ROWS_AT_ONCE)
