"""Reloading of a model directory that is replaced while it is served."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from kgraft.errors import ModelDirectoryError
from kgraft.model.directory import load_model, save_model
from kgraft.model.trained_model import TrainedModel
from kgraft.serving import model_reloader
from kgraft.serving.model_reloader import ModelReloader

Fact = tuple[str, str, str]


@pytest.fixture
def place(directory: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(directory, tmp_path / "student"))


def test_another_model_in_the_directory_is_served(place: Path, another: TrainedModel) -> None:
    reloader = ModelReloader(place)
    told: list[bool] = []
    reloader.on_load = told.append
    before = reloader.model
    assert reloader.refresh()
    assert reloader.model is before
    save_model(another, place, overwrite=True)
    assert reloader.refresh()
    assert reloader.model is not before
    assert (reloader.model.model.kge.entities == another.kge.entities).all()
    assert told == [True]


@pytest.mark.slow
def test_collections_of_garbage_pass_by_a_loaded_model(place: Path, another: TrainedModel) -> None:
    gc.unfreeze()
    reloader = ModelReloader(place)
    spared = gc.get_freeze_count()
    assert spared > 10_000  # all that has been imported, too
    forgotten = weakref.ref(reloader.model)
    save_model(another, place, overwrite=True)
    assert reloader.refresh()
    gc.collect()
    assert forgotten() is None  # the model before it is not kept for good
    assert abs(gc.get_freeze_count() / spared - 1) < 0.5
    gc.unfreeze()


def test_memory_of_the_model_before_is_given_back(
    place: Path, another: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    reloader = ModelReloader(place)
    forgotten, alive = weakref.ref(reloader.model), []
    monkeypatch.setattr(
        model_reloader, "give_back", lambda: alive.append(forgotten() is not None), raising=False
    )
    save_model(another, place, overwrite=True)
    assert reloader.refresh()
    assert alive == [False]


@pytest.mark.slow
def test_what_cannot_be_loaded_leaves_the_old_model(place: Path, another: TrainedModel) -> None:
    reloader = ModelReloader(place)
    told: list[bool] = []
    reloader.on_load = told.append
    before = reloader.model
    weights = (place / "weights.safetensors").read_bytes()
    (place / "weights.safetensors").write_bytes(weights[:100])
    manifest = json.loads((place / "manifest.json").read_text())
    (place / "manifest.json").write_text(json.dumps(manifest))
    assert not reloader.refresh()
    assert reloader.model is before
    # Half a copy becomes a whole one without another manifest.
    (place / "weights.safetensors").write_bytes(weights)
    assert reloader.refresh()
    assert reloader.model is not before
    assert told == [False, True]


def test_a_manifest_writes_no_lines_of_its_own_into_the_log(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reloader = ModelReloader(place)
    manifest = json.loads((place / "manifest.json").read_text())
    manifest |= {"format": 99, "kgraft": "9.0\nA new model is served.\x1b[2J"}
    (place / "manifest.json").write_text(json.dumps(manifest))
    assert not reloader.refresh()
    assert "9.0\\u000aA new model is served.\\u001b[2J" in caplog.messages[-1]


def test_a_manifest_that_never_ends_is_refused_and_holds_nothing_up(place: Path) -> None:
    reloader = ModelReloader(place)
    before = reloader.model
    (place / "manifest.json").unlink()
    os.mkfifo(place / "manifest.json")
    assert not reloader.refresh()
    (place / "manifest.json").unlink()
    (place / "manifest.json").symlink_to("/dev/zero")
    assert not reloader.refresh()
    assert reloader.model is before


@pytest.mark.slow
def test_a_directory_that_is_away_is_waited_for(place: Path, another: TrainedModel) -> None:
    reloader = ModelReloader(place)
    before = reloader.model
    shutil.rmtree(place)
    assert reloader.refresh()
    assert reloader.model is before
    save_model(another, place)
    assert reloader.refresh()
    assert reloader.model is not before


def test_without_a_model_there_is_nothing_to_serve(tmp_path: Path) -> None:
    with pytest.raises(ModelDirectoryError, match=r"there is no manifest\.json here"):
        ModelReloader(tmp_path)


@pytest.mark.slow
def test_no_request_is_dropped_by_a_replacement(
    place: Path,
    another: TrainedModel,
    talk: Callable[..., Any],
    fact: Fact,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(model_reloader, "POLL_SECONDS", 0.01)
    reloader = ModelReloader(place)
    asked = {"head": fact[0], "relation": fact[1], "k": 3}

    async def session(client: httpx.AsyncClient) -> list[httpx.Response]:
        before = reloader.model
        saving = asyncio.create_task(asyncio.to_thread(save_model, another, place, overwrite=True))
        answers = []
        while reloader.model is before or len(answers) < 20:
            asking = [client.get("/v1/predict", params=asked) for _ in range(8)]
            answers += await asyncio.gather(*asking)
        await saving
        return [*answers, await client.get("/v1/predict", params=asked)]

    answers = talk(session, model=reloader)
    assert {x.status_code for x in answers} == {200}
    tails = [[x["tail"] for x in answer.json()["answers"][0]["predictions"]] for answer in answers]
    # Each request is answered by one of the two models, and by the second one from then on.
    change = tails.index(tails[-1])
    assert change > 0
    assert tails == [tails[0]] * change + [tails[-1]] * (len(tails) - change)


WRITER = """
import os, pathlib, signal, sys
from kgraft.cli.console import writing
from kgraft.model.directory import load_model, save_model
from kgraft.system import outputs
model, place, moment = sys.argv[1:]
place = pathlib.Path(place)
if "inside" in moment:
    outputs.is_fixed = lambda directory: directory == place
