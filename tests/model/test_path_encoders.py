"""GRU, RSN and Transformer: by hand where that can be done, and what all path encoders promise."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kgraft.model.encoders import Encoder, principal_directions
from kgraft.model.kge import make_encoder
from kgraft.model.path_encoders import LONGEST_PATH, Gru, Rsn, Transformer
from kgraft.settings import EncoderName, ModelSettings

ALL: tuple[EncoderName, ...] = ("complex", "gru", "rsn", "transformer")
LEARNED: tuple[EncoderName, ...] = ("gru", "rsn", "transformer")


def paths(seed: int, steps: int = 3, width: int = 8, size: int = 5) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    entities, relations = (torch.randn(size, steps, width, generator=draw) for _ in range(2))
    return entities, relations


def encoder(name: EncoderName, width: int = 8) -> Encoder:
    made = make_encoder(ModelSettings(encoder=name, width=width, layers=2, heads=2, dropout=0.2))
    return made.eval()


@pytest.mark.parametrize("name", ALL)
def test_a_query_sees_its_own_prefix_only(name: EncoderName) -> None:
    entities, relations = paths(0)
    whole = encoder(name)(entities, relations)
    assert whole.shape == entities.shape
    for steps in (1, 2):
        part = encoder(name)(entities[:, :steps], relations[:, :steps])
        torch.testing.assert_close(part, whole[:, :steps])


@pytest.mark.parametrize("name", ALL)
def test_a_query_depends_on_all_of_its_prefix_that_counts(name: EncoderName) -> None:
    entities, relations = paths(0)
    made = encoder(name)
    queries, vjp = made.forward_with_vjp(torch.stack([entities, relations]))
    assert queries.equal(made(entities, relations))
    of_queries = torch.zeros_like(queries)
    of_queries[:, 1] = 1.0
    of_relations, of_entities = vjp(of_queries)
    assert (of_relations[:, :2].abs().sum(-1) > 0).all()
    assert (of_relations[:, 2:] == 0).all()
    assert (of_entities[:, 0].abs().sum(-1) > 0).all()
    # ComplEx composes relations from the path's first entity; the others read each entity.
    assert (of_entities[:, 1].abs().sum(-1) > 0).all() == (name != "complex")
    # The encoder's own weights have learned by it, too.
    assert all(x.grad is not None for x in made.parameters())


@pytest.mark.parametrize("name", LEARNED)
def test_the_same_seed_makes_the_same_weights_and_leaves_other_draws_alone(
    name: EncoderName,
) -> None:
    settings = ModelSettings(encoder=name, width=8)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one = make_encoder(settings, seed=1)
    assert torch.rand(1) == expected
    again, other = make_encoder(settings, seed=1), make_encoder(settings, seed=2)
    for key, value in one.state_dict().items():
        assert value.equal(again.state_dict()[key])
    assert any(not x.equal(other.state_dict()[key]) for key, x in one.state_dict().items())


@pytest.mark.parametrize("name", LEARNED)
def test_dropout_is_for_training_only(name: EncoderName) -> None:
    made, path = encoder(name), paths(1)
    torch.testing.assert_close(made(*path), made(*path))
    made.train()
    assert not torch.equal(made(*path), made(*path))


def test_a_gru_reads_entity_then_relation() -> None:
    made = Gru(4, layers=1, dropout=0.0).eval()
    entities, relations = paths(2, steps=2, width=4)
    state = torch.zeros(1, 5, 4)
    for step in range(2):
        for element in (entities[:, step], relations[:, step]):
            output, state = made.gru(element[:, None], state)
        torch.testing.assert_close(made(entities, relations)[:, step], made.out(output[:, 0]))


def test_an_rsn_lets_the_subject_skip() -> None:
    made = Rsn(4, layers=1, dropout=0.0).eval()
    entities, relations = paths(3, steps=2, width=4)
    with torch.no_grad():
        made.from_state.weight.zero_()
        made.from_subject.weight.copy_(2 * torch.eye(4))
    torch.testing.assert_close(made(entities, relations), 2 * entities)


def test_a_transformer_needs_heads_that_divide_its_width_and_paths_that_fit() -> None:
    with pytest.raises(ValueError, match="3 heads do not divide the width 8"):
        Transformer(8, layers=1, heads=3, dropout=0.0)
    made = Transformer(4, layers=1, heads=2, dropout=0.0)
    long = torch.zeros(1, LONGEST_PATH + 1, 4)
    with pytest.raises(ValueError, match="at most 64 steps, not 65"):
        made(long, long)


def test_principal_directions_keep_what_is_longest() -> None:
    vectors = torch.tensor([[3.0, 3.0, 0.0], [-1.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
    kept = principal_directions(vectors, 1)
    torch.testing.assert_close((vectors @ kept).abs(), torch.tensor([[18**0.5], [2**0.5], [0.0]]))
    wider = principal_directions(vectors, 5)
    assert wider.shape == (3, 5)
    torch.testing.assert_close(vectors @ wider @ wider.T, vectors)


@pytest.mark.parametrize("name", LEARNED)
def test_gradients_by_finite_differences(name: EncoderName) -> None:
    made = encoder(name, width=4).double()
    entities, relations = (x.double().requires_grad_() for x in paths(4, 2, 4, 2))
    assert torch.autograd.gradcheck(made, (entities, relations))
