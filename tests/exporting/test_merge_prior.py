"""Rows with the frequency prior merged in: their scores are the model's."""

from __future__ import annotations

import torch

from kgraft.exporting.selection import merge_prior
from kgraft.model.frequency_prior import FrequencyPrior
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.settings import ModelSettings


def test_scores_are_the_models(student: TrainedModel) -> None:
    kge = student.kge
    plain = merge_prior(kge)
    assert plain.prior is None
    assert kge.prior is not None
    assert plain.settings.width == kge.settings.width + 2 * kge.prior.entities.shape[1]
    asked = torch.cartesian_prod(torch.arange(kge.n_entities), torch.arange(kge.n_relations)).T
    for side in ("tail", "head"):
        theirs, own = (x.score(*asked, side=side) for x in (plain, kge))
        torch.testing.assert_close(theirs, own, atol=1e-4, rtol=1e-4)


def test_neighbours_are_those_of_the_learned_numbers(student: TrainedModel) -> None:
    near, merged_near = (
        torch.nn.functional.normalize(x).mm(torch.nn.functional.normalize(x).T)
        for x in (student.kge.vectors(), merge_prior(student.kge).entities)
    )
    assert (near - merged_near).abs().max() < 0.05


def test_narrow_rows_become_wide_ones() -> None:
    model = KgeModel.create(ModelSettings(width=4, tables="bfloat16", init_scale=1.0), 5, 1)
    with_prior = model.with_prior(FrequencyPrior(torch.rand(5, 2), torch.rand(2, 2)))
    assert merge_prior(model) is model
    assert merge_prior(with_prior).entities.dtype == torch.float32


def test_other_encoders_have_no_such_rows() -> None:
    model = KgeModel.create(ModelSettings(width=4, encoder="gru"), 5, 1)
    with_prior = model.with_prior(FrequencyPrior(torch.rand(5, 2), torch.rand(2, 2)))
    assert merge_prior(with_prior) is with_prior
