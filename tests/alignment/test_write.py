"""Links onto disk and back."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from kgraft.alignment.align import align
from kgraft.alignment.audit import audit
from kgraft.alignment.settings import AlignSettings
from kgraft.alignment.write import DOUBTFUL_FILE, LINKS_FILE, write_alignment, write_audit
from kgraft.errors import DataError
from kgraft.io.read_collection import read_collection
from kgraft.io.read_links import read_links
from kgraft.io.write_graph import write_graph
from kgraft.linking.collection import Collection
from kgraft.linking.links import Links

MASKED = AlignSettings(labels={"use": False}, relations={"support": 2})


@pytest.fixture
def known(collection_of) -> Collection:
    return collection_of(
        {
            "a": "p capital q, q river r, r mouth s, s ocean t, t far p, s far q",
            "b": "K capital L, L river M, M mouth N, N ocean O, O wide K, N wide L",
        },
        {"a b": "p=K"},
    )


def pairs(links: Links) -> list[list[int]]:
    return sorted(links.pairs.tolist())


@pytest.mark.parametrize("ending", ["tsv", "sssom.tsv"])
def test_both_forms_read_back_as_what_was_found(
    known: Collection, tmp_path: Path, ending: str
) -> None:
    found = align(known, MASKED)
    write_alignment(found, tmp_path / "found")
    back = read_links(tmp_path / "found" / f"a-b.{ending}", known.graphs["a"], known.graphs["b"])
    assert len(back) == 4
    assert pairs(back) == pairs(found.proposed[0].links)
    assert sorted(back.confidence) == pytest.approx(
        sorted(found.proposed[0].links.confidence), abs=1e-4
    )


def test_a_collection_reads_the_links_by_the_tables_beside_them(
    known: Collection, tmp_path: Path
) -> None:
    write_alignment(align(known, MASKED), tmp_path / "found")
    sources = ""
    for graph in known.graphs.values():
        write_graph(graph, tmp_path / graph.name)
        sources += (
            f'[[source]]\nname = "{graph.name}"\ntrain = "{graph.name}/train.tsv"\nheader = false\n'
        )
    links = (tmp_path / "found" / LINKS_FILE).read_text()
    (tmp_path / "collection.toml").write_text(sources + links)
    read = read_collection(tmp_path)
    assert {x.kind: len(x) for x in read.links} == {"entity": 4, "relation": 1}
    table = pl.read_csv(tmp_path / "found" / "relations.tsv", separator="\t")
    assert ("far", "wide", "same", False) in table.select(
        "relation", "other", "kind", "inverse"
    ).rows()


def test_nothing_that_is_there_is_overwritten(known: Collection, tmp_path: Path) -> None:
    (tmp_path / "mine.tsv").write_text("p\tK\n")
    with pytest.raises(DataError, match="there is something here already"):
        write_alignment(align(known, MASKED), tmp_path)
    with pytest.raises(DataError, match="there is something here already"):
        write_audit(audit(known, MASKED), known, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.tsv"]


def test_an_audit_is_written_beside_the_links(collection_of, tmp_path: Path) -> None:
    people, others = (
        ", ".join(f"{p}{i} born {c}{i}, {c}{i} in {n}{i}" for i in range(9))
        for p, c, n in ("pcn", "PCN")
    )
    right = " ".join(f"p{i}=P{i} c{i}=C{i} n{i}=N{i}" for i in range(8))
    known = collection_of({"a": people, "b": others}, {"a b": f"{right} p8=C8 c8=P8 n8=N8"})
    found = audit(known, MASKED, threshold=0.1)
    write_audit(found, known, tmp_path / "clean")
    doubtful = pl.read_csv(tmp_path / "clean" / DOUBTFUL_FILE, separator="\t")
    assert {"p8", "c8"} <= set(doubtful["left_name"])
    assert doubtful["error_probability"].is_sorted(descending=True)
    kept = read_links(tmp_path / "clean" / "a-b.tsv", known.graphs["a"], known.graphs["b"])
    assert len(kept) + len(doubtful) == 27
