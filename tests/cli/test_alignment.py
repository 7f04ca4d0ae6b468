"""The commands about links, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kgraft.cli.main import app

FACTS = {
    "a": "p capital q, q river r, r mouth s, s ocean t, t far p, s far q",
    "b": "K capital L, L river M, M mouth N, N ocean O, O far K, N far L",
}


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def joint_entities(collection: str | Path) -> int:
    """Return the number of entities when the graphs of a collection are joined by its links."""
    seen = run("inspect", collection, "--json")
    assert seen.exit_code == 0, seen.output
    return int(json.loads(seen.stdout)["joint_entities"])


def write(path: Path, text: str) -> None:
    """Write a file, with the directories above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    sources = ""
    for name, text in FACTS.items():
        lines = ["\t".join(fact.split()) for fact in text.split(", ")]
        (tmp_path / f"{name}.tsv").write_text("\n".join(lines) + "\n")
        sources += f'[[source]]\nname = "{name}"\ntrain = "{name}.tsv"\nheader = false\n'
    (tmp_path / "links.tsv").write_text("p\tK\nq\tL\nr\tM\n")
    links = '[[links]]\nleft = "a"\nright = "b"\npath = "links.tsv"\n'
    (tmp_path / "collection.toml").write_text(sources + links)
    return tmp_path / "collection.toml"


def test_links_are_found_and_read_by_the_next_verb(collection: Path, tmp_path: Path) -> None:
    done = run("align", collection, "-o", tmp_path / "found", "--mask-labels")
    assert done.exit_code == 0, done.output
    assert f"kgraft inspect {tmp_path / 'found'}" in "".join(done.output.split("\n"))
    more = tmp_path / "more.toml"
    more.write_text(collection.read_text() + (tmp_path / "found" / "links.toml").read_text())
    seen = json.loads(run("inspect", more, "--json").stdout)
    assert seen["joint_entities"] == 5


def test_what_align_writes_is_a_collection_that_can_be_trained(
    collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.write_text('target = "a"\n' + collection.read_text())
    monkeypatch.chdir(tmp_path)
    assert run("align", "collection.toml", "-o", "deep/found", "--mask-labels").exit_code == 0
    assert joint_entities("deep/found") == 5
    done = run("train", "deep/found", "-o", "model", "--set", "training.epochs=1")
    assert done.exit_code == 0, done.output
    options = ("--mask-labels", "--without-links")
    # Its own links, or those of the base, are no help to an alignment without links.
    done = run("align", "deep/found", "-o", "anew", *options)
    assert done.exit_code == 0, done.output
    assert joint_entities("anew") == 10


@pytest.mark.parametrize("kind", ["layout", "world"])
def test_every_kind_of_collection_can_be_aligned_and_audited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, facts in (("x", "0\t0\t1\n1\t1\t2\n"), ("y", "1\t0\t0\n0\t1\t2\n")):
        write(tmp_path / "layout" / "kg" / f"{name}-train.tsv", facts)
    write(tmp_path / "layout" / "seed_alignlinks" / "x-y.tsv", "0\t1\n1\t0\n")
    for command in ("align", "audit"):
        done = run(command, kind, "-o", command, "--mask-labels")
        assert done.exit_code == 0, done.output
    before = joint_entities(kind)
    assert joint_entities("audit") >= before >= joint_entities("align")
    own = json.loads(run("inspect", "align", "--json").stdout)
    assert own["target"] == ("countryinfo" if kind == "world" else None)


def test_what_audit_writes_is_a_collection_without_the_doubtful_links(
    collection: Path, tmp_path: Path
) -> None:
    done = run("audit", collection, "-o", tmp_path / "clean", "--mask-labels", "--threshold", "0")
    assert done.exit_code == 0, done.output
    assert joint_entities(tmp_path / "clean") == 10


def test_what_was_found_for_programs(collection: Path, tmp_path: Path) -> None:
    done = run("align", collection, "-o", tmp_path / "found", "--mask-labels", "--json")
    told = json.loads(done.stdout)
    assert [(x["left"], x["right"], x["found"]) for x in told["links"]] == [("a", "b", 2)]
    assert told["links"][0]["confidence"] > 0.9


def test_given_links_can_be_forgotten(collection: Path, tmp_path: Path) -> None:
    done = run(
        "align", collection, "-o", tmp_path / "found", "--mask-labels", "--without-links", "--json"
    )
    assert json.loads(done.stdout)["links"] == []


def test_held_out_links_are_measured(collection: Path) -> None:
    shown = run("evaluate-links", collection, "--mask-labels", "--given", "0.67")
    assert shown.exit_code == 0, shown.output
    assert "67% of the links were given" in shown.output
    options = ("--mask-labels", "--given", "0.67", "--json")
    rows = json.loads(run("evaluate-links", collection, *options).stdout)
    assert rows[0]["held_out"] == 1
    assert rows[-1]["left"] == "mean"


def test_doubtful_links_are_written_apart(collection: Path, tmp_path: Path) -> None:
    done = run("audit", collection, "-o", tmp_path / "clean", "--mask-labels")
    assert done.exit_code == 0, done.output
    assert "of 3 links are doubtful" in done.output
    assert {"doubtful.tsv", "links.toml"} <= {x.name for x in (tmp_path / "clean").iterdir()}
    again = run("audit", collection, "-o", tmp_path / "clean")
    assert again.exit_code != 0
    assert "there is something here already" in again.output


def test_wrong_settings_are_named(collection: Path, tmp_path: Path) -> None:
    done = run("align", collection, "-o", tmp_path / "found", "--set", "accept.threshold=2")
    assert done.exit_code != 0
    assert "accept.threshold" in done.output
