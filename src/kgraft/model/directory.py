"""Model directories: all parts of a trained model in open formats, without pickle.

=====================  =====================================================================
manifest.json          format, kgraft's version, kind, target, sources, and the other files
settings.toml          settings of the training
entities.parquet       source, name, label, row: the names of each entity row, in each source
relations.parquet      source, name, row
facts.parquet          head, relation, tail (rows), source: the training facts; with rules also
                       reliability, the probability that the target states a fact, and where facts
                       are stated with one, confidence
held_out.parquet       the same columns: validation and test facts, where there are some
known_false.parquet    the same columns: facts that a source knows to be false, where there are some
attributes.parquet     of some teachers: source, entity (row of the source's names),
                       attribute, value, datatype, language: the literals that aligning can use
rules.parquet          with rules: the columns of ``kgraft.rules.rules``
weights.safetensors    ``entities`` (n, D), ``relations`` (2 m, D), ``encoder.*``, ``prior.*``;
                       with rules, ``ensemble`` (2 m, F); large ones in shards with an index,
                       see ``kgraft.model.weight_files``
calibration.json       with validation facts: points of ``Calibration``, by way to answer
fact_probability.json  with validation facts: ``FactProbability``, with the target's completeness
training.jsonl         a line for each epoch
metrics.json           measured figures
README.md              the model card
=====================  =====================================================================

The manifest is written last and holds the size and SHA-256 of every file, so that missing and
damaged files are found; of attributes this is checked when they are read, which only aligning
does. ``report.html``, which can be made again, is not in the manifest, and neither are the links
that ``graft`` has found, in ``links``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import polars as pl
from safetensors import SafetensorError
from torch import Tensor

from kgraft.errors import DataError, ModelDirectoryError, SettingsError
from kgraft.io.columnar import read_table
from kgraft.linking.joint_graph import JointGraph
from kgraft.model.attributes import ATTRIBUTES, read_attributes, write_attributes
from kgraft.model.contents import (
    check_encoder,
    check_manifest,
    check_rules,
    read_calibration,
    read_log,
    read_metrics,
)
from kgraft.model.ensemble import DEFAULT_WEIGHTS
from kgraft.model.evidence import DEFAULT_METRIC, EVIDENCE_METRIC, Evidence
from kgraft.model.fact_probability import FactProbability
from kgraft.model.frequency_prior import FrequencyPrior
from kgraft.model.graph_tables import (
    FACTS,
    HELD_OUT,
    check_rows,
    read_by_source,
    read_joint_graph,
    write_by_source,
    write_joint_graph,
)
from kgraft.model.hub import downloaded
from kgraft.model.kge import KgeModel, make_encoder
from kgraft.model.manifest import (
    FORMAT,
    MANIFEST,
    READ_ERRORS,
    read_manifest,
    unreadable,
    verified_files,
)
from kgraft.model.model_card import model_card
from kgraft.model.stored_vectors import StoredKge, StoredRows
from kgraft.model.trained_model import Kind, TrainedModel
from kgraft.model.weight_files import read_weights, weight_files, write_weights
from kgraft.rules.rules import BODY, Rules
from kgraft.settings import ModelSettings, RetrainSettings, TrainSettings
from kgraft.system.files import checksum
from kgraft.system.forks import require_threads
from kgraft.system.memory import is_used_up
from kgraft.system.outputs import content, write_directory
from kgraft.toml_settings import as_toml, read_settings

FACT_PROBABILITY = "fact_probability.json"

REPORT = "report.html"
"""File of the report that commands write after training."""

FILES = (
    "settings.toml",
    "entities.parquet",
    "relations.parquet",
    FACTS,
    "training.jsonl",
    "metrics.json",
)
"""Files that every model has, beside the manifest and the weights."""

ENCODER = "encoder."
"""Begins the names of the encoder's weights."""

FORMAT_ERRORS = (SafetensorError, pl.exceptions.PolarsError)
"""Errors of the libraries that read and write tensors and tables."""


