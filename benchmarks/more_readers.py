"""The fuzzed readers of what comes beside graphs: vectors, texts, lists, and requests and answers.

``READERS`` has those of ``readers`` too.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import h5py
import httpx
import numpy as np
import polars as pl
import readers
import samples
from mutate import Files, changed_json, mutated, with_true_manifest
from readers import Reader, encoded, files_of, graph, predictor
from safetensors.numpy import save_file

import kgraft
from kgraft.cli.work_list import read_work
from kgraft.graph.vocabulary import Vocabulary
from kgraft.inference.fact_files import with_files
from kgraft.inference.predict import Predictor
from kgraft.io import sparql_endpoint
from kgraft.io.decisions import decide, read_decisions
from kgraft.io.texts import read_texts
from kgraft.io.vectors import read_vectors
from kgraft.model.directory import save_model
from kgraft.model.weight_files import read_weights, write_weights
from kgraft.querying.path_ranker import LearnedPaths, learn_paths
from kgraft.querying.questions import learn_questions
from kgraft.serving.app import create_app
from kgraft.serving.guard import LIMITS
from kgraft.serving.mcp_server import assistant_server, guarded
from kgraft.serving.model_reloader import ModelReloader

ROWS = np.linspace(-1, 1, 15, dtype=np.float32).reshape(5, 3)

ENTITY, RELATION = samples.NAMES[0], "http://a.org/r"
"""Names of the graph that decisions and texts are about."""

SOLD, MADE = "soldBy", "http://a.org/madeOf"
"""Relations of the one that is asked."""


# ------------------------------------------------------------------------------------- vectors


def vector_files(directory: Path) -> list[Files]:
    """The same vectors in every format."""
    names = [f"e{n}" for n in range(5)]
    listed = "\n".join(names).encode()
    lines = [f"{name} {' '.join(map(str, row))}" for name, row in zip(names, ROWS, strict=True)]
    found = [
        {"v.txt": "\n".join(lines).encode()},
        {"v.txt": "\n".join(["5 3", *lines]).encode()},
    ]
    for kind in (np.float32, np.float16, np.complex64, np.int8):
        np.save(directory / "v.npy", ROWS.astype(kind))
        found.append({"v.npy": (directory / "v.npy").read_bytes(), "names.txt": listed})
    save_file({"rows": ROWS, "bias": ROWS[0]}, directory / "v.safetensors")
    tensors = (directory / "v.safetensors").read_bytes()
    found.append({"v.safetensors": tensors, "names.txt": listed})
    lists = pl.DataFrame({"name": names, "vector": ROWS.tolist()})
    columns = pl.DataFrame({"name": names} | {f"x{n}": ROWS[:, n] for n in range(3)})
    for frame in (lists, columns):
        frame.write_parquet(directory / "v.parquet")
        found.append({"v.parquet": (directory / "v.parquet").read_bytes()})
    with h5py.File(directory / "embeddings_all_0.v1.h5", "w") as file:
        file["embeddings"] = ROWS
    whole = (directory / "embeddings_all_0.v1.h5").read_bytes()
    about = {"entity_names_all_0.json": json.dumps(names).encode()}
    return [*found, {"embeddings_all_0.v1.h5": whole, **about}]


def read_vector_files(directory: Path) -> object:
    """Read vectors from the file that there is, or from the directory."""
    names = directory / "names.txt"
    file = next(iter(sorted(directory.glob("v.*"))), directory)
    return read_vectors(file, names if names.exists() else None)


# ------------------------------------------------------------------------------- texts and lists

TEXTS = [
    {"texts.tsv": f"entity\tlabel\tabout\n{ENTITY}\tBob\tA man, of Bo\nx\tX\tThe last of all\n"},
    {"texts.csv": f'name,about\n"{samples.NAMES[1]}","a ""b"" and\nc"\na#1,letters\n'},
    {"texts.tsv": "a#1\tThe first letter\n_:b\tThe second letter\n"},
]
FOLDED = [
    {
        "facts.tsv": f"new\t{SOLD}\te1\ne2\t{MADE}\tother\n",
        "texts.tsv": "new\tblue glass lamp\nother\tA lamp of iron\n",
    },
    {
        "facts.tsv": f"new\t{SOLD}\te1\n",
        "links.tsv": "entity\tsource\tname\nnew\tbig\te11\n",
    },
]
LABELS = [
    f"{x} {y} lamp" for x in ("red", "blue", "green") for y in ("glass", "wood", "iron", "gold")
]
PAIRS = (
    f"question\tpath\tanswers\tentity\nwho sells red glass lamp?\t^{SOLD}/{SOLD}\t\t\n"
    f"where is it made\t\te1|red iron lamp\te2\nshop of e4\t{SOLD}\t\te4\n"
)
DECISIONS = (
    "head,relation,tail,probability,stated_by,decision\n"
    f"{ENTITY},{RELATION},x,0.9,big,accept\na#1,s,a#1,0.5,,refuse\nx,s,a#1,0.4,,\n"
)
TARGETS = """set = ["training.seed=1", "model.width=8"]
settings = "settings.toml"

