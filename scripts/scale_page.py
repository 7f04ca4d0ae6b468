"""Write the tables of docs/scale.md, from the model of traffic and from what was measured.

Usage: python scripts/scale_page.py

It rewrites the blocks between ``<!-- plan -->`` and ``<!-- /plan -->``, and between
``<!-- measured -->`` and ``<!-- /measured -->``. A test fails where they are stale.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

from kgraft.settings import TrainingSettings
from kgraft.training.traffic import Plan

ROOT = Path(__file__).parent.parent
PAGE, REPORT = ROOT / "docs" / "scale.md", ROOT / "benchmarks" / "results" / "distributed.json"
SIZE = Plan(entities=100_000_000, facts=1_500_000_000, relations=2_000)
WORKERS, GIGABITS = (8, 16, 64), (10, 100)
ASSUMED_RATE = 250_000
"""Queries that a GPU or sixteen cores compute in a second: assumed."""
PRICES = {"one core": 0.05, "a GPU or sixteen cores": 1.0}
"""Assumed price of a worker's hour, in dollars."""


def rate_of_a_core() -> float:
    """Return the queries that a core computes in a second, by processor time of two workers."""
    report = json.loads(REPORT.read_text(encoding="utf-8"))
    of_step: float = report["processor_ms_a_step"]["two_processes"]
    return round(1e3 * TrainingSettings().batch_size / of_step, -3)


def plan_table() -> str:
    """Return the table of a training of Wikidata's size."""
    rates = {"one core": rate_of_a_core(), "a GPU or sixteen cores": ASSUMED_RATE}
    lines = [
        "| a worker is | workers | Gbit/s | GiB | MB a step | sending | hours | all | dollars |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for kind, rate in rates.items():
        for workers in WORKERS:
            for gigabits in GIGABITS:
                plan = replace(SIZE, queries_per_second=rate, bits_per_second=gigabits * 1e9)
                computing, sending = plan.step_seconds(workers)
                hours = plan.worker_hours(workers)
                cells = (
                    kind,
                    f"{workers}",
                    f"{gigabits}",
                    f"{plan.memory(workers) / 2**30:.0f}",
                    f"{sum(plan.traffic(workers).sent().values()) / 1e6:.1f}",
                    f"{100 * sending / (computing + sending):.0f} %",
                    f"{plan.epoch_seconds(workers) / 3600:.1f}",
                    f"{hours:,.0f}",
                    f"{hours * PRICES[kind]:,.0f}",
                )
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def measured_table() -> str:
    """Return the table of what was measured with several processes."""
    report = json.loads(REPORT.read_text(encoding="utf-8"))
    lines = [
        "| processes | MRR | rows of each | kB a step | expected kB | examples/s |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for count, mrr in report["mrr_by_processes"].items():
        found = report["bytes_per_step"][count]
        sent, expected = (sum(found[name].values()) / 1e3 for name in ("sent", "expected"))
        share = max(report["rows_share_by_rank"][count])
        rate = found["examples_per_second"]
        lines.append(
            f"| {count} | {mrr:.4f} | {100 * share:.0f} % | {sent:,.0f} | {expected:,.0f} | "
            f"{rate:,} |"
        )
    return "\n".join(lines)


def filled(page: str) -> str:
    """Return the page with both tables."""
    for name, table in (("plan", plan_table), ("measured", measured_table)):
        block = re.compile(rf"(<!-- {name} -->\n).*(<!-- /{name} -->)", re.DOTALL)
        if block.search(page):
            page = block.sub(rf"\g<1>{table()}\n\g<2>", page)
    return page


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
