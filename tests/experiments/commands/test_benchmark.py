"""The command ``benchmark``: what its options ask for, what it shows, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kgraft.cli.main import app
from kgraft_experiments.benchmark import runner
from kgraft_experiments.benchmark.job import run_job

SETTINGS = "".join(
    f"[{system}]\nmodel.width = 8\ntraining.epochs = 1\n"
    for system in ("plain", "alone", "joint", "pretrain", "retrain")
)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["benchmark", *(str(argument) for argument in arguments)])


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare each job its own process, which takes seconds to start."""
    monkeypatch.setattr(runner, "_start", run_job)


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """Three rings of 30 entities, each step in a relation, linked entity by entity."""
    text = 'name = "rings"\n'
    for name in ("one", "two", "three"):
        facts = [
            f"{name}{x}\tr{step}\t{name}{(x + step) % 30}" for x in range(30) for step in (1, 2)
        ]
        (tmp_path / f"{name}.tsv").write_text("\n".join(facts) + "\n")
        text += f'[[source]]\nname = "{name}"\ntrain = "{name}.tsv"\n'
        text += "split = { valid = 0.2, test = 0.2, seed = 1 }\n"
    for left, right in (("one", "two"), ("one", "three")):
        pairs = [f"{left}{x}\t{right}{x}" for x in range(30)]
        (tmp_path / f"{left}-{right}.tsv").write_text("\n".join(pairs) + "\n")
        text += f'[[links]]\nleft = "{left}"\nright = "{right}"\npath = "{left}-{right}.tsv"\n'
        text += 'unknown = "skip"\n'
    (tmp_path / "collection.toml").write_text(text)
    (tmp_path / "settings.toml").write_text(SETTINGS)
    return tmp_path / "collection.toml"


@pytest.fixture
def common(collection: Path, tmp_path: Path) -> list[str]:
    """The arguments of every run."""
    out, settings = tmp_path / "out", tmp_path / "settings.toml"
    return [str(collection), "-o", str(out), "--settings", str(settings), "--threads", "1"]


@pytest.mark.slow
def test_one_teacher_for_two_targets_and_two_widths(common: list[str], tmp_path: Path) -> None:
    made = run(
        *common,
        *("--targets", "two,three", "--reuse-teacher", "--systems", "student,teacher"),
        *("--widths", "4,8"),
    )
    assert made.exit_code == 0, made.output
    assert "width 4" in made.output
    report = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [(x["target"], x["system"], x["width"]) for x in report["cost"]] == [
        ("two,three", "teacher", 8),
        ("two", "student", 4),
        ("two", "student", 8),
        ("three", "student", 4),
        ("three", "student", 8),
    ]


def test_several_seeds_are_told_apart(common: list[str]) -> None:
    made = run(*common, "--targets", "one", "--systems", "plain", "--seeds", "2")
    assert made.exit_code == 0, made.output
    assert "seed 0" in made.output
    assert "seed 1" in made.output


@pytest.mark.slow
def test_an_ablation_is_shown_and_kept(common: list[str], tmp_path: Path) -> None:
    parts = ("none", "warm-start", "induced")
    asked = (*common, "--targets", "one", "--ablate", "--seeds", "2")
    made = run(*asked, "--variants", ",".join(parts))
    assert made.exit_code == 0, made.output
    assert all(variant in made.output for variant in parts)
    assert "ablation.json" in made.output
    kept = json.loads((tmp_path / "out" / "ablation.json").read_text())
    assert len(kept["rows"]) == 3 * 2
    page = (tmp_path / "out" / "ablation.html").read_text(encoding="utf-8")
    assert "What each part of a student is worth" in page
    again = run(*asked, "--variants", ",".join(parts), "--json")
    assert json.loads(again.stdout) == kept
    some = json.loads(run(*asked, "--variants", "warm-start,none", "--json").stdout)
    assert some["settings"]["variants"] == ["none", "warm-start"]
    assert [row for row in kept["rows"] if row["variant"] in ("none", "warm-start")] == some["rows"]


@pytest.mark.slow
def test_shares_of_links_are_shown_and_kept(common: list[str], tmp_path: Path) -> None:
    made = run(*common, "--targets", "one", "--links", "0.5,1", "--seeds", "1")
    assert made.exit_code == 0, made.output
    assert "50%" in made.output
    assert "100%" in made.output
    kept = json.loads((tmp_path / "out" / "links.json").read_text())
    assert kept["settings"]["shares"] == [0.5, 1.0]
    assert len(kept["rows"]) == 3 * 2


def test_a_page_of_somebody_elses_is_told_before_anything_runs(
    common: list[str], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.html").write_text("mine")
    refused = run(*common, "--targets", "one", "--systems", "plain")
    assert refused.exit_code == 1
    assert "results.html: this is not a report of kgraft" in refused.stderr
    assert [x.name for x in (tmp_path / "out").iterdir()] == ["results.html"]


@pytest.mark.parametrize(
    ("options", "status", "complaint"),
    [
        (["--links", "a,b"], 2, "'a,b' is no list of numbers"),
        (["--links", ","], 2, "',' is no list of numbers"),
        (["--links", "0.5,20"], 1, "a share of links lies above 0 and at most at 1, not at 20"),
        (["--links", "nan"], 1, "not at nan"),
        (["--widths", "8.5"], 2, "'8.5' is no list of numbers"),
        (["--widths", "7"], 1, "model: ComplEx needs an even width, not 7"),
        (["--seeds", "0"], 2, "--seeds"),
        (["--ablate", "--links", "1"], 2, "give one of them"),
        (["--variants", "none"], 2, "only --ablate has variants"),
        (["--ablate", "--variants", "none,nine"], 1, "no variant is called nine; there are all"),
        (["--ablate", "--widths", "8"], 2, "which --ablate and --links do not"),
        (["--links", "1", "--systems", "joint"], 2, "which --ablate and --links do not"),
        (["--systems", "pupil"], 2, "no system is called pupil"),
        (["--targets", "four"], 1, "no source is called 'four'; there are one, two, three"),
        (["--reuse-teacher"], 1, "rings has none besides one, two, three"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    common: list[str], options: list[str], status: int, complaint: str, tmp_path: Path
) -> None:
    failed = run(*common, *options)
    assert failed.exit_code == status
    said = " ".join(failed.stderr.replace("│", " ").split())
    assert complaint in said
    assert "Traceback" not in failed.output
    assert not (tmp_path / "out").exists()
