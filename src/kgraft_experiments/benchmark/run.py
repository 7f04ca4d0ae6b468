"""The three benchmarks: systems compared, parts of a student removed, links removed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Unpack

from kgraft.model.evidence import By
from kgraft_experiments.benchmark.cases import ablation, comparison, link_sweep
from kgraft_experiments.benchmark.link_shares import linked_entities, with_share_of_links
from kgraft_experiments.benchmark.plan import BenchmarkOptions, prepare
from kgraft_experiments.benchmark.runner import Outcome
from kgraft_experiments.benchmark.settings import SYSTEMS, System
from kgraft_experiments.benchmark.summary import PARTS, SIDES, summarise

SHARES = (0.2, 0.5, 0.8, 1.0)
"""Shares of the target's links, by default."""


def benchmark(
    path: str | Path,
    out: Path,
    *,
    systems: Sequence[System] = SYSTEMS,
    widths: Sequence[int] = (),
    **options: Unpack[BenchmarkOptions],
) -> dict[str, Any]:
    """Compare systems on targets, each model in a process of its own.

    Finished jobs are kept in ``out``: started again with the same data and settings, a benchmark
    goes on where it stopped, and shares models with the other benchmarks.

    Args:
        path: The collection.
        out: Directory for ``results.json``, the jobs, and the teachers and students.
        systems: Systems to compare; a student brings its teacher along.
        widths: Widths of the students; by default that of their settings.
        **options: Targets, settings, teachers, threads, and seeds: one by default.

    Returns:
        The content of ``results.json``: settings, machine, and rows of ``quality`` and ``cost``. A
        model with rules has rows of quality ``by`` vectors, rules and both. A teacher of several
        targets has one row of cost, for all of them. ``prepare_seconds``, a part of
        ``train_seconds``, pass before the first step, with subgraph and rules.
        ``answered_per_second`` are queries ranked a second by each way, and ``answers_by`` is the
        way that validation facts favour.

    Raises:
        UnknownNameError: If a target is not in the collection.
        SettingsError: If a student cannot have one of the widths.
        ValueError: If there is no seed, or no source left for one teacher of all targets.
        KgraftError: If a job fails; finished jobs are kept.
    """
    setup = prepare(path, options, default_seeds=1)
    cases = comparison(
        setup.targets, systems, setup.settings, setup.teacher_of, seeds=setup.seeds, widths=widths
    )
    outcomes = setup.run(cases, out)
    quality = [
        {"target": row["target"], **x.case.row_labels(), **row}
        for x in outcomes
        if x.case.system in systems
        for row in x.quality
    ]
    cost = [{"target": x.case.target, **x.case.row_labels(), **x.cost} for x in outcomes]
    return setup.report(
        out / "results.json",
        {"systems": list(systems), "widths": list(widths)},
        {"quality": quality, "cost": cost},
    )


def ablate(
    path: str | Path,
    out: Path,
    *,
    variants: Sequence[str] | None = None,
    **options: Unpack[BenchmarkOptions],
) -> dict[str, Any]:
    """Measure each part of a student: the ``student_variants``, by target and seed.

    ``all by rules`` and ``all by both`` are the student as it is, by its rules and by both.

    Args:
        path: The collection.
        out: Directory for ``ablation.json``, the jobs and the models, as of ``benchmark``.
        variants: Names of variants; by default all.
        **options: Targets, settings, teachers, threads, and seeds: three by default.

    Returns:
        The content of ``ablation.json``: settings, machine, a row for each target, variant and
        seed, and their ``summary``, as ``summarise`` returns it.

    Raises:
        UnknownNameError: If a target is not in the collection.
        ValueError: If there is no seed, no such variant, or no source left for one teacher of all
            targets.
        KgraftError: If a job fails; finished jobs are kept.
    """
    setup = prepare(path, options, default_seeds=3)
    cases = ablation(
        setup.collection,
        setup.targets,
        setup.settings,
        setup.teacher_of,
        seeds=setup.seeds,
        variants=variants,
    )
    rows = [row for x in setup.run(cases, out) for row in _by_all(x)]
    return setup.report(
        out / "ablation.json",
        {"variants": _variants(rows)},
        {"rows": rows, "summary": summarise(rows)},
    )


def sweep_links(
    path: str | Path,
    out: Path,
    *,
    shares: Sequence[float] = SHARES,
    **options: Unpack[BenchmarkOptions],
) -> dict[str, Any]:
    """Measure joint model, student, and student without distillation at shares of the links.

    The teacher is the same at every share, since it never uses the target's links. All links decide
    at every share which test facts are covered, so the facts behind a figure stay the same.

    Args:
        path: The collection.
        out: Directory for ``links.json``, the jobs and the models, as of ``benchmark``.
        shares: Shares of the target's entity links that are kept, each part of the larger ones.
        **options: Targets, settings, teachers, threads, and seeds: three by default.

    Returns:
        The content of ``links.json``, in the form of ``ablate``, with ``joint`` as a variant; each
        row has ``linked_entities``, the number of the target's entities that keep a link.

    Raises:
        UnknownNameError: If a target is not in the collection.
        ValueError: If a share is not above 0 and at most 1, if there is no seed, or no source left
            for one teacher of all targets.
        KgraftError: If a job fails; finished jobs are kept.
    """
    setup = prepare(path, options, default_seeds=3)
    cases = link_sweep(
        setup.targets, setup.settings, setup.teacher_of, shares=shares, seeds=setup.seeds
    )
    links = setup.collection.links
    rows = []
    for x in setup.run(cases, out):
        target = x.case.target
        kept = with_share_of_links(links, target, x.case.share, seed=x.case.seed)
        rows.append({**outcome_row(x), "linked_entities": linked_entities(kept, target)})
    return setup.report(
        out / "links.json",
        {"variants": _variants(rows), "shares": list(shares)},
        {"rows": rows, "summary": summarise(rows)},
    )


def outcome_row(outcome: Outcome, by: By = "vectors") -> dict[str, Any]:
    """Return a row of an ablation; a system other than the student is a variant."""
    case = outcome.case
    variant = case.variant if case.system == "student" else case.system
    return {
        "target": case.target,
        "variant": variant if by == "vectors" else f"{variant} by {by}",
        "share": case.share,
        "seed": case.seed,
        "train_seconds": outcome.cost["train_seconds"],
        "triples": outcome.cost["triples"],
        **{side: _mrr(outcome.quality, side, by) for side in SIDES},
    }


def _by_all(outcome: Outcome) -> list[dict[str, Any]]:
    """Return an outcome's row, of the student as it is also those by rules and by both."""
    ways = {row["by"]: None for row in outcome.quality}
    if outcome.case.variant != "all":
        ways = {"vectors": None}
    return [outcome_row(outcome, by) for by in ways]


def _mrr(quality: Iterable[dict[str, Any]], side: str, by: By) -> dict[str, float | None]:
    found = {
        row["facts"]: row["mrr"]
        for row in quality
        if (row["side"], row["filter"], row["by"]) == (side, "all", by)
    }
    return {part: found[part] for part in PARTS}


def _variants(rows: Iterable[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["variant"] for row in rows))