def save_model(
    model: TrainedModel,
    directory: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    beside: Callable[[Path], None] | None = None,
) -> None:
    """Write a model to a directory, see ``TrainedModel.save``.

    ``beside`` writes files for people to read into the directory, before it takes its place.
    """
    require_threads()
    model.kge.check_whole("saved")
    directory = Path(directory)
    check_free(directory, overwrite=overwrite)
    try:
        with write_directory(directory) as temporary:
            _write(model, temporary)
            if beside is not None:
                beside(temporary)
    except (OSError, *FORMAT_ERRORS) as error:
        raise ModelDirectoryError(
            f"{directory}: the model cannot be written ({error}). "
            "Make room on the disk, or name a directory that may be written to."
        ) from error


def check_free(directory: Path, *, overwrite: bool) -> None:
    """Check that a model may be written to a directory, before long work begins.

    Raises:
        ModelDirectoryError: If it holds files that may not be overwritten.
    """
    if not directory.exists():
        return
    has_model = (directory / MANIFEST).is_file()
    if not directory.is_dir() or not (has_model or not content(directory)):
        raise ModelDirectoryError(
            f"{directory}: this holds something else than a model. Name another directory."
        )
    if has_model and not overwrite:
        raise ModelDirectoryError(
            f"{directory}: there is a model already. Name another directory, or replace it with "
            "--overwrite (in Python overwrite=True)."
        )


def load_model(place: str | os.PathLike[str], *, lazy: bool = False) -> TrainedModel:
    """Read a model that ``TrainedModel.save`` has written.

    Args:
        place: Its directory; or ``hf://USER/NAME`` or ``hf://USER/NAME@REVISION``, a repository of
            the Hugging Face Hub, which is downloaded into the Hub's cache (extra ``hub``).
        lazy: Leave the entities' vectors, and the names of many, in their files, once verified, and
            read them as they are needed: of a teacher, re-training needs those of linked entities
            alone.

    Raises:
        ModelDirectoryError: If the directory is missing, damaged, or of another format, with the
            file at fault; or if there is no such repository.
        KgraftError: If the extra ``hub`` is not installed.
    """
    require_threads()
    directory = downloaded(os.fspath(place)) or Path(place)
    manifest = read_manifest(directory)
    try:
        files = {name: manifest["files"].get(name) for name in (*FILES, *manifest["files"])}
        for name in (*weight_files(files), ATTRIBUTES):
            files.pop(name, None)
        with verified_files(directory, files):
            return _read(directory, manifest, lazy=lazy)
    except PermissionError as error:
        raise unreadable(error) from None
    except (*READ_ERRORS, MemoryError, DataError, SettingsError, *FORMAT_ERRORS) as error:
        if is_used_up(error):
            raise ModelDirectoryError(
                f"{directory}: there is too little memory for this model ({error}). "
                "Free some, or take a larger machine."
            ) from error
        raise ModelDirectoryError(
            f"{directory}: the files of this model do not fit together ({error}). "
            "Copy or train the model again."
        ) from error


def _write(model: TrainedModel, directory: Path) -> None:
    reliability, weights = None, model.kge.saved_tensors()
    if model.evidence is not None:
        reliability = model.evidence.reliability
        weights = {**weights, "ensemble": model.evidence.weights}
        model.evidence.rules.frame.write_parquet(directory / "rules.parquet")
    write_joint_graph(model.graph, directory, reliability)
    write_by_source(model.held_out, directory / HELD_OUT)
    write_attributes(model.attributes(), directory)
    write_weights(weights, directory)
    texts = {
        "settings.toml": as_toml(model.settings),
        "training.jsonl": "".join(json.dumps(entry) + "\n" for entry in model.log),
        "metrics.json": json.dumps(model.metrics, indent=2),
        "README.md": model_card(model),
    }
    if model.calibration:
        points = {by: calibration.points for by, calibration in model.calibration.items()}
        texts["calibration.json"] = json.dumps(points)
    if model.fact_probability is not None:
        texts[FACT_PROBABILITY] = json.dumps(model.fact_probability.as_dict())
    for name, text in texts.items():
        (directory / name).write_text(text, encoding="utf-8")
    manifest = {
        "format": FORMAT,
        "kgraft": version("kgraft"),
        "kind": model.kind,
        "target": model.target,
        "sources": list(model.graph.sources),
        "licenses": {name: x.license for name, x in model.graph.parts.items() if x.license},
        "entities": model.graph.n_entities,
        "relations": model.graph.n_relations,
        "files": {path.name: checksum(path) for path in sorted(directory.iterdir())},
    }
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")


