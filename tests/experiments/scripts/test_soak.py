"""The soak of servers: growth that is seen, and the drawing of a report."""

from __future__ import annotations

import json
from importlib import import_module as script
from pathlib import Path
from typing import Any

import pytest

SECONDS = 600.0


def figures(**grown: float) -> dict[str, Any]:
    """Figures of a server that uses more from its fifth minute on."""
    soaked = script("soaked")
    used = dict(zip(soaked.USED, (500.0, 7.0, 64.0, 20.0), strict=True))
    samples = [
        (at, *(x + grown.get(name, 0) * (at > SECONDS * 2 / 3) for name, x in used.items()))
        for at in range(0, int(SECONDS), 5)
    ]
    samples[-1] = (samples[-1][0], 900.0, 30.0, 300.0, 50.0)  # while a model is loaded
    found: dict[str, Any] = soaked.compared(samples, SECONDS)
    return found


@pytest.mark.parametrize(
    ("grown", "floor"),
    [
        ({}, ""),
        ({"resident_mib": 9.0}, ""),
        ({"resident_mib": 11.0}, "serve: memory"),
        ({"open_files": 1.0}, "serve: open_files"),
        ({"threads": 1.0}, "serve: threads"),
        ({"sockets": 20.0}, "serve: sockets"),
    ],
)
def test_growth_is_seen_and_a_moment_of_more_is_not(grown: dict[str, float], floor: str) -> None:
    found = {"errors": 0, "servers": {"serve": figures(**grown)}}
    held = script("soaked").floors(found, 2.0, 64)
    assert [name for name, holds in held.items() if not holds] == ([floor] if floor else [])


def test_a_report_is_drawn(tmp_path: Path) -> None:
    soaked = script("soaked")
    servers = {name: soaked.Server(None, 0) for name in ("serve", "mcp")}
    for at in range(0, int(SECONDS), 5):
        for server in servers.values():
            server.samples.append((at, 500.0, 7.0, 64.0, 20.0))
    times = [(at / 10, at % 7 + 1.0) for at in range(6000)]
    rows = soaked.over_time(servers, times, SECONDS)
    assert [row["requests"] for row in rows] == [100] * 60
    report = {"soak": rows, "servers": dict.fromkeys(servers), "replaced_at": [60.0, 200.0]}
    figure = script("plot").draw(report)
    assert len(figure.drawings) == 2
    assert figure.file().count("stroke-dasharray") >= 1
    assert list(figure.legend) == ["kgraft serve", "kgraft mcp", "p50 of answers", "p99 of answers"]


@pytest.mark.slow
def test_servers_are_soaked_while_their_model_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "soak.json"
    sizes = ["--seconds=15", "--clients=8", "--rate=12", "--replacements=1", "--growth=1000"]
    script("soak").main([f"--out={out}", *sizes])
    report = json.loads(out.read_text(encoding="utf-8"))
    # So few requests may miss a path of the API, which is told as an error.
    assert [x for x in report["first_errors"] if "never asked for" not in x] == []
    assert report["replacements"] == 1
    assert report["requests"] > 50
    assert report["servers"].keys() == {"serve", "mcp"}
