"""A model's vectors with a few more rows, which were not trained with the others."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgraft.errors import KgraftError, counted
from kgraft.graph.known_facts import Side
from kgraft.graph.vocabulary import Rows
from kgraft.model.frequency_prior import FrequencyPrior
from kgraft.model.kge import KgeModel
from kgraft.model.scorer import directed


class ExtendedKge(KgeModel):
    """Vectors of a model, whose tables it shares, and of a few more entity rows.

    Args:
        base: The model.
        rows: The further rows, ascending, int64 ``(N,)``; any numbers, also of rows that the model
            has, whose vectors are then replaced.
        added: Their vectors, float ``(N, D)``.
        added_prior: Their rows of the frequency prior, ``(N, K)``, if the model has one.

    Attributes:
        base: The model.
        rows: The further rows.
        added: Their vectors.
    """

    def __init__(
        self, base: KgeModel, rows: Rows, added: Tensor, added_prior: Tensor | None = None
    ) -> None:
        self.base, self.rows, self.added = base, rows, added
        self.settings, self.encoder = base.settings, base.encoder
        self.entities, self.relations = base.entities, base.relations
        self.prior = base.prior
        self._added_prior = added_prior
        if base.prior is not None and added_prior is not None:
            table = torch.cat([base.prior.entities, added_prior])
            self.prior = FrequencyPrior(table, base.prior.relations)

    @classmethod
    def of(
        cls, kge: KgeModel, rows: Rows, added: Tensor, added_prior: Tensor | None = None
    ) -> ExtendedKge:
        """Return vectors with further rows, in any order; those of a model with some join them."""
        if isinstance(kge, ExtendedKge):
            kept = torch.from_numpy(~np.isin(kge.rows, rows))
            rows = np.concatenate([kge.rows[kept.numpy()], rows])
            added = torch.cat([kge.added[kept], added])
            if kge._added_prior is not None and added_prior is not None:
                added_prior = torch.cat([kge._added_prior[kept], added_prior])
            kge = kge.base
        order = np.argsort(rows)
        places = torch.from_numpy(order)
        return cls(
            kge, rows[order], added[places], None if added_prior is None else added_prior[places]
        )

    def check_whole(self, action: str) -> None:
        """Refuse, since the further rows are in no table.

        Raises:
            KgraftError: Always.
        """
        raise KgraftError(
            f"a model with {counted(len(self.rows), 'entity')} folded in cannot be {action}. Use "
            "the model that they were folded into, or re-train with their facts."
        )

    def on(self, device: torch.device) -> KgeModel:
        """Return the model if it is on the device, otherwise a copy there."""
        if device == self.device:
            return self
        prior = None if self._added_prior is None else self._added_prior.to(device)
        return ExtendedKge(self.base.on(device), self.rows, self.added.to(device), prior)

    def with_prior(self, prior: FrequencyPrior | None) -> KgeModel:
        """Return the vectors without a frequency prior, or with the same."""
        if prior is not None:
            return self
        return ExtendedKge(self.base.with_prior(None), self.rows, self.added)

    def has_vector(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Mask the entity rows that have a vector."""
        found: NDArray[np.bool_] = self.base.has_vector(rows) | np.isin(rows, self.rows)
        return found

    def vectors(self, rows: Tensor | None = None) -> Tensor:
        """Return float vectors ``(..., D)`` of entity rows ``(...)``, by default the model's."""
        if rows is None:
            return super().vectors()
        places = self._places(rows)
        is_added = places >= self.n_entities
        if not is_added.any():
            return super().vectors(rows)
        found = super().vectors(places.where(~is_added, 0))
        found[is_added] = self.added[places[is_added] - self.n_entities].to(found.dtype)
        return found

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
        """Score candidates as ``KgeModel.score`` does, by default the model's own rows."""
        if candidates is None:
            return super().score(anchors, relations, side=side, out=out)
        is_added = torch.from_numpy(np.isin(candidates.numpy(), self.rows))
        if not is_added.any():
            return super().score(anchors, relations, side=side, candidates=candidates, out=out)
        old = super().score(anchors, relations, side=side, candidates=candidates[~is_added])
        found = old.new_empty(len(old), len(candidates))
        found[:, ~is_added] = old
        asked = directed(relations, side, self.n_relations).to(self.device)
        anchors, places = anchors.to(self.device), self._places(candidates[is_added])
        scores = self.queries(anchors, asked) @ self.added[places - self.n_entities].T
        if self.prior is not None:
            prior_queries, own = self.prior.queries(self._places(anchors), asked)
            scores += prior_queries @ self.prior.entities[places].T - own
        found[:, is_added] = scores
        return found

    def _places(self, rows: Tensor) -> Tensor:
        """Return the places of rows in the tables, with the further ones at their end."""
        known = torch.from_numpy(self.rows).to(rows.device)
        place = torch.searchsorted(known, rows.contiguous()).clamp(max=len(known) - 1)
        return torch.where(known[place] == rows, self.n_entities + place, rows)
