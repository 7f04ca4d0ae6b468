"""The state of torch's random generators: seeded, saved and restored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

GENERATOR = "generator"
"""Prefix of the states' names in a checkpoint."""

OF_GPU = f"{GENERATOR}.cuda"


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the generators of the CPU and a device; restore their state when the block ends."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def states(device: torch.device) -> dict[str, Tensor]:
    """Return the states of the CPU's generator and a device's, by name."""
    found = {GENERATOR: torch.get_rng_state()}
    if device.type == "cuda":
        found[OF_GPU] = torch.cuda.get_rng_state(device)
    return found


def restore(found: Mapping[str, Tensor], device: torch.device) -> None:
    """Restore the result of ``states``; a GPU's state only on a GPU."""
    torch.set_rng_state(found[GENERATOR])
    if device.type == "cuda" and OF_GPU in found:
        torch.cuda.set_rng_state(found[OF_GPU], device)
