"""The README's section on a graph of one's own: its commands and code, run as they are there."""

from __future__ import annotations

import bz2
import gzip
import json
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from urllib.request import urlopen

import polars as pl
import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

import kgraft
from kgraft.cli.main import app
from kgraft_experiments.benchmark import runner
from kgraft_experiments.benchmark.job import run_job

README = Path(__file__).parents[1] / "README.md"
SECTION = README.read_text(encoding="utf-8").split("\n## Your own graph\n")[1].split("\n## ")[0]
BLOCKS = re.findall(r"^```\w*\n(.*?)^```", SECTION, re.M | re.S)
DESCRIBED, COMMANDS, CODE, *_ = BLOCKS
ENDINGS = re.findall(r"\.[a-z]\w*", DESCRIBED.split("head, relation, tail; or")[1].split("\n")[0])

VALUES = ("model.width=8", "training.epochs=1", "training.min_steps=0")
SMALL = [word for value in VALUES for word in ("--set", value)]
SYSTEMS = [
    word
    for system in ("plain", "joint", "pretrain", "retrain")
    for value in VALUES
    for word in ("--set", f"{system}.{value}")
]
MORE = {
    "pretrain": SMALL,
    "retrain": SMALL,
    "graft": SMALL,
    "benchmark": [*SYSTEMS, "--threads", "1"],
    "benchmark --ablate": ["--variants", "all,none", "--seeds", "1"],
    "benchmark --links": ["--seeds", "1"],
    "synth": ["--set", "target.entities=60", "--set", "target.facts=200"],
}
"""What is added to a command, by its name and perhaps an option, so that it takes a moment."""

WIKIDATA = "http://www.wikidata.org/"
OWL_SAME_AS = "http://www.w3.org/2002/07/owl#sameAs"
COLOURS = ("Blue", "Red", "Green", "White", "Black")
THINGS = {"Lamp": "Glass", "Chair": "Wood", "Vase": "Clay", "Desk": "Wood", "Rug": "Wool"}
MADE = [
    (f"{colour} {thing}", relation, value)
    for colour in COLOURS
    for thing, material in THINGS.items()
    for relation, value in (
        ("madeOf", material),
        ("hasColour", colour),
        ("madeBy", f"Maker {len(thing)}"),
    )
]
"""All that is so: the shop states seven eighths of it, Wikidata six sevenths."""

MINE = [fact for i, fact in enumerate(MADE) if i % 8 != 1]
NAMES = sorted({name for head, _, tail in MADE for name in (head, tail)})
NUMBER_OF = {name: f"{WIKIDATA}entity/Q{number}" for number, name in enumerate(NAMES, 1)}
PROPERTY = {"madeOf": "P186", "hasColour": "P462", "madeBy": "P176"}


def run(line: str) -> Result:
    return CliRunner().invoke(app, shlex.split(line, comments=True)[1:])


def ran(line: str) -> str:
    result = run(line)
    assert result.exit_code == 0, f"{line}\n{result.output}"
    return result.output


def iri(name: str) -> str:
    return f"http://shop.org/{name.replace(' ', '_')}"


def n_triples(facts: list[tuple[str, str, str]]) -> str:
    return "".join(f"<{head}> <{relation}> <{tail}> .\n" for head, relation, tail in facts)


def table(facts: list[tuple[str, ...]], sign: str, *header: str) -> str:
    return "".join(sign.join(row) + "\n" for row in [*([header] if header else []), *facts])


def as_parquet() -> bytes:
    file = BytesIO()
    pl.DataFrame(MINE, schema=["from", "rel", "to"], orient="row").write_parquet(file)
    return file.getvalue()


def as_json() -> str:
    nodes = [{"@id": iri(x), iri(y): {"@id": iri(z)}} for x, y, z in MINE]
    return json.dumps(nodes)


IRIS = [(iri(head), iri(relation), iri(tail)) for head, relation, tail in MINE]
GRAPHS: dict[str, Callable[[], bytes]] = {
    ".csv": lambda: table(MINE, ",", "Subject", "Predicate", "Object").encode(),
    ".parquet": as_parquet,
    ".nt": lambda: n_triples(IRIS).encode(),
    ".ttl": lambda: ("# exported\n@prefix s: <http://shop.org/> .\n" + n_triples(IRIS)).encode(),
    ".jsonld": lambda: as_json().encode(),
    ".gz": lambda: gzip.compress(table(MINE, "\t").encode()),
    ".bz2": lambda: bz2.compress(table(MINE, "\t").encode()),
    ".zst": lambda: pa.compress(table(MINE, "\t").encode(), codec="zstd", asbytes=True),
}
"""The file of the shop in each format that the README names beside a table of tabs."""

