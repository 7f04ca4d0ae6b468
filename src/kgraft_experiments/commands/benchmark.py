"""The command ``benchmark``, and the tables that it shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from kgraft.cli.console import AGAIN, chosen_settings, out, print_json, quality_table, say, table
from kgraft.cli.options import (
    AllowOutsideOption,
    CollectionArgument,
    DeviceOption,
    JsonOption,
    SetOption,
    ThreadsOption,
    names,
)
from kgraft.system.messages import lost_output_allowed, report_errors

if TYPE_CHECKING:
    from rich.table import Table

    from kgraft_experiments.benchmark.plan import BenchmarkOptions
    from kgraft_experiments.benchmark.settings import System

N = TypeVar("N", int, float)

SYSTEMS = "plain,alone,joint,teacher,student"
"""The names of all systems."""

DirectoryOption = Annotated[
    Path, typer.Option("--out", "-o", help="Directory for results.", show_default=False)
]
TargetsOption = Annotated[
    str | None,
    typer.Option("--targets", help="Targets, as a,b; by default the collection's, else all."),
]
SystemsOption = Annotated[
    str | None,
    typer.Option("--systems", help=f"Systems to compare; by default {SYSTEMS}."),
]
WidthsOption = Annotated[
    str | None, typer.Option("--widths", help="Widths of the students, as 64,200; by default one.")
]
AblateOption = Annotated[
    bool, typer.Option("--ablate", help="Compare students without a part each instead.")
]
VariantsOption = Annotated[
    str | None,
    typer.Option("--variants", help="Variants of --ablate, as all,none,feature; by default all."),
]
LinksOption = Annotated[
    str | None,
    typer.Option(
        "--links", help="Compare these shares of the target's links instead, as 0.2,0.5,1."
    ),
]
ReuseOption = Annotated[
    bool,
    typer.Option(
        "--reuse-teacher", help="Train one teacher for all targets, on the other sources."
    ),
]
SettingsOption = Annotated[
    Path | None,
    typer.Option(
        "--settings",
        help="TOML file of settings; 'kgraft settings --command benchmark' prints one.",
    ),
]
SeedOption = Annotated[
    int, typer.Option("--seed", min=0, help="First seed, and the only one of teachers.")
]
SeedsOption = Annotated[
    int | None,
    typer.Option(
        "--seeds", min=1, help="Number of seeds; by default 1, or 3 with --ablate or --links."
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
    allow_outside: AllowOutsideOption = False,
    settings: SettingsOption = None,
    changes: SetOption = None,
    seed: SeedOption = 0,
    seeds: SeedsOption = None,
    threads: ThreadsOption = None,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Compare a student with what needs no links, joint training and its teacher."""
    with report_errors(AGAIN):
        from kgraft.reporting.page import check_replaceable, write_page
        from kgraft_experiments.benchmark import run
        from kgraft_experiments.benchmark.report import benchmark_report
        from kgraft_experiments.benchmark.settings import BenchmarkSettings

        _refuse_what_has_no_effect(systems, widths, variants, ablation=ablation, links=links)
        data = directory / f"{'ablation' if ablation else 'links' if links else 'results'}.json"
        page = data.with_suffix(".html")
        check_replaceable(page)
        options: BenchmarkOptions = {
            "targets": None if targets is None else names(targets),
            "settings": chosen_settings(BenchmarkSettings, settings, changes or ()),
            "seed": seed,
            "seeds": seeds,
            "reuse_teacher": reuse_teacher,
            "threads": threads,
            "device": device,
            "allow_outside": allow_outside,
        }
        if ablation:
            chosen = names(variants or "") or None
            report = run.ablate(collection, directory, variants=chosen, **options)
        elif links is not None:
            shares = _numbers("--links", links, float)
            report = run.sweep_links(collection, directory, shares=shares, **options)
        else:
            sizes = () if widths is None else _numbers("--widths", widths, int)
            report = run.benchmark(
                collection, directory, systems=_systems(systems), widths=sizes, **options
            )
        write_page(page, benchmark_report(report))
        if as_json:
            print_json(report)
            return
        with lost_output_allowed():
            for shown in _comparison(report) if "cost" in report else [_summary(report)]:
                out.print(shown)
            say(f"Everything is in {data}, and to look at in {page}")


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


def _systems(text: str | None) -> list[System]:
    from kgraft_experiments.benchmark.settings import SYSTEMS

    asked = SYSTEMS if text is None else names(text)
    chosen = [system for system in SYSTEMS if system in asked]
    if unknown := set(asked) - set(chosen):
        raise typer.BadParameter(
            f"no system is called {', '.join(sorted(unknown))}; there are {', '.join(SYSTEMS)}",
            param_hint="--systems",
        )
    return chosen


def _comparison(report: dict[str, Any]) -> list[Table]:
    rows = _named(
        [row for row in report["quality"] if row["side"] == "tail" and row["filter"] == "all"]
    )
    measures = ("seconds", "queries/s", "peak MiB", "parameters", "facts")
    costs = table("target", "system", *measures, figures=measures)
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
        varied = [
            f", {key} {row[key]}"
            for key in ("width", "seed")
            if len({other[key] for other in same}) > 1
        ]
        named.append({**row, "system": row["system"] + "".join(varied)})
    return named


def _summary(report: dict[str, Any]) -> Table:
    """Make a table of an ablation or of shares of links: means over targets, std over seeds."""
    from kgraft_experiments.benchmark.tables import summary_table

    made = summary_table(report)
    title = f"Tails, MRR in percent: means over targets, seeds {report['settings']['seeds']}"
    shown = table(*made.head, title=title)
    for row in made.rows:
        shown.add_row(*row)
    return shown
