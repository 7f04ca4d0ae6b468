"""A small collection on disk, and a teacher and a student of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kgraft.cli.main import app

SMALL = ["model.width=8", "training.epochs=1", "training.min_steps=0"]


@pytest.fixture(scope="session")
def write_small() -> Callable[[Path], Path]:
    """Write a collection into a directory and return its file.

    Two sources with one vocabulary of relations and the same 40 entities, on a circle, under two
    names; r3 leads where r1 and then r2 lead.
    """

    def write(directory: Path) -> Path:
        draw = np.random.default_rng(0)
        for name, share in (("mine", 0.5), ("big", 0.9)):
            lines = [
                f"{name}:{head}\tr{step}\t{name}:{(head + step) % 40}"
                for head in range(40)
                for step in (1, 2, 3)
                if draw.random() < share
            ]
            (directory / f"{name}.tsv").write_text("\n".join(lines) + "\n")
        named = {line.split("\t")[0] for line in (directory / "mine.tsv").read_text().splitlines()}
        pairs = [f"{x}\t{x.replace('mine', 'big')}" for x in sorted(named)]
        (directory / "links.tsv").write_text("\n".join(pairs) + "\n")
        (directory / "collection.toml").write_text(
            """
            name = "small"
            target = "mine"
            [[source]]
            name = "mine"
            train = "mine.tsv"
            split = { valid = 0.2, test = 0.2, seed = 1 }
            [[source]]
            name = "big"
            train = "big.tsv"
            [[links]]
            left = "mine"
            right = "big"
            path = "links.tsv"
            unknown = "skip"
            """
        )
        return directory / "collection.toml"

    return write


@pytest.fixture(scope="session")
def fast() -> list[str]:
    """Options by which a command trains in no time."""
    return [*(part for change in SMALL for part in ("--set", change)), "--threads", "1"]


@pytest.fixture(scope="module")
def collection(
    tmp_path_factory: pytest.TempPathFactory, write_small: Callable[[Path], Path]
) -> Path:
    return write_small(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def teacher(collection: Path, fast: list[str]) -> Path:
    return _made("pretrain", collection, collection.with_name("teacher"), *fast)


@pytest.fixture(scope="module")
def student(collection: Path, teacher: Path, fast: list[str]) -> Path:
    place = collection.with_name("student")
    return _made("retrain", collection, place, "--teacher", str(teacher), *fast)


def _made(command: str, collection: Path, directory: Path, *options: str) -> Path:
    """Let a command train a model, and return its directory."""
    made = CliRunner().invoke(app, [command, str(collection), "-o", str(directory), *options])
    assert made.exit_code == 0, made.output
    assert str(directory / "report.html") in made.output
    return directory
