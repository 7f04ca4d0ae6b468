"""Devices for matrix products: the CPU or a CUDA GPU."""

from __future__ import annotations

import torch

from kgraft.errors import SettingsError

CPU = torch.device("cpu")


def parse_device(name: str | torch.device) -> torch.device:
    """Return the device named ``cpu``, ``cuda``, ``cuda:1``, ..., or ``auto``.

    ``auto`` is the first GPU where there is one, else the CPU.

    Raises:
        SettingsError: If it has another name, or is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type == "cpu":
        return CPU
    if device.type != "cuda":
        raise SettingsError(f"no device is called {str(name)!r}; write cpu, cuda, cuda:1 or auto")
    if not torch.cuda.is_available():
        raise SettingsError(
            f"this PyTorch ({torch.__version__}) finds no GPU for device {str(name)!r}; take "
            "device cpu, or install PyTorch for CUDA and a driver that suits it"
        )
    place = device.index or 0
    if place >= torch.cuda.device_count():
        last = torch.cuda.device_count() - 1
        raise SettingsError(f"there is no device {str(name)!r}; the last GPU is cuda:{last}")
    return torch.device("cuda", place)
