"""The page about one's own data: its commands and code, run as they are there."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from shop import (
    GRAPHS,
    IRIS,
    MINE,
    NAMES,
    NUMBER_OF,
    OWL_SAME_AS,
    PROPERTY,
    SSSOM,
    iri,
    n_triples,
    open_shop,
)
from typer.testing import CliRunner, Result

import kgraft
from kgraft.cli.main import app
from kgraft_experiments.benchmark import runner
from kgraft_experiments.benchmark.job import run_job

SECTION = (Path(__file__).parents[1] / "docs" / "own-data.md").read_text(encoding="utf-8")
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


def run(line: str) -> Result:
    return CliRunner().invoke(app, shlex.split(line, comments=True)[1:])


def ran(line: str) -> str:
    result = run(line)
    assert result.exit_code == 0, f"{line}\n{result.output}"
    return result.output


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the files that the page's collection names."""
    monkeypatch.chdir(tmp_path)
    open_shop(tmp_path)
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
    exec(compile(CODE, "own-data.md", "exec"), {})  # noqa: S102
    assert "madeOf(Blue Lamp, Glass)" in capsys.readouterr().out
    assert kgraft.load_model("saved").graph is not None
    assert (shop / "report.html").exists()
