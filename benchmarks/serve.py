"""Measure predictions a second of `kgraft serve`, and the time of each.

Usage: python benchmarks/serve.py [MODEL] --threads 1 --out benchmarks/results/serve.json

Without a model, one is trained on a small synthetic collection.

The server runs on a free port, in a process of its own. ``--clients`` clients in this process keep
one connection each and send one question after another for ``--seconds``: 10 answers each, by the
model's default evidence. A question is a training fact of the target without its tail or its head;
none is sent again before all others, so a cache of answers would not help. Any response but 200
with as many answers as asked for is an error. Figures of other scripts in ``--out`` stay there.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from common import add_to_report, options_of, run
from same import SIZES, trained

import kgraft
from kgraft.model.directory import save_model
from kgraft_experiments.benchmark.runner import machine
from kgraft_experiments.synthesis.settings import SynthSettings
from kgraft_experiments.synthesis.synthesize import synthesize

K = 10
"""Answers per question."""

WARM_UP = 2.0
"""Seconds before the measurement, since the first block of each size is slower."""


def small_model(directory: Path) -> Path:
    """Train a student on a synthetic collection, and return its directory."""
    collection = synthesize(SynthSettings.model_validate(SIZES)).collection
    save_model(trained(collection, 1), directory)
    return directory


def questions(model: kgraft.TrainedModel, seed: int = 0) -> list[bytes]:
    """Return different questions about a model's target as request bodies, shuffled."""
    source = model.target or model.graph.sources[0]
    graph = model.graph.graphs()[source]
    relations = graph.relations.names_of(graph.train[:, 1])
    asked = {
        json.dumps({"queries": [{side: entity, "relation": relation}], "k": K})
        for side, column in (("head", 0), ("tail", 2))
        for entity, relation in zip(
            graph.entities.names_of(graph.train[:, column]), relations, strict=True
        )
    }
    ordered = sorted(asked)
    return [ordered[at].encode() for at in np.random.default_rng(seed).permutation(len(ordered))]


@contextmanager
def started(*arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start a server by its command, yield its process and port, and stop it.

    Raises:
        KgraftError: If it does not start.
    """
    command = [sys.executable, "-m", "kgraft", *map(str, arguments), "--port", "0"]
    with subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as process:
        line = process.stdout.readline() if process.stdout else ""
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if not found:
            raise kgraft.KgraftError("the server has not started. Its output is above.")
        try:
            yield process, int(found[1])
        finally:
            process.terminate()


@contextmanager
def serving(model: Path, threads: int) -> Iterator[int]:
    """Start a server of a model, yield its port, and stop it."""
    with started("serve", model, "--threads", str(threads)) as (_, port):
        yield port


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes
) -> tuple[int, bytes]:
    """Send one question over an open connection; return the status and the answer."""
    writer.write(
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    content = await reader.readexactly(int(length[1]) if length else 0)
    return int(head.split(b" ", 2)[1]), content


async def _client(port: int, asked: Iterator[bytes], until: float) -> tuple[list[Any], int]:
    """Ask until a time; return the times of questions and answers, and the number of errors."""
    times, errors = [], 0
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (begin := time.perf_counter()) < until:
        try:
            status, content = await _ask(reader, writer, next(asked))
        except (OSError, asyncio.IncompleteReadError):
            errors += 1
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            continue
        end = time.perf_counter()
        good = status == 200 and content.count(b'"score"') == K
        errors += not good
        times.append((begin, end))
    writer.close()
    return times, errors


async def load(
    port: int, bodies: Sequence[bytes], clients: int, seconds: float
) -> tuple[list[float], int]:
    """Return milliseconds of each answer after the warm-up, and the number of errors."""
    asked = (body for _ in iter(int, 1) for body in bodies)
    begin = time.perf_counter() + WARM_UP
    results = await asyncio.gather(*(_client(port, asked, begin + seconds) for _ in range(clients)))
    taken = [1000 * (end - start) for times, _ in results for start, end in times if start >= begin]
    return taken, sum(errors for _, errors in results)


def measure(asked: Namespace) -> dict[str, Any]:
    """Load a server, and return the figures."""
    with TemporaryDirectory() as scratch:
        model = asked.model or small_model(Path(scratch) / "student")
        return measured(model, asked.clients, asked.seconds, asked.threads)


def measured(model: Path, clients: int, seconds: float, threads: int) -> dict[str, Any]:
    """Load a server of a model, and return the figures."""
    loaded = kgraft.load_model(model)
    bodies = questions(loaded)
    with serving(model, threads) as port:
        taken, errors = asyncio.run(load(port, bodies, clients, seconds))
    if not taken:
        raise kgraft.KgraftError("no question was answered. See whether the server says why.")
    half, most, nearly_all = np.quantile(taken, (0.5, 0.95, 0.99))
    return {
        "clients": clients,
        "seconds": seconds,
        "threads": threads,
        "answers_by": loaded.answers_by,
        "entities": loaded.kge.n_entities,
        "questions": len(bodies),
        "errors": errors,
        "predictions": len(taken),
        "predictions_per_second": round(len(taken) / seconds, 1),
        "p50_ms": round(float(half), 1),
        "p95_ms": round(float(most), 1),
        "p99_ms": round(float(nearly_all), 1),
        "machine": machine(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options_of(__doc__, clients=64, seconds=30.0, threads=(1, "of the server's products"))
    parser.add_argument("model", type=Path, nargs="?", metavar="MODEL")
    report = run(parser, measure, arguments, write=add_to_report)
    for key in ("clients", "errors", "predictions_per_second", "p50_ms", "p95_ms", "p99_ms"):
        print(f"{key:24}{report[key]:>10}")


if __name__ == "__main__":
    main()
