"""The model: an entity table, a relation table, an encoder, and a score that is a dot product."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from kgraft.config import ModelSettings
from kgraft.graph.known_facts import Side
from kgraft.model.encoders import Encoder
from kgraft.model.make_encoder import default_scale, make_encoder
from kgraft.model.products import product
from kgraft.model.scorer import directed

MOST_SCORES = 2**21
"""Scores made at once: 8 MiB, which are still in the cache when they go to their place."""

MOST_ROWS = 2**16
"""Rows scored at once; those of a narrow type are widened first."""


class KgeModel:
    """A knowledge graph embedding model.

    A query ``(h, r, ?)`` is a path of length one: the encoder makes a vector of it, and an entity's
    score is that vector's dot product with the entity's row. A query ``(?, r, t)`` is the same with
    the inverse relation, which has a row of its own (Lacroix et al., ICML 2018, "reciprocal").

    Args:
        settings: Encoder, width ``D``, and what ``entities`` are kept in.
        entities: ``(n, D)`` of the settings' type; ``vectors`` returns rows to calculate with.
        relations: float ``(2 m, D)``: row ``r + m`` is the inverse of relation ``r``.
        encoder: The encoder; by default a new one by the settings.

    Raises:
        ValueError: If shapes or types do not agree with the settings.
    """

    def __init__(
        self,
        settings: ModelSettings,
        entities: Tensor,
        relations: Tensor,
        encoder: Encoder | None = None,
    ) -> None:
        if entities.shape[1:] != (settings.width,) or relations.shape[1:] != (settings.width,):
            raise ValueError(
                f"tables of shape {tuple(entities.shape)} and {tuple(relations.shape)} "
                f"do not have the width {settings.width}"
            )
        if (entities.dtype == torch.bfloat16) != (settings.tables == "bfloat16"):
            raise ValueError(
                f"a table of {entities.dtype} is not that of a model that keeps entities in "
                f"{settings.tables}"
            )
        if len(relations) % 2:
            raise ValueError("every relation needs a row and an inverse row")
        self.settings = settings
        self.entities = entities
        self.relations = relations
        self.encoder = encoder if encoder is not None else make_encoder(settings)

    @classmethod
    def create(
        cls, settings: ModelSettings, n_entities: int, n_relations: int, seed: int = 0
    ) -> KgeModel:
        """Make an untrained model with normally distributed rows."""
        draw = torch.Generator().manual_seed(seed)
        entities, relations = (
            torch.randn(n_rows, settings.width, generator=draw) * default_scale(settings)
            for n_rows in (n_entities, 2 * n_relations)
        )
        kept = entities.to(getattr(torch, settings.tables))
        return cls(settings, kept, relations, make_encoder(settings, seed))

    def on(self, device: torch.device) -> KgeModel:
        """Return the model on a device: itself where it is there, or else a copy."""
        if device == self.device:
            return self
        encoder = copy.deepcopy(self.encoder).to(device)
        return KgeModel(self.settings, self.entities.to(device), self.relations.to(device), encoder)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.entities.device

    @property
    def n_entities(self) -> int:
        """Number of entity rows."""
        return len(self.entities)

    @property
    def n_relations(self) -> int:
        """Number of relations, inverses not counted."""
        return len(self.relations) // 2

    @property
    def n_parameters(self) -> int:
        """Number of trained numbers."""
        dense = sum(parameter.numel() for parameter in self.encoder.parameters())
        return self.entities.numel() + self.relations.numel() + dense

    def tensors(self) -> dict[str, Tensor]:
        """Return all weights by name; they share memory with the model."""
        dense = {f"encoder.{name}": value for name, value in self.encoder.state_dict().items()}
        return {"entities": self.entities, "relations": self.relations, **dense}

    @torch.no_grad()
    def copy_from(self, tensors: Mapping[str, Tensor]) -> None:
        """Overwrite all weights with those that ``tensors`` holds by the same names."""
        for name, own in self.tensors().items():
            own.copy_(tensors[name])

    @torch.no_grad()
    def queries(self, anchors_B: Tensor, relations_B: Tensor) -> Tensor:
        """Encode ``(anchor, relation)`` as query vectors ``(B, D)``.

        Args:
            anchors_B: int64 entity rows.
            relations_B: int64 relation rows; ``r + n_relations`` asks along the inverse.
        """
        return self.path_queries(anchors_B[:, None], relations_B[:, None])[:, 0]

    @torch.no_grad()
    def path_queries(self, entities_BL: Tensor, relations_BL: Tensor) -> Tensor:
        """Encode the prefixes of paths as query vectors ``(B, L, D)``, without dropout.

        Args:
            entities_BL: int64 rows of the entities that the steps leave from.
            relations_BL: int64 rows of the relations that they follow, as in ``queries``.
        """
        self.encoder.eval()
        encoded: Tensor = self.encoder(self.vectors(entities_BL), self.relations[relations_BL])
        return encoded

    @torch.no_grad()
    def score(
        self,
        anchors: Tensor,
        relations: Tensor,
        *,
        side: Side,
        candidates: Tensor | None = None,
        out: Tensor | None = None,
    ) -> Tensor:
        """Score candidates for queries.

        Args:
            anchors: int64 ``(B,)``: heads where tails are asked for, and the other way round.
            relations: int64 ``(B,)``, below ``n_relations``.
            side: The place that is asked for.
            candidates: int64 ``(C,)`` entity rows; ``None`` takes all.
            out: float32 ``(B, C)``, memory that the scores may go to.

        Returns:
            Scores ``(B, C)``, higher is more plausible, where the model is.
        """
        asked = directed(relations, side, self.n_relations)
        queries = self.queries(anchors.to(self.device), asked.to(self.device))
        rows = self._rows(candidates)
        if out is not None and out.dtype == queries.dtype and out.device == queries.device:
            scores = out
        else:
            scores = queries.new_empty(len(queries), len(rows))
        if scores.is_cuda and rows.dtype == queries.dtype:
            return torch.mm(queries, rows.T, out=scores)
        at_once = min(max(MOST_SCORES // max(len(queries), 1), 1), MOST_ROWS)
        for start in range(0, len(rows), at_once):
            block = slice(start, start + at_once)
            scores[:, block] = product(queries, rows[block].to(queries.dtype))
        return scores

    def vectors(self, rows: Tensor | None = None) -> Tensor:
        """Return rows of entities to calculate with, by default all, perhaps the table itself.

        Args:
            rows: int64, of any shape; the vectors have one dimension more.
        """
        return (self.entities if rows is None else self.entities[rows]).to(self.relations.dtype)

    def _rows(self, candidates: Tensor | None) -> Tensor:
        """Return rows of entities, ``(C, D)``; those that follow each other are not copied."""
        if candidates is None:
            return self.entities
        first = int(candidates[0]) if len(candidates) else 0
        block = slice(first, first + len(candidates))
        if candidates.equal(torch.arange(block.start, block.stop)):
            return self.entities[block]
        return self.entities[candidates.to(self.device)]
