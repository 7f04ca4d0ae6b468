"""The notebooks of examples/: every cell runs in a kernel, and what it shows is what it showed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pages import alike, tokens

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOKS = sorted((EXAMPLES / "notebooks").glob("*.ipynb"))


def test_there_are_three() -> None:
    assert [x.stem for x in NOTEBOOKS] == ["comparison", "own_graph", "quickstart"]


def printed(outputs: Sequence[Sequence[Mapping[str, Any]]]) -> str:
    """Return what cells have printed."""
    return "".join(
        x["text"] for of_cell in outputs for x in of_cell if x["output_type"] == "stream"
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda x: x.stem)
def test_it_runs(path: Path, tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    shutil.copytree(EXAMPLES / "atlas", tmp_path / "atlas")
    (tmp_path / "notebooks").mkdir()
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:  # The longest one trains eleven models.
        cell.source = cell.source.replace(
            '"seed": seed}', '"seed": seed, "epochs": 2, "min_steps": 0}'
        )
    shown = [bool(x.outputs) for x in notebook.cells if x.cell_type == "code"]
    resources = {"metadata": {"path": str(tmp_path / "notebooks")}}
    nbclient.NotebookClient(notebook, timeout=600, resources=resources).execute()
    outputs = [x.outputs for x in notebook.cells if x.cell_type == "code"]
    assert [bool(x) for x in outputs] == shown
    if path.stem != "comparison":
        kept = nbformat.read(path, as_version=4).cells
        assert alike(
            tokens(printed(outputs)), tokens(printed([x.get("outputs", []) for x in kept]))
        )
    assert any(shown)