def _read(directory: Path, manifest: dict[str, Any], *, lazy: bool) -> TrainedModel:
    check_manifest(manifest, get_args(Kind))
    kind = RetrainSettings if manifest["kind"] == "student" else TrainSettings
    settings = read_settings(kind, directory / "settings.toml")
    graph = read_joint_graph(directory, manifest, lazy=lazy)
    weights, stored = read_weights(directory, manifest["files"], leave=lazy)
    kge = _kge(settings.model, weights, stored)
    enough = _min_vectors(graph, manifest["target"]) <= kge.n_entities <= graph.n_entities
    if not enough or kge.n_relations != graph.n_relations:
        raise ValueError("the tables have more or fewer rows than there are names")
    metrics = read_metrics(directory / "metrics.json")
    calibrated = "calibration.json" in manifest["files"]
    more: dict[str, Any] = {}
    if (known := manifest["files"].get(ATTRIBUTES)) is not None:
        sizes = {name: len(part.entities) for name, part in graph.parts.items()}
        more["attributes"] = partial(read_attributes, directory, known, sizes)
    return TrainedModel(
        kind=manifest["kind"],
        kge=kge,
        graph=graph,
        target=manifest["target"],
        settings=settings,
        log=read_log(directory / "training.jsonl"),
        metrics=metrics,
        evidence=_read_evidence(directory, weights, graph, metrics),
        calibration=read_calibration(directory / "calibration.json") if calibrated else {},
        fact_probability=_read_fact_probability(directory / FACT_PROBABILITY, manifest),
        held_out=read_by_source(directory / HELD_OUT, manifest),
        **more,
    )


def _kge(
    settings: ModelSettings, weights: Mapping[str, Tensor], stored: StoredRows | None
) -> KgeModel:
    """Return the vectors and the encoder; ``stored`` is the entity table if it is not in memory."""
    check_encoder(settings, weights)
    encoder, relations, prior = make_encoder(settings), weights["relations"], None
    of_encoder = [name for name in weights if name.startswith(ENCODER)]
    encoder.load_state_dict({name.removeprefix(ENCODER): weights[name] for name in of_encoder})
    if "prior.entities" in weights:
        prior = FrequencyPrior(weights["prior.entities"], weights["prior.relations"])
    if stored is not None:
        return StoredKge(settings, stored, relations, encoder, prior)
    return KgeModel(settings, weights["entities"], relations, encoder, prior)


def _read_fact_probability(path: Path, manifest: dict[str, Any]) -> FactProbability | None:
    if path.name not in manifest["files"]:
        return None
    about = json.loads(path.read_text(encoding="utf-8"))
    return FactProbability.from_dict(about, manifest["relations"])


def _min_vectors(graph: JointGraph, target: str | None) -> int:
    """Return the number of first entities that need a vector: the target's, or else all."""
    if target is None:
        return graph.n_entities
    return int(graph.parts[target].entity_rows.max(initial=-1)) + 1


def _read_evidence(
    directory: Path, weights: dict[str, Tensor], graph: JointGraph, metrics: dict[str, Any]
) -> Evidence | None:
    if "ensemble" not in weights:
        return None
    rules = read_table(directory / "rules.parquet")
    reliability = read_table(directory / FACTS, ["reliability"])["reliability"]
    _check_rules(rules, graph)
    if reliability.dtype != pl.Float64 or not reliability.is_between(0, 1).fill_null(False).all():
        raise ValueError("a fact has no reliability")
    if weights["ensemble"].shape != (2 * graph.n_relations, len(DEFAULT_WEIGHTS)):
        raise ValueError("the ensemble does not have weights for each relation and its inverse")
    mrr = {by: float(value) for by, value in metrics[EVIDENCE_METRIC].items()}
    return Evidence(
        Rules(rules, graph.n_relations),
        reliability.to_numpy().copy(),
        weights["ensemble"],
        mrr,
        default=metrics.get(DEFAULT_METRIC),
    )


def _check_rules(rules: pl.DataFrame, graph: JointGraph) -> None:
    check_rules(rules)
    for name in ("relation", *BODY, "entity", "answer"):
        limit = graph.n_entities if name in ("entity", "answer") else 2 * graph.n_relations
        check_rows(rules[name].drop_nulls(), limit, f"{name} of a rule")
