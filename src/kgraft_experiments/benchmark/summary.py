"""Means, standard deviations and paired differences over seeds and targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

SIDES = ("tail", "both")
PARTS = ("all", "covered", "uncovered")

BASELINES = ("none", "all")
"""Variants that the others are compared with, at the same share of links."""


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
    by_key = {(x["variant"], x["share"], x["target"], x["seed"]): x for x in rows}
    summary = []
    for variant, share in dict.fromkeys((x["variant"], x["share"]) for x in rows):
        own = [x for x in rows if (x["variant"], x["share"]) == (variant, share)]
        for side in SIDES:
            for part in PARTS:
                mean, sd = _over_seeds([(x["seed"], x[side][part]) for x in own])
                summary.append(
                    {
                        "variant": variant,
                        "share": share,
                        "side": side,
                        "facts": part,
                        "mean": mean,
                        "sd": sd,
                        **_differences(own, by_key, side, part),
                        "train_seconds": fmean(x["train_seconds"] for x in own),
                    }
                )
    return summary


def _differences(
    own: Sequence[Mapping[str, Any]],
    by_key: Mapping[tuple[str, float, str, int], Mapping[str, Any]],
    side: str,
    part: str,
) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for baseline in BASELINES:
        differences = []
        for x in own:
            other = by_key.get((baseline, x["share"], x["target"], x["seed"]))
            if other is not None and None not in (x[side][part], other[side][part]):
                differences.append((x["seed"], x[side][part] - other[side][part]))
        mean, sd = _over_seeds(differences)
        found |= {f"minus_{baseline}": mean, f"minus_{baseline}_sd": sd}
    return found


def _over_seeds(
    figures: Sequence[tuple[int, float | None]],
) -> tuple[float | None, float | None]:
    """Return mean and sample standard deviation over seeds of each seed's mean over targets."""
    by_seed: dict[int, list[float]] = {}
    for seed, figure in figures:
        if figure is not None:
            by_seed.setdefault(seed, []).append(figure)
    means = [fmean(values) for values in by_seed.values()]
    return (
        fmean(means) if means else None,
        stdev(means) if len(means) > 1 else None,
    )
