"""The encoder that settings name."""

from __future__ import annotations

import torch

from kgraft.model.encoders import ComplEx, Encoder
from kgraft.model.recurrent import Gru, Rsn
from kgraft.model.transformer import Transformer
from kgraft.settings import ModelSettings


def make_encoder(settings: ModelSettings, seed: int = 0) -> Encoder:
    """Make a new encoder; the same seed gives the same weights."""
    width, layers, dropout = settings.width, settings.layers, settings.dropout
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        match settings.encoder:
            case "complex":
                return ComplEx()
            case "gru":
                return Gru(width, layers=layers, dropout=dropout)
            case "rsn":
                return Rsn(width, layers=layers, dropout=dropout)
            case "transformer":
                return Transformer(width, layers=layers, heads=settings.heads, dropout=dropout)


def default_scale(settings: ModelSettings) -> float:
    """Return the standard deviation of the first rows."""
    if settings.init_scale is not None:
        return settings.init_scale
    return 1e-3 if settings.encoder == "complex" else 0.1