[[target]]
data = "north.tsv"
links = ["links.tsv"]

[[target]]
name = "goods"
data = "collection.toml"
target = "mine"
compare = true
align = false
set = ["training.epochs=1"]
"""


@cache
def joint() -> Predictor:
    """A predictor for a graph of twelve entities that is linked with another."""
    facts = np.array([(n, n % 2, (n + 1) % 12) for n in range(12)])
    names, relations = Vocabulary.of([f"e{n}" for n in range(12)]), Vocabulary.of((SOLD, MADE))
    labels = pl.Series(LABELS)
    own, other = (
        kgraft.KnowledgeGraph(x, names, relations, facts, labels=labels) for x in ("mine", "big")
    )
    pairs = np.stack([np.arange(11)] * 2, axis=1)
    links = [kgraft.Links("mine", "big", pairs, np.ones(11, dtype=np.float32))]
    return Predictor(
        kgraft.train(kgraft.collect([own, other], links, target="mine"), readers.SMALL)
    )


def folded(directory: Path) -> object:
    """Fold the facts, links and texts of files into a model."""
    given = (directory / f"{x}.tsv" for x in ("facts", "links", "texts"))
    return with_files(joint(), *(path if path.exists() else None for path in given))


def decided(directory: Path) -> object:
    """Read decisions, and apply them to a graph."""
    path = directory / "review.csv"
    return decide(graph("mine"), read_decisions(path), path)


def target_files(_: Path) -> list[Files]:
    """A list of targets with their data."""
    own = {
        "targets.toml": TARGETS,
        "north.tsv": "a\tr\tb\n",
        "links.tsv": "a\tb\n",
        "settings.toml": "[training]\nepochs = 1\n",
    }
    both = samples.COLLECTION_FILES | own
    return encoded(both, both | {"targets.toml": '[[target]]\ndata = "north.tsv"\n'})


def changed_list(seeds: Sequence[Files], draw: Random, words: Sequence[bytes]) -> Files:
    """Damage the list, and seldom its data."""
    files = dict(draw.choice(seeds))
    if draw.random() < 0.2:
        return mutated(seeds, draw, words)
    own = mutated([{"targets.toml": x["targets.toml"]} for x in seeds], draw, words)
    return files | {"targets.toml": own.get("targets.toml", b"")}


# ------------------------------------------------------------------------------- parts of models


def learned_files(directory: Path) -> list[Files]:
    """What was learned from questions, by words."""
    paths = [(RELATION,), ("s",), (f"^{RELATION}", "s")]
    learned = learn_paths([f"{word} of E" for word in ("pay", "tongue", "kin")], paths, [0, 1, 2])
    learned.save(directory / "questions.safetensors")
    return [files_of(directory)]


def shard_files(directory: Path) -> list[Files]:
    """Weights in shards with their index, and a manifest of them."""
    tensors = predictor().model.kge.tensors()
    row = tensors["entities"].shape[1] * tensors["entities"].itemsize
    write_weights(tensors, directory, shard_bytes=2 * row)
    files = files_of(directory)
    manifest = {"files": {name: {} for name in files}}
    return [with_true_manifest(files | {"manifest.json": json.dumps(manifest).encode()})]


def read_shards(directory: Path) -> object:
    """Read weights by the manifest's checksums, as a model's loader does."""
    try:
        known = json.loads((directory / "manifest.json").read_bytes())["files"]
        names = {x: y for x, y in known.items() if Path(x).name == x and x not in ("", "..")}
        return read_weights(directory, names, leave=len(names) % 2 == 0)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # The errors that load_model reports as those of a damaged model.


# -------------------------------------------------------------------------- requests and answers


def pages(_: Path) -> list[Files]:
    """Pages of an endpoint's answers."""
    uri, literal = {"type": "uri", "value": "http://a.org/x"}, {"type": "literal", "value": "é"}
    more = [literal | {"xml:lang": "en"}, {"type": "bnode", "value": "b"}, uri]
    rows = [{"head": uri, "relation": uri, "tail": tail} for tail in (literal, *more)]
    about = {"vars": ["head", "relation", "tail"]}
    page = {"head": about, "results": {"bindings": rows}}
    return [{"page.json": json.dumps(page).encode()}]


