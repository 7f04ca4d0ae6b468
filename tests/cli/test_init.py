"""A collection.toml that ``kgraft init`` writes from files of graphs and of links."""

from __future__ import annotations

import tomllib
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kgraft.cli.main import app
from kgraft.errors import KgraftWarning
from kgraft.io.read_collection import read_collection

FACTS = [(f"e{i}", f"r{step}", f"e{(i + step) % 20}") for i in range(20) for step in (1, 2)]
Write = Callable[[str, str], Path]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def facts(prefix: str, ending: str = "\t") -> str:
    return "".join(f"{prefix}{h}{ending}{r}{ending}{prefix}{t}\n" for h, r, t in FACTS)


def pairs(left: str, right: str, more: str = "") -> str:
    return "".join(f"{left}e{i}\t{right}e{i}{more}\n" for i in range(10))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(name: str, text: str) -> Path:
        path = tmp_path / "data" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
        return path

    return written


def test_one_file_makes_a_collection_that_trains(
    write: Write, tmp_path: Path, fast: list[str]
) -> None:
    made = run("init", write("mine.tsv", facts("")), "-o", tmp_path / "c.toml")
    assert made.exit_code == 0, made.output
    assert f"kgraft inspect {tmp_path / 'c.toml'}" in made.output
    described = tomllib.loads((tmp_path / "c.toml").read_text())
    assert described["target"] == "mine"
    assert [(x["name"], x["train"]) for x in described["source"]] == [("mine", "data/mine.tsv")]
    trained = run("train", tmp_path / "c.toml", "-o", tmp_path / "model", *fast)
    assert trained.exit_code == 0, trained.output


@pytest.mark.parametrize("more", ["", "\t0.75"])
@pytest.mark.parametrize("named", [True, False])
def test_links_join_the_graphs_whose_names_they_hold(
    write: Write, tmp_path: Path, more: str, named: bool
) -> None:
    graphs = [write(f"{name}.tsv", facts(f"{name}-")) for name in ("two", "one", "three")]
    same = write("same.tsv", pairs("three-", "one-", more))
    same.write_text(same.read_text() + f"gone\tone-e3{more}\n")
    asked = [*graphs, "--links", same] if named else [*graphs, same]
    made = run("init", *asked, "--target", "one", "-o", tmp_path / "c.toml")
    assert made.exit_code == 0, made.output
    assert "names two, one, three and 10 links; the target is one" in made.output
    [table] = tomllib.loads((tmp_path / "c.toml").read_text())["links"]
    expected = {"left": "three", "right": "one", "path": "data/same.tsv", "unknown": "skip"}
    assert table == expected
    with pytest.warns(KgraftWarning, match="1 of 11 links name entities"):
        found = read_collection(tmp_path / "c.toml")
    assert len(found.links[0]) == 10
    assert len(found.graphs["one"].valid) > 0
    assert not len(found.graphs["two"].valid)


def test_links_of_relations_and_sssom_are_told(write: Write, tmp_path: Path) -> None:
    graphs = [
        write("one.tsv", facts("a")),
        write("two.tsv", facts("b").replace("\tr", "\tq")),
    ]
    same = write("same.tsv", "subject_id\tpredicate_id\tobject_id\nae1\towl:sameAs\tbe1\n")
    relations = write("relations.tsv", "r1\tq1\nr2\tq2\n")
    made = run("init", *graphs, same, relations, "-o", tmp_path / "c.toml")
    assert made.exit_code == 0, made.output
    tables = tomllib.loads((tmp_path / "c.toml").read_text())["links"]
    assert [x.get("kind", "entity") for x in tables] == ["entity", "relation"]


def test_files_of_one_graph_by_split(write: Write, tmp_path: Path) -> None:
    files = [write(f"{name}.txt", facts(name)) for name in ("train", "valid", "test")]
    files += [write(f"wiki-{name}.tsv", facts(name)) for name in ("train", "dev")]
    assert run("init", *files, "-o", tmp_path / "c.toml").exit_code == 0
    sources = tomllib.loads((tmp_path / "c.toml").read_text())["source"]
    assert [x["name"] for x in sources] == ["data", "wiki"]
    assert sources[0] == {
        "name": "data",
        **{name: f"data/{name}.txt" for name in ("train", "valid", "test")},
    }
    assert sources[1]["valid"] == "data/wiki-dev.tsv"


