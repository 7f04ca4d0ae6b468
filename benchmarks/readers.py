"""The fuzzed readers: their valid inputs, written by kgraft where it has a writer, and calls."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.feather
import samples
import torch
from mutate import WORDS, Files, mutated, with_true_manifest

import kgraft
from kgraft.graph.vocabulary import Vocabulary
from kgraft.inference.predict import Predictor
from kgraft.inference.prediction_files import read_queries
from kgraft.io.dataset_layout import read_layout
from kgraft.io.interchange import from_arrays, from_pykeen
from kgraft.io.source import GraphSource
from kgraft.io.write_graph import write_graph
from kgraft.model.directory import save_model
from kgraft.model.kge import KgeModel
from kgraft.pipeline.embeddings import make_trainer
from kgraft.settings import ModelSettings, TrainingSettings
from kgraft.toml_settings import as_toml
from kgraft.training import checkpoint
from kgraft.training.checkpoint import Checkpoint
from kgraft.training.loop import fit
from kgraft.training.sampler import TripleSampler
from kgraft.training.step import Trainer
from kgraft_experiments.benchmark.report import report_on_file
from kgraft_experiments.benchmark.settings import BenchmarkSettings
from kgraft_experiments.synthesis.settings import SynthSettings

FACTS = np.array([[0, 0, 1], [1, 0, 2], [2, 1, 3], [3, 1, 0], [0, 1, 2], [4, 0, 3]])
RESULTS = Path(__file__).parent / "results" / "dbp5l"
SMALL = kgraft.TrainSettings(
    model=ModelSettings(width=2), training=TrainingSettings(epochs=1, batch_size=8, negatives=2)
)


@dataclass(frozen=True)
class Reader:
    """A reader under test.

    Args:
        seeds: Function that returns valid inputs; its argument is an empty directory.
        read: Function that reads the input in a directory.
        words: Tokens of its format, beside those of all.
        change: Function that damages the seeds.
        anywhere: Whether an input may name files outside its directory.
    """

    seeds: Callable[[Path], list[Files]]
    read: Callable[[Path], object]
    words: Sequence[bytes] = ()
    change: Callable[[Sequence[Files], Random, Sequence[bytes]], Files] = mutated
    anywhere: bool = False

    def input(self, seeds: Sequence[Files], seed: int, number: int) -> Files:
        """Return an input by its number; the same number gives the same input."""
        return self.change(seeds, Random(f"{seed} {number}"), (*WORDS, *self.words))


def graph(name: str) -> kgraft.KnowledgeGraph:
    """A graph of five entities with odd names, labels, and all splits."""
    return kgraft.KnowledgeGraph(
        name,
        Vocabulary.of(samples.NAMES),
        Vocabulary.of(["http://a.org/r", "s"]),
        train=FACTS[:4],
        valid=FACTS[4:5],
        test=FACTS[5:],
        labels=pl.Series(["B", None, "C", None, "X"], dtype=pl.String),
    )


def collection() -> kgraft.Collection:
    """Two such graphs with links between entities and relations."""
    pairs, sure = np.array([[0, 0], [2, 2], [4, 1]]), np.array([1, 0.5, 1], dtype=np.float32)
    relations = kgraft.Links("mine", "big", np.array([[0, 0]]), sure[:1], "relation")
    links = [kgraft.Links("mine", "big", pairs, sure), relations]
    return kgraft.collect([graph("mine"), graph("big")], links, target="mine", name="two")


def files_of(directory: Path) -> Files:
    """Return all files below a directory."""
    paths = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}


def only(directory: Path) -> Path:
    """Return the one file of facts in an input."""
    return next(iter(sorted(directory.glob("train*"))), directory / "train.tsv")


# ---------------------------------------------------------------------------------------- graphs


def written(kind: Any, *compressions: Any) -> Callable[[Path], list[Files]]:
    """Return a function that writes a graph in a format, plain and compressed."""

    def make(directory: Path) -> list[Files]:
        for number, compression in enumerate(("", *compressions)):
            place = directory / str(number)
            plain = kgraft.KnowledgeGraph("g", Vocabulary.of("abcde"), Vocabulary.of("rs"), FACTS)
            write_graph(
                graph("g") if kind == "ntriples" else plain,
                place,
                format=kind,
                compression=compression,
            )
        return [files_of(place) for place in sorted(directory.iterdir())]

    return make


def texts(**contents: str) -> Callable[[Path], list[Files]]:
    """Return a function that makes an input of each text, a file ``train`` with its ending."""
    endings = {ending: content.encode() for ending, content in contents.items()}
    return lambda _: [{f"train.{x.split('_')[0]}": content} for x, content in endings.items()]


def read_one(directory: Path) -> object:
    """Read the one file of facts as a graph, with the lists, labels and attributes beside it."""
    beside = {
        key: directory / name for key, name in samples.BESIDE.items() if (directory / name).exists()
    }
    train = only(directory)
    by_form = not beside.keys() & {"entities", "relations"} and train.exists()
    spelling = "normal" if by_form and train.stat().st_size % 3 == 0 else "exact"
    return kgraft.read_graph(GraphSource(name="g", train=(train,), spelling=spelling, **beside))


def arrow_files(directory: Path) -> list[Files]:
    """Facts as Parquet, as Arrow files, and as an Arrow stream, of text, categories, numbers."""
    found = written("parquet")(directory / "written")
    names = {"head": ["a", "b"], "relation": ["r", "r"], "tail": ["b", "c"]}
    text = pa.table(names)
    categories = pa.table({key: pa.array(x).dictionary_encode() for key, x in names.items()})
    numbers = pa.table({"h": [1, 2], "r": [0.0, 1.0], "t": [2, 3]})
    named = [
        pa.table(dict(zip(header, names.values(), strict=True)) | {"more": [1, None]})
        for header in (("from", "rel", "to"), ("source", "type", "target"), (":END_ID", "x", "y"))
    ]
    for table in (text, categories, numbers, *named):
        for packed in ("uncompressed", "zstd"):
            place = directory / "train.arrow"
            pa.feather.write_feather(table, place, compression=packed)
            found.append({"train.arrow": place.read_bytes()})
        with pa.ipc.new_stream(directory / "train.ipc", table.schema) as stream:
            stream.write_table(table)
        found.append({"train.ipc": (directory / "train.ipc").read_bytes()})
    return found


# ----------------------------------------------------------------------------- links, collections

GRAPHS = graph("mine"), graph("big")


def read_link_file(directory: Path) -> object:
    """Read links between two graphs in a way that the file's length chooses."""
    path = next(iter(sorted(directory.iterdir())), directory / "links.tsv")
    way = path.stat().st_size % 6 if path.exists() else 0
    return kgraft.read_links(
        path,
        *GRAPHS,
        ids=way == 1,
        unknown="skip" if way % 3 else "error",
        malformed="skip" if way > 2 else "error",
        spelling="normal" if way in (2, 3, 4) else "exact",
    )


