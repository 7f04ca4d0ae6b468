"""Facts from real SPARQL endpoints, which the tests start, and from one that misbehaves."""

from __future__ import annotations

import json
import threading
import time
from functools import partial
from pathlib import Path
from urllib.request import Request

import pyoxigraph as ox
import pytest
from endpoint import answering, serving
from typer.testing import CliRunner

from kgraft.cli.main import app
from kgraft.errors import DataError, KgraftError
from kgraft.io.read_collection import read_collection
from kgraft.io.read_graph import read_graph
from kgraft.io.sparql_endpoint import _SameHost, fetch

IRI = "http://x.org/"
N = 57


def node(name: str) -> ox.NamedNode:
    return ox.NamedNode(IRI + name)


def store() -> ox.Store:
    """A store with N facts between entities, a literal and a blank node."""
    made = ox.Store()
    for i in range(N):
        made.add(ox.Quad(node(f"e{i}"), node(f"r{i % 3}"), node(f"e{(7 * i) % N}")))
    made.add(ox.Quad(node("e0"), node("label"), ox.Literal('one "two"\n', language="en")))
    made.add(ox.Quad(node("e0"), node("r0"), ox.BlankNode()))
    return made


def test_all_pages_make_one_graph(tmp_path: Path) -> None:
    told: list[str] = []
    with serving(answering(store())) as address:
        found = fetch(address, tmp_path / "x.nt", page=10, interval=0, tell=told.append)
    assert (found.facts, found.left_out, found.done) == (N + 1, 1, True)
    assert len(told) == 6
    graph = read_graph(tmp_path / "x.nt")
    assert len(graph.train) == N
    assert graph.attributes is not None
    assert len(graph.attributes) == 1
    assert sorted(tmp_path.iterdir()) == [tmp_path / "x.nt"]


def test_a_pattern_with_prefixes_renames_relations(tmp_path: Path) -> None:
    pattern = f"PREFIX x: <{IRI}>\n?head x:r1 ?tail . BIND(x:near AS ?relation)"
    with serving(answering(store())) as address:
        found = fetch(address, tmp_path / "x.nt", pattern=pattern, interval=0, limit=12, page=5)
    assert found.facts == 12
    assert read_graph(tmp_path / "x.nt").relations.name(0) == f"{IRI}near"


def test_a_fetch_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    made, queries = answering(store()), []

    def stops(query: str) -> tuple[int, dict[str, str], bytes]:
        queries.append(query)
        return made(query)

    def stopping(line: str) -> None:
        if line.startswith("19 "):  # Two pages, less a row with a blank node.
            raise KeyboardInterrupt

    with serving(stops) as address:
        with pytest.raises(KeyboardInterrupt):
            fetch(address, tmp_path / "x.nt", page=10, interval=0, tell=stopping)
        assert not (tmp_path / "x.nt").exists()
        with (tmp_path / ".x.nt.fetch.nt").open("ab") as part:
            part.write(b"<http://cut.off/")  # as a kill leaves it
        with pytest.raises(DataError, match="another fetch is kept here"):
            fetch(address, tmp_path / "x.nt", pattern="?head ?relation ?tail . ", interval=0)
        queries.clear()
        fetch(address, tmp_path / "x.nt", page=10, interval=0)
        assert queries[0].endswith("OFFSET 20")
        fetch(address, tmp_path / "whole.nt", page=1000, interval=0)
    assert (tmp_path / "x.nt").read_bytes() == (tmp_path / "whole.nt").read_bytes()


def test_what_a_killed_fetch_has_left_is_removed(tmp_path: Path) -> None:
    place, state = tmp_path / "x.nt", ".x.nt.fetch.json"
    with serving(answering(store())) as address:
        command = ["fetch", address, "-o", str(place), "--interval", "0"]
        (tmp_path / f".{'ab' * 16}.{state}").write_text("{")
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
        assert list(tmp_path.iterdir()) == [place]
        (tmp_path / state).write_text("{}")  # a kill after the last rename
        refused = CliRunner().invoke(app, command)
    assert "the file exists" in refused.output
    assert list(tmp_path.iterdir()) == [place]


