"""Means, standard deviations and paired differences over seeds and targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

SIDES = ("tail", "both")
PARTS = ("all", "covered", "uncovered")

BASELINES = ("none", "all")
"""Variants that the others are compared with, at the same share of links."""

_PAIR = ("share", "target", "seed", "side", "facts")
_CELL = ("variant", "share", "side", "facts")


def summarise(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return mean and standard deviation of each variant at each share of links.

    A figure is first averaged over targets for each seed; ``mean`` and ``sd`` are the mean and the
    sample standard deviation of those averages over seeds. Differences are paired: taken for each
    target and seed, then averaged in the same way, which cancels effects of a seed or a target.

    Args:
        rows: For each target, variant, share and seed one row, with ``train_seconds`` and, by
            side and part of the facts, MRR from 0 to 1 (``row["tail"]["uncovered"]``), ``None``
            where there are no such facts.

    Returns:
        A row for each variant, share, side and part, in the order of ``rows``: ``mean``, ``sd``,
        ``minus_none``, ``minus_none_sd``, ``minus_all``, ``minus_all_sd`` and ``train_seconds``,
        the mean over targets and seeds. ``None`` stands for the deviation of one seed, and for
        figures without a measurement.
    """
    keys = ("variant", "share", "target", "seed", "train_seconds")
    table = pl.DataFrame(
        [
            {**{key: x[key] for key in keys}, "side": side, "facts": part, "mean": x[side][part]}
            for x in rows
            for side in SIDES
            for part in PARTS
        ],
        schema_overrides={"mean": pl.Float64, "share": pl.Float64},
        infer_schema_length=None,
    )
    mean, own = pl.col("mean"), pl.col("variant")
    table = table.with_columns(
        (mean - pl.when(own == baseline).then(mean).max().over(_PAIR)).alias(f"minus_{baseline}")
        for baseline in BASELINES
    )
    figures = ["mean", *(f"minus_{baseline}" for baseline in BASELINES)]
    by_seed = table.group_by(*_CELL, "seed", maintain_order=True).agg(
        pl.col(figures).mean(), pl.col("train_seconds").mean(), pl.len()
    )
    summary = by_seed.group_by(_CELL, maintain_order=True).agg(
        *(column for x in figures for column in (pl.col(x).mean(), pl.col(x).std().alias(_std(x)))),
        (pl.col("train_seconds") * pl.col("len")).sum() / pl.col("len").sum(),
    )
    return summary.to_dicts()


def _std(figure: str) -> str:
    return "sd" if figure == "mean" else f"{figure}_sd"
