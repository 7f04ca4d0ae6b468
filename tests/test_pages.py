"""The README, the tutorial and the how-tos: every command and every block of code, as they are."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyoxigraph as ox
import pytest
from endpoint import answering, serving
from neo4j_driver import Neo4jOf
from pages import DOCS, assert_printed, blocks, close, commands, run, run_page
from postgres import postgres
from shop import MADE, NUMBER_OF, iri, n_triples, open_shop, table

import kgraft

ROOT = Path(__file__).parents[1]
VALUES = ("model.width=8", "training.epochs=1", "training.min_steps=0")
SMALL = [word for value in VALUES for word in ("--set", value)]
MORE = dict.fromkeys(("pretrain", "retrain", "graft", "train"), SMALL)
"""Added to commands so that they take a moment; the tutorial alone trains as it says."""

ELSEWHERE = {
    "tutorial.md": "below",
    "databases.md": "below",
    "own-data.md": "tests/test_own_data.py",
    "collection.md": "tests/io/test_collection_page.py",
    "settings.md": "tests/cli/test_commands.py",
    "assistants.md": "tests/cli/test_mcp.py",
    "reliability.md": "tests/system/test_forks.py",
}
"""Pages whose blocks other tests run."""

OF_SHOP = {
    "../README.md": ("target ", "$ kgraft explain", "pip install"),
    "updating.md": (),
    "many-targets.md": (),
    "preparing.md": ("pip install",),
    "gpu.md": (),
    "scale.md": ("torchrun ",),
    "grafting.md": ("entities: ",),
    "tracking.md": (),
    "tuning.md": (),
}
OF_COUNTRIES = {
    "inference.md": ("languages(Luxembourg",),
    "asking.md": ("┏",),
    "alignment.md": ("China\t",),
    "serving.md": ("docker ",),
    # A server, an account, or a library that is not among the extras; tests/exporting has them.
    "export.md": ("vectors = gensim", "with psycopg", 'model = kgraft.load_model("hf://'),
}
"""Pages by the data that they tell of, with the beginnings of blocks that show output, or need
what a test has not."""

LIBRARIES = ("lancedb", "numpy", "polars", "pykeen", "qdrant_client", "safetensors", "usearch")
"""What the page about exports reads them with."""

REPLACED = {
    "--device cuda": "--device cpu",
    "--trials 20": "--trials 2",
    "model.width=512": "model.width=16",
    " --format FORMAT --sources a,b --name NAME --overwrite": " --name el --overwrite",
    "STUDENT --out PLACE": "student --out el.npz --overwrite",
    "pretrain found -o teacher": "pretrain found -o of-found",
    'head="...", relation="..."': 'head="Syria", relation="borders"',
    'numpy.load("el/': 'numpy.load("el.pykeen/',
    'load_file("el/': 'load_file("el.pykeen/',
    'Path("el/': 'Path("el.pykeen/',
}
"""Placeholders of pages, and what stands for them here."""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a shop's graph, Wikidata's, and links."""
    monkeypatch.chdir(tmp_path)
    open_shop(tmp_path)
    described = next(x.text for x in blocks("own-data.md") if x.language == "toml")
    (tmp_path / "collection.toml").write_text(described)
    (tmp_path / "new.tsv").write_text("Red Stool\tmadeOf\tWood\nRed Stool\thasColour\tRed\n")
    facts = [fact for i, fact in enumerate(MADE) if i % 8 != 1]
    (tmp_path / "mine.ttl").write_text(n_triples([tuple(map(iri, x)) for x in facts]))  # type: ignore[misc]
    for name in ("north", "south"):
        shutil.copy("mine.tsv", f"{name}.tsv")
    (tmp_path / "graphs.txt").write_text("north.tsv\n")
    made = [(head, tail) for head, relation, tail in facts if relation == "madeOf"]
    (tmp_path / "texts.tsv").write_text("".join(f"{x}\tmade of {y}\n" for x, y in made))
    names = sorted({head for head, _, _ in facts})
    (tmp_path / "names.txt").write_text("\n".join(names) + "\n")
    np.save("vectors.npy", np.random.default_rng(0).normal(size=(len(names), 6)))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", OF_SHOP)
