"""Graphs at the edge of what a graph is, through everything that takes one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

import kgraft
from kgraft.cli.main import app
from kgraft.settings import ModelSettings, TrainingSettings
from kgraft.system.terminal import HIDDEN

Fact = tuple[str, str, str]

SMALL = kgraft.TrainSettings(
    model=ModelSettings(width=4),
    training=TrainingSettings(epochs=2, batch_size=1024, negatives=8),
)
STUDENT = kgraft.RetrainSettings.model_validate(
    {"model": SMALL.model, "training": SMALL.training.model_dump()}
)

CIRCLE = [(f"e{x}", f"r{step}", f"e{(x + step) % 12}") for x in range(12) for step in (1, 2)]
"""Facts between 12 entities."""


def write(
    directory: Path,
    mine: Sequence[Fact],
    big: Sequence[Fact],
    links: Sequence[tuple[str, str]],
    split: str = "",
) -> Path:
    """Write a collection of the target ``mine`` and the background ``big``."""
    for name, facts in (("mine", mine), ("big", big)):
        text = "".join("\t".join(fact) + "\n" for fact in facts)
        (directory / f"{name}.tsv").write_text(text)
    (directory / "links.tsv").write_text("".join(f"{x}\t{y}\n" for x, y in links))
    linked = '[[links]]\nleft = "mine"\nright = "big"\npath = "links.tsv"\n' if links else ""
    (directory / "collection.toml").write_text(
        f'target = "mine"\n[[source]]\nname = "mine"\ntrain = "mine.tsv"\n{split}\n'
        f'[[source]]\nname = "big"\ntrain = "big.tsv"\n{linked}'
    )
    return directory / "collection.toml"


def same(facts: Sequence[Fact]) -> list[tuple[str, str]]:
    """Link every entity to the one of the same name."""
    names = dict.fromkeys(x for head, _, tail in facts for x in (head, tail))
    return [(name, name) for name in names]


SPLIT = "split = { valid = 0.2, test = 0.2 }"

CASES: dict[str, tuple[Sequence[Fact], Sequence[Fact], Sequence[tuple[str, str]], str]] = {
    "one triple": ([("a", "r", "b")], [("a", "r", "b")], [("a", "a")], ""),
    "one triple to split": ([("a", "r", "b")], [("a", "r", "b")], [("a", "a")], SPLIT),
    "one entity": ([("a", "r", "a")], [("a", "r", "a")], [("a", "a")], ""),
    "one relation": (
        [(h, "r", t) for h, _, t in CIRCLE],
        [(h, "r", t) for h, _, t in CIRCLE],
        [("e0", "e0"), ("e1", "e1")],
        SPLIT,
    ),
    "only self-loops": (
        [(f"e{x}", f"r{x % 3}", f"e{x}") for x in range(20)],
        [(f"e{x}", f"r{x % 2}", f"e{x}") for x in range(20)],
        [(f"e{x}", f"e{x}") for x in range(10)],
        SPLIT,
    ),
    "all entities linked": (CIRCLE[::2], CIRCLE, same(CIRCLE[::2]), SPLIT),
    "none linked": (CIRCLE, CIRCLE, [], SPLIT),
    "the target is a background": (CIRCLE, CIRCLE, same(CIRCLE), SPLIT),
    "many links to one entity": (
        [(f"e{x}", "r", f"e{x + 1}") for x in range(10_000)],
        [("a", "r", "b"), ("b", "r", "c")],
        [(f"e{x}", "a") for x in range(10_000)],
        "split = { valid = 0.01, test = 0.01 }",
    ),
    "a name that looks like a style": (
        [(f"[/b]{h}", "[red]", t) for h, _, t in CIRCLE],
        [(h, r, t) for h, r, t in CIRCLE],
        [("e3", "e3")],
        SPLIT,
    ),
    "names that a terminal would obey": (
        [(f"\x1b[2J{h}", "\u202er\x9b1m", f"\x1b[2J{t}") for h, _, t in CIRCLE],
        [(h, r, t) for h, r, t in CIRCLE],
        [(f"\x1b[2Je{x}", f"e{x}") for x in range(12)],
        SPLIT,
    ),
}


@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.slow) if name == "many links to one entity" else name
        for name in CASES
    ],
    ids=lambda name: name.replace(" ", "-"),
)
def degenerate(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A collection of each case."""
    return write(tmp_path, *CASES[request.param])


