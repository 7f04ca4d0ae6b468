"""The model: an entity table, a relation table, an encoder, and a score that is a dot product."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from kgraft.graph.known_facts import Side
from kgraft.model.encoders import Encoder
from kgraft.model.frequency_prior import FrequencyPrior
from kgraft.model.make_encoder import default_scale, make_encoder
from kgraft.model.products import product
from kgraft.model.scorer import directed
from kgraft.settings import ModelSettings

MOST_SCORES = 2**21
"""Scores made at once: 8 MiB, which are still in the cache when they go to their place."""

MOST_ROWS = 2**16
"""Rows scored at once; those of a narrow type are widened first."""

MOST_ON_GPU = 2**20
"""The same on a GPU, where many small products take longer than one."""


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
        prior: The frequency prior, if one has been fitted.

    Raises:
        ValueError: If shapes or types do not agree with the settings.
    """

    def __init__(
        self,
        settings: ModelSettings,
        entities: Tensor,
        relations: Tensor,
        encoder: Encoder | None = None,
        prior: FrequencyPrior | None = None,
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
        if prior is not None and not prior.fits(len(entities), len(relations)):
            raise ValueError("the frequency prior does not fit the tables of the vectors")
        self.settings = settings
        self.entities = entities
        self.relations = relations
        self.encoder = encoder if encoder is not None else make_encoder(settings)
        self.prior = prior

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
        prior = None if self.prior is None else self.prior.on(device)
        tables = self.entities.to(device), self.relations.to(device)
        return KgeModel(self.settings, *tables, encoder, prior)

    def with_prior(self, prior: FrequencyPrior | None) -> KgeModel:
        """Return the model with this frequency prior, or without one; the rest is shared."""
        if prior is self.prior:
            return self
        return KgeModel(self.settings, self.entities, self.relations, self.encoder, prior)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
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
        """Number of trained and fitted numbers."""
        fitted = () if self.prior is None else self.prior.tensors().values()
        own = (self.entities, self.relations, *self.encoder.parameters(), *fitted)
        return sum(x.numel() for x in own)

    def tensors(self) -> dict[str, Tensor]:
        """Return all weights by name; they share memory with the model."""
        dense = {f"encoder.{name}": value for name, value in self.encoder.state_dict().items()}
        prior = {} if self.prior is None else self.prior.tensors()
        return {"entities": self.entities, "relations": self.relations, **dense, **prior}

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
        anchors = anchors.to(self.device)
        asked = directed(relations, side, self.n_relations).to(self.device)
        queries, chosen = self.queries(anchors, asked), self._chosen(candidates)
        rows = self.entities[chosen]
        if self.prior is not None:
            prior_queries, own = self.prior.queries(anchors, asked)
            prior_rows = self.prior.entities[chosen]
        if out is None or out.dtype != queries.dtype or out.device != queries.device:
            out = queries.new_empty(len(queries), len(rows))
        for block in _blocks(len(queries), len(rows), on_cpu=out.device.type == "cpu"):
            scores = product(queries, rows[block].to(queries.dtype), out=out[:, block])
            if self.prior is not None:
                scores += product(prior_queries, prior_rows[block]).sub_(own)
        return out

    @torch.no_grad()
    def score_facts(self, heads_B: Tensor, relations_B: Tensor, tails_B: Tensor) -> Tensor:
        """Score facts, ``(B,)``, each as ``score`` does its tail; all int64, on the CPU."""
        found = (self.queries(heads_B, relations_B) * self.vectors(tails_B)).sum(1)
        if self.prior is not None:
            prior_queries, own = self.prior.queries(heads_B, relations_B)
            found += (prior_queries * self.prior.entities[tails_B]).sum(1) - own[:, 0]
        return found

    def vectors(self, rows: Tensor | None = None) -> Tensor:
        """Return rows of entities to calculate with, by default all, perhaps the table itself.

        Args:
            rows: int64, of any shape; the vectors have one dimension more.
        """
        return (self.entities if rows is None else self.entities[rows]).to(self.relations.dtype)

    def _chosen(self, candidates: Tensor | None) -> slice | Tensor:
        """Return what chooses rows of entities; those that follow each other are not copied."""
        if candidates is None:
            return slice(None)
        first = int(candidates[0]) if len(candidates) else 0
        block = slice(first, first + len(candidates))
        if candidates.equal(torch.arange(block.start, block.stop)):
            return block
        return candidates.to(self.device)


def _blocks(n_queries: int, n_rows: int, *, on_cpu: bool) -> Iterator[slice]:
    """Split rows into those scored at once."""
    most = min(max(MOST_SCORES // max(n_queries, 1), 1), MOST_ROWS) if on_cpu else MOST_ON_GPU
    return (slice(start, start + most) for start in range(0, n_rows, most))
