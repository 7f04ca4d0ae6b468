"""Recurrent encoders of paths: a GRU, and the recurrent skipping network.

Shapes: B paths of a batch, L steps of a path, D the width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kgraft.model.encoders import Encoder


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
