"""Models of the Hugging Face Hub, downloaded without a network."""

from __future__ import annotations

import sys
from fnmatch import fnmatch
from pathlib import Path
from shutil import copytree, ignore_patterns
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import (
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from kgraft.errors import KgraftError, ModelDirectoryError
from kgraft.model.directory import load_model
from kgraft.model.hub import PATTERNS, downloaded
from kgraft.model.trained_model import TrainedModel


class Hub:
    """Has one repository, of two revisions, and a cache."""

    def __init__(self, files: Path, cache: Path) -> None:
        self.files, self.cache, self.asked = files, cache, []

    def snapshot_download(self, name: str, *, revision: str | None, allow_patterns: Any) -> str:
        self.asked.append((name, revision))
        response: Any = SimpleNamespace(headers={}, request=None)
        if name == "me/offline":
            raise LocalEntryNotFoundError("cannot find the files in the cache, and no connection")
        if name != "me/el":
            raise RepositoryNotFoundError("404: Repository Not Found\nfor url", response=response)
        if revision not in (None, "v1"):
            raise RevisionNotFoundError("404: Revision Not Found", response=response)
        others = [x.name for x in self.files.iterdir()]
        others = [x for x in others if not any(fnmatch(x, one) for one in allow_patterns)]
        copytree(self.files, self.cache, ignore=ignore_patterns(*others), dirs_exist_ok=True)
        return str(self.cache)


@pytest.fixture
def hub(student: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    student.save(tmp_path / "sent")
    (tmp_path / "sent" / "notes.bin").write_bytes(b"large")
    hub = Hub(tmp_path / "sent", tmp_path / "cache")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.snapshot_download)
    return hub


@pytest.mark.parametrize(
    "place", ["hf://me/el", "hf://me/el@v1", Path("hf://me/el"), Path("hf://me/el@v1")]
)
def test_a_model_is_downloaded(hub: Hub, student: TrainedModel, place: str | Path) -> None:
    model = load_model(place)
    assert model.kge.entities.equal(student.kge.entities)
    assert hub.asked == [("me/el", "v1" if "@" in str(place) else None)]
    assert not (hub.cache / "notes.bin").exists()


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("hf://me/none", "404: Repository Not Found"),
        ("hf://me/el@v9", "404: Revision Not Found"),
        ("hf://me/offline", "no connection"),
    ],
)
def test_missing_models_are_reported(hub: Hub, place: str, reason: str) -> None:
    with pytest.raises(ModelDirectoryError) as caught:
        load_model(place)
    assert str(caught.value).startswith(f"{place}: this model cannot be downloaded (")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "hf auth login" in str(caught.value)


def test_without_the_extra_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(KgraftError, match=r"pip install 'kgraft\[hub\]'"):
        load_model("hf://me/el")


def test_paths_are_no_addresses(tmp_path: Path) -> None:
    for place in ("hf", "hf:student", str(tmp_path), "https://example.org/hf://me/el"):
        assert downloaded(place) is None


def test_all_files_of_a_model_are_asked_for(student: TrainedModel, tmp_path: Path) -> None:
    student.save(tmp_path / "model")
    for path in (tmp_path / "model").iterdir():
        assert any(fnmatch(path.name, pattern) for pattern in PATTERNS), path.name
