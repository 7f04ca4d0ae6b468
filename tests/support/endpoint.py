"""A SPARQL endpoint on this machine: Oxigraph's engine behind the protocol, or any answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pyoxigraph as ox

Answer = Callable[[str], tuple[int, dict[str, str], bytes]]


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status, headers, data = answer(parse_qs(body)["query"][0])
            self.send_response(status)
            for item in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(*item)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/sparql"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answering(made: ox.Store) -> Answer:
    """Oxigraph's engine behind the protocol of SPARQL."""

    def answer(query: str) -> tuple[int, dict[str, str], bytes]:
        found: Any = made.query(query)
        data = found.serialize(format=ox.QueryResultsFormat.JSON)
        return 200, {"Content-Type": "application/sparql-results+json"}, data

    return answer