@pytest.fixture(autouse=True)
def _warnings_are_sentences() -> Iterator[None]:
    """Let kgraft warn of what it leaves out, and nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", kgraft.KgraftWarning)
        yield


def test_everything_works_in_python(degenerate: Path, tmp_path: Path) -> None:
    collection = kgraft.read_collection(degenerate)
    assert kgraft.inspect(collection).as_dict()
    teacher = kgraft.pretrain(collection, SMALL)
    models = [
        kgraft.train(collection, SMALL, alone=True),
        kgraft.train(collection, SMALL),
        kgraft.retrain(collection, teacher, STUDENT, allow_unlinked=True),
    ]
    head, relation, tail = collection.target_graph.train[0].tolist()
    entities, relations = collection.target_graph.entities, collection.target_graph.relations
    for number, made in enumerate(models):
        made.save(tmp_path / f"model{number}")
        model = kgraft.load_model(tmp_path / f"model{number}")
        if len(collection.target_graph.test):
            measured = model.evaluate(collection).rows()
            assert all(row["queries"] == 0 or 0 < row["mrr"] <= 1 for row in measured)
        else:
            with pytest.raises(kgraft.DataError, match="'mine' has no facts in 'test'"):
                model.evaluate(collection)
        asked = {
            "head": entities.name(head),
            "relation": relations.name(relation),
            "tail": entities.name(tail),
        }
        for left_out in asked:
            given = {key: value for key, value in asked.items() if key != left_out}
            assert model.predict(**given)
        if model.evidence is not None:
            model.rules()


@pytest.mark.slow
def test_everything_works_on_the_command_line(degenerate: Path, tmp_path: Path) -> None:
    small = ["model.width=4", "training.epochs=1", "training.min_steps=0"]
    fast = [*(part for change in small for part in ("--set", change)), "--threads", "1"]
    head, relation, tail = (tmp_path / "mine.tsv").read_text().splitlines()[0].split("\t")
    student, teacher = str(tmp_path / "student"), str(tmp_path / "teacher")
    collection = str(degenerate)
    commands = [
        ["inspect", collection],
        ["inspect", collection, "--json"],
        ["pretrain", collection, "-o", teacher, *fast],
        [
            "retrain",
            collection,
            "--teacher",
            teacher,
            "--allow-unlinked",
            "--dry-run",
            "-o",
            student,
            *fast,
        ],
        ["retrain", collection, "--teacher", teacher, "--allow-unlinked", "-o", student, *fast],
        ["predict", student, "--head", head, "--relation", relation],
        ["predict", student, "--head", head, "--relation", relation, "--by", "vectors"],
        ["similar", student, head],
        ["explain", student, head, relation, tail],
        ["rules", student],
        ["rules", student, "--json"],
    ]
    for command in commands:
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, (command, result.output, result.exception)
        assert not HIDDEN.search(result.output.replace("\n", "")), command
    tested = len(kgraft.read_collection(degenerate).target_graph.test)
    for way in ([], ["--by-relation"]):
        result = CliRunner().invoke(app, ["evaluate", student, collection, *way])
        assert result.exit_code == (0 if tested else 1), (way, result.output, result.exception)
        assert tested or result.stderr.endswith("or let split make one.\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", ["one triple", "one triple to split", "one entity", "only self-loops"]
)
def test_every_other_command_answers_or_says_why_not(tmp_path: Path, case: str) -> None:
    collection = str(write(tmp_path, *CASES[case]))
    fast = ["--set", "model.width=4", "--set", "training.epochs=1", "--threads", "1"]
    fast += ["--set", "training.min_steps=0"]

    def place(name: str) -> str:
        return str(tmp_path / name)

    model = place("model")
    commands = [
        ["init", place("mine.tsv"), place("big.tsv"), "-o", place("new.toml")],
        ["train", collection, "-o", model, *fast],
        ["train", collection, "--alone", "-o", place("alone"), *fast],
        ["train", place("mine.tsv"), "-o", place("plain"), *fast],
        ["complete", model, "-o", place("new.tsv"), "--least", "0"],
        ["complete", place("plain"), "-o", place("plain.parquet"), "--least", "0"],
        ["check", model],
        ["report", model, "-o", place("model.html")],
        ["report", model, collection, "-o", place("measured.html")],
        *(["export", model, "-o", place(f"v.{x}")] for x in ("npz", "parquet", "txt")),
        ["align", collection, "-o", place("found")],
        ["audit", collection, "-o", place("clean")],
        ["evaluate-links", collection],
        ["benchmark", collection, "-o", place("measured"), "--systems", "plain"],
    ]
    for command in commands:
        result = CliRunner().invoke(app, command)
        told = result.output + result.stderr
        if result.exit_code:
            assert isinstance(result.exception, SystemExit), (command, result.exception)
            assert "Error: " in result.stderr, (command, told)
        assert "Traceback" not in told, (command, told)
        assert " nan" not in told.lower(), (command, told)
    if case in ("one triple", "one entity"):
        told = CliRunner().invoke(app, ["check", model]).stderr
        assert "'mine' is too small to check: facts are judged" in " ".join(told.split())


NOTHING: dict[str, Callable[[Path], Path]] = {
    "no facts": lambda place: write(place, [], CIRCLE, []),
    "a link to nobody": lambda place: write(place, CIRCLE, CIRCLE, [("e0", "nobody")]),
}


@pytest.mark.parametrize("case", NOTHING)
def test_what_cannot_be_read_is_refused_with_a_sentence(tmp_path: Path, case: str) -> None:
    collection = NOTHING[case](tmp_path)
    result = CliRunner().invoke(app, ["inspect", str(collection)])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert isinstance(result.exception, SystemExit)


def test_a_target_among_the_teachers_sources_is_refused_with_a_sentence(tmp_path: Path) -> None:
    collection = kgraft.read_collection(write(tmp_path, *CASES["all entities linked"]))
    teacher = kgraft.pretrain(collection, SMALL, sources=["mine", "big"])
    with pytest.raises(ValueError, match="mine"):
        kgraft.retrain(collection, teacher, STUDENT)