def test_equal_names_are_suggested_as_links(write: Write, tmp_path: Path) -> None:
    files = [write(f"{name}.tsv", facts("")) for name in ("one", "t\u00fc")]
    made = run("init", *files, "-o", tmp_path / "c.toml")
    assert made.exit_code == 0, made.output
    text = (tmp_path / "c.toml").read_text(encoding="utf-8")
    assert "# 20 entities of one have a name of t\u00fc." in text
    begin = text.index("# [[links]]")
    whole = text[:begin] + text[begin:].replace("# ", "")
    (tmp_path / "c.toml").write_text(whole, encoding="utf-8")
    assert len(read_collection(tmp_path / "c.toml").links[0]) == 20


def test_what_makes_no_collection_is_refused_and_nothing_is_written(
    write: Write, tmp_path: Path
) -> None:
    mine, other = write("mine.tsv", facts("")), write("other.tsv", facts("x"))
    same, foreign = write("same.tsv", pairs("", "x")), write("foreign.tsv", pairs("p", "q"))
    place = tmp_path / "c.toml"
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.tsv").write_text(facts("y"))
    for asked, said in (
        ([mine, "--target", "his"], "no graph is called 'his'. Name one of mine."),
        ([mine, other, foreign], "foreign.tsv"),
        ([mine, same], "same.tsv"),
        ([same], "hold no facts"),
        ([mine, tmp_path / "b" / "mine.tsv"], "two graphs are called 'mine'"),
        ([tmp_path / "gone.tsv"], "gone.tsv: there is no such file"),
        ([write("test.tsv", facts(""))], "held-out facts only"),
    ):
        made = run("init", *asked, "-o", place)
        assert (made.exit_code, said in made.stderr) == (1, True), (asked, made.output)
        assert not place.exists()
    place.write_text("mine")
    assert "something here already" in run("init", mine, "-o", place).stderr
    assert "ends in .toml" in run("init", mine, "-o", tmp_path / "c.tsv").stderr
    assert place.read_text() == "mine"


def test_links_with_other_spellings_name_the_setting(write: Write, tmp_path: Path) -> None:
    files = [write("mine.tsv", facts("http://m/")), write("wide.tsv", facts("http://w/"))]
    links = write("same.tsv", pairs("https://m/", "http://www.w/"))
    made = run("init", *files, "--links", links, "-o", tmp_path / "c.toml")
    assert made.exit_code == 0, made.output
    assert 'spelling = "normal"  #' in (tmp_path / "c.toml").read_text()
    assert len(read_collection(tmp_path / "c.toml").links[0]) == 10
    like = write("like.tsv", facts("https://m/"))
    assert run("init", files[0], like, "-o", tmp_path / "d.toml").exit_code == 0
    text = (tmp_path / "d.toml").read_text()
    assert '# match = "name"\n# spelling = "normal"\n' in text


def test_links_that_the_facts_state_are_told(write: Write, tmp_path: Path) -> None:
    mine = write("mine.tsv", "a\tr\tb\na\towl:sameAs\tQ1\n")
    made = run("init", mine, write("wiki.tsv", "Q1\tp\tQ2\n"), "-o", tmp_path / "c.toml")
    assert made.exit_code == 0, made.output
    assert "statements of sameness" not in made.output, "the file says it, and no warning"
    text = (tmp_path / "c.toml").read_text(encoding="utf-8")
    assert "# 1 link of mine and wiki is stated in their facts." in text
    tables = tomllib.loads(text)["source"]
    assert [x.get("identities") for x in tables] == ["links", None]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read_collection(tmp_path / "c.toml").graphs["mine"].train) == 1


def test_a_header_in_words_of_its_own_is_said_in_the_file(write: Write, tmp_path: Path) -> None:
    rows = "product,property,value\nLamp,madeOf,Glass\nBowl,madeOf,Clay\n"
    made = run("init", write("mine.csv", rows), "-o", tmp_path / "c.toml")
    assert made.exit_code == 0, made.output
    assert "Warning" not in made.output
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graph = read_collection(tmp_path / "c.toml").graphs["mine"]
    assert sorted(graph.entities.names) == ["Bowl", "Clay", "Glass", "Lamp"]
    assert list(graph.relations.names) == ["madeOf"]


def test_what_a_killed_one_has_left_is_removed(write: Write, tmp_path: Path) -> None:
    left = tmp_path / f".{'ab' * 16}.c.toml"
    left.write_text("[[sou")
    made = run("init", write("mine.tsv", facts("")), "-o", tmp_path / "c.toml")
    assert made.exit_code == 0, made.output
    assert sorted(x.name for x in tmp_path.iterdir()) == ["c.toml", "data"]
