"""Devices by their names, and what is said of those that are not there."""

from __future__ import annotations

import pytest
import torch

from kgraft.errors import KgraftError, SettingsError
from kgraft.settings import ModelSettings, TrainSettings
from kgraft.system.devices import CPU, parse_device
from kgraft.system.memory import require_on_gpu


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    return monkeypatch


def test_names_of_gpus(gpus: pytest.MonkeyPatch) -> None:
    assert parse_device("cpu") == parse_device(CPU) == CPU
    assert parse_device("cuda") == parse_device("auto") == torch.device("cuda", 0)
    assert parse_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(SettingsError, match="'cuda:2'; the last GPU is cuda:1"):
        parse_device("cuda:2")
    gpus.setattr(torch.cuda, "is_available", lambda: False)
    assert parse_device("auto") == CPU


def test_a_gpu_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingsError, match="finds no GPU for device 'cuda'; take device cpu"):
        parse_device("cuda")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "mps", "meta", "cuda:-1"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="write cpu, cuda, cuda:1 or auto"):
        parse_device(name)


def test_what_does_not_fit_into_a_gpu_is_refused_before_it_is_moved() -> None:
    settings = TrainSettings(model=ModelSettings(width=100))
    # A row and its sums of squares, and the best rows so far, of four bytes a number.
    needed = 3 * 4 * 100 * (1000 + 2 * 10) + 40 * 500
    require_on_gpu(settings, 1000, 10, 500, free=needed)
    with pytest.raises(
        KgraftError, match=r"of the GPU's memory for 1,000 entities of width 100.*CPU"
    ):
        require_on_gpu(settings, 1000, 10, 500, free=needed - 1)