def encoded(*inputs: dict[str, str]) -> list[Files]:
    """Return inputs of texts."""
    return [{name: text.encode() for name, text in files.items()} for files in inputs]


def settings_files(_: Path) -> list[Files]:
    """The defaults of each kind of settings."""
    kinds = (kgraft.RetrainSettings(), BenchmarkSettings(), SynthSettings())
    return [{"settings.toml": as_toml(kind).encode()} for kind in kinds]


def read_all_settings(directory: Path) -> object:
    """Read a file as the kind of settings that its length chooses."""
    path = directory / "settings.toml"
    kinds: tuple[Any, ...] = (kgraft.RetrainSettings, BenchmarkSettings, SynthSettings)
    size = path.stat().st_size if path.exists() else 0
    return kgraft.read_settings(kinds[size % 3], path)


# ------------------------------------------------------------------------ interchange, models, runs


def read_values(directory: Path) -> object:
    """Read JSON values as arrays, a frame or PyKEEN factories."""
    try:
        given = json.loads((directory / "values.json").read_bytes())
        facts, ids, frame = given["facts"], given["ids"], pl.DataFrame(given["frame"], strict=False)
        factories = [
            SimpleNamespace(
                entity_to_id=x, relation_to_id=given["relations"], mapped_triples=np.array(facts)
            )
            for x in (ids, given["other"])
        ]
    except (OSError, ValueError, KeyError, TypeError, RecursionError, pl.exceptions.PolarsError):
        return None
    way = len(str(given)) % 3
    if way == 0 and all(isinstance(x.entity_to_id, dict) for x in factories):
        return from_pykeen("g", factories[0], valid=factories[1])  # type: ignore[arg-type]
    if way == 1:
        return kgraft.from_frame("g", frame)
    return from_arrays("g", facts, entities=ids if isinstance(ids, dict) else None)


def model_files(directory: Path) -> list[Files]:
    """A teacher and its student."""
    known = collection()
    teacher = kgraft.pretrain(known, SMALL)
    made = kgraft.retrain(
        known,
        teacher,
        kgraft.RetrainSettings.model_validate(
            {"model": SMALL.model, "training": SMALL.training.model_dump()}
        ),
    )
    save_model(teacher, directory / "teacher")
    save_model(made, directory / "student")
    return [files_of(directory / "teacher"), files_of(directory / "student")]