def fetched(directory: Path) -> object:
    """Fetch from an endpoint that answers with a page, and then with an empty one."""
    page = directory / "page.json"
    bodies = [page.read_bytes() if page.exists() else b""]
    empty = b'{"head":{"vars":["head","relation","tail"]},"results":{"bindings":[]}}'

    def answer(_: Any, timeout: float) -> BytesIO:  # noqa: ARG001 - as urllib's
        return BytesIO(bodies.pop() if bodies else empty)

    true = sparql_endpoint.build_opener
    sparql_endpoint.build_opener = lambda *_: SimpleNamespace(open=answer)
    try:
        address, place = "http://127.0.0.1/sparql", directory / "x.nt"
        return sparql_endpoint.fetch(address, place, interval=0, wait=lambda _: None)
    finally:
        sparql_endpoint.build_opener = true


ASKED = [
    {"query": f"SELECT ?x ?y WHERE {{ :e1 :{SOLD} ?x . ?x <{MADE}> ?y }} LIMIT 3"},
    {
        "query": f"ASK {{ {{ ?x :{SOLD} :e1 }} UNION {{ ?x :{SOLD} ?y FILTER(?x != ?y) }} "
        f'FILTER NOT EXISTS {{ ?x <{MADE}> "red iron lamp" }} VALUES ?x {{ :e2 "e3" }} }}',
        "limit": 5,
    },
    {
        "query": "SELECT (COUNT(DISTINCT ?x) AS ?n) WHERE "
        f"{{ ?x ^:{SOLD}/<{MADE}> ?y MINUS {{ ?x :{SOLD} ?x }} }}"
    },
    {"query": "what is the red glass lamp made of ?", "limit": 2},
    {"query": "who sold the blue wood lamp which e4 is made of"},
]
PREDICTED = [
    {"queries": [{"head": "e1", "relation": SOLD}, {"head": "e2", "tail": "e3"}], "k": 3},
    {
        "queries": [{"head": "new", "relation": MADE}],
        "facts": [{"head": "new", "relation": SOLD, "tail": "e1"}],
        "links": [{"entity": "new", "source": "big", "name": "e11"}],
        "texts": [{"entity": "new", "text": "A lamp of blue glass"}],
        "typed": True,
    },
]


def bodies(*given: dict[str, Any]) -> Callable[[Path], list[Files]]:
    """Return a function that makes an input of each body, and prepares what is asked."""

    def make(_: Path) -> list[Files]:
        served()
        return [{"body.json": json.dumps(body).encode()} for body in given]

    return make


def calls() -> list[dict[str, Any]]:
    """Calls of an assistant: every tool, and the protocol's own."""
    tools: dict[str, dict[str, Any]] = {
        "describe": {},
        "search": {"text": "red", "limit": 3},
        "neighbourhood": {"entity": "e1", "relation": SOLD, "limit": 3},
        "predict": {"head": "e1", "relation": SOLD, "typed": True},
        "ask": {"query": f"SELECT ?x {{ ?x :{SOLD} ?y }}"},
        "explain": {"head": "e1", "relation": SOLD, "tail": "e2"},
        "complete": {"entity": "e1", "min_probability": 0.1},
    }
    params = [{"name": name, "arguments": arguments} for name, arguments in tools.items()]
    asked = [("tools/call", x) for x in params] + [("tools/list", {}), ("ping", {})]
    return [{"jsonrpc": "2.0", "id": 1, "method": x, "params": y} for x, y in asked]


