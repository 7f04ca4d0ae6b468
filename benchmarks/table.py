"""Print a benchmark's results as the Markdown tables of the README.

Usage: python benchmarks/table.py benchmarks/results/dbp5l/results.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import mean, median
from typing import Any


def quality_table(report: dict[str, Any]) -> str:
    """Return MRR in percent: a row for each system and part of the facts, a column a target."""
    targets, systems = report["settings"]["targets"], report["settings"]["systems"]
    cells = {
        (row["system"], row["facts"], row["target"]): 100 * row["mrr"]
        for row in report["quality"]
        if row["side"] == "tail" and row["filter"] == "all"
    }
    lines = [
        f"| facts | system | {' | '.join(targets)} | mean |",
        "|---|---|" + "---:|" * (len(targets) + 1),
    ]
    for facts in ("all", "covered", "uncovered"):
        for system in systems:
            figures = [cells[system, facts, target] for target in targets]
            row = " | ".join(f"{figure:.1f}" for figure in (*figures, mean(figures)))
            lines.append(f"| {facts} | {system} | {row} |")
    return "\n".join(lines)


def cost_table(report: dict[str, Any]) -> str:
    """Return the medians over targets of what each system costs."""
    lines = [
        "| system | training, seconds | queries a second | peak memory, MiB | parameters | facts |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    keys = ("train_seconds", "examples_per_second", "peak_rss_mib", "parameters", "triples")
    for system in report["settings"]["systems"]:
        costs = [cost for cost in report["cost"] if cost["system"] == system]
        figures = (f"{median(cost[key] for cost in costs):,.0f}" for key in keys)
        lines.append(f"| {system} | {' | '.join(figures)} |")
    return "\n".join(lines)


def main() -> None:
    report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    machine = report["machine"]
    print(f"MRR of tails, in percent:\n\n{quality_table(report)}\n")
    print(
        f"Medians over the targets, {report['settings']['threads']} threads of an "
        f"{machine['processor']} with {machine['cores']} cores:\n\n{cost_table(report)}"
    )


if __name__ == "__main__":
    main()