def changed_model(seeds: Sequence[Files], draw: Random, words: Sequence[bytes]) -> Files:
    """Damage a model's files, mostly with a manifest that matches them."""
    files = mutated(seeds, draw, words)
    return files if draw.random() < 0.2 else with_true_manifest(files)


def a_run() -> tuple[Trainer, TripleSampler]:
    """A trainer of five entities, and its sampler."""
    trainer = make_trainer(KgeModel.create(SMALL.model, 5, 2), SMALL)
    return trainer, TripleSampler(FACTS, 5, 2, batch_size=8, negatives=2, seed=0)


def run_files(directory: Path) -> list[Files]:
    """A run that was stopped, with a best state and without."""
    found = []
    for validate in (None, lambda: 0.5):
        kept = Checkpoint(directory / "run.safetensors", "it", every_seconds=0)
        fit(*a_run(), SMALL.training, validate=validate, checkpoint=kept)
        found.append({"run.safetensors": kept.path.read_bytes()})
    return found


class _Whole(str):
    """A digest that is right whatever it is compared with."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return True


def go_on(directory: Path) -> object:
    """Resume a run, half of the time as if its digest were right."""
    path = directory / "run.safetensors"
    true = checkpoint._digest
    if path.exists() and path.stat().st_size % 2:
        checkpoint._digest = lambda *_: _Whole()
    try:
        return fit(*a_run(), SMALL.training, checkpoint=Checkpoint(path, "it", every_seconds=1e9))
    finally:
        checkpoint._digest = true


# ------------------------------------------------------------------------ questions, reports


@cache
def predictor() -> Predictor:
    """A predictor for the target of that collection."""
    return Predictor(kgraft.train(collection(), SMALL, alone=True))


def report_files(_: Path) -> list[Files]:
    """Reports that are kept beside this, of one target."""
    found = []
    for name in ("results.json", "ablation.json"):
        report = json.loads((RESULTS / name).read_text(encoding="utf-8"))
        report["settings"]["targets"] = ["el"]
        for key in {"quality", "cost", "rows"} & report.keys():
            report[key] = [row for row in report[key] if row["target"] == "el"]
        found.append({"report.json": json.dumps(report).encode()})
    return found


READERS = {
    "tsv": Reader(written("tsv", ".gz", ".bz2", ".zst"), read_one),
    "csv": Reader(texts(**samples.HEADERS), read_one, (b'""', b'","', *samples.HEADER_WORDS)),
    "maps": Reader(lambda _: encoded(*samples.MAPS), read_one, samples.HEADER_WORDS),
    "attributes": Reader(lambda _: encoded(*samples.ATTRIBUTES), read_one, samples.RDF_WORDS),
    "columnar": Reader(arrow_files, read_one, (b"PAR1", b"ARROW1\0\0")),
    "ntriples": Reader(written("ntriples", ".gz", ".zst"), read_one, samples.RDF_WORDS),
    "turtle": Reader(
        texts(ttl=samples.TURTLE, trig=samples.TRIG, nq="<a:a> <a:r> <a:b> <a:g> .\n"),
        read_one,
        samples.RDF_WORDS,
    ),
    "rdfxml": Reader(texts(rdf=samples.XML), read_one, samples.RDF_WORDS),
    "jsonld": Reader(texts(jsonld=samples.JSONLD), read_one, samples.RDF_WORDS),
    "links": Reader(
        lambda _: encoded(*({k: v} for k, v in samples.LINK_FILES.items()), *samples.MAPPINGS),
        read_link_file,
        samples.LINK_WORDS,
    ),
    "collection": Reader(
        lambda _: encoded(samples.COLLECTION_FILES),
        kgraft.read_collection,
        samples.TOML_WORDS,
    ),
    "layout": Reader(lambda _: encoded(samples.LAYOUT_FILES), read_layout),
    "openea": Reader(
        lambda _: encoded(samples.OPENEA_FILES, samples.OPENEA_FOLDS), kgraft.read_collection
    ),
    "settings": Reader(settings_files, read_all_settings, samples.TOML_WORDS),
    "interchange": Reader(
        lambda _: encoded({"values.json": json.dumps(samples.VALUES)}), read_values
    ),
    "model": Reader(model_files, kgraft.load_model, samples.MODEL_WORDS, changed_model),
    "checkpoint": Reader(run_files, go_on),
    "questions": Reader(
        lambda _: encoded({"asked.tsv": samples.QUESTIONS}),
        lambda directory: read_queries(directory / "asked.tsv", predictor()),
        tuple(name.encode() for name in samples.NAMES),
    ),
    "report": Reader(report_files, lambda directory: report_on_file(directory / "report.json")),
}
"""By name."""


def quietly(reader: Reader, directory: Path) -> object:
    """Read an input without warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.set_num_threads(1)
        return reader.read(directory)