def test_requests_keep_their_distance_and_wait_when_asked(tmp_path: Path) -> None:
    made, waits, calls = answering(store()), [], 0

    def busy(query: str) -> tuple[int, dict[str, str], bytes]:
        nonlocal calls
        calls += 1
        return (429, {"Retry-After": "7"}, b"slowly") if calls == 2 else made(query)

    with serving(busy) as address:
        found = fetch(address, tmp_path / "x.nt", page=30, interval=3, wait=waits.append)
    assert found.facts == N + 1
    assert 7.0 in waits
    between = [x for x in waits if x not in (0.0, 7.0)]
    assert len(between) == 3
    assert all(2 < x <= 3 for x in between)


def test_a_page_that_is_too_large_is_halved(tmp_path: Path) -> None:
    made, sizes = answering(store()), []

    def slow(query: str) -> tuple[int, dict[str, str], bytes]:
        sizes.append(int(query.split("LIMIT ")[1].split()[0]))
        return (504, {}, b"timeout") if sizes[-1] > 300 else made(query)

    with serving(slow) as address:
        fetch(address, tmp_path / "x.nt", page=1000, interval=0, wait=lambda _: None)
    assert sizes == [1000, 500, 250, 250]


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (400, b"parse error at line 1", "refuses the query .status 400: parse error at line 1"),
        (200, b"<html>a page</html>", "gives no results of SPARQL"),
        (
            200,
            json.dumps({"head": {"vars": ["x"]}, "results": {"bindings": [{}]}}).encode(),
            "SPARQL",
        ),
    ],
)
def test_what_is_no_answer(tmp_path: Path, status: int, body: bytes, message: str) -> None:
    with (
        serving(lambda _: (status, {}, body)) as address,
        pytest.raises(DataError, match=message),
    ):
        fetch(address, tmp_path / "x.nt", interval=0)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_within_the_host_is_followed_with_the_query(tmp_path: Path, status: int) -> None:
    made, calls = answering(store()), 0

    def moved(query: str) -> tuple[int, dict[str, str], bytes]:
        nonlocal calls
        calls += 1
        return (status, {"Location": "/other"}, b"") if calls % 2 else made(query)

    with serving(moved) as address:
        assert fetch(address, tmp_path / "x.nt", interval=0).facts == N + 1


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_to_elsewhere_is_not_followed(tmp_path: Path, status: int) -> None:
    asked: list[str] = []

    def other(query: str) -> tuple[int, dict[str, str], bytes]:
        asked.append(query)
        return 200, {}, b""

    with serving(other) as there:
        for place in (there, "http://localhost:1/x", "file:///etc/passwd", "ftp://127.0.0.1/x"):
            with (
                serving(lambda _, place=place: (status, {"Location": place}, b"")) as address,
                pytest.raises(DataError, match=r"another host, port or scheme|refuses the query"),
            ):
                fetch(address, tmp_path / "x.nt", interval=0)
    assert asked == []
    assert not (tmp_path / "x.nt").exists()


@pytest.mark.parametrize(
    ("place", "is_followed"),
    [
        ("https://a.org/y", True),
        ("http://a.org/y", False),
        ("https://a.org:8443/y", False),
        ("https://b.org/x", False),
        ("https://a.org.b.org/x", False),
    ],
)
def test_a_query_never_goes_on_over_a_weaker_scheme(place: str, is_followed: bool) -> None:
    first = Request("https://a.org/x", b"query=1", {"Accept": "x"})
    follow = partial(_SameHost().redirect_request, first, None, 307, "", {}, place)
    if is_followed:
        assert (follow().full_url, follow().data) == (place, b"query=1")
    else:
        with pytest.raises(DataError, match="another host, port or scheme"):
            follow()


