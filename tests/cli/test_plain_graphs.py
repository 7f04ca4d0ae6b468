"""Commands on a plain file of facts, where a collection of one graph will do."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kgraft.cli.main import app
from kgraft.errors import UnknownNameError
from kgraft.io.read_collection import read_collection

FACTS = [(f"e{i}", f"r{step}", f"e{(i + step) % 30}") for i in range(30) for step in (1, 2)]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "mine.tsv"
    path.write_text("".join("\t".join(fact) + "\n" for fact in FACTS))
    return path


@pytest.fixture(scope="module")
def model(mine: Path, fast: list[str]) -> Path:
    made = run("train", mine, "-o", mine.with_name("model"), *fast)
    assert made.exit_code == 0, made.output
    assert "validation MRR" in made.output
    return mine.with_name("model")


def test_a_file_of_facts_is_a_collection_of_one_graph(mine: Path, tmp_path: Path) -> None:
    packed = tmp_path / "mine.v2.tsv.gz"
    packed.write_bytes(gzip.compress(mine.read_bytes()))
    triples = tmp_path / "mine.nt"
    triples.write_text("".join(f"<x:{h}> <x:{r}> <x:{t}> .\n" for h, r, t in FACTS))
    for path, name in ((mine, "mine"), (packed, "mine.v2"), (triples, "mine")):
        found = read_collection(path)
        assert found.name == found.target_graph.name == name
        graph = found.target_graph
        assert len(graph.train) + len(graph.valid) + len(graph.test) == len(FACTS)
        assert min(len(graph.valid), len(graph.test)) > 0


def test_a_collection_of_one_source_needs_no_target_and_one_of_two_does(
    mine: Path, fast: list[str], tmp_path: Path
) -> None:
    (tmp_path / "mine.tsv").write_bytes(mine.read_bytes())
    source = '[[source]]\nname = "one"\ntrain = "mine.tsv"\nsplit = {}\n'
    (tmp_path / "one.toml").write_text(source)
    made = run("train", tmp_path / "one.toml", "-o", tmp_path / "model", *fast)
    assert made.exit_code == 0, made.output
    (tmp_path / "two.toml").write_text(source + source.replace('"one"', '"two"'))
    with pytest.raises(UnknownNameError, match="names no target; choose one of one, two"):
        _ = read_collection(tmp_path / "two.toml").target_graph


def test_commands_take_a_plain_file(mine: Path, model: Path, tmp_path: Path) -> None:
    shown = run("inspect", mine)
    assert (shown.exit_code, "mine: 1 source," in shown.output) == (0, True), shown.output
    rows = json.loads(run("evaluate", model, mine, "--json").stdout)
    assert rows[0]["queries"] > 0
    for command in (
        ["train", mine, "-o", tmp_path / "model", "--dry-run"],
        ["report", model, mine, "-o", tmp_path / "page.html"],
        ["evaluate", model, mine],
    ):
        done = run(*command)
        assert done.exit_code == 0, done.output


def test_a_teacher_is_trained_on_a_plain_file_and_a_student_is_linked_to_it(
    mine: Path, fast: list[str], tmp_path: Path
) -> None:
    made = run("pretrain", mine, "-o", tmp_path / "teacher", *fast)
    assert made.exit_code == 0, made.output
    (tmp_path / "own.tsv").write_text("".join(f"my-{h}\t{r}\tmy-{t}\n" for h, r, t in FACTS[:40]))
    (tmp_path / "same.tsv").write_text("".join(f"my-e{i}\te{i}\n" for i in range(20)))
    (tmp_path / "own.toml").write_text(
        '[[source]]\nname = "own"\ntrain = "own.tsv"\n'
        '[[links]]\nleft = "own"\nright = "mine"\npath = "same.tsv"\nunknown = "skip"\n'
    )
    place = tmp_path / "student"
    made = run(
        "retrain", tmp_path / "own.toml", "--teacher", tmp_path / "teacher", "-o", place, *fast
    )
    assert made.exit_code == 0, made.output


def test_what_is_no_file_of_facts_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing of this is a fact\n")
    for name, said in (("notes.txt", "notes.txt, line 1"), ("gone.tsv", "gone.tsv: there is no")):
        shown = run("inspect", tmp_path / name)
        assert (shown.exit_code, said in shown.stderr) == (1, True), shown.output
