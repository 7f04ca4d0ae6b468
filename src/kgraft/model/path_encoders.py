"""Encoders of paths by neural networks: a GRU, the recurrent skipping network, and a Transformer.

Shapes: B paths of a batch, L steps of a path, D the width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kgraft.model.encoders import Encoder

LONGEST_PATH = 64
"""The maximum number of steps of a path."""


class _Recurrent(Encoder):
    """A GRU over the elements of a path in turn: entity, relation, entity, relation, ...

    Args:
        width: ``D``, of inputs, hidden states and queries.
        layers: GRU layers.
        dropout: Dropout rate of inputs and between layers.
    """

    def __init__(self, width: int, *, layers: int, dropout: float) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self.gru = nn.GRU(width, width, layers, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(dropout)

    def _after_relations(self, entities_BLD: Tensor, relations_BLD: Tensor) -> Tensor:
        """Return the hidden states ``(B, L, D)`` after each relation."""
        elements = torch.stack([entities_BLD, relations_BLD], dim=2).flatten(1, 2)
        hidden, _ = self.gru(self.dropout(elements))
        states: Tensor = hidden[:, 1::2]
        return states


class Gru(_Recurrent):
    """Gated recurrent unit (Cho et al., EMNLP 2014), queries from the states after relations.

    ``q_l = W GRU(e_0, r_0, e_1, r_1, ..., e_l, r_l) + b``.
    """

    def __init__(self, width: int, *, layers: int, dropout: float) -> None:
        super().__init__(width, layers=layers, dropout=dropout)
        self.out = nn.Linear(width, width)

    def forward(self, entities_BLD: Tensor, relations_BLD: Tensor) -> Tensor:
        """Encode the prefixes of paths as queries ``(B, L, D)``."""
        queries: Tensor = self.out(self._after_relations(entities_BLD, relations_BLD))
        return queries


class Rsn(_Recurrent):
    """Recurrent skipping network (Guo et al., "Learning to exploit long-term relational
    dependencies in knowledge graphs", ICML 2019, eq. 4).

    The subject entity is connected to the query directly: ``q_l = S_1 h_l + S_2 e_l``, where
    ``h_l`` is the GRU's state after ``r_l``.
    """  # noqa: D205

    def __init__(self, width: int, *, layers: int, dropout: float) -> None:
        super().__init__(width, layers=layers, dropout=dropout)
        self.from_state = nn.Linear(width, width, bias=False)
        self.from_subject = nn.Linear(width, width, bias=False)

    def forward(self, entities_BLD: Tensor, relations_BLD: Tensor) -> Tensor:
        """Encode the prefixes of paths as queries ``(B, L, D)``."""
        states = self._after_relations(entities_BLD, relations_BLD)
        queries: Tensor = self.from_state(states) + self.from_subject(entities_BLD)
        return queries


class Transformer(Encoder):
    """Transformer (Vaswani et al., NeurIPS 2017) over entity, relation, entity, relation, ...

    An input is the sum of an element's vector, a position vector, and a type vector (entity or
    relation). Attention is causal, so the output at relation ``r_l`` depends on
    ``e_0, r_0, ..., e_l, r_l`` and is the query for ``e_{l+1}``. Layers are pre-norm.

    Args:
        width: ``D``, of inputs and queries.
        layers: Attention layers.
        heads: Attention heads, a divisor of the width.
        dropout: Dropout rate.

    Raises:
        ValueError: If the heads do not divide the width.
    """

    def __init__(self, width: int, *, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide the width {width}")
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.positions = nn.Parameter(torch.randn(2 * LONGEST_PATH, width) * 0.02)
        self.types = nn.Parameter(torch.randn(2, width) * 0.02)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.out = nn.Linear(width, width)

    def forward(self, entities_BLD: Tensor, relations_BLD: Tensor) -> Tensor:
        """Encode the prefixes of paths as queries ``(B, L, D)``.

        Raises:
            ValueError: If a path has more than ``LONGEST_PATH`` steps.
        """
        steps = entities_BLD.shape[1]
        if steps > LONGEST_PATH:
            raise ValueError(f"a path has at most {LONGEST_PATH} steps, not {steps}")
        elements = torch.stack([entities_BLD, relations_BLD], dim=2).flatten(1, 2)
        places = self.positions[: 2 * steps] + self.types.repeat(steps, 1)
        mask = nn.Transformer.generate_square_subsequent_mask(2 * steps, device=elements.device)
        inputs = self.dropout(self.norm(elements) + places)
        hidden = self.layers(inputs, mask=mask, is_causal=True)
        queries: Tensor = self.out(hidden[:, 1::2])
        return queries
