"""The commands that ``kills.py`` stops: their inputs, made once, and their arguments."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from time import sleep
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pyarrow.parquet as pq
import pyoxigraph as ox

SMALL = ("model.width=16", "training.epochs=8", "training.min_steps=0", "training.patience=30")

COLLECTION = ("target.entities=100", "target.facts=500", "background.facts=800")

RESUMED = (
    "train", "pretrain", "workers", "retrain", "update", "graft", "retrain-many", "benchmark",
)  # fmt: skip
"""Commands that go on where they were stopped, over an earlier result."""

ANEW = {"prepare": "result", "export": "result.npz", "predict": "result.tsv",
        "report": "result.html"}  # fmt: skip
"""Commands that begin anew, over an earlier result, with the name of what they write."""

ONCE = {
    "align": "result",
    "audit": "result",
    "complete": "result.csv",
    "check": "result.tsv",
    "questions": "result.safetensors",
    "fetch": "result.nt",
    "import": "result",
    "texts": "result",
    "synth": "result",
    "init": "result.toml",
    "decisions": "result.csv",
}
"""Commands that write to an empty place, with the name of what they write."""

COMMANDS = (*RESUMED, *ANEW, *ONCE)

TOGETHER = "--workers"
"""Option of a command that several processes run together."""

TEACHERS = ("import", "texts")
"""Commands of ``kgraft teacher``."""

OF_ONE_MODEL = ("complete", "check", "questions", "predict", "decisions")
"""Commands that read one model."""

DECIDED = 20
"""Decisions that are sent to a server."""

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
    made = root / "made"
    teacher: list[str | Path] = ["--teacher", root / "teacher"]
    must(["synth", "-o", made, *changes(COLLECTION)])
    if command in ("retrain", "update", "graft", "retrain-many"):
        must(["pretrain", made, "-o", root / "teacher", *settings()])
    for seed in (0, 1):
        model = root / f"model{seed}"
        if command in ("export", "report") or (command in OF_ONE_MODEL and not seed):
            must(["train", made, "-o", model, *settings(seed)])
        elif command == "update":
            must(["retrain", made, "-o", model, *teacher, *settings(seed)])
        elif command == "retrain-many":
            lines = [f"set = {[*SMALL[:2], f'training.seed={seed}']}"]
            lines += [f'[[target]]\nname = "{x}"\ndata = "made"' for x in ("one", "two")]
            (root / f"targets{seed}.toml").write_text("\n".join(lines), encoding="utf-8")
    if command == "prepare":
        must(["synth", "-o", root / "made1", *changes([*COLLECTION, "world.seed=1"])])
    _write_files(command, root)


def _write_files(command: str, root: Path) -> None:
    """Write what a command reads beside collections and models."""
    if command == "questions":
        _write_questions(root)
    elif command == "predict":
        rows = [f"{x['head']}\t{x['relation']}\t" for x in _facts(root)]
        (root / "queries.tsv").write_text("\n".join(["head\trelation\ttail", *rows]) + "\n")
    elif command == "import":
        vectors = np.random.default_rng(0).random((2_000, 20)).round(3)
        lines = [f"e{n} {' '.join(map(str, row))}" for n, row in enumerate(vectors.tolist())]
        (root / "vectors.txt").write_text("\n".join(lines), encoding="utf-8")
    elif command == "benchmark":
        parts = ("plain", "joint", "pretrain", "retrain")
        table = "[{0}.model]\nwidth = 8\n[{0}.training]\nepochs = 3\nmin_steps = 0\n"
        text = "".join(table.format(part) for part in parts)
        (root / "settings.toml").write_text(text, encoding="utf-8")


def _facts(root: Path, count: int = 300) -> list[dict[str, str]]:
    """Return training facts of the target."""
    facts = pq.read_table(root / "made" / "target-train.parquet", use_threads=False)
    found: list[dict[str, str]] = facts.slice(length=count).to_pylist()
    return found


def _write_questions(root: Path) -> None:
    """Write questions about the target's entities, each with a path of its relations."""
    lines = ["question\tpath\tentity"]
    for row in _facts(root):
        name, along = row["head"], row["relation"]
        word = along.rpartition("/")[2].replace("_", " ")
        lines.append(f"which {word} has {name} in it\t<{along}>\t{name}")
    (root / "pairs.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def arguments(
    command: str, root: Path, out: Path, seed: int = 0, address: str = ""
) -> list[str | Path]:
    """Return the command that writes ``out``, which goes on where it is resumed."""
    made, model, one = root / "made", root / f"model{seed}", root / "model0"
    files: list[str | Path] = [made / f"{x}-train.parquet" for x in ("target", "background1")]
    systems: list[str | Path] = ["--systems", "plain,student", "--settings", root / "settings.toml"]
    teacher: list[str | Path] = ["--teacher", root / "teacher"]
    given: dict[str, list[str | Path]] = {
        "train": ["train", made],
        "pretrain": ["pretrain", made],
        "workers": ["pretrain", made, TOGETHER, "2"],
        "retrain": ["retrain", made, *teacher],
        "update": ["retrain", made, *teacher, "--from", model],
        "graft": ["graft", made, "--onto", root / "teacher"],
        "retrain-many": [root / f"targets{seed}.toml", *teacher, "--threads", "1"],
        "benchmark": [made, *systems, "--seed", str(seed), "--threads", "1"],
        "align": [made],
        "audit": [made],
        "synth": [*changes(COLLECTION)],
        "init": [*files, "--links", made / "target-background1.tsv"],
        "prepare": [root / "made1" if seed else made, "--overwrite"],
        "export": [model, "--overwrite"],
        "report": [model, made, "--threads", "1"],
        "complete": [one],
        "check": [one],
        "predict": [one, "--queries", root / "queries.tsv", "-k", str(5 + seed)],
        "questions": [one, root / "pairs.tsv"],
        "fetch": [address, "--page", "100", "--interval", "0"],
        "import": ["teacher", "import", root / "vectors.txt"],
        "texts": ["teacher", "texts", "--of", made],
    }
    if command == "decisions":
        return ["serve", one, "--decisions", out, "--port", _free_port()]
    if command in ("retrain-many", "benchmark", *ANEW, *ONCE) and command not in TEACHERS:
        return [command, *given[command], "-o", out]
    if command in TEACHERS:
        return [*given[command], "-o", out]
    return [*given[command], "-o", out, "--overwrite", "--resume", *settings(seed)]


def _free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])


def decide(root: Path, arguments: Sequence[str | Path]) -> None:
    """Send decisions to the server in this process, and end it; keep the file after each."""
    address = f"http://127.0.0.1:{arguments[arguments.index('--port') + 1]}/v1/decisions"
    file = Path(arguments[arguments.index("--decisions") + 1])
    first, between = not (root / "expected").exists(), root / "between"
    facts = _facts(root, 5 * DECIDED)
    for number in range(DECIDED):
        fact = {**facts[number], "tail": facts[-1 - number]["tail"]}
        body = fact | {"decision": ("accept", "refuse", "none")[number % 3]}
        while not _posted(address, body):
            sleep(0.02)
        if first and file.exists():
            between.mkdir(exist_ok=True)
            (between / str(number)).mkdir()
            shutil.copy(file, between / str(number) / file.name)
    os.kill(os.getpid(), signal.SIGTERM)


def _posted(address: str, body: dict[str, str]) -> bool:
    """Post a body; return whether there is a server, also if it refuses the body."""
    data, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
    try:
        urlopen(Request(address, data, headers), timeout=10).close()  # noqa: S310
    except HTTPError:
        return True
    except OSError:
        return False
    return True


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
