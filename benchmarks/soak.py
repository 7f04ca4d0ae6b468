"""Ask a server for an hour while its model is replaced, and measure what it uses over time.

Usage: python benchmarks/soak.py --seconds 3600 --out benchmarks/results/soak.json

``kgraft serve`` and ``kgraft mcp --http`` run in processes of their own, on one model directory of
a small synthetic collection. ``--clients`` clients send ``--rate`` requests a second together:
every path of the API, the page, tool calls of assistants, and wrong requests of each kind, over
connections that are kept, closed, or left before the response. Meanwhile the directory is replaced
``--replacements`` times by commands in processes of their own, in turn a re-training with another
seed and an update of the model that is there.

Any response but the expected one is an error, and so is a model that has not been taken over.
Memory, open files and threads of both servers are those that Linux tells, every five seconds. The
first third of the time is a warm-up, in which caches fill; the second third is compared with the
last: the median of the resident memory may grow by less than ``--growth`` percent, there may be no
more threads and open files, and as many sockets as clients, with a few. An answer's time is that
from its request to the end of its response.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from common import options_of, run
from serve import started
from soak_requests import LEFT, Asked, Requests, get
from soaked import (
    PARTS,
    Server,
    compared,
    environment,
    floors,
    kgraft_command,
    made,
    over_time,
    replacement,
)

import kgraft

SAMPLE_SECONDS = 5.0
"""Time between two looks at a server."""

WAIT_SECONDS = 60.0
"""Time that a response or a replaced model may take."""


@dataclass
class Outcome:
    """What has come of the requests and replacements.

    Args:
        begin: Beginning, by ``time.perf_counter``.
        times: Second of each request, and milliseconds until its response.
        kinds: Number of requests of each kind.
        statuses: Number of responses with each status.
        errors: The first errors, in words.
        n_errors: Their number.
        replaced: Second of each replacement that has been taken over.
    """

    begin: float
    times: list[tuple[float, float]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    n_errors: int = 0
    replaced: list[float] = field(default_factory=list)

    def now(self) -> float:
        """Return the seconds since the beginning."""
        return time.perf_counter() - self.begin

    def failed(self, what: str) -> None:
        """Count an error."""
        self.n_errors += 1
        if len(self.errors) < 20:
            self.errors.append(f"{self.now():.0f} s: {what}")


# ------------------------------------------------------------------------------------------ clients


@dataclass
class Connection:
    """A connection that is opened where there is none."""

    port: int
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def close(self) -> None:
        """Close it; the next request opens another one."""
        if self.streams is not None:
            self.streams[1].close()
        self.streams = None

    async def ask(self, asked: Asked) -> tuple[int, bytes]:
        """Send a request; return status and body, or zero where the client leaves."""
        kept = self.streams is not None
        try:
            return await self._ask(asked)
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            if not kept:
                raise
            return await self._ask(asked)  # The server may close one that has been idle.

    async def _ask(self, asked: Asked) -> tuple[int, bytes]:
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.streams
        writer.write(asked.data)
        if asked.kind == LEFT:
            await asyncio.sleep(0.01)
            self.close()
            return 0, b""
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        body = await reader.readexactly(int(length[1]) if length else 0)
        if b"connection: close" in head.lower():
            self.close()
        return int(head.split(b" ", 2)[1]), body


async def client(
    servers: Sequence[Server], asked: Requests, outcome: Outcome, pause: float, until: float
) -> None:
    """Send requests until a time, each after a random pause."""
    draw = Random(asked.draw.random())
    connections = [Connection(server.port) for server in servers]
    await asyncio.sleep(draw.uniform(0, pause))
    while outcome.now() < until:
        request = next(asked)
        connection = connections[request.assistant]
        begin = outcome.now()
        try:
            status, body = await asyncio.wait_for(connection.ask(request), WAIT_SECONDS)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            connection.close()
            outcome.failed(f"{request.kind}: {error!r}")
        else:
            outcome.statuses[str(status)] += 1
            right = request.kind == LEFT or status in request.statuses
            if not right or (status == 200 and request.said not in body):
                text = body[:200].decode(errors="replace")
                outcome.failed(f"{request.kind}: status {status}: {text}")
        if request.kind != LEFT:
            outcome.times.append((begin, 1000 * (outcome.now() - begin)))
        outcome.kinds[request.kind] += 1
        if draw.random() < 0.02:
            connection.close()
        await asyncio.sleep(draw.uniform(0, 2 * pause))
    for connection in connections:
        connection.close()


# ------------------------------------------------------------------------------------- replacements


async def _got(server: Server, path: str) -> bytes:
    """Return the body of a GET over a connection of its own."""
    connection = Connection(server.port)
    _, body = await connection.ask(Asked("", get(path)))
    connection.close()
    return body


async def loads(server: Server) -> tuple[int, int]:
    """Return how often a server has loaded its model, and how often it failed."""
    _, body = await Connection(server.port).ask(
        Asked("", b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    )
    found = dict(re.findall(r'kgraft_model_loads_total\{outcome="(\w+)"\} (\d+)', body.decode()))
    return int(found.get("loaded", 0)), int(found.get("failed", 0))


async def replace_on(
    server: Server, root: Path, outcome: Outcome, times: int, until: float
) -> None:
    """Replace the model in even steps, and wait until each one is served."""
    for number in range(1, times + 1):
        await asyncio.sleep(max(0.0, number * until / (times + 1) - outcome.now()))
        before, _ = await loads(server)
        command = ["nice", "-n", "5", *kgraft_command(*replacement(root, number))]
        trained = await asyncio.create_subprocess_exec(
            *command,
            env=environment(),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await trained.communicate()
        if trained.returncode:
            outcome.failed(f"replacement {number}: {said.decode(errors='replace')[-300:]}")
            continue
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_SECONDS):
                while (await loads(server))[0] == before:
                    await asyncio.sleep(0.5)
        loaded, failed = await loads(server)
        if loaded != before + 1 or failed:
            outcome.failed(f"replacement {number}: {loaded - before} loads, {failed} have failed")
        outcome.replaced.append(round(outcome.now(), 1))


async def look_on(servers: Sequence[Server], outcome: Outcome, until: float) -> None:
    """Look at the servers until a time."""
    while outcome.now() < until:
        for server in servers:
            server.look(outcome.now())
        await asyncio.sleep(SAMPLE_SECONDS)


async def soak(servers: Sequence[Server], root: Path, asked: Namespace) -> Outcome:
    """Ask the servers while their model is replaced."""
    requests = Requests(kgraft.load_model(root / "student"), asked.seed)
    outcome = Outcome(time.perf_counter())
    pause = asked.clients / asked.rate
    clients = [
        client(servers, requests, outcome, pause, asked.seconds) for _ in range(asked.clients)
    ]
    await asyncio.gather(
        *clients,
        replace_on(servers[0], root, outcome, asked.replacements, asked.seconds),
        look_on(servers, outcome, asked.seconds),
    )
    if missed := await _paths_missed(servers[0], outcome):
        outcome.failed(f"never asked for: {', '.join(missed)}")
    return outcome


async def _paths_missed(server: Server, outcome: Outcome) -> list[str]:
    """Return the paths of the API that no request has asked for."""
    body = await _got(server, "/openapi.json")
    every = {f"{x} {path}" for path, ways in json.loads(body)["paths"].items() for x in ways}
    return sorted(every - outcome.kinds.keys())


def measure(asked: Namespace) -> dict[str, Any]:
    """Soak two servers, and return the figures."""
    with TemporaryDirectory() as scratch, ExitStack() as stack:
        root = Path(scratch)
        student = made(root)
        decisions = root / "decisions.csv"
        commands: dict[str, list[str | Path]] = {
            "serve": ["serve", student, "--threads", "1", "--decisions", decisions],
            "mcp": ["mcp", student, "--threads", "1", "--http"],
        }
        servers = {
            name: Server(*stack.enter_context(started(*command)))
            for name, command in commands.items()
        }
        before = time.process_time()
        outcome = asyncio.run(soak(list(servers.values()), root, asked))
        shares = {name: x.seconds() / asked.seconds for name, x in servers.items()}
        shares["clients"] = (time.process_time() - before) / asked.seconds
    parts = [
        [ms for at, ms in outcome.times if low <= at * PARTS / asked.seconds < low + 1]
        for low in (1, PARTS - 1)
    ]
    found: dict[str, Any] = {
        "errors": outcome.n_errors,
        "first_errors": outcome.errors,
        "requests": sum(outcome.kinds.values()),
        "replacements": len(outcome.replaced),
        "p50_ms": [round(float(np.quantile(x, 0.5)), 1) for x in parts],
        "p99_ms": [round(float(np.quantile(x, 0.99)), 1) for x in parts],
        "servers": {name: compared(x.samples, asked.seconds) for name, x in servers.items()},
        "cores": {name: round(x, 3) for name, x in shares.items()},
    }
    held = floors(found, asked.growth, asked.clients)
    return {
        "tried": len(held),
        "survived": sum(held.values()),
        "floors": held,
        **found,
        "kinds": dict(sorted(outcome.kinds.items())),
        "statuses": dict(sorted(outcome.statuses.items())),
        "replaced_at": outcome.replaced,
        "soak": over_time(servers, outcome.times, asked.seconds),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = options_of(
        __doc__,
        clients=64,
        rate=(12.0, "requests a second of all clients together"),
        seconds=3600.0,
        replacements=20,
        growth=(2.0, "percent that memory may grow"),
        seed=0,
        threads=None,
    )
    report = run(parser, measure, arguments)
    for key in ("errors", "requests", "replacements", "p50_ms", "p99_ms", "servers", "cores"):
        print(key, report[key])
    for error in report["first_errors"]:
        print(error, file=sys.stderr)
    return 0 if report["survived"] == report["tried"] else 1


if __name__ == "__main__":
    sys.exit(main())