Post = Callable[[str, bytes], int]


@cache
def served() -> Post:
    """Return a function that posts a body to a path of a served model, and returns the status."""
    place = Path(tempfile.mkdtemp(dir=Path(tempfile.gettempdir()))) / "model"
    save_model(joint().model, place)
    reloader = ModelReloader(place)
    loop = asyncio.new_event_loop()
    app: Any = create_app(reloader)
    inner = app.app.app
    loop.run_until_complete(inner.router.lifespan_context(inner).__aenter__())
    server, queue = assistant_server(reloader).__enter__()
    tools: Any = guarded(server, queue, LIMITS, None, {"localhost"})
    client = {
        path: httpx.AsyncClient(transport=httpx.ASGITransport(x), base_url="http://localhost")
        for path, x in (("/v1/", app), ("/mcp", tools))
    }

    async def run() -> None:
        async with server.session_manager.run():
            await asyncio.Event().wait()

    async def post(path: str, body: bytes) -> int:
        headers = {"Content-Type": "application/json"}
        headers |= {"Accept": "application/json, text/event-stream"} if path == "/mcp" else {}
        return (await client[path[:4]].post(path, content=body, headers=headers)).status_code

    running = loop.create_task(run())
    loop.run_until_complete(asyncio.sleep(0.1))
    return lambda path, body: loop.run_until_complete(post(path, body)) * (not running.done())


def posted(*paths: str) -> Callable[[Path], object]:
    """Return a function that posts a body to paths; a status of the server's own is a crash."""

    def post(directory: Path) -> object:
        file = directory / "body.json"
        body = file.read_bytes() if file.exists() else b""
        found = [served()(path, body) for path in paths]
        if not all(found) or {*found} & {500, 502, 504}:
            raise RuntimeError(f"status {found}")
        return found

    return post


QUERY_WORDS = (
    b"SELECT", b"ASK", b"WHERE", b"UNION", b"FILTER", b"NOT EXISTS", b"MINUS", b"VALUES", b"UNDEF",
    b"OPTIONAL", b"SERVICE <http://127.0.0.1:1/>", b"FROM <file:///etc/passwd>", b"GRAPH", b"BIND",
    b"?x", b"?y", b"^", b"/", b"|", b":e1", b":soldBy", b"COUNT(", b"AS ?n",
    b"PREFIX", b"a:b", b"((((",
)  # fmt: skip


def over_http(given: Sequence[dict[str, Any]], *paths: str) -> Reader:
    """Return the reader of requests."""
    return Reader(bodies(*given), posted(*paths), QUERY_WORDS, changed_json)


READERS = readers.READERS | {
    "vectors": Reader(vector_files, read_vector_files, (b"PAR1", b"\x89HDF", b"\x93NUMPY")),
    "texts": Reader(
        lambda _: encoded(*TEXTS),
        lambda x: read_texts(next(iter(sorted(x.iterdir())), x / "texts.tsv")),
    ),
    "fold-in": Reader(lambda _: encoded(*FOLDED), folded),
    "pairs": Reader(
        lambda _: encoded({"pairs.tsv": PAIRS}),
        lambda x: learn_questions(joint().model, x / "pairs.tsv"),
        (b"question", b"path", b"answers", b"|", b"^"),
    ),
    "learned": Reader(learned_files, lambda x: LearnedPaths.read(x / "questions.safetensors")),
    "decisions": Reader(
        lambda _: encoded({"review.csv": DECISIONS}),
        decided,
        (b"accept", b"refuse", b"decision", b"'=", b"=1+1", b"+", b"@"),
    ),
    "targets": Reader(
        target_files,
        lambda x: read_work(x / "targets.toml", "teacher", x / "out"),
        samples.TOML_WORDS,
        changed_list,
    ),
    "shards": Reader(shard_files, read_shards, samples.MODEL_WORDS, readers.changed_model),
    "endpoint": Reader(pages, fetched, (b"uri", b"literal", b"bnode", b"triple"), changed_json),
    "ask": over_http(ASKED, "/v1/ask"),
    "predict": over_http(PREDICTED, "/v1/predict"),
    "mcp": over_http(calls(), "/mcp"),
}
"""By name."""
