"""The state of torch's generators: set for an epoch, kept in a checkpoint, gone on with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

GENERATOR = "generator"
"""What begins the names of their states among a checkpoint's tensors."""

OF_GPU = f"{GENERATOR}.cuda"


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Let what is drawn on the CPU and a device depend on the seed only; what was before is back
    when the block ends.
    """  # noqa: D205
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
    """Go back to what ``states`` has returned; that of a device of another kind is left out."""
    torch.set_rng_state(found[GENERATOR])
    if device.type == "cuda" and OF_GPU in found:
        torch.cuda.set_rng_state(found[OF_GPU], device)
