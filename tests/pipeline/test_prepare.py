"""A collection prepared out of core is the same, number by number, as one read into memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
import pytest

from kgraft.errors import DataError, KgraftError
from kgraft.graph.knowledge_graph import SPLITS, KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io import out_of_core, staged_names
from kgraft.io.read_collection import read_collection
from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.linking.joint_graph import JointGraph
from kgraft.linking.linked_subgraph import connect
from kgraft.pipeline.prepare import prepare
from kgraft.pipeline.pretrain import pretrain
from kgraft.pipeline.retrain import retrain
from kgraft.settings import RetrainSettings, TrainSettings
from kgraft.system import arrays
from kgraft_experiments.synthesis.settings import SynthSettings
from kgraft_experiments.synthesis.synthesize import synthesize
from kgraft_experiments.synthesis.write_synthetic import write_synthetic

pytest.importorskip("duckdb", reason="duckdb is not installed")

Write = Callable[[Mapping[str, str | bytes]], Path]

TWO = """\
target = "mine"

[[source]]
name = "mine"
train = "mine.tsv"

[[source]]
name = "wiki"
{wiki}

[[source]]
name = "atlas"
train = "atlas.csv"

[[links]]
left = "mine"
right = "wiki"
path = "same.tsv"
unknown = "skip"

[[links]]
left = "wiki"
right = "atlas"
match = "name"
{more}
"""

FILES = MappingProxyType(
    {
        "mine.tsv": "lamp\tmadeOf\tglass\nchair\tmadeOf\twood\nlamp\tmadeOf\tglass\n",
        "atlas.csv": 'head,relation,tail\nLamp,is,"a, thing"\nWood,is,"a ""soft"" one"\n',
        "same.tsv": "lamp\tLamp\t0.9\nlamp\tChair\t0.5\nwood\tWood\nglass\tGlass\nno\tNo\n",
        "wiki.tsv": "Lamp\tmaterial\tGlass\nChair\tmaterial\tWood\nLamp\tnear\tChair\n"
        "Wood\tnear\tGlass\nLamp\tmaterial\tGlass\n",
        "valid.tsv": "Wood\tnear\tGlass\nNew\tnear\tGlass\n",
        "test.tsv": "New\tnear\tGlass\nChair\tnear\tLamp\n",
    }
)
"""Facts with repeats within and across splits, a contradictory link, and one to a lost name."""

TRIPLES = """\
<http://x.org/Lamp> <http://x.org/near> _:b .
_:b <http://x.org/near> <http://x.org/Glass> .
<http://x.org/Lamp> <http://www.w3.org/2000/01/rdf-schema#label> "Lampe"@de .
<http://x.org/Lamp> <http://www.w3.org/2000/01/rdf-schema#label> "lamp"@en .
<http://x.org/Old> <http://x.org/height> "3"^^<http://www.w3.org/2001/XMLSchema#integer> .
"""

SAME = """\
<http://x.org/Lamp> <http://www.w3.org/2002/07/owl#sameAs> <http://x.org/Leuchte> .
<http://x.org/Leuchte> <http://x.org/near> <http://x.org/Glass> .
<http://x.org/Glass> <http://www.w3.org/2002/07/owl#sameAs> <http://y.org/Glass> .
"""

WIKI = MappingProxyType(
    {
        "splits": ({}, 'train = "wiki.tsv"\nvalid = "valid.tsv"\ntest = "test.tsv"'),
        "drawn": (
            {"wiki.tsv": "".join(f"e{i % 40}\tr{i % 3}\te{i * i % 37}\n" for i in range(400))},
            'train = "wiki.tsv"\nsplit = { valid = 0.2, test = 0.2, seed = 3 }',
        ),
        "confidence": (
            {"c.csv": "head,relation,tail,confidence\nA,r,B,0.5\nA,r,B,0.9\nB,r,C,\n"},
            'train = ["wiki.tsv", "c.csv"]',
        ),
        "negatives": (
            {"false.tsv": "Wood\tmaterial\tGlass\n"},
            'train = "wiki.tsv"\nnegatives = "false.tsv"',
        ),
        "spelling": (
            {"wiki.tsv": "Lamp\tnear\tGlass\nlamp \tnear\tWood\n"},
            'train = "wiki.tsv"\nspelling = "normal"',
        ),
        "ntriples": ({"w.nt": TRIPLES}, 'train = "w.nt"'),
        "sameness": ({"w.nt": TRIPLES + SAME}, 'train = "w.nt"\nidentities = "links"'),
        "sameness as facts": ({"w.nt": TRIPLES + SAME}, 'train = "w.nt"\nidentities = "facts"'),
        "lists": (
            {"wiki.tsv": "0\t0\t2\n2\t1\t1\n", "e.txt": "Lamp\nGlass\nWood\n", "r.txt": "a\nb\n"},
            'train = "wiki.tsv"\nentities = "e.txt"\nrelations = "r.txt"',
        ),
        "attributes": (
            {"a.tsv": "Lamp\theight\t3\nDesk\theight\t70\n", "l.tsv": "Lamp\tthe lamp\n"},
            'train = "wiki.tsv"\nattributes = "a.tsv"\nlabels = "l.tsv"',
        ),
    }
)
"""More files, and the keys of a source, of every kind that is read in a way of its own."""


def synthetic(place: Path) -> Path:
    """Write a synthetic collection."""
    chosen = {"target": {"entities": 120, "facts": 500}, "background": {"facts": 1500}}
    write_synthetic(synthesize(SynthSettings.model_validate(chosen)), place)
    return place


@pytest.fixture(params=[*WIKI, "redirects", "world", "synthetic", "one file", "layout"])
def place(request: pytest.FixtureRequest, write: Write, tmp_path: Path) -> Path:
    """A collection of each kind."""
    if request.param == "world":
        return Path("world")
    if request.param == "synthetic":
        return synthetic(tmp_path / "synth")
    if request.param == "one file":
        facts = "".join(f"e{i % 60}\tr{i % 4}\te{i * i % 53}\n" for i in range(500))
        return write({"one.tsv": facts}) / "one.tsv"
    if request.param == "layout":
        facts = "".join(f"{i % 7}\t{i % 2}\t{i * i % 5}\n" for i in range(30))
        return write(
            {
                "kg/a-train.tsv": facts,
                "kg/b-train.tsv": facts,
                "seed_alignlinks/a-b.tsv": "0\t0\n1\t2\n",
            }
        )
    if request.param == "redirects":
        text = TWO.format(
            wiki='train = "wiki.tsv"',
            more='[[links]]\nleft = "wiki"\nright = "wiki"\npath = "r.tsv"\n',
        )
        return write({**FILES, "c.toml": text, "r.tsv": "Desk\tChair\n"}) / "c.toml"
    files, wiki = WIKI[request.param]
    return write({**FILES, **files, "c.toml": TWO.format(wiki=wiki, more="")}) / "c.toml"


@pytest.fixture
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in pieces of a few rows."""
    for module, name in ((arrays, "PIECE"), (out_of_core, "ROWS_AT_ONCE")):
        monkeypatch.setattr(module, name, 3)