SSSOM = (
    "#curie_map:\n#  wd: http://www.wikidata.org/entity/\n"
    "subject_id\tpredicate_id\tobject_id\tmapping_justification\n"
    + "".join(
        f"{name}\towl:sameAs\twd:{number.rpartition('/')[2]}\tsemapv:ManualMappingCuration\n"
        for name, number in NUMBER_OF.items()
    )
)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the files that the README's collection names."""
    monkeypatch.chdir(tmp_path)
    wikidata = [
        (NUMBER_OF[head], f"{WIKIDATA}prop/direct/{PROPERTY[relation]}", NUMBER_OF[tail])
        for i, (head, relation, tail) in enumerate(MADE)
        if i % 7
    ]
    labels = [
        f'<{number}> <http://www.w3.org/2000/01/rdf-schema#label> "{name}"@en .\n'
        for name, number in NUMBER_OF.items()
    ]
    (tmp_path / "mine.tsv").write_text(table(MINE, "\t"))
    for number, part in enumerate((wikidata[::2], wikidata[1::2]), 1):
        text = "# dumped\n" + n_triples(part) + "".join(labels)
        (tmp_path / f"part{number}.nt.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "sameas.tsv").write_text(table([*NUMBER_OF.items()], "\t"))
    (tmp_path / "collection.toml").write_text(DESCRIBED)
    return tmp_path


def test_a_collection_is_begun_and_inspected(shop: Path) -> None:
    (begin,) = re.findall(r"`(kgraft init [^`]*)`", SECTION)
    (shop / "collection.toml").unlink()
    assert "mine, part1" in ran(begin)
    ran("kgraft inspect collection.toml")
    (plain,) = re.findall(r"`(kgraft inspect mine[^`]*)`", SECTION)
    assert "1 source" in ran(plain)


def test_the_collection_is_read_with_links_in_each_format(shop: Path) -> None:
    assert "or SSSOM, or owl:sameAs in RDF" in DESCRIBED
    same = [(iri(name), OWL_SAME_AS, number) for name, number in NUMBER_OF.items()]
    (shop / "same.nt").write_text(n_triples(same))
    (shop / "mine.nt").write_text(n_triples(IRIS))
    (shop / "sameas.tsv").write_text(SSSOM)
    assert sum(map(len, kgraft.read_collection("collection.toml").links)) == len(NAMES)
    text = DESCRIBED.replace("sameas.tsv", "same.nt").replace("mine.tsv", "mine.nt")
    (shop / "collection.toml").write_text(text)
    assert sum(map(len, kgraft.read_collection("collection.toml").links)) == len(NAMES)


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_graph_may_have_each_format_that_is_named(shop: Path, ending: str) -> None:
    name = f"mine.tsv{ending}" if ending in (".gz", ".bz2", ".zst") else f"mine{ending}"
    (shop / name).write_bytes(GRAPHS[ending]())
    (shop / "c.toml").write_text(DESCRIBED.split("[[links]]")[0].replace("mine.tsv", name))
    with pytest.warns(kgraft.KgraftWarning, match="no link"):
        graph = kgraft.read_collection("c.toml").graphs["mine"]
    assert sum(len(getattr(graph, x)) for x in ("train", "valid", "test")) == len(MINE)
    assert len(graph.relations) == len(PROPERTY)


@pytest.mark.slow
def test_every_command_runs_in_the_order_of_the_page(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_start", run_job)  # without a process each
    lines = [line for line in COMMANDS.splitlines() if line.startswith("kgraft ")]
    assert len(lines) > 20
    for line in lines:
        command = line.split()[1]
        if command == "serve":
            assert_it_serves(line)
            continue
        named = line.partition("#")[0]
        more = [x for key, x in MORE.items() if {*key.split()} <= {*named.split()}]
        made = ran(" ".join([named, *(word for words in more for word in words)]))
        if command == "predict":
            assert "Glass" in made
    for file in re.findall(r"(?:-o|--out) (\S+)", COMMANDS):
        assert (shop / file).exists()


def assert_it_serves(line: str) -> None:
    """Start the server on a free port, ask it, and stop it."""
    command = [*shlex.split(line, comments=True)[1:], "--port", "0"]
    begun = subprocess.Popen(
        [sys.executable, "-m", "kgraft", *command], stdout=subprocess.PIPE, text=True
    )
    with begun as process:
        try:
            assert process.stdout is not None
            (address,) = re.findall(r"page is at (http://\S+),", process.stdout.readline())
            with urlopen(address) as page:
                assert page.status == 200
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130


@pytest.mark.slow
def test_the_code_runs(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(CODE, "README.md", "exec"), {})  # noqa: S102
    assert "madeOf(Blue Lamp, Glass)" in capsys.readouterr().out
    assert kgraft.load_model("saved").graph is not None
    assert (shop / "report.html").exists()
