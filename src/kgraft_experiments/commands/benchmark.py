"""The verb ``benchmark``, and the tables that it shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.table import Table

from kgraft.cli.console import AGAIN, out, print_json, quality_table
from kgraft.cli.options import (
    CollectionArgument,
    DeviceOption,
    JsonOption,
    ThreadsOption,
    names,
)
from kgraft.reporting.page import check_replaceable, write_page
from kgraft.system.messages import speaking
from kgraft.toml_settings import read_settings
from kgraft_experiments.benchmark.plan import BenchmarkOptions
from kgraft_experiments.benchmark.report import benchmark_report
from kgraft_experiments.benchmark.run import ablate as run_ablation
from kgraft_experiments.benchmark.run import benchmark as run_comparison
from kgraft_experiments.benchmark.run import sweep_links
from kgraft_experiments.benchmark.settings import SYSTEMS, BenchmarkSettings, System
from kgraft_experiments.benchmark.tables import summary_table

N = TypeVar("N", int, float)


DirectoryOption = Annotated[
    Path, typer.Option("--out", "-o", help="Directory for results.", show_default=False)
]
TargetsOption = Annotated[
    str | None, typer.Option("--targets", help="Graphs to measure, as a,b; by default all.")
]
SystemsOption = Annotated[
    str | None,
    typer.Option("--systems", help=f"What to compare; by default {','.join(SYSTEMS)}."),
]
WidthsOption = Annotated[
    str | None, typer.Option("--widths", help="A student of each of these widths, as 64,200.")
]
AblateOption = Annotated[
    bool, typer.Option("--ablate", help="Show what each part of a student is worth instead.")
]
VariantsOption = Annotated[
    str | None,
    typer.Option("--variants", help="With --ablate: only these, as all,none,feature."),
]
LinksOption = Annotated[
    str | None,
    typer.Option(
        "--links", help="Show what shares of the target's links are worth instead, as 0.2,0.5,1."
    ),
]
ReuseOption = Annotated[
    bool,
    typer.Option(
        "--reuse-teacher", help="One teacher, of the sources that are no targets, for all of them."
    ),
]
SettingsOption = Annotated[
    Path | None,
    typer.Option("--settings", help="TOML with tables alone, joint, pretrain, retrain."),
]
SeedOption = Annotated[
    int, typer.Option("--seed", min=0, help="The first seed, and the teachers' only one.")
]
SeedsOption = Annotated[
    int | None,
    typer.Option(
        "--seeds", min=1, help="How many seeds; by default 1, or 3 with --ablate or --links."
    ),
]


def benchmark(
    collection: CollectionArgument,
    directory: DirectoryOption,
    targets: TargetsOption = None,
    systems: SystemsOption = None,
    widths: WidthsOption = None,
    ablation: AblateOption = False,
    variants: VariantsOption = None,
    links: LinksOption = None,
    reuse_teacher: ReuseOption = False,
    settings: SettingsOption = None,
    seed: SeedOption = 0,
    seeds: SeedsOption = None,
    threads: ThreadsOption = None,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Compare target alone, joint training, teacher and student; goes on where it stopped."""
    with speaking(AGAIN):
        _refuse_what_has_no_effect(systems, widths, variants, ablation=ablation, links=links)
        name = "ablation" if ablation else "results" if links is None else "links"
        data, shown = directory / f"{name}.json", directory / f"{name}.html"
        check_replaceable(shown)
        options: BenchmarkOptions = {
            "targets": None if targets is None else names(targets),
            "settings": read_settings(BenchmarkSettings, settings),
            "seed": seed,
            "seeds": seeds,
            "reuse_teacher": reuse_teacher,
            "threads": threads,
            "device": device,
        }
        if ablation:
            chosen = None if variants is None else names(variants)
            report = run_ablation(collection, directory, variants=chosen, **options)
        elif links is not None:
            shares = _numbers("--links", links, float)
            report = sweep_links(collection, directory, shares=shares, **options)
        else:
            report = run_comparison(
                collection,
                directory,
                systems=SYSTEMS if systems is None else _systems(systems),
                widths=() if widths is None else _numbers("--widths", widths, int),
                **options,
            )
        write_page(shown, benchmark_report(report))
        if as_json:
            print_json(report)
            return
        for table in _comparison(report) if "cost" in report else [_summary(report)]:
            out.print(table)
        out.print(f"Everything is in {data}, and to look at in {shown}", highlight=False)


def _refuse_what_has_no_effect(
    systems: str | None,
    widths: str | None,
    variants: str | None,
    *,
    ablation: bool,
    links: str | None,
) -> None:
    if ablation and links is not None:
        raise typer.BadParameter(
            "give one of them; a second run with the other one finds what the first has done",
            param_hint="--ablate, --links",
        )
    if (ablation or links is not None) and (systems is not None or widths is not None):
        raise typer.BadParameter(
            "these compare systems, which --ablate and --links do not",
            param_hint="--systems, --widths",
        )
    if variants is not None and not ablation:
        raise typer.BadParameter("only --ablate has variants", param_hint="--variants")


def _numbers(option: str, text: str, kind: Callable[[str], N]) -> list[N]:
    try:
        found = [kind(part) for part in names(text)]
    except ValueError:
        found = []
    if not found:
        raise typer.BadParameter(
            f"{text!r} is no list of numbers with commas between", param_hint=option
        )
    return found


def _systems(text: str) -> list[System]:
    asked = names(text)
    chosen = [system for system in SYSTEMS if system in asked]
    if unknown := set(asked) - set(chosen):
        raise ValueError(
            f"no system is called {', '.join(sorted(unknown))}; there are {', '.join(SYSTEMS)}"
        )
    return chosen


def _comparison(report: dict[str, Any]) -> list[Table]:
    rows = _named(
        [row for row in report["quality"] if row["side"] == "tail" and row["filter"] == "all"]
    )
    costs = Table("target", "system", "seconds", "queries/s", "peak MiB", "parameters", "facts")
    for cost in _named(report["cost"]):
        keys = ("train_seconds", "examples_per_second", "peak_rss_mib", "parameters", "triples")
        figures = ("-" if cost[key] is None else f"{cost[key]:,.0f}" for key in keys)
        costs.add_row(cost["target"], cost["system"], *figures)
    return [quality_table(rows, "Tails among the target's own entities, in percent"), costs]


def _named(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with the width and the seed in the system's name, where there are several."""
    named = []
    for row in rows:
        same = [other for other in rows if other["system"] == row["system"]]
        told = [
            f", {key} {row[key]}"
            for key in ("width", "seed")
            if len({other[key] for other in same}) > 1
        ]
        named.append({**row, "system": row["system"] + "".join(told)})
    return named


def _summary(report: dict[str, Any]) -> Table:
    """Make a table of an ablation or of shares of links: means over targets, spread over seeds."""
    made = summary_table(report)
    title = f"Tails, MRR in percent: means over targets, seeds {report['settings']['seeds']}"
    table = Table(*made.head, title=title, title_justify="left")
    for row in made.rows:
        table.add_row(*row)
    return table