def quietly(do: Callable[[], Any]) -> tuple[Any, list[str]]:
    """Return a result, and the warnings on the way."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        return do(), [str(x.message) for x in found]


def prepared(place: Path, tmp_path: Path) -> Collection:
    prepare(place, tmp_path / "prepared", spill=tmp_path / "spill", memory=1 << 29)
    return read_collection(tmp_path / "prepared")


def check_graphs(one: KnowledgeGraph, other: KnowledgeGraph) -> None:
    for split in (*SPLITS, "known_false"):
        assert getattr(other, split).dtype == np.int64
        np.testing.assert_array_equal(getattr(one, split), getattr(other, split))
    assert one.entities == other.entities
    assert one.relations == other.relations
    assert (one.labels is None) == (other.labels is None)
    assert one.labels is None or one.labels.to_list() == other.labels.to_list()  # type: ignore[union-attr]
    assert (one.attributes is None) == (other.attributes is None)
    assert one.attributes is None or one.attributes.equals(other.attributes)  # type: ignore[arg-type]
    assert one.confidence.keys() == other.confidence.keys()
    for split, confidence in one.confidence.items():
        np.testing.assert_array_equal(confidence, other.confidence[split])
    assert (one.duplicates, one.license) == (other.duplicates, other.license)
    assert (one.identities is None) == (other.identities is None)
    if one.identities is not None and other.identities is not None:
        assert one.identities.stated == other.identities.stated
        for name in ("pairs", "entities", "relations"):
            assert getattr(one.identities, name).equals(getattr(other.identities, name))


def check_joined(one: JointGraph, other: JointGraph) -> None:
    sizes = one.sources, one.n_entities, one.n_relations, one.conflicts
    assert sizes == (other.sources, other.n_entities, other.n_relations, other.conflicts)
    np.testing.assert_array_equal(one.triples, other.triples)
    np.testing.assert_array_equal(one.triple_sources, other.triple_sources)
    assert one.triple_sources.dtype == other.triple_sources.dtype
    assert (one.confidence is None) == (other.confidence is None)
    if one.confidence is not None and other.confidence is not None:
        np.testing.assert_array_equal(one.confidence, other.confidence)
    assert one.known_false.keys() == other.known_false.keys()
    for name, part in one.parts.items():
        np.testing.assert_array_equal(part.entity_rows, other.parts[name].entity_rows)
        np.testing.assert_array_equal(part.relation_rows, other.parts[name].relation_rows)
        np.testing.assert_array_equal(one.known_false.get(name), other.known_false.get(name))


@pytest.mark.usefixtures("few_at_once")
def test_the_numbers_are_those_of_a_collection_in_memory(place: Path, tmp_path: Path) -> None:
    one, told = quietly(lambda: read_collection(place))
    other, told_too = quietly(lambda: prepared(place, tmp_path))
    assert told == told_too
    assert [*one.graphs] == [*other.graphs]
    assert (one.name, one.target, one.description) == (other.name, other.target, other.description)
    for name, graph in one.graphs.items():
        check_graphs(graph, other.graphs[name])
    assert len(one.links) == len(other.links)
    for x, y in zip(one.links, other.links, strict=True):
        assert (x.left, x.right, x.kind, x.provenance) == (y.left, y.right, y.kind, y.provenance)
        np.testing.assert_array_equal(x.pairs, y.pairs)
        np.testing.assert_array_equal(x.confidence, y.confidence)
    backgrounds = [one.graphs[name] for name in one.backgrounds()]
    assert other.joined is not None
    check_joined(join(backgrounds, one.links), other.joined)
    assert not (tmp_path / "spill" / ".prepared.spill").exists()


@pytest.mark.filterwarnings("ignore")
def test_a_teacher_has_the_same_bytes(place: Path, tmp_path: Path, fast: TrainSettings) -> None:
    collections = read_collection(place), prepared(place, tmp_path)
    one, other = (pretrain(x, fast).kge.tensors() for x in collections)
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert tensor.numpy().tobytes() == other[name].numpy().tobytes()


@pytest.mark.filterwarnings("ignore")
def test_a_student_has_the_same_bytes(
    tmp_path: Path, fast: TrainSettings, fast_student: RetrainSettings
) -> None:
    weights, place = [], synthetic(tmp_path / "synth")
    for collection in (read_collection(place), prepared(place, tmp_path)):
        student = retrain(collection, pretrain(collection, fast), fast_student)
        weights.append(student.kge.tensors()["entities"].numpy().tobytes())
    assert weights[0] == weights[1]


@pytest.mark.filterwarnings("ignore")
def test_a_target_is_cut_out_of_the_prepared_graph(tmp_path: Path) -> None:
    one, other = read_collection("world"), prepared(Path("world"), tmp_path)
    assert other.joined is not None
    backgrounds = [one.graphs[name] for name in one.backgrounds()]
    target = one.target_graph
    expected = connect(target, one.links, join(backgrounds, one.links), mode="incident")
    found = connect(other.target_graph, other.links, other.joined, mode="incident")
    check_joined(expected.graph, found.graph)
    np.testing.assert_array_equal(expected.teacher_entities, found.teacher_entities)
    # Names of the large sources were read piece by piece.
    assert "names" not in vars(other.joined.parts["geonames"].entities)


def test_two_names_of_one_hash_are_told_apart(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"e{i}" for i in range(300)]
    facts = "".join(f"{name}\tr\t{other}\n" for name, other in pairwise(names))
    place = write({"one.tsv": facts}) / "one.tsv"
    hashes = staged_names.hashes

    def poor(given: pl.Series, seed: int) -> pl.Series:
        return hashes(given, seed) % 100 if seed == 0 else hashes(given, seed)

    monkeypatch.setattr(staged_names, "hashes", poor)
    (graph,) = prepared(place, tmp_path).graphs.values()
    assert graph.entities == Vocabulary.of(sorted(names))


@pytest.mark.filterwarnings("ignore")
def test_a_prepared_collection_is_a_base(write: Write, tmp_path: Path) -> None:
    files = {**FILES, "c.toml": TWO.format(wiki='train = "wiki.tsv"', more="")}
    directory = write(files)
    prepare(directory / "c.toml", directory / "base", memory=1 << 29)
    more = 'base = "base"\n[[source]]\nname = "new"\ntrain = "mine.tsv"\n'
    (directory / "more.toml").write_text(more)
    again = prepared(directory / "more.toml", tmp_path)
    assert [*again.graphs] == ["mine", "wiki", "atlas", "new"]
    # Its own files are copied, not taken away.
    check_graphs(read_collection(directory / "base").graphs["wiki"], again.graphs["wiki"])


def test_errors_name_file_and_line(write: Write, tmp_path: Path) -> None:
    place = write({"one.tsv": "a\tr\tb\nc\tr\n"}) / "one.tsv"
    with pytest.raises(DataError, match=r"one\.tsv, line 2: "):
        prepared(place, tmp_path)
    assert not (tmp_path / "prepared").exists()
    assert [*(tmp_path / "spill").iterdir()] == []


def test_what_a_killed_run_has_left_is_removed(write: Write, tmp_path: Path) -> None:
    left = tmp_path / "spill" / ".prepared.spill" / "graph-0"
    left.mkdir(parents=True)
    (left / "numbers.duckdb").write_bytes(b"half")
    place = write({"one.tsv": "a\tr\tb\nb\tr\tc\n"}) / "one.tsv"
    assert len(prepared(place, tmp_path).graphs) == 1
    assert [*(tmp_path / "spill").iterdir()] == []


def test_too_little_memory_is_said(write: Write, tmp_path: Path) -> None:
    facts = "".join(f"e{i}\tr\te{i + 1}\n" for i in range(200_000))
    place = write({"one.tsv": facts}) / "one.tsv"
    with pytest.raises(KgraftError, match="Give it more with --memory"):
        prepare(place, tmp_path / "prepared", memory=1 << 20)


def test_a_missing_library_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    with pytest.raises(KgraftError, match=r"pip install 'kgraft\[prepare\]'"):
        prepare("world", tmp_path / "prepared")
