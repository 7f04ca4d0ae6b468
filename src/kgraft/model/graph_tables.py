"""The joint graph of a model as tables of its directory: names, facts, and known-false facts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kgraft.graph.grouped_index import smallest_ints
from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.columnar import read_batches, read_table
from kgraft.io.named_facts import ROLES
from kgraft.linking.joint_graph import JointGraph, JointSource
from kgraft.model.contents import check_names
from kgraft.model.stored_names import Names, stored_entities
from kgraft.system.arrays import PIECE, release

FACTS = "facts.parquet"
"""File of the training facts."""

HELD_OUT = "held_out.parquet"
"""File of validation and test facts, where there are some."""

KNOWN_FALSE = "known_false.parquet"
"""File of facts that a source knows to be false, where there are some."""


def write_joint_graph(
    graph: JointGraph, directory: Path, reliability: NDArray[np.float64] | None = None
) -> None:
    """Write a graph's names, facts and facts known to be false as tables.

    Args:
        graph: The graph.
        directory: Where to.
        reliability: The source reliability of each fact, ``(n,)``.
    """
    for kind in ("entities", "relations"):
        _write(_names(graph, kind), directory / f"{kind}.parquet")
    columns = {"reliability": reliability, "confidence": graph.confidence}
    given = {name: x for name, x in columns.items() if x is not None}
    _write(_facts(graph, given), directory / FACTS)
    write_by_source(graph.known_false, directory / KNOWN_FALSE)


def read_joint_graph(
    directory: Path, manifest: Mapping[str, Any], *, lazy: bool = False
) -> JointGraph:
    """Read what ``write_joint_graph`` has written.

    Args:
        directory: Where it is.
        manifest: What the model's manifest says.
        lazy: Leave the names of many entities in their file, and read them as they are asked for;
            facts then have 4 bytes a number.

    Raises:
        DataError: If a file is missing or damaged.
        ValueError: If the files do not fit together.
    """
    parts = _read_parts(directory, manifest, lazy=lazy)
    facts, sources, confidence = _read_facts(directory / FACTS, manifest, lazy=lazy)
    return JointGraph(
        parts,
        manifest["entities"],
        manifest["relations"],
        facts,
        sources,
        confidence=confidence,
        known_false=read_by_source(directory / KNOWN_FALSE, manifest),
    )


def write_by_source(facts: Mapping[str, Triples], path: Path) -> None:
    """Write facts of each source, if there are any."""
    if facts:
        pl.concat([_fact_rows(x, [name] * len(x)) for name, x in facts.items()]).write_parquet(path)


def read_by_source(path: Path, manifest: Mapping[str, Any]) -> dict[str, Triples]:
    """Read facts of each source that has some; none if the manifest names no such file.

    Raises:
        DataError: If the file is missing or damaged.
        ValueError: If it does not fit the manifest.
    """
    if path.name not in manifest["files"]:
        return {}
    facts, stated, _ = _read_facts(path, manifest)
    found = {name: facts[stated == x] for x, name in enumerate(manifest["sources"])}
    return {name: x for name, x in found.items() if len(x)}


def _write(frames: Iterable[pl.DataFrame], path: Path) -> None:
    """Write a table piece by piece, each a row group."""
    with ExitStack() as stack:
        writer: pq.ParquetWriter | None = None
        for frame in frames:
            table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
            if writer is None:
                opened = pq.ParquetWriter(
                    path, table.schema, use_dictionary=["source"], compression="zstd"
                )
                writer = stack.enter_context(opened)
            writer.write_table(table)


def _names(graph: JointGraph, kind: str) -> Iterator[pl.DataFrame]:
    """Yield the names in pieces, each of one source, and then none."""
    schema = {"source": pl.String, "name": pl.String, "label": pl.String, "row": pl.Int64}
    if kind == "relations":
        del schema["label"]
    for source, part in graph.parts.items():
        names = part.entities if kind == "entities" else part.relations
        rows = part.entity_rows if kind == "entities" else part.relation_rows
        begin = 0
        for piece in names.pieces():
            here = slice(begin, begin + len(piece))
            frame = pl.DataFrame({"name": piece, "row": rows[here]})
            frame = frame.with_columns(source=pl.lit(source), label=pl.lit(None, pl.String))
            if part.labels is not None and kind == "entities":
                frame = frame.with_columns(label=part.labels[here])
            yield frame.select(*schema).cast(schema)  # type: ignore[arg-type]
            begin += len(piece)
    yield pl.DataFrame(schema=schema)


def _facts(graph: JointGraph, given: Mapping[str, NDArray[np.float64]]) -> Iterator[pl.DataFrame]:
    """Yield the facts in pieces, with further columns."""
    for begin in range(0, max(len(graph.triples), 1), PIECE):
        here = slice(begin, begin + PIECE)
        sources = pl.Series(graph.sources, dtype=pl.String).gather(graph.triple_sources[here])
        more = {name: pl.Series(x[here]) for name, x in given.items()}
        yield _fact_rows(graph.triples[here], sources).with_columns(**more)
        release(graph.triples, graph.triple_sources)


def _fact_rows(facts: Triples, sources: pl.Series | list[str]) -> pl.DataFrame:
    rows = pl.DataFrame(facts, schema=dict.fromkeys(ROLES, pl.Int64))
    return rows.with_columns(pl.Series("source", sources, dtype=pl.String))


def check_rows(rows: pl.Series, limit: int, name: str) -> None:
    """Check that a column holds row numbers below a limit.

    Raises:
        ValueError: If it does not.
    """
    if not rows.dtype.is_integer() or rows.null_count():
        raise ValueError(f"a {name} is no row number")
    if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < limit:  # type: ignore[arg-type]
        raise ValueError(f"a {name} lies outside 0 to {limit - 1}")


def _read_parts(
    directory: Path, manifest: Mapping[str, Any], *, lazy: bool
) -> dict[str, JointSource]:
    relations = read_table(directory / "relations.parquet")
    check_names(relations, "relations.parquet")
    of_relations = relations.partition_by("source", as_dict=True)
    entities = _read_entities(directory / "entities.parquet", manifest["sources"], lazy=lazy)
    parts = {}
    for source in manifest["sources"]:
        names, rows, labels = entities[source]
        own_relations = of_relations.get((source,), relations.clear())
        check_rows(pl.Series(rows), manifest["entities"], "row")
        check_rows(own_relations["row"], manifest["relations"], "row")
        parts[source] = JointSource(
            names,
            Vocabulary(own_relations["name"]),
            rows,
            own_relations["row"].to_numpy().copy(),
            labels,
            manifest.get("licenses", {}).get(source, ""),
        )
    named = np.zeros(manifest["entities"], dtype=np.bool_)
    for part in parts.values():
        named[part.entity_rows] = True
    if not named.all():
        raise ValueError("there are more or fewer entities than there are names")
    return parts


def _read_entities(path: Path, sources: Sequence[str], *, lazy: bool) -> dict[str, Names]:
    """Return each source's names, rows and labels; names stay in the file where that is safe."""
    if lazy and (stored := stored_entities(path, sources)) is not None:
        return stored
    entities = read_table(path)
    check_names(entities, path.name)
    by_source = entities.partition_by("source", as_dict=True)
    found = {}
    for source in sources:
        own = by_source.get((source,), entities.clear())
        if not own["row"].dtype.is_integer() or own["row"].null_count():
            raise ValueError("a row is no row number")
        labels = None if own["label"].null_count() == len(own) else own["label"]
        found[source] = Vocabulary(own["name"]), own["row"].to_numpy().copy(), labels
    return found


def _read_facts(
    path: Path, manifest: Mapping[str, Any], *, lazy: bool = False
) -> tuple[Triples, NDArray[np.int16], NDArray[np.float64] | None]:
    """Return facts ``(n, 3)``, the number of each one's source, and their confidences if given."""
    limits = {role: manifest["relations" if role == "relation" else "entities"] for role in ROLES}
    places = {source: place for place, source in enumerate(manifest["sources"])}
    kind = smallest_ints(max(limits.values()))
    triples, sources, confidence = [], [], []
    for batch in read_batches(path):
        for role, limit in limits.items():
            check_rows(batch[role], limit, role)
        triples.append(batch.select(ROLES).to_numpy().astype(kind))
        stated = batch["source"].replace_strict(places, return_dtype=pl.Int16)
        sources.append(stated.to_numpy().copy())
        if "confidence" in batch.columns:
            confidence.append(batch["confidence"].cast(pl.Float64).to_numpy())
    given = np.concatenate(confidence) if confidence else None
    if given is not None and not ((given > 0) & (given <= 1)).all():
        raise ValueError("a confidence lies outside 0 to 1")
    facts = np.concatenate(triples, dtype=kind if lazy else np.int64)
    return facts, np.concatenate(sources), given
