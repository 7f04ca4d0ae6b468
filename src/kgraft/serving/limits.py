"""What a server takes from its clients, at most."""

from __future__ import annotations

from dataclasses import dataclass

ANSWERS = 100
"""Answers to one query."""

QUERIES = 64
"""Queries in one request."""

TEXT = 2_000
"""Characters of a name or a search."""


@dataclass(frozen=True)
class Limits:
    """Bounds that keep one client from taking the server away from the others.

    The three above are part of the API's description, and the same for all servers.

    Args:
        batch: Queries that are answered in one block.
        waiting: Requests that may wait for the worker; more are sent away with 503.
        facts: Facts of one entity that are listed.
        body: Bytes of a request's body.
        connections: Open connections. One more takes the place of the one that has been idle
            for the longest time; where none is idle, it is sent away with 503.
        seconds: In which a whole request has to arrive, and a whole answer to be taken.
        retry: Seconds that a client is asked to wait when it is sent away.
    """

    batch: int = 128
    waiting: int = 512
    facts: int = 200
    body: int = 1 << 20
    connections: int = 400
    seconds: float = 10.0
    retry: int = 1


LIMITS = Limits()
"""What a server takes unless it is told otherwise."""
