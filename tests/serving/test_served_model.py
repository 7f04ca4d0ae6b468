"""Entity vectors in two dimensions."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from kgraft.inference.names import ModelNames
from kgraft.io.interchange import from_arrays
from kgraft.linking.collection import collect
from kgraft.pipeline.train import train
from kgraft.serving.map_view import MAX_GROUPS, MAX_POINTS, Projection, grouped, map_view, sample
from kgraft.serving.model_reloader import ModelReloader
from kgraft.settings import TrainSettings

SHORT = {"model": {"width": 8}, "training": {"epochs": 1}}


def test_places_fill_the_map_by_one_scale_and_what_is_far_out_stands_at_its_edge() -> None:
    # 999 points on a line from -1 to 1 in the first direction, a tenth of that in the second, and
    # one that is far out.
    line = torch.linspace(-1, 1, 999)
    wave = 0.1 * torch.sign(torch.sin(100 * line))
    vectors = torch.cat([torch.stack([line, wave, 0 * line], dim=1), torch.tensor([[50.0, 0, 0]])])
    projection = Projection(vectors)
    assert projection.positions[-1, 0] == 1.0
    across, down = np.abs(projection.positions[:-1]).max(axis=0)
    assert 0.9 < across <= 1.0
    assert down / across == pytest.approx(0.1, rel=0.1)
    assert projection.explained_variance[0] > projection.explained_variance[1] > 0


@pytest.mark.parametrize("shape", [(1, 4), (2, 2), (3, 2), (5, 4)])
def test_few_vectors_have_places_too(shape: tuple[int, int]) -> None:
    projection = Projection(torch.ones(shape))
    assert projection.positions.shape == (shape[0], 2)
    assert np.isfinite(projection.positions).all()


def test_of_very_many_some_are_drawn_the_best_connected_first() -> None:
    degree = np.random.default_rng(0).integers(0, 1000, 5 * MAX_POINTS)
    shown = sample(degree)
    assert len(shown) == len({*shown.tolist()}) == MAX_POINTS
    assert (np.diff(degree[shown]) <= 0).all()
    assert degree[shown[-1]] == degree.min()
    assert sample(degree[:5]).tolist() == np.argsort(-degree[:5], kind="stable").tolist()


def test_few_groups_colour_the_map() -> None:
    texts = [f"g{number}" for number in range(20) for _ in range(20 - number)]
    found = grouped(texts)
    assert found.names == [*(f"g{number}" for number in range(MAX_GROUPS - 1)), "others"]
    assert [found.names[x] for x in found.of[:21]] == ["g0"] * 20 + ["g1"]
    assert found.names[found.of[-1]] == "others"
    assert grouped(["b", "a", "b"]).names == ["b", "a"]


def test_entities_are_grouped_by_source_and_by_type(reloader: ModelReloader) -> None:
    model = reloader.model
    shown = json.loads(model.map_json)
    assert len(shown["names"]) == len(shown["points"]) == shown["entities"]
    own, others = model.named.part, [x for x in model.model.graph.sources if x != "mine"]
    for name, group in list(zip(shown["names"], shown["by_source"]["of"], strict=True))[:20]:
        row = int(own.entity_rows[own.entities.row(name)])
        known = [x for x in others if row in model.model.graph.part(x).entity_rows]
        text = shown["by_source"]["names"][group]
        assert text == "others" or text == (
            f"also {' and '.join(known)}" if known else "mine alone"
        )
    # This graph states no types, so that its relations say what an entity is.
    assert all(x.startswith(("head of ", "tail of ", "others")) for x in shown["by_type"]["names"])


def test_stated_types_are_groups() -> None:
    types = [(place, 0, 6 + place % 2) for place in range(4)]
    own = from_arrays(
        "mine",
        [*types, (0, 1, 1), (1, 1, 2), (2, 1, 3), (3, 1, 4), (4, 1, 5)],
        entities=["a", "b", "c", "d", "e", "f", "Town", "River"],
        relations=["http://www.w3.org/1999/02/22-rdf-syntax-ns#type", "p"],
    )
    model = train(collect([own]), TrainSettings.model_validate(SHORT))
    names = ModelNames(model)
    rows = np.arange(8)
    shown = map_view(names, rows, Projection(torch.ones(8, 4)))
    kinds = [shown.by_type.names[group] for group in shown.by_type.of]
    assert dict(zip(shown.names, kinds, strict=True)) == {
        "a": "Town", "b": "River", "c": "Town", "d": "River", "e": "nothing is stated",
        "f": "nothing is stated", "Town": "nothing is stated", "River": "nothing is stated",
    }  # fmt: skip
