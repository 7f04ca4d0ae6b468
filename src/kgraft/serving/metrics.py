"""What the server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
QUERIES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The server's counts, in a registry of their own: two servers in one process stay apart.

    Args:
        waiting: Returns how many requests wait for the worker.
    """

    def __init__(self, waiting: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "kgraft_requests", "Requests.", ["route", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "kgraft_request_seconds",
            "Seconds from a request to its answer.",
            ["route"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self.block = Histogram(
            "kgraft_block_queries",
            "Queries answered in one block.",
            buckets=QUERIES,
            registry=self._registry,
        )
        self.loads = Counter(
            "kgraft_model_loads", "Loads of the model.", ["outcome"], registry=self._registry
        )
        self.loaded = Gauge(
            "kgraft_model_loaded_timestamp_seconds",
            "When the model that is served was loaded.",
            registry=self._registry,
        )
        Gauge(
            "kgraft_waiting_requests", "Requests that wait for the worker.", registry=self._registry
        ).set_function(waiting)

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self.requests.labels(route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def load(self, well: bool) -> None:
        """Count a load of the model."""
        self.loads.labels("loaded" if well else "failed").inc()
        if well:
            self.loaded.set_to_current_time()

    def text(self) -> bytes:
        """Return all counts as Prometheus reads them."""
        return generate_latest(self._registry)
