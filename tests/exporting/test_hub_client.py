"""Push, pull and cache of models by the Hub's own client, against a server of its protocol."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import Hub, running, sha

from kgraft.model.directory import save_model
from kgraft.model.trained_model import TrainedModel

pytestmark = pytest.mark.slow


class Client:
    """Runs kgraft's commands with a hub in place of the public one."""

    def __init__(self, hub: Hub, address: str, home: Path) -> None:
        self.hub, self.home = hub, home
        self._variables = {
            **os.environ,
            "HF_ENDPOINT": address,
            "HF_HOME": str(home / "cache"),
            "HF_TOKEN": "hf_test",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "NO_COLOR": "1",
            "COLUMNS": "300",
        }

    def run(self, *words: str, status: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "kgraft", *words],
            env=self._variables,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def client(student: TrainedModel, tmp_path: Path) -> Iterator[Client]:
    """A client beside a saved student."""
    save_model(student, tmp_path / "student")
    hub = Hub()
    with running(hub) as address:
        yield Client(hub, address, tmp_path)


def _asked(student: TrainedModel) -> list[str]:
    part = student.graph.parts["mine"]
    return ["--head", part.entities.name(0), "--relation", part.relations.name(0)]


def test_a_model_is_pushed_pulled_and_cached(client: Client, student: TrainedModel) -> None:
    client.run("export", "student", "--format", "hub", "-o", "hf://me/mine")
    (files,) = client.hub.commits["me/mine"]
    assert (
        files["weights.safetensors"] == (client.home / "student/weights.safetensors").read_bytes()
    )
    assert set(files) == {x.name for x in (client.home / "student").iterdir()}
    assert client.hub.private == {"me/mine"}
    asked = _asked(student)
    local = client.run("predict", "student", *asked)
    assert client.run("predict", "hf://me/mine", *asked) == local
    n_downloads = len(client.hub.downloads)
    assert n_downloads == len(files)
    assert client.run("predict", f"hf://me/mine@{sha(0)}", *asked) == local
    assert len(client.hub.downloads) == n_downloads
    client.hub.commits.clear()  # Only the cache has it now.
    assert client.run("predict", f"hf://me/mine@{sha(0)}", *asked) == local


def test_what_the_hub_refuses_is_said(client: Client, student: TrainedModel) -> None:
    client.run("export", "student", "--format", "hub", "-o", "hf://me/mine")
    again = ["export", "student", "--format", "hub", "-o", "hf://me/mine"]
    assert "an existing repository needs --overwrite" in client.run(*again, status=1)
    client.run(*again, "--overwrite")
    assert len(client.hub.commits["me/mine"]) == 2
    asked = _asked(student)
    missing = client.run("predict", "hf://me/other", *asked, status=1)
    assert "hf://me/other: this model cannot be downloaded (" in missing
    assert "Traceback" not in missing
    assert "cannot be downloaded" in client.run("predict", "hf://me/mine@v9", *asked, status=1)
