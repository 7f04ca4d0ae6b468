"""Write the data of examples/: graphs as somebody might have them, and what they lack.

Usage: python scripts/build_examples.py

shop, companies and library are made up (``made_examples``). atlas is real: some of the facts of
countryinfo, the target of ``world``, under names of its own: IRIs, English labels, and relations
called otherwise. A fact in four is left out. Each directory's left-out.tsv has what its target
lacks.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from urllib.parse import quote

from made_examples import EXAMPLES

import kgraft

ROOT = Path(__file__).parent.parent
LEFT_OUT = 4
BASE = "http://atlas.example/"
RELATIONS = {
    "borders": "neighbour",
    "languages": "speaks",
    "currencies": "paysWith",
    "capital": "hasCapital",
    "subregion": "liesIn",
}
HEAD = """# Countries, as a publisher of guidebooks might keep them. scripts/build_examples.py
# made it of countryinfo 1.0.1 (MIT, Porimol Chandro and contributors) with labels of
# languages from the Unicode CLDR, and left out a fact in four: left-out.tsv has those.
@prefix a: <http://atlas.example/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
"""


def atlas() -> dict[str, str]:
    """Return the graph in Turtle, and the facts that were left out as a table."""
    collection = kgraft.read_collection("world")
    graph, cldr = collection.graphs["countryinfo"], collection.graphs["cldr"]
    labels = {cldr.entities.name(row): cldr.label(row) for row in range(len(cldr.entities))}
    blocks: dict[str, list[str]] = {}
    left_out: list[str] = []
    facts = [fact for part in (graph.train, graph.valid, graph.test) for fact in part.tolist()]
    for head, relation, tail in facts:
        name = RELATIONS.get(graph.relations.name(relation))
        if name is None:
            continue
        ends = [graph.entities.name(end) for end in (head, tail)]
        subject, object_ = (labels.get(f"language/{end}", end) for end in ends)
        if not zlib.crc32(f"{ends[0]} {name} {ends[1]}".encode()) % LEFT_OUT:
            left_out.append(f"{iri(subject)}\t{BASE}{name}\t{iri(object_)}\n")
            continue
        for end in (subject, object_):
            blocks.setdefault(end, [f'rdfs:label "{end}"@en'])
        blocks[subject].append(f"a:{name} <{iri(object_)}>")
    between = " ;\n    "
    parts = [f"<{iri(name)}> {between.join(sorted(blocks[name]))} ." for name in sorted(blocks)]
    text = "\n".join([HEAD, *parts]) + "\n"
    return {"atlas.ttl": text, "left-out.tsv": "".join(sorted(left_out))}


def iri(name: str) -> str:
    """Return the IRI of an entity."""
    return f"{BASE}id/{quote(name.replace(' ', '_'))}"


def write(root: Path) -> None:
    """Write the files of all examples, each into its directory."""
    for name, made in {"atlas": atlas, **EXAMPLES}.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for file, text in made().items():
            (root / name / file).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(ROOT / "examples")
