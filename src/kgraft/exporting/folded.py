"""A model whose vectors hold all that its scores are made of."""

from __future__ import annotations

import torch

from kgraft.model.kge import KgeModel

SMALL = 2.0**-5
"""What entities' further numbers are multiplied by, and relations' divided by its square, so that
neighbours by cosine are those of the learned numbers; a power of two rounds nothing."""


def folded(kge: KgeModel) -> KgeModel:
    """Return a model that scores alike, and whose rows hold what is usual, too.

    ComplEx takes K more complex numbers for it (see ``kgraft.model.frequency_prior``). Where the
    encoder is another one, or nothing was fitted, it is the model itself.
    """
    usual = kge.prior
    if usual is None or kge.settings.encoder != "complex":
        return kge
    ones, zeros = torch.full_like(usual.entities, SMALL), torch.zeros_like(usual.relations)
    entities, relations = (
        torch.cat([real, more_real, imaginary, more_imaginary], dim=1)
        for (real, imaginary), more_real, more_imaginary in (
            (kge.vectors().chunk(2, dim=1), ones, SMALL * usual.entities),
            (kge.relations.chunk(2, dim=1), zeros, usual.relations / SMALL**2),
        )
    )
    width = kge.settings.width + 2 * usual.entities.shape[1]
    settings = kge.settings.model_copy(update={"width": width, "tables": "float32"})
    return KgeModel(settings, entities, relations)
