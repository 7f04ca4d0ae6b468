"""Write links as tables and SSSOM, which collections read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl
import tomli_w

from kgraft.alignment.align import Alignment
from kgraft.alignment.audit import Audit
from kgraft.graph.identities import SAME
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.io.iris import iri_of
from kgraft.io.read_collection import COLLECTION_FILE
from kgraft.io.write_collection import relative_path
from kgraft.linking.collection import Collection
from kgraft.linking.links import Links
from kgraft.linking.relation_matching import Correspondence
from kgraft.system.outputs import check_empty, write_directory

LINKS_FILE: Final = "links.toml"
RELATIONS_FILE: Final = "relations.tsv"
DOUBTFUL_FILE: Final = "doubtful.tsv"


def write_alignment(
    alignment: Alignment,
    directory: Path,
    base: str | Path | None = None,
    *,
    base_links: bool = True,
) -> None:
    """Write the links that were found into a new directory, all files or none.

    For each two graphs with links: ``LEFT-RIGHT.tsv`` with the columns left, right, confidence and
    evidence, and the same as ``LEFT-RIGHT.sssom.tsv``. Relations that are the same under two names
    are in ``LEFT-RIGHT-relations.tsv``, and all correspondences, inverse and narrower ones too, in
    ``relations.tsv``. ``links.toml`` holds the tables that make a collection beside the directory
    read the links, and ``collection.toml`` is the ``base`` with them.

    Args:
        alignment: What to write.
        directory: A new or empty directory.
        base: The collection of the graphs, as given to ``read_collection``; None: write no
            ``collection.toml``.
        base_links: Keep the links of the base in it.

    Raises:
        DataError: If there is something in the directory.
    """
    check_empty(directory)
    graphs = {graph.name: graph for graph in alignment.nodes.graphs}
    with write_directory(directory) as place:
        tables = [
            write_links(x.links, x.evidence, graphs, place, directory.name)
            for x in alignment.proposed
        ]
        because = {(x.left, x.relation, x.right, x.other): x for x in alignment.relations}
        for links in alignment.relation_links():
            left, right = graphs[links.left].relations, graphs[links.right].relations
            evidence = [
                because[links.left, left.name(one), links.right, right.name(other)].evidence
                for one, other in links.pairs.tolist()
            ]
            tables.append(write_links(links, evidence, graphs, place, directory.name))
        _relation_table(alignment.relations).write_csv(
            place / RELATIONS_FILE, separator="\t", quote_style="never"
        )
        description = "with the links that kgraft align found"
        _write_tables(tables, place, directory, base, description, base_links=base_links)


def write_audit(
    found: Audit, collection: Collection, directory: Path, base: str | Path | None = None
) -> None:
    """Write cleaned links, and those left out, into a new directory.

    Links are written as ``write_alignment`` does; ``doubtful.tsv`` has the columns
    error_probability, left, left_name, right, right_name and why, the most probable error first.
    The collection's own files stay as they are.

    Args:
        found: Result of the audit.
        collection: The audited collection, whose relation links are kept.
        directory: A new or empty directory.
        base: As in ``write_alignment``; its own links are not kept.

    Raises:
        DataError: If there is something in the directory.
    """
    check_empty(directory)
    kept = (*found.cleaned(), *(x for x in collection.links if x.kind == "relation"))
    kept = tuple(x for x in kept if len(x))  # A file of none is refused on reading.
    rows = []
    for probability, links, row, why in found.doubtful():
        ends = zip((links.left, links.right), links.pairs[row].tolist(), strict=True)
        named = [(graph, collection.graphs[graph].entities.name(end)) for graph, end in ends]
        rows.append((round(probability, 4), *named[0], *named[1], why))
    names = ("left", "left_name", "right", "right_name", "why")
    schema = {"error_probability": pl.Float64, **dict.fromkeys(names, pl.String)}
    with write_directory(directory) as place:
        tables = [write_links(x, None, collection.graphs, place, directory.name) for x in kept]
        doubtful = pl.DataFrame(rows, schema=schema, orient="row")
        doubtful.write_csv(place / DOUBTFUL_FILE, separator="\t", quote_style="never")
        description = "with the links that kgraft audit did not doubt, in place of its own"
        _write_tables(tables, place, directory, base, description, base_links=False)


def write_links(
    links: Links,
    evidence: Sequence[str] | None,
    graphs: Mapping[str, KnowledgeGraph],
    place: Path,
    folder: str,
) -> dict[str, Any]:
    """Write links as a table and as SSSOM; return their ``[[links]]`` table for a collection.

    Args:
        links: The links.
        evidence: The evidence for each in words.
        graphs: The graphs that they join.
        place: The directory to write to.
        folder: Its path from the collection.
    """
    vocabularies = [
        graphs[name].entities if links.kind == "entity" else graphs[name].relations
        for name in (links.left, links.right)
    ]
    left, right = (
        vocabulary.names.gather(rows)
        for vocabulary, rows in zip(vocabularies, links.pairs.T, strict=True)
    )
    table = pl.DataFrame(
        {"left": left, "right": right, "confidence": pl.Series(links.confidence).round(4)}
    )
    if evidence is not None:
        table = table.with_columns(evidence=pl.Series(list(evidence), dtype=pl.String))
    stem = _free_stem(links, place)
    table.write_csv(place / f"{stem}.tsv", separator="\t", quote_style="never")
    _write_sssom(table, links, place / f"{stem}.sssom.tsv")
    named = {"left": links.left, "right": links.right, "path": f"{folder}/{stem}.tsv"}
    return named if links.kind == "entity" else {**named, "kind": "relation"}


def _write_tables(
    tables: Sequence[dict[str, Any]],
    place: Path,
    directory: Path,
    base: str | Path | None,
    description: str,
    *,
    base_links: bool,
) -> None:
    """Write ``[[links]]`` tables for a collection beside ``directory``, and one that has them."""
    blocks = [f"[[links]]\n{tomli_w.dumps(table)}" for table in tables]
    (place / LINKS_FILE).write_text("\n".join(blocks), encoding="utf-8")
    if base is None:
        return
    if Path(base).exists():
        base = relative_path(Path(base), directory / COLLECTION_FILE)
    head = f"# A collection of kgraft: another one {description}. Paths begin here.\n"
    head += tomli_w.dumps({"base": str(base), **({} if base_links else {"base_links": False})})
    within = [{**table, "path": Path(table["path"]).name} for table in tables]
    blocks = [head, *(f"[[links]]\n{tomli_w.dumps(table)}" for table in within)]
    (place / COLLECTION_FILE).write_text("\n".join(blocks), encoding="utf-8")


def _free_stem(links: Links, place: Path) -> str:
    """Return an unused name for files of links."""
    names = (name.replace("/", "_") for name in (links.left, links.right))
    stem = "-".join(names) + ("" if links.kind == "entity" else "-relations")
    stems = (stem, *(f"{stem}-{number}" for number in range(2, len(list(place.iterdir())) + 3)))
    return next(name for name in stems if not (place / f"{name}.tsv").exists())


def _write_sssom(table: pl.DataFrame, links: Links, path: Path) -> None:
    """Write SSSOM (Matentzoglu et al., Database, 2022) with names as they are."""
    columns = {
        "subject_id": pl.col("left"),
        "predicate_id": pl.lit(SAME[links.kind][0]),
        "object_id": pl.col("right"),
        "mapping_justification": pl.lit("semapv:CompositeMatching"),
        "confidence": pl.col("confidence"),
    }
    if "evidence" in table.columns:
        columns["comment"] = pl.col("evidence")
    header = (
        "#curie_map:\n"
        "#  semapv: https://w3id.org/semapv/vocab/\n"
        f"#mapping_set_id: {iri_of(f'{links.left}-{links.right}')}\n"
        "#license: https://w3id.org/sssom/license/unspecified\n"
        "#mapping_tool: kgraft\n"
    )
    body = table.select(**columns).write_csv(separator="\t", quote_style="never")
    path.write_text(header + body, encoding="utf-8")


def _relation_table(found: Sequence[Correspondence]) -> pl.DataFrame:
    names = ("left", "relation", "right", "other", "kind", "inverse", "confidence", "support")
    rows = [(*(getattr(x, name) for name in names), x.evidence) for x in found]
    types = (pl.String,) * 5 + (pl.Boolean, pl.Float64, pl.Int64, pl.String)
    schema = dict(zip((*names, "evidence"), types, strict=True))
    return pl.DataFrame(rows, schema=schema, orient="row")
