"""The small files of a model directory, read and checked, so that each is refused by its name."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import polars as pl
from torch import Tensor

from kgraft.linking.collection import MAX_SOURCES
from kgraft.model.calibration import Calibration
from kgraft.model.evidence import DEFAULT_METRIC, EVIDENCE_METRIC, WAYS, By
from kgraft.rules.rules import BODY, SCHEMA
from kgraft.settings import ModelSettings


def check_manifest(manifest: Mapping[str, Any], kinds: tuple[str, ...]) -> None:
    """Check a manifest's kind, sources and target.

    Raises:
        ValueError: If something is wrong.
    """
    sources = manifest["sources"]
    if manifest["kind"] not in kinds:
        raise ValueError(f"there is no kind of model called {manifest['kind']!r}")
    if not isinstance(sources, list) or not all(isinstance(x, str) for x in sources):
        raise ValueError("the manifest's sources are no list of names")
    if len(set(sources)) < len(sources):
        raise ValueError("the manifest names a source twice")
    if len(sources) > MAX_SOURCES:
        raise ValueError(f"the manifest names {len(sources):,} sources; {MAX_SOURCES} are the most")
    if manifest["target"] not in (None, *sources):
        raise ValueError(f"the target {manifest['target']!r} is no source")


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read the log of a training, an entry for each epoch.

    Raises:
        ValueError: With the line that is no such entry.
    """
    log = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        entry = _json(line, f"{path.name}, line {number}")
        if not isinstance(entry, dict) or not _is_number(entry.get("epoch")):
            raise ValueError(f"{path.name}, line {number}: this is no entry of an epoch")
        if not all(x is None or _is_number(x) for x in entry.values()):
            raise ValueError(f"{path.name}, line {number}: a value is no number")
        log.append(entry)
    return log


def read_metrics(path: Path) -> dict[str, Any]:
    """Read measured figures.

    Raises:
        ValueError: If they are no table, or one is no number.
    """
    metrics = _json(path.read_text(encoding="utf-8"), path.name)
    if not isinstance(metrics, dict):
        raise ValueError(f"{path.name}: this is no table of figures")
    for name in ("validation_mrr", "best_epoch"):
        if not (metrics.get(name) is None or _is_number(metrics[name])):
            raise ValueError(f"{path.name}: {name} is no number")
    by_way = metrics.get(EVIDENCE_METRIC, {})
    if not isinstance(by_way, dict) or not all(map(_is_number, by_way.values())):
        raise ValueError(f"{path.name}: {EVIDENCE_METRIC} holds something else than numbers")
    if metrics.get(DEFAULT_METRIC, "both") not in WAYS:
        raise ValueError(f"{path.name}: {DEFAULT_METRIC} is none of {', '.join(WAYS)}")
    if not by_way.keys() <= {*WAYS}:
        raise ValueError(f"{path.name}: a model answers by one of {', '.join(WAYS)}")
    return metrics


def read_calibration(path: Path) -> dict[By, Calibration]:
    """Read the points of each way to answer.

    Raises:
        ValueError: If they are not what ``Calibration`` takes.
    """
    curves = _json(path.read_text(encoding="utf-8"), path.name)
    if not isinstance(curves, dict) or not curves.keys() <= {*WAYS}:
        raise ValueError(f"{path.name}: a model answers by one of {', '.join(WAYS)}")
    found = {}
    for by, points in curves.items():
        pairs = tuple((x, y) for x, y in points)
        if not pairs or not all(_is_number(x) and _is_number(y) for x, y in pairs):
            raise ValueError(f"{path.name}: {by} has no points of two numbers each")
        if any(one[0] > other[0] for one, other in pairwise(pairs)):
            raise ValueError(f"{path.name}: the points of {by} do not ascend")
        found[by] = Calibration(pairs)
    return found


def check_rules(rules: pl.DataFrame) -> None:
    """Check the columns of rules, whose rows are checked elsewhere.

    Raises:
        ValueError: If a column is missing, or lacks a value that every rule has.
    """
    if dict(rules.schema) != SCHEMA:
        raise ValueError(f"the columns of the rules are not {', '.join(SCHEMA)}")
    _, second, third = map(pl.col, BODY)
    filled = ("relation", BODY[0], "support", "confidence", "weight")
    wrong = rules.filter(
        pl.any_horizontal(pl.col(filled).is_null())
        | (second.is_null() & third.is_not_null())
        | (pl.col("answer").is_null() & pl.col("entity").is_not_null())
        | ~pl.col("confidence").is_between(0, 1)
        | ~pl.col("weight").is_finite()
    )
    if len(wrong):
        raise ValueError("rules.parquet: a rule lacks a part, or a figure of it is out of range")


def check_names(names: pl.DataFrame, file: str) -> None:
    """Check the columns of a table of names.

    Raises:
        ValueError: If one is no text, or lacks a value that every name has.
    """
    for column in ("source", "name", "label"):
        if column in names.columns and names[column].dtype not in (pl.String, pl.Null):
            raise ValueError(f"{file}: the column {column} is no text")
    if names["source"].null_count() or names["name"].null_count():
        raise ValueError(f"{file}: a row has no source or no name")


def check_encoder(settings: ModelSettings, weights: Mapping[str, Tensor]) -> None:
    """Check that weights are there for an encoder, before one of its size is made.

    Raises:
        ValueError: If there are far fewer than its settings ask for.
    """
    if settings.encoder == "complex":
        return
    found = sum(x.numel() for name, x in weights.items() if name.startswith("encoder."))
    if found < settings.layers * settings.width**2:
        raise ValueError(f"the weights lack those of the encoder, a {settings.encoder}")


def _json(text: str, where: str) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no number")

    try:
        found = json.loads(text, parse_constant=refuse)
        _check_finite(found)
    except RecursionError:
        raise ValueError(f"{where}: this is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    return found


def _check_finite(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number is infinite")
    if isinstance(value, dict | list):
        for x in value.values() if isinstance(value, dict) else value:
            _check_finite(x)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