@pytest.mark.filterwarnings("ignore::kgraft.KgraftWarning")
def test_pages_of_the_shop_run(shop: Path, page: str) -> None:
    if page in ("updating.md", "grafting.md", "tuning.md"):
        run("kgraft pretrain collection.toml -o teacher", MORE)
    if page == "grafting.md":  # It links a graph in RDF, whose names are IRIs.
        (shop / "sameas.tsv").write_text(table([(iri(x), y) for x, y in NUMBER_OF.items()], "\t"))
    if page == "many-targets.md":
        listed = next(x.text for x in blocks(page) if x.language == "toml")
        listed = listed.replace('"training.seed=1"', str([*VALUES])[1:-1])
        (shop / "targets.toml").write_text(listed)
    if page == "updating.md":
        run("kgraft retrain collection.toml --teacher teacher -o student", MORE)
    assert run_page(page, {"kgraft": kgraft}, more=MORE, skipped=OF_SHOP[page], replaced=REPLACED)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::kgraft.KgraftWarning")
def test_facts_go_from_and_to_databases(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    psycopg = pytest.importorskip("psycopg", exc_type=ImportError)
    pytest.importorskip("neo4j", reason="neo4j is not installed")
    facts = [fact for i, fact in enumerate(MADE) if i % 8 != 1]
    made = duckdb.connect("shop.duckdb")
    made.sql("CREATE TABLE facts (head VARCHAR, relation VARCHAR, tail VARCHAR)")
    made.executemany("INSERT INTO facts VALUES (?, ?, ?)", facts)
    made.sql("CREATE TABLE items AS PIVOT facts ON relation USING first(tail) GROUP BY head")
    made.sql("ALTER TABLE items RENAME head TO name")
    made.close()
    run("kgraft pretrain collection.toml -o teacher", MORE)
    store = ox.Store()
    store.load(Path("mine.ttl").read_bytes(), format=ox.RdfFormat.TURTLE)
    with postgres() as address, serving(answering(store)) as endpoint:
        with psycopg.connect(address) as connection:
            connection.execute("CREATE TABLE facts (head text, relation text, tail text)")
            with connection.cursor().copy("COPY facts FROM STDIN") as sink:
                for fact in facts:
                    sink.write_row(fact)
        graphs = Neo4jOf(facts)
        monkeypatch.setattr("neo4j.GraphDatabase.driver", graphs.driver)
        names = {"DATABASE": address, **Neo4jOf.LOGIN}
        more = {**MORE, "complete": ["--least", "0.001"], "fetch": ["--interval", "0"]}
        replaced = {"https://example.org/sparql": endpoint}
        assert run_page("databases.md", names, more=more, replaced=replaced) == 14
        with psycopg.connect(address) as connection:
            back = connection.execute("SELECT head, tail, probability FROM proposals").fetchall()
        assert sorted(names["stated"].iter_rows()) == sorted(facts)  # type: ignore[attr-defined]
    assert len(kgraft.read_graph("theirs.nt").train) == len(facts)
    (colour,) = kgraft.read_graph("colours.nt").relations.names
    assert colour == "http://shop.org/colour"
    assert {*pl.read_parquet("mine.parquet").iter_rows()} == {*facts}
    proposed = duckdb.connect("shop.duckdb").sql("SELECT * FROM proposals").pl()
    assert len(proposed) == len(back) == len(pl.read_parquet("new.parquet")) > 0
    assert {"model", "proposed_on", "stated_by", "probability"} <= {*proposed.columns}
    assert len(names["graph"].train) == len(facts)  # type: ignore[attr-defined]
    assert len(graphs.proposed) == len(proposed)
    nodes, relationships = (
        pl.read_csv(f"{x}.csv", infer_schema=False) for x in ("nodes", "relationships")
    )
    assert nodes.columns == ["name:ID", "vector:float[]"]
    (width,) = {len(x.split(";")) for x in nodes["vector:float[]"]}
    assert width >= 8  # those of the frequency prior follow
    assert {":START_ID", ":TYPE", ":END_ID", "probability:double"} <= {*relationships.columns}
    assert {*relationships[":START_ID"], *relationships[":END_ID"]} <= {*nodes["name:ID"]}
    assert len(relationships) == len(facts) + len(proposed)


@pytest.fixture(scope="module")
def countries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with models of ``world``, and files about it."""
    place = tmp_path_factory.mktemp("countries")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        (place / "collection.toml").write_text('base = "world"\n')
        run("kgraft pretrain collection.toml -o teacher", MORE)
        run("kgraft retrain collection.toml --teacher teacher -o student", MORE)
        (place / "kgraft-demo").mkdir()
        (place / "kgraft-demo" / "student").symlink_to(place / "student")
        (place / "questions.tsv").write_text("head\trelation\ttail\nSyria\tborders\t\n")
        (place / "new.tsv").write_text("Kosovo\tborders\tAlbania\n")
        examples = next(x.text for x in blocks("asking.md") if x.text.startswith("question\t"))
        (place / "examples.tsv").write_text(examples)
        run("kgraft complete student -o reviewed.csv", {})
        for ending in ("npz", "parquet", "safetensors", "txt", "usearch", "lancedb", "qdrant"):
            run(f"kgraft export student --out el.{ending} --name el", {})
        run("kgraft export student --out el.pykeen --format pykeen", {})
    return place


@pytest.mark.slow
@pytest.mark.parametrize("page", OF_COUNTRIES)
@pytest.mark.filterwarnings("ignore")
def test_pages_of_countries_run(
    countries: Path, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(countries)
    names: dict[str, Any] = {"kgraft": kgraft, "Path": Path}
    if page == "alignment.md":
        names["collection"] = kgraft.read_collection("collection.toml")
    if page == "export.md":
        modules = (
            "lancedb",
            "numpy",
            "polars",
            "pykeen",
            "qdrant_client",
            "safetensors",
            "usearch",
        )
        names |= {name: import_module(name) for name in modules}
        for name in ("pykeen.predict", "safetensors.numpy", "safetensors.torch", "usearch.index"):
            import_module(name)
        with np.load("el.npz") as file:
            names |= {"entity": file["entities"][0], "relation": file["relations"][0]}
        names |= {"json": json, "pathlib": pathlib}
    skipped: Sequence[str] = OF_COUNTRIES[page]
    assert run_page(page, names, more=MORE, skipped=skipped, replaced=REPLACED, compare=False)


@pytest.mark.slow
def test_the_tutorial_prints_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for file in (ROOT / "examples" / "atlas").iterdir():
        shutil.copy(file, tmp_path)
    assert run_page("tutorial.md", {}, more={}, skipped=("pip ", "a:id/")) > 10


def test_every_page_with_code_is_run() -> None:
    pages = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")]
    with_code = {x for x in pages if any(y.is_shell or y.language == "python" for y in blocks(x))}
    assert with_code <= {*OF_SHOP, *OF_COUNTRIES, *ELSEWHERE, "index.md"}
    assert {*OF_COUNTRIES, *OF_SHOP} - {"../README.md"} <= with_code
    # The index has two lines, which install and begin the demonstration: tests/cli runs that.
    assert [line for x in blocks("index.md") for line, _ in commands(x.text)] == [
        "pip install 'kgraft[ask,serve]'",
        "kgraft demo",
    ]


def test_links_of_pages_lead_somewhere() -> None:
    """Anchors are checked where the site is built."""
    wrong, count = [], 0
    for path in [*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "examples").rglob("*.md")]:
        text = re.sub(
            r"^```.*?^```$|`[^`\n]+`", "", path.read_text(encoding="utf-8"), flags=re.M | re.S
        )
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            count += 1
            place = path.parent / link.partition("#")[0]
            if "://" not in link and not place.exists():
                wrong.append(f"{path.name}: {link}")
    assert wrong == []
    assert count > 200


def test_the_comparison_can_fail() -> None:
    printed = "┃ a ┃ 170 ┃\nb 3.0\nc"
    assert_printed(printed, ["a 168", "...", "c"])
    assert_printed(printed, ["...", "b 3.1", "..."])
    for wrong in (["a 168"], ["a 300", "..."], ["...", "d"], ["b 3.0", "..."]):
        with pytest.raises(AssertionError):
            assert_printed(printed, wrong)
    assert close("(0.97)", "(0.95)")
    assert not close("x1", "y1")
