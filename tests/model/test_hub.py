"""Models of the Hugging Face Hub, downloaded without a network."""

from __future__ import annotations

import sys
from contextlib import suppress
from fnmatch import fnmatch
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from shutil import copytree, ignore_patterns
from threading import Thread
from types import SimpleNamespace
from typing import Any

import hub_server
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


OUTSIDE = (
    "../../../../escaped.json",
    "/escaped.json",
    "a/../../../../../escaped.json",
    "..\\x.json",
)


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_file_of_a_repository_stays_in_the_cache(
    student: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    student.save(tmp_path / "sent")
    files = {x.name: x.read_bytes() for x in (tmp_path / "sent").iterdir()}
    hub, cache = hub_server.Hub(), tmp_path / "deep" / "er" / "cache"
    hub.commits["me/el"] = [{**files, name: b"{}"}]
    download = huggingface_hub.snapshot_download
    with hub_server.running(hub) as address:
        how: Any = {"endpoint": address, "cache_dir": cache, "token": False}
        monkeypatch.setattr(huggingface_hub, "snapshot_download", partial(download, **how))
        with suppress(ModelDirectoryError):
            load_model("hf://me/el")
    written = [x for x in tmp_path.rglob("*.json") if x.parent != tmp_path / "sent"]
    assert all(cache in x.parents for x in written)
    assert not Path("/escaped.json").exists()


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"siblings": 1}', b"\xff", b"null"])
def test_what_is_no_hub_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    class Rubbish(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Rubbish) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        how: Any = {"endpoint": f"http://127.0.0.1:{server.server_port}", "cache_dir": tmp_path}
        download = partial(huggingface_hub.snapshot_download, token=False, **how)
        monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
        with pytest.raises(ModelDirectoryError, match="hf://me/el: this model cannot be"):
            load_model("hf://me/el")
        server.shutdown()