def dies(work):
    def until(*given):
        if moment.startswith("after"):
            work(*given)
        os.kill(os.getpid(), signal.SIGKILL)
    return until
if "exchange" in moment:
    outputs._exchange = dies(outputs._exchange)
elif "content" in moment:
    outputs._put_inside = dies(outputs._put_inside)
elif "settled" in moment:
    outputs._settle = dies(outputs._settle)
found = load_model(model)
with writing(place):
    save_model(found, place, overwrite=True)
"""
"""Saves a model in the place of another, and is killed at a moment."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "served"),
    [
        ("before the exchange", "old"),
        ("after the exchange", "new"),
        ("before the content inside", "old"),
        ("before it is settled inside", None),
        ("after it is settled inside", "new"),
    ],
)
def test_a_writer_that_is_killed_while_its_model_is_served_leaves_a_whole_one(
    place: Path, another: TrainedModel, moment: str, served: str | None, tmp_path: Path
) -> None:
    save_model(another, tmp_path / "next" / "model")
    models = {"old": load_model(place), "new": another}
    reloader = ModelReloader(place)
    told: list[bool] = []
    reloader.on_load = told.append

    def served_now(model: TrainedModel) -> str:
        (name,) = (key for key, x in models.items() if x.kge.entities.equal(model.kge.entities))
        return name

    def write(moment: str) -> int:
        command = [sys.executable, "-c", WRITER, str(tmp_path / "next" / "model"), str(place)]
        return subprocess.run([*command, moment], check=False).returncode

    assert write(moment) == -signal.SIGKILL
    assert reloader.refresh()
    assert served_now(reloader.model.model) == (served or "old")
    if served is None:
        with pytest.raises(ModelDirectoryError, match=r"stopped while it put a model here.*again"):
            ModelReloader(place)
    else:
        assert served_now(ModelReloader(place).model.model) == served
    assert write("never") == 0
    assert reloader.refresh()
    assert served_now(reloader.model.model) == served_now(ModelReloader(place).model.model) == "new"
    assert False not in told
    assert {x.name for x in tmp_path.iterdir()} == {"next", "student"}
    assert {x.name for x in place.iterdir()} == {
        x.name for x in place.iterdir() if x.name[0] != "."
    }
