"""The model: an entity table, a relation table, an encoder, and a score that is a dot product."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgraft.graph.known_facts import Side
from kgraft.graph.vocabulary import Rows
from kgraft.model.encoders import ComplEx, Encoder
from kgraft.model.frequency_prior import FrequencyPrior
from kgraft.model.path_encoders import Gru, Rsn, Transformer
from kgraft.model.products import product
from kgraft.model.scorer import directed
from kgraft.settings import ModelSettings

BLOCK_SCORES = 2**21
"""Scores of a block on a CPU: 8 MiB, which fit into its cache."""

BLOCK_ROWS = 2**16
"""The maximum number of rows of a block on a CPU; those of a narrow type are widened first."""

BLOCK_ROWS_GPU = 2**20
"""Rows of a block on a GPU."""


class KgeModel:
    """A knowledge graph embedding model.

    The score of ``(h, r, t)`` is the dot product of the encoded query ``(h, r)`` with the row of
    ``t``. A query ``(?, r, t)`` is encoded with the inverse relation, which has a row of its own
    (Lacroix et al., ICML 2018, "reciprocal").

    Args:
        settings: Encoder, width ``D``, and type of ``entities``.
        entities: ``(n, D)`` of the settings' type; ``vectors`` returns them as floats.
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
                f"a table of {entities.dtype} does not have the type of the settings, "
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
            torch.randn(n_rows, settings.width, generator=draw).mul_(_initial_std(settings))
            for n_rows in (n_entities, 2 * n_relations)
        )
        entities = entities.to(getattr(torch, settings.tables))
        return cls(settings, entities, relations, make_encoder(settings, seed))

    def on(self, device: torch.device) -> KgeModel:
        """Return the model if it is on the device, otherwise a copy there."""
        if device == self.device:
            return self
        encoder = copy.deepcopy(self.encoder).to(device)
        prior = None if self.prior is None else self.prior.on(device)
        tables = self.entities.to(device), self.relations.to(device)
        return KgeModel(self.settings, *tables, encoder, prior)

    def with_prior(self, prior: FrequencyPrior | None) -> KgeModel:
        """Return the model with another frequency prior; other weights are shared."""
        if prior is self.prior:
            return self
        return KgeModel(self.settings, self.entities, self.relations, self.encoder, prior)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.relations.device

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
        """Number of trained and fitted parameters."""
        fitted = () if self.prior is None else self.prior.tensors().values()
        own = (self.relations, *self.encoder.parameters(), *fitted)
        others: int = sum(x.numel() for x in own)
        return self.n_entities * self.settings.width + others

    def tensors(self) -> dict[str, Tensor]:
        """Return all weights by name, sharing memory with the model."""
        return {"entities": self.entities, **self._other_tensors()}

    def _other_tensors(self) -> dict[str, Tensor]:
        """Return all weights but the entity table."""
        dense = {f"encoder.{name}": value for name, value in self.encoder.state_dict().items()}
        prior = {} if self.prior is None else self.prior.tensors()
        return {"relations": self.relations, **dense, **prior}

    def saved_tensors(self) -> Mapping[str, Any]:
        """Return all weights by name, to be written; tables that are stored are not read."""
        return self.tensors()

    @torch.no_grad()
    def copy_from(self, tensors: Mapping[str, Tensor]) -> None:
        """Overwrite all weights with those of the same names."""
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
            entities_BL: int64 rows of the entity before each relation.
            relations_BL: int64 rows of relations, as in ``queries``.
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
            anchors: int64 ``(B,)``, heads if ``side`` is ``tail``, and vice versa.
            relations: int64 ``(B,)``, below ``n_relations``.
            side: The missing end of the fact.
            candidates: int64 ``(C,)`` entity rows; by default all.
            out: float32 ``(B, C)``, memory that may be used for the scores.

        Returns:
            Scores ``(B, C)`` on the model's device; higher is more plausible.
        """
        anchors = anchors.to(self.device)
        asked = directed(relations, side, self.n_relations).to(self.device)
        queries, chosen = self.queries(anchors, asked), self._selection(candidates)
        rows = self.entities[chosen]
        if self.prior is not None:
            prior_queries, own = self.prior.queries(self._places(anchors), asked)
            prior_rows = self.prior.entities[chosen]
        out = memory_of_scores(queries, len(rows), out)
        for block in score_blocks(len(queries), len(rows), on_cpu=out.device.type == "cpu"):
            scores = product(queries, rows[block].to(queries.dtype), out=out[:, block])
            if self.prior is not None:
                scores += product(prior_queries, prior_rows[block]).sub_(own)
        return out

    @torch.no_grad()
    def score_facts(self, heads_B: Tensor, relations_B: Tensor, tails_B: Tensor) -> Tensor:
        """Return the scores ``(B,)`` of facts, of int64 rows on the CPU."""
        found = (self.queries(heads_B, relations_B) * self.vectors(tails_B)).sum(1)
        if self.prior is not None:
            prior_queries, own = self.prior.queries(self._places(heads_B), relations_B)
            prior_rows = self.prior.entities[self._places(tails_B)]
            found += (prior_queries * prior_rows).sum(1) - own[:, 0]
        return found

    def vectors(self, rows: Tensor | None = None) -> Tensor:
        """Return float vectors ``(..., D)`` of entity rows ``(...)``, by default all."""
        return (self.entities if rows is None else self.entities[rows]).to(self.relations.dtype)

    def entity_rows(self, rows: Rows) -> Tensor:
        """Return rows of the entity table, in its type, ``(n, D)``."""
        return self.entities[torch.from_numpy(rows)]

    def blocks(self) -> Iterator[tuple[str, Tensor]]:
        """Yield all weights with their names, the entity table as blocks of its rows."""
        for first in range(0, max(self.n_entities, 1), BLOCK_ROWS):
            block = np.arange(first, min(first + BLOCK_ROWS, self.n_entities))
            yield "entities", self.entity_rows(block)
        prior = {} if self.prior is None else self.prior.tensors()
        yield from {"relations": self.relations, **self.encoder.state_dict(), **prior}.items()

    def has_vector(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Mask the entity rows that have a vector."""
        found: NDArray[np.bool_] = np.asarray(rows) < self.n_entities
        return found

    def prior_rows(self, rows: Tensor) -> Tensor:
        """Return the rows ``(n, K)`` of entities in the frequency prior, which there is."""
        if self.prior is None:
            raise ValueError("the model has no frequency prior")
        return self.prior.entities[self._places(rows)]

    def check_whole(self, action: str) -> None:
        """Check that all rows are in the tables, before they are saved or exported.

        Raises:
            KgraftError: If some are not.
        """

    def _places(self, rows: Tensor) -> Tensor:
        """Return the places of entity rows in the tables."""
        return rows

    def _selection(self, candidates: Tensor | None) -> slice | Tensor:
        """Return an index of entity rows, a slice (which copies nothing) for adjacent ones."""
        if candidates is None:
            return slice(None)
        first = int(candidates[0]) if len(candidates) else 0
        block = slice(first, first + len(candidates))
        adjacent = candidates.equal(torch.arange(block.start, block.stop))
        return block if adjacent else candidates.to(self.device)


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


def _initial_std(settings: ModelSettings) -> float:
    if settings.init_scale is not None:
        return settings.init_scale
    return 1e-3 if settings.encoder == "complex" else 0.1


def memory_of_scores(queries_BD: Tensor, n_rows: int, out: Tensor | None) -> Tensor:
    """Return memory for the scores of queries, ``(B, n_rows)``: ``out`` if it is of their kind."""
    if out is None or out.dtype != queries_BD.dtype or out.device != queries_BD.device:
        return queries_BD.new_empty(len(queries_BD), n_rows)
    return out


def score_blocks(n_queries: int, n_rows: int, *, on_cpu: bool) -> Iterator[slice]:
    """Split rows into blocks whose scores are computed at once."""
    size = min(max(BLOCK_SCORES // max(n_queries, 1), 1), BLOCK_ROWS) if on_cpu else BLOCK_ROWS_GPU
    return (slice(start, start + size) for start in range(0, n_rows, size))
