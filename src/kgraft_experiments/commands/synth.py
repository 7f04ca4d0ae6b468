"""The command ``synth``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kgraft.cli.console import ANEW, chosen_settings, say, writing
from kgraft.cli.options import SetOption, SettingsOption
from kgraft.errors import counted
from kgraft.system.messages import lost_output_allowed, report_errors

if TYPE_CHECKING:
    from kgraft_experiments.synthesis.synthesize import Synthetic


def synth(
    directory: Annotated[
        Path, typer.Option("--out", "-o", help="A new directory for it.", show_default=False)
    ],
    truth: Annotated[
        Path | None,
        typer.Option(
            help="Also write all that is true among the target's entities to a .parquet file."
        ),
    ] = None,
    settings: SettingsOption = None,
    changes: SetOption = None,
    written_as: Annotated[
        Literal["parquet", "tsv"], typer.Option("--format", help="Format of the facts.")
    ] = "parquet",
) -> None:
    """Make linked graphs out of a hidden world with known rules, to experiment with."""
    with report_errors(ANEW), writing(directory):
        from kgraft.system.outputs import check_empty
        from kgraft_experiments.synthesis.settings import SynthSettings
        from kgraft_experiments.synthesis.synthesize import synthesize
        from kgraft_experiments.synthesis.write_synthetic import (
            RULES_FILE,
            check_truth_file,
            write_synthetic,
            write_truth,
        )

        check_empty(directory)
        if truth is not None:
            check_truth_file(truth)
        made = synthesize(chosen_settings(SynthSettings, settings, changes or ()))
        write_synthetic(made, directory, format=written_as)
        if truth is not None:
            write_truth(made, truth)
        with lost_output_allowed():
            for line in _lines(made):
                say(line)
            say(f"The collection and its {RULES_FILE} are in {directory}")
            if truth is not None:
                say(f"All {len(made.world.train):,} true facts are in {truth}")


def _lines(made: Synthetic) -> list[str]:
    collection = made.collection
    lines = []
    for graph in collection.graphs.values():
        parts = ", ".join(
            f"{len(facts):,} {split}"
            for split, facts in (
                ("train", graph.train),
                ("valid", graph.valid),
                ("test", graph.test),
            )
            if len(facts)
        )
        lines.append(f"{graph.name}: {counted(len(graph.entities), 'entity')}, facts: {parts}")
    n_links = sum(len(links) for links in collection.links)
    n_facts = len(collection.target_graph.triples)
    lines.append(
        f"{counted(n_links, 'link')}; {made.shared:,} of the target's {n_facts:,} facts "
        f"({100 * made.shared / n_facts:.1f} %) are stated by a background too"
    )
    uncertain = sum(rule.confidence < 1 for rule in made.rules)
    lines.append(f"{counted(len(made.rules), 'rule')}, {uncertain} of them uncertain")
    return lines
