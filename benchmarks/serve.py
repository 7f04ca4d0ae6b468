"""Measure how many predictions a second `kgraft serve` gives, and how long each takes.

Usage: python benchmarks/serve.py [MODEL] --threads 1 --out benchmarks/results/serve.json

Without a model, one is trained on a small synthetic collection.

A server is started on a free port of this machine, in a process of its own. ``--clients`` clients,
in this process, each keep one connection and ask one question after another for ``--seconds``:
10 answers each, by the model's default way. A question is a training fact of the target without
its tail or its head; none is asked twice as long as there are others, so that nothing could be
kept from an earlier answer. Anything but 200 with as many answers as asked for is an error.

Figures of other scripts that stand in ``--out`` stay there.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from common import add_to_report
from same import SIZES, trained

from kgraft.errors import KgraftError
from kgraft.model.directory import load_model, save_model
from kgraft.model.trained_model import TrainedModel
from kgraft.system.messages import speaking
from kgraft_experiments.benchmark.runner import machine
from kgraft_experiments.synthesis.settings import SynthSettings
from kgraft_experiments.synthesis.synthesize import synthesize

K = 10
"""Answers to a question."""

WARM_UP = 2.0
"""Seconds that are not counted: the first block of each size is slower."""


def small_model(directory: Path) -> Path:
    """Train a student on a synthetic collection, and return where it is."""
    collection = synthesize(SynthSettings.model_validate(SIZES)).collection
    save_model(trained(collection, 1), directory)
    return directory


def questions(model: TrainedModel, seed: int = 0) -> list[bytes]:
    """Return different questions about a model's target as bodies of requests, shuffled."""
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
def serving(model: Path, threads: int) -> Iterator[int]:
    """Start a server, yield its port, and stop it.

    Raises:
        KgraftError: If it does not start.
    """
    command = [sys.executable, "-m", "kgraft", "serve", str(model)]
    with subprocess.Popen(  # noqa: S603
        [*command, "--port", "0", "--threads", str(threads)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        line = process.stdout.readline() if process.stdout else ""
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if not found:
            raise KgraftError("the server has not started. Its own words are above.")
        try:
            yield int(found[1])
        finally:
            process.terminate()


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
    """Ask until a time; return when each question was asked and answered, and the errors."""
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
    """Return the milliseconds of each answer that was begun after the warm-up, and the errors."""
    asked = (body for _ in iter(int, 1) for body in bodies)
    begin = time.perf_counter() + WARM_UP
    results = await asyncio.gather(*(_client(port, asked, begin + seconds) for _ in range(clients)))
    taken = [1000 * (end - start) for times, _ in results for start, end in times if start >= begin]
    return taken, sum(errors for _, errors in results)


def measure(model: Path, clients: int, seconds: float, threads: int) -> dict[str, Any]:
    """Return what one load shows."""
    trained = load_model(model)
    bodies = questions(trained)
    with serving(model, threads) as port:
        taken, errors = asyncio.run(load(port, bodies, clients, seconds))
    if not taken:
        raise KgraftError("no question was answered. See whether the server says why.")
    half, most, nearly_all = np.quantile(taken, (0.5, 0.95, 0.99))
    return {
        "clients": clients,
        "seconds": seconds,
        "threads": threads,
        "answers_by": trained.answers_by,
        "entities": trained.kge.n_entities,
        "questions": len(bodies),
        "errors": errors,
        "predictions": len(taken),
        "predictions_per_second": round(len(taken) / seconds, 1),
        "p50_ms": round(float(half), 1),
        "p95_ms": round(float(most), 1),
        "p99_ms": round(float(nearly_all), 1),
        "machine": machine(),
    }


def main(arguments: Namespace) -> None:
    out: Path = arguments.out
    how = (arguments.clients, arguments.seconds, arguments.threads)
    with TemporaryDirectory() as scratch:
        model = arguments.model or small_model(Path(scratch) / "student")
        measured = measure(model, *how)
    add_to_report(out, measured)
    for key in ("clients", "errors", "predictions_per_second", "p50_ms", "p95_ms", "p99_ms"):
        print(f"{key:24}{measured[key]:>10}")


def _arguments() -> Namespace:
    parser = ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, nargs="?", metavar="MODEL")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--threads", type=int, default=1, help="of the server's products")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    with speaking():
        main(_arguments())
