"""A model of two groups of cities, which vectors tell apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.join import join
from kgraft.model.encoders import complex_product
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.settings import TrainSettings

WIDTH = 16


@pytest.fixture
def two_groups() -> TrainedModel:
    """Cities c0 to c4 in north and c5 to c9 in south: vectors say so, by one relation, in.

    A query (c, in) is the vector of its country, and (country, in, inverse) that of its cities.
    """
    cities = [f"c{number}" for number in range(10)]
    facts = [[number, 0, 10 + number // 5] for number in range(10)]
    graph = KnowledgeGraph(
        "mine", Vocabulary.of([*cities, "north", "south"]), Vocabulary.of(["in"]), np.array(facts)
    )
    draw = torch.Generator().manual_seed(0)
    groups = 2 * torch.randn(2, WIDTH, generator=draw)
    turn = torch.randn(1, WIDTH, generator=draw)
    real, imaginary = turn.chunk(2, 1)
    size = (real.square() + imaginary.square()).sqrt()
    turn = torch.cat([real / size, imaginary / size], 1)
    cities_vectors = groups.repeat_interleave(5, 0)
    countries = complex_product(groups, turn.expand_as(groups))
    entities = torch.cat([cities_vectors, countries])
    back = torch.cat([turn[:, : WIDTH // 2], -turn[:, WIDTH // 2 :]], 1)
    settings = TrainSettings.model_validate(
        {"model": {"width": WIDTH}, "training": {"regularization": 0.001}}
    )
    kge = KgeModel(settings.model, entities, torch.cat([turn, back]))
    return TrainedModel("single", kge, join([graph]), "mine", settings)
