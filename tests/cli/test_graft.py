"""The command ``graft``, as a newcomer types it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kgraft.alignment import graft as alignment
from kgraft.cli.main import app
from kgraft.model.directory import load_model
from kgraft.model.gain import GAIN_METRIC


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_one_command_links_trains_compares_and_says_what_comes_next(
    collection: Path,
    teacher: Path,
    fast: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine, out, report = collection.with_name("mine.tsv"), tmp_path / "out", tmp_path / "r.html"
    made = run("graft", mine, "--onto", teacher, "-o", out, "--report", report, *fast)
    assert made.exit_code == 0, made.output
    text = " ".join(made.output.split())
    found = re.search(r"entities: (\d+) of (\d+) \(\d+%\) are linked .*: \1 by links found", text)
    assert found
    assert int(found[1]) > 0.8 * int(found[2])
    assert "relations: 3 of 3 are the teacher's: 3 by name" in text
    assert re.search(r"coverage: \d+% of the validation facts", text)
    assert "Gained over training alone" in text
    assert f"kgraft complete {out} -o review.csv" in text
    assert report.exists()
    assert not (out / "report.html").exists()
    assert (out / "links" / "mine-big.tsv").read_text().startswith("left\tright\tconfidence\tevid")
    assert GAIN_METRIC in load_model(out).metrics
    assert not [x for x in tmp_path.iterdir() if x.name.startswith(".out.run")]
    review = tmp_path / "review.csv"
    done = run("complete", out, "-o", review, "--least", "0.5")
    assert done.exit_code == 0, done.output
    begin, first, *others = review.read_text(encoding="utf-8-sig").splitlines()
    review.write_text("\n".join([begin, f"accept{first}", *(f"refuse{x}" for x in others)]))
    monkeypatch.chdir(tmp_path)
    decided = ["--onto", teacher, "--decisions", review.name, "--no-compare", *fast]
    next_one = run("graft", mine, *decided, "-o", "next")
    assert next_one.exit_code == 0, next_one.output
    assert f"1 accepted (beside 0 stated already), {len(others)} refused" in next_one.output
    assert "-o review2.csv    # facts" in next_one.output
    follows = "--decisions review.csv --decisions review2.csv -o next2    # after it"
    assert follows in next_one.output
    learned = load_model(tmp_path / "next").graph
    assert len(learned.known_false["mine"]) == len(others)
    again = run("graft", mine, "--onto", teacher, "-o", out)
    assert again.exit_code == 1
    assert "--overwrite" in again.output


def test_given_links_and_settings_of_align(
    collection: Path, teacher: Path, fast: list[str], tmp_path: Path
) -> None:
    links = collection.with_name("links.tsv")
    options = ["--links", links, "--no-compare", "--set", "align.labels.use=false", *fast]
    made = run(
        "graft", collection.with_name("mine.tsv"), "--onto", teacher, "-o", tmp_path / "s", *options
    )
    assert made.exit_code == 0, made.output
    assert re.search(r"\d+ by given links", made.output)
    assert "Gained" not in made.output
    shown = run("settings", "--command", "graft").output
    assert "align.labels.use = true" in shown
    assert "training.epochs" in shown


def test_a_grown_graph_updates_the_last_student(
    collection: Path, teacher: Path, fast: list[str], tmp_path: Path
) -> None:
    lines = collection.with_name("mine.tsv").read_text().splitlines(keepends=True)
    mine, options = tmp_path / "mine.tsv", ["--no-compare", *fast]
    mine.write_text("".join(lines[:-20]))
    made = run("graft", mine, "--onto", teacher, "-o", tmp_path / "first", *options)
    assert made.exit_code == 0, made.output
    mine.write_text("".join(lines))
    again = [
        "graft",
        mine,
        "--onto",
        teacher,
        "-o",
        tmp_path / "next",
        "--from",
        tmp_path / "first",
    ]
    told = run(*again, "--dry-run")
    assert told.exit_code == 0, told.output
    made = run(*again, "--no-compare")
    assert made.exit_code == 0, made.output
    assert re.search(r"facts: \d+ new, \d+ gone", made.output)
    changed = load_model(tmp_path / "next").metrics["update"]
    assert 0 < changed["facts_added"] <= 20
    assert "vectors moved: " in made.output


def test_an_estimate_writes_nothing(
    collection: Path, teacher: Path, fast: list[str], tmp_path: Path
) -> None:
    mine = collection.with_name("mine.tsv")
    told = run("graft", mine, "--onto", teacher, "-o", tmp_path / "s", "--dry-run", *fast)
    assert told.exit_code == 0, told.output
    assert "alone: about" in told.output
    assert not [*tmp_path.iterdir()]


def test_a_graft_that_fails_leaves_no_directory(
    collection: Path, teacher: Path, fast: list[str], tmp_path: Path
) -> None:
    mine, out = collection.with_name("mine.tsv"), tmp_path / "s"

    def fails(*_: object, **__: object) -> None:
        raise OSError("no space")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alignment, "write_alignment", fails)
        made = run("graft", mine, "--onto", teacher, "-o", out, "--no-compare", *fast)
    assert made.exit_code == 1
    assert "the model cannot be written (no space)" in " ".join(made.output.split())
    assert not out.exists()
    more = run("graft", mine, "--onto", teacher, "-o", out, "--no-compare", "--resume", *fast)
    assert more.exit_code == 0, more.output
    assert (out / "links" / "mine-big.tsv").exists()


def test_errors_are_sentences(collection: Path, teacher: Path, tmp_path: Path) -> None:
    other = tmp_path / "big.tsv"
    other.write_text("a\tr\tb\n")
    wrong = run("graft", other, "--onto", teacher, "-o", tmp_path / "s")
    assert wrong.exit_code == 1
    assert "'big' is the name of one of the teacher's sources" in " ".join(wrong.output.split())
    assert "--resume" not in run("graft", tmp_path / "no", "--onto", teacher, "-o", "x").output
    assert not (tmp_path / "s").exists()