def test_an_endpoint_without_offsets(tmp_path: Path) -> None:
    made = answering(store())

    def same(query: str) -> tuple[int, dict[str, str], bytes]:
        return made(query.split("OFFSET")[0])

    with serving(same) as address, pytest.raises(DataError, match="the same page again"):
        fetch(address, tmp_path / "x.nt", page=10, interval=0)


def test_an_endpoint_that_is_away(tmp_path: Path) -> None:
    with pytest.raises(KgraftError, match=r"does not answer .*the same command goes on"):
        fetch("http://127.0.0.1:1/sparql", tmp_path / "x.nt", wait=lambda _: None)


@pytest.mark.parametrize(
    ("endpoint", "file", "pattern", "message"),
    [
        ("file:///etc/passwd", "x.nt", "?head ?relation ?tail", "no address of an endpoint"),
        ("https://x.org", "x.ttl", "?head ?relation ?tail", "Name a .nt file"),
        ("https://x.org", "x.nt", "?head ?p ?tail", r"does not bind \?relation"),
    ],
)
def test_what_cannot_be(
    tmp_path: Path, endpoint: str, file: str, pattern: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        fetch(endpoint, tmp_path / file, pattern=pattern)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_command_fetches_from_rdflib_endpoint(tmp_path: Path) -> None:
    pytest.importorskip("rdflib_endpoint", reason="rdflib-endpoint is not installed")
    import uvicorn
    from rdflib import Graph
    from rdflib_endpoint import SparqlEndpoint

    graph = Graph().parse(
        data=store().dump(format=ox.RdfFormat.N_TRIPLES, from_graph=ox.DefaultGraph())
    )
    config = uvicorn.Config(SparqlEndpoint(graph=graph), port=0, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.05)
        port = server.servers[0].sockets[0].getsockname()[1]
        place = tmp_path / "x.nt"
        asked = ["fetch", f"http://127.0.0.1:{port}/", "-o", str(place), "--page", "25"]
        done = CliRunner().invoke(app, [*asked, "--interval", "0"])
        assert done.exit_code == 0, done.output
        assert f"{N + 1} facts in {place}; 1 row left out" in " ".join(done.output.split())
    finally:
        server.should_exit = True
        thread.join()
    assert len(read_graph(place).train) == N


def test_a_collection_names_the_endpoints_of_its_sources(tmp_path: Path) -> None:
    path = tmp_path / "collection.toml"
    with serving(answering(store())) as address:
        path.write_text(
            f'[[source]]\nname = "theirs"\ntrain = "theirs.nt"\nendpoint = "{address}"\n'
            f'pattern = "?head ?relation ?tail . FILTER(?relation = <{IRI}r0>)"\n'
        )
        with pytest.raises(DataError, match=r"theirs.nt: .*not been fetched.*kgraft fetch .*toml"):
            read_collection(path)
        command = ["fetch", str(path), "--interval", "0"]
        assert CliRunner().invoke(app, [*command, "-o", "x.nt"]).exit_code == 1
        ended = CliRunner().invoke(app, command)
        assert ended.exit_code == 0, ended.output
        assert f"from {address}" in ended.output
        assert f"{N // 3} facts" in ended.output
        assert "is there" in CliRunner().invoke(app, command).output
    assert len(read_collection(path).graphs["theirs"].train) == N // 3


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ('train = "x.tsv"\nendpoint = "https://x.org/"', "one .nt file"),
        ('train = "x.nt"\npattern = "?head ?relation ?tail"', "give an endpoint too"),
        ('train = "../x.nt"\nendpoint = "https://x.org/"', "outside"),
        ('train = "x.nt"', "no source has an endpoint"),
    ],
)
def test_sources_that_cannot_be_fetched(tmp_path: Path, keys: str, expected: str) -> None:
    path = tmp_path / "collection.toml"
    path.write_text(f'[[source]]\nname = "theirs"\n{keys}\n')
    ended = CliRunner().invoke(app, ["fetch", str(path)])
    assert ended.exit_code == 1
    assert expected in " ".join(ended.output.split())
