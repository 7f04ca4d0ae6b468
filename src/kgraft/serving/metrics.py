"""The server's counters, in the format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

QUERIES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Counters in a registry of their own, so that two servers in one process stay apart.

    Args:
        queue_length: Returns the number of waiting requests.
    """

    def __init__(self, queue_length: Callable[[], int]) -> None:
        registry = self._registry = CollectorRegistry()
        self._requests = Counter(
            "kgraft_requests", "Requests.", ["route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "kgraft_request_seconds", "Seconds from a request to its response.", ["route"],
            registry=registry,
        )  # fmt: skip
        self.block_queries = Histogram(
            "kgraft_block_queries", "Queries answered in one block.",
            buckets=QUERIES, registry=registry,
        )  # fmt: skip
        self._loads = Counter(
            "kgraft_model_loads", "Loads of the model.", ["outcome"], registry=registry
        )
        self._loaded = Gauge(
            "kgraft_model_loaded_timestamp_seconds", "Time of the last load.", registry=registry
        )
        waiting = Gauge("kgraft_waiting_requests", "Waiting requests.", registry=registry)
        waiting.set_function(queue_length)

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """Count a request and its time."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count_load(self, loaded: bool) -> None:
        """Count a load of the model, or a failed one."""
        self._loads.labels("loaded" if loaded else "failed").inc()
        if loaded:
            self._loaded.set_to_current_time()

    def text(self) -> bytes:
        """Return all counters as Prometheus reads them."""
        return generate_latest(self._registry)
