"""Candidates of validation queries, and weights fitted to them, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from kgraft.model.ensemble import DEFAULT_WEIGHTS, Features, ensemble_scores, weighed_features
from kgraft.pipeline import candidate_lists, fit_ensemble
from kgraft.pipeline.candidate_lists import CandidateLists, _best, _best_labelled, _usable
from kgraft.pipeline.fit_ensemble import FREQUENCIES, PRIOR_STRENGTH, WeighedFeatures

B, C, M = 60, 40, 3


@pytest.fixture
def features() -> Features:
    draw = torch.Generator().manual_seed(0)

    def numbers(columns: int = C) -> torch.Tensor:
        return torch.randn(B, columns, generator=draw)

    some = (torch.rand(B, C, generator=draw) < 0.2).float()
    inferred = numbers().abs() * (torch.rand(B, C, generator=draw) < 0.4)
    frequency = numbers()[:1].abs().expand(B, C)
    others = [numbers().gt(0).float() for _ in range(3)]
    return Features(
        numbers(), inferred, some, some * numbers(), torch.rand(B, 1, generator=draw), others[0],
        frequency, numbers()[:1].abs().expand(B, C), others[1], others[2],
    )  # fmt: skip


@pytest.fixture
def lists(features: Features) -> CandidateLists:
    draw = torch.Generator().manual_seed(1)
    usable = torch.rand(B, C, generator=draw) < 0.7
    answer = usable.float().multinomial(1, generator=draw).squeeze(1)
    answer[::7] = -1
    relation = torch.randint(2 * M - 1, (B,), generator=draw)  # one has no queries
    return CandidateLists(torch.arange(B), relation, features, usable, answer)


def test_scores_are_sums_of_weighed_features(features: Features) -> None:
    weights = torch.randn(B, len(DEFAULT_WEIGHTS), generator=torch.Generator().manual_seed(2))
    found = sum(weights[:, number, None] * x for number, x in enumerate(weighed_features(features)))
    assert torch.is_tensor(found)
    assert found.numpy() == pytest.approx(ensemble_scores(features, weights).numpy(), abs=1e-4)


@pytest.mark.parametrize("columns", [tuple(range(len(DEFAULT_WEIGHTS))), FREQUENCIES])
def test_weights_are_the_likeliest(
    lists: CandidateLists, columns: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_ensemble, "TOLERANCE", 1e-10)
    found = WeighedFeatures.of(lists).only(columns).fit(M)
    # The same on padded matrices, by autograd.
    asked = lists.answer >= 0
    usable, relation, answer = lists.usable[asked], lists.relation[asked], lists.answer[asked]
    values = torch.stack([x[asked].double() for x in weighed_features(lists.features)], dim=2)
    kept = torch.zeros(len(DEFAULT_WEIGHTS)).double()
    kept[list(columns)] = 1.0
    default = torch.tensor(DEFAULT_WEIGHTS).double()
    own = torch.zeros(2 * M + 1, len(DEFAULT_WEIGHTS), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([own], max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        weights = (default + own[-1] + own[relation]) * kept
        scores = (values * weights[:, None]).sum(2).masked_fill(~usable, -torch.inf)
        value = cross_entropy(scores, answer, reduction="sum")
        value = value + PRIOR_STRENGTH * own.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    wanted = (default + own[-1] + torch.cat([own[:-1], torch.zeros_like(own[:1])])).detach()
    assert found[:, list(columns)].numpy() == pytest.approx(
        wanted[:, list(columns)].numpy(), abs=2e-3
    )
    # A relation without queries has the weights of all.
    assert found[2 * M - 1].equal(found[-1])


def test_weights_of_a_part_do_not_depend_on_where_the_fit_begins(
    lists: CandidateLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_ensemble, "TOLERANCE", 1e-10)
    examples = WeighedFeatures.of(lists)
    part = examples.where(examples.query % 2 == 0)
    from_all = part.fit(M, examples.fit(M))
    assert from_all.numpy() == pytest.approx(part.fit(M).numpy(), abs=2e-3)
    only = WeighedFeatures.of(
        CandidateLists(
            lists.anchor[::2],
            lists.relation[::2],
            Features(*(x[::2] for x in lists.features)),
            lists.usable[::2],
            lists.answer[::2],
        )
    )
    assert only.fit(M).numpy() == pytest.approx(part.fit(M).numpy(), abs=2e-3)


def test_the_best_by_each_way_are_chosen_once(
    features: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = np.random.default_rng(3)
    left_out = torch.from_numpy(draw.random((B, C)) < 0.3)
    by_evidence = torch.from_numpy(draw.random((B, C)).astype(np.float32))
    along = torch.from_numpy(draw.integers(2 * M, size=B))
    monkeypatch.setattr(candidate_lists, "CANDIDATES", 4)
    best = _best(left_out, features, by_evidence.clone(), along)
    columns, kept = _usable([best], left_out)
    default = torch.tensor([DEFAULT_WEIGHTS])
    ways = [features.vectors, by_evidence, ensemble_scores(features, default)]
    for row in range(B):
        chosen = columns[row][kept[row]].tolist()
        assert len(set(chosen)) == len(chosen)
        assert not left_out[row][chosen].any()
        for scores in ways:
            allowed = scores[row].masked_fill(left_out[row], -torch.inf)
            assert set(allowed.topk(4).indices.tolist()) <= set(chosen)


def test_labelled_candidates_are_never_missed() -> None:
    labels = torch.zeros(3, 10, dtype=torch.bool)
    labels[0, [2, 7]] = True
    labels[2, 9] = True
    found = _best_labelled(labels, torch.arange(30.0).view(3, 10))
    assert set(found[0].tolist()) == {2, 7}
    assert 9 in found[2].tolist()
    assert _best_labelled(labels[:0], torch.zeros(0, 10)).shape == (0, 0)
