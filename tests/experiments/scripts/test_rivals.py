"""Other tools beside kgraft: when a tool's rows are saved, how they are ranked, and the shares."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from importlib import import_module as script
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch


def row(graph: str, tool: str, *curve: tuple[float, float]) -> dict[str, Any]:
    best = max(mrr for _, mrr in curve)
    seconds = next(x for x, mrr in curve if mrr == best)
    figures = {"validation_mrr": best, "seconds": seconds, "curve": list(curve)}
    return {"graph": graph, "tool": tool, **figures}


def test_shares_are_those_of_the_graph_where_kgraft_is_slowest() -> None:
    rows = [
        row("one", "kgraft", (1.0, 0.2), (2.0, 0.4)),
        row("one", "pykeen", (10.0, 0.1), (20.0, 0.3)),
        row("two", "kgraft", (3.0, 0.5)),
        row("two", "pykeen", (30.0, 0.5), (60.0, 0.4)),
        row("two", "dicee", (30.0, 0.6)),
    ]
    # 2 of 20 seconds, and 3 of 30; what dicee reaches, kgraft does not.
    assert script("rivals").time_shares(rows) == {
        "time_share_pykeen": 0.1,
        "time_share_dicee": None,
    }


def test_rows_are_saved_ever_more_rarely_and_looks_are_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools, now = script("rival_tools"), [0.0]
    monkeypatch.setattr(tools.time, "perf_counter", lambda: now[0])
    clock = tools.Clock(tmp_path, {"seconds": 200.0, "looks": 3, "clock": "perf_counter"})

    def look() -> tuple[torch.Tensor, ...]:
        now[0] += 1000  # The time of a look.
        return (torch.zeros(1, 2),) * 3

    def train() -> None:
        for _ in range(1000):
            now[0] += 1
            clock.look(look)

    with pytest.raises(tools.EnoughError):
        train()
    seconds = [float(np.load(tmp_path / f"{x}.npz")["seconds"]) for x in range(3)]
    assert seconds == [1.0, 15.0, 200.0]  # Half a percent, the geometric mean, all.


@pytest.mark.slow
def test_kgraft_learns_and_is_ranked(tmp_path: Path) -> None:
    rivals = script("rivals")
    asked = Namespace(width=16, minutes=0.1, threads=1, clock="process_time")
    graph = rivals.Graph("countries=world", 200)
    found = rivals.trained(graph, "kgraft", sys.executable, {}, asked)
    json.dumps(found)
    assert len(found["curve"]) == rivals.LOOKS
    assert found["validation_mrr"] > 5 * found["curve"][0][1]
    assert found["mrr"] > 0.2
