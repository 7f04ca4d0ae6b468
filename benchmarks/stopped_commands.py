"""The commands that ``kills.py`` stops: their inputs, made once, and their arguments."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from time import sleep

import numpy as np
import pyarrow.parquet as pq
import pyoxigraph as ox

SMALL = ("model.width=32", "training.epochs=20", "training.min_steps=0", "training.patience=30")

COLLECTION = ("target.entities=200", "target.facts=1000", "background.facts=2000")

RESUMED = ("train", "pretrain", "retrain", "graft", "retrain-many", "benchmark")
"""Commands that go on where they were stopped, over an earlier result."""

ONCE = {
    "align": "result",
    "audit": "result",
    "complete": "result.csv",
    "check": "result.tsv",
    "questions": "result.safetensors",
    "fetch": "result.nt",
    "import": "result",
    "texts": "result",
}
"""Commands that write to an empty place, with the name of what they write."""

COMMANDS = (*RESUMED, *ONCE)

FETCHED = 3000
"""Facts of the endpoint that ``fetch`` asks."""

Must = Callable[[Sequence[str | Path]], None]


def settings(seed: int = 0) -> list[str]:
    """Return the settings of a training."""
    return [*changes([*SMALL, f"training.seed={seed}"]), "--threads", "1"]


def changes(values: Sequence[str]) -> list[str]:
    """Return changes of settings as options."""
    return [part for value in values for part in ("--set", value)]


def prepare(command: str, root: Path, must: Must) -> None:
    """Make what a command reads; ``must`` runs another one."""
    must(["synth", "-o", root / "made", *changes(COLLECTION)])
    if command in ("retrain", "graft", "retrain-many"):
        must(["pretrain", root / "made", "-o", root / "teacher", *settings()])
    if command in ("complete", "check", "questions"):
        must(["train", root / "made", "-o", root / "model", *settings()])
    if command == "retrain-many":
        for seed in (0, 1):
            lines = [f"set = {[*SMALL[:2], f'training.seed={seed}']}"]
            lines += [f'[[target]]\nname = "{x}"\ndata = "made"' for x in ("one", "two")]
            (root / f"targets{seed}.toml").write_text("\n".join(lines), encoding="utf-8")
    if command == "questions":
        _write_questions(root)
    if command == "import":
        rows = np.random.default_rng(0).random((20_000, 20)).round(3)
        lines = [f"e{n} {' '.join(map(str, row))}" for n, row in enumerate(rows.tolist())]
        (root / "vectors.txt").write_text("\n".join(lines), encoding="utf-8")


def _write_questions(root: Path) -> None:
    """Write questions about the target's entities, each with a path of its relations."""
    facts = pq.read_table(root / "made" / "target-train.parquet", use_threads=False)
    lines = ["question\tpath\tentity"]
    for row in facts.slice(length=300).to_pylist():
        name, along = row["head"], row["relation"]
        word = along.rpartition("/")[2].replace("_", " ")
        lines.append(f"which {word} has {name} in it\t<{along}>\t{name}")
    (root / "pairs.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def arguments(
    command: str, root: Path, out: Path, seed: int = 0, address: str = ""
) -> list[str | Path]:
    """Return the command that writes ``out``, which goes on where it is resumed."""
    own: list[str | Path] = [command, root / "made", "-o", out]
    match command:
        case "benchmark":
            small = root / "settings.toml"
            parts = ("plain", "joint", "pretrain", "retrain")
            table = "[{0}.model]\nwidth = 8\n[{0}.training]\nepochs = 3\nmin_steps = 0\n"
            small.write_text("".join(table.format(part) for part in parts), encoding="utf-8")
            systems = ["--systems", "plain,student", "--settings", small]
            return [*own, *systems, "--seed", str(seed), "--threads", "1"]
        case "align" | "audit":
            return own
        case "complete" | "check":
            return [command, root / "model", "-o", out]
        case "questions":
            return [command, root / "model", root / "pairs.tsv", "-o", out]
        case "fetch":
            return [command, address, "-o", out, "--page", "100", "--interval", "0"]
        case "import":
            return ["teacher", command, root / "vectors.txt", "-o", out]
        case "texts":
            return ["teacher", command, "--of", root / "made", "-o", out]
        case "retrain-many":
            targets = root / f"targets{seed}.toml"
            return [command, targets, "--teacher", root / "teacher", "-o", out, "--threads", "1"]
    teacher = {"retrain": "--teacher", "graft": "--onto"}.get(command)
    more = [teacher, root / "teacher"] if teacher else []
    return [*own, *more, "--overwrite", "--resume", *settings(seed)]


def endpoint() -> tuple[str, Callable[[], None]]:
    """Start an endpoint in a process of its own; return its address, and what ends it."""
    sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
    from endpoint import answering, serving

    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        with os.fdopen(reading) as pipe:
            address = pipe.readline().strip()
        return address, lambda: (os.kill(pid, signal.SIGKILL), os.waitpid(pid, 0))[0]
    names = [ox.NamedNode(f"http://a.org/{n}") for n in range(FETCHED)]
    store = ox.Store()
    store.extend(
        ox.Quad(one, ox.NamedNode(f"http://a.org/r{n % 7}"), other)
        for n, (one, other) in enumerate(pairwise(names))
    )
    with serving(answering(store)) as address:
        os.write(writing, f"{address}\n".encode())
        while True:
            sleep(60)
