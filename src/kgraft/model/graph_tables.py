"""The joint graph of a model as tables of its directory: names, facts, and known-false facts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.grouped_index import smallest_ints
from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.columnar import read_batches, read_table
from kgraft.io.named_facts import ROLES
from kgraft.linking.joint_graph import JointGraph, JointSource
from kgraft.model.contents import check_names

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
        _names(graph, kind).write_parquet(directory / f"{kind}.parquet")
    columns = {"reliability": reliability, "confidence": graph.confidence}
    given = {name: pl.Series(x) for name, x in columns.items() if x is not None}
    _facts(graph).with_columns(**given).write_parquet(directory / FACTS)
    write_by_source(graph.known_false, directory / KNOWN_FALSE)


def read_joint_graph(directory: Path, manifest: Mapping[str, Any]) -> JointGraph:
    """Read what ``write_joint_graph`` has written.

    Raises:
        DataError: If a file is missing or damaged.
        ValueError: If the files do not fit together.
    """
    parts = _read_parts(directory, manifest)
    facts, sources, confidence = _read_facts(directory / FACTS, manifest)
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


def _names(graph: JointGraph, kind: str) -> pl.DataFrame:
    frames = []
    for source, part in graph.parts.items():
        names = part.entities.names if kind == "entities" else part.relations.names
        rows = part.entity_rows if kind == "entities" else part.relation_rows
        columns = {"source": [source] * len(names), "name": names}
        if kind == "entities":
            unlabelled = pl.Series([None] * len(names), dtype=pl.String)
            columns["label"] = unlabelled if part.labels is None else part.labels
        frames.append(pl.DataFrame({**columns, "row": rows}, schema_overrides={"row": pl.Int64}))
    return pl.concat(frames)


def _facts(graph: JointGraph) -> pl.DataFrame:
    sources = pl.Series(graph.sources, dtype=pl.String).gather(graph.triple_sources)
    return _fact_rows(graph.triples, sources)


def _fact_rows(facts: Triples, sources: pl.Series | list[str]) -> pl.DataFrame:
    return pl.DataFrame(facts, schema=list(ROLES)).with_columns(pl.Series("source", sources))


def check_rows(rows: pl.Series, limit: int, name: str) -> None:
    """Check that a column holds row numbers below a limit.

    Raises:
        ValueError: If it does not.
    """
    if not rows.dtype.is_integer() or rows.null_count():
        raise ValueError(f"a {name} is no row number")
    if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < limit:  # type: ignore[arg-type]
        raise ValueError(f"a {name} lies outside 0 to {limit - 1}")


def _read_parts(directory: Path, manifest: Mapping[str, Any]) -> dict[str, JointSource]:
    entities = read_table(directory / "entities.parquet")
    relations = read_table(directory / "relations.parquet")
    check_rows(entities["row"], manifest["entities"], "row")
    check_rows(relations["row"], manifest["relations"], "row")
    check_names(entities, "entities.parquet")
    check_names(relations, "relations.parquet")
    by_source = [x.partition_by("source", as_dict=True) for x in (entities, relations)]
    parts = {}
    for source in manifest["sources"]:
        own = by_source[0].get((source,), entities.clear())
        own_relations = by_source[1].get((source,), relations.clear())
        parts[source] = JointSource(
            Vocabulary(own["name"]),
            Vocabulary(own_relations["name"]),
            own["row"].to_numpy().copy(),
            own_relations["row"].to_numpy().copy(),
            None if own["label"].null_count() == len(own) else own["label"],
            manifest.get("licenses", {}).get(source, ""),
        )
    named = np.zeros(manifest["entities"], dtype=np.bool_)
    for part in parts.values():
        named[part.entity_rows] = True
    if not named.all():
        raise ValueError("there are more or fewer entities than there are names")
    return parts


def _read_facts(
    path: Path, manifest: Mapping[str, Any]
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
    return np.concatenate(triples, dtype=np.int64), np.concatenate(sources), given
