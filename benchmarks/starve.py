"""Measure a server that is starved, and check that others are still answered.

Usage: python benchmarks/starve.py [MODEL] --out starve.json

Without a model, one is trained on a small synthetic collection. Two attacks, one after the other:

pipelining
    ``--clients`` connections send ``/v1/map`` again and again, and read no response. Meanwhile
    ``/healthz`` is asked over new connections.
left
    As many clients ask for an explanation, and close their connections. Then one that stays asks
    for one too.

The server survives an attack if every answer for others takes at most ``--most`` seconds, beside
the time of two explanations: the one that is under way, and their own.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from common import options_of, run, timed
from serve import serving, small_model

import kgraft
from kgraft_experiments.benchmark.runner import machine

SECONDS = 8.0
"""Length of the first attack, below the time that a client has to read a response."""

REQUEST = "GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n"


def explanations(model: kgraft.TrainedModel, count: int) -> list[str]:
    """Return paths that ask for explanations of different training facts."""
    graph = model.graph.graphs()[model.target or model.graph.sources[0]]
    asked = []
    for head, relation, tail in graph.train[:count].tolist():
        fact = {
            "head": graph.entities.name(head),
            "relation": graph.relations.name(relation),
            "tail": graph.entities.name(tail),
        }
        asked.append("/v1/explain?" + urlencode(fact))
    return asked


def ask(port: int, path: str) -> bytes:
    """Return the response to one request over a connection of its own."""
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=120) as response:
        return bytes(response.read())


def pipelining(port: int, clients: int) -> list[float]:
    """Return the seconds of each answer of ``/healthz`` while clients read no response."""
    requests = (REQUEST.format("/v1/map") * 1000).encode()
    with ExitStack() as stack:
        ended = threading.Event()
        crowd = []
        for _ in range(clients):
            one = stack.enter_context(closing(socket.create_connection(("127.0.0.1", port))))
            one.setblocking(False)
            crowd.append(one)
        attack = threading.Thread(target=_send_on, args=(crowd, requests, ended))
        attack.start()
        begin, taken = time.perf_counter(), []
        while time.perf_counter() < begin + SECONDS:
            taken.append(timed(ask, port, "/healthz")[0])
            time.sleep(0.05)
        ended.set()
        attack.join()
    return taken


def _send_on(crowd: Sequence[socket.socket], requests: bytes, ended: threading.Event) -> None:
    """Send as much as each connection takes, until the end."""
    while not ended.wait(0.1):
        for one in crowd:
            try:
                one.send(requests)
            except OSError:  # it takes no more, or has been closed
                continue


def left(port: int, paths: Sequence[str]) -> list[float]:
    """Return the seconds of an explanation after clients that have left asked for as many."""
    for path in paths[1:]:
        with closing(socket.create_connection(("127.0.0.1", port))) as one:
            one.sendall(REQUEST.format(path).encode())
    return [timed(ask, port, paths[0])[0]]


def measure(asked: Namespace) -> dict[str, Any]:
    """Attack a server, and return the figures."""
    with TemporaryDirectory() as scratch:
        model = asked.model or small_model(Path(scratch) / "student")
        paths = explanations(kgraft.load_model(model), asked.clients)
        attacks: dict[str, Callable[[int], list[float]]] = {
            "pipelining": lambda port: pipelining(port, asked.clients),
            "left": lambda port: left(port, paths),
        }
        found = {}
        for name, attack in attacks.items():
            with serving(model, asked.threads) as port:
                ask(port, paths[0])  # the first one is slower
                alone = timed(ask, port, paths[0])[0]
                taken = attack(port)
            found[name] = {
                "answers": len(taken),
                "largest_seconds": round(max(taken), 3),
                "explanation_alone_seconds": round(alone, 3),
                "survived": max(taken) <= asked.most + 2 * alone,
            }
    survived = sum(x["survived"] for x in found.values())
    return {
        "clients": asked.clients,
        "tried": len(found),
        "survived": survived,
        **found,
        "machine": machine(),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = options_of(__doc__, clients=390, most=2.0, threads=1)
    parser.add_argument("model", type=Path, nargs="?", metavar="MODEL")
    report = run(parser, measure, arguments)
    for name in ("pipelining", "left"):
        print(name, report[name])
    return 0 if report["survived"] == report["tried"] else 1


if __name__ == "__main__":
    sys.exit(main())
