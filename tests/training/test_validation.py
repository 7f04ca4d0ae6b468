"""The figure that training is chosen by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.linking.joint_graph import JointGraph
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.settings import ModelSettings, TrainingSettings
from kgraft.training import validation
from kgraft.training.validation import draw_samples, validation_mrr, validation_ranks

# ann knows cay among sizes 1..5: eve and dan are above cay. cay knows-inverse ann: eve, dan and cay
# are above ann, as bob knows cay is known.
TINY_MRR = (1 / 3 + 1 / 4) / 2


def sized(graph: JointGraph, sizes: list[float]) -> KgeModel:
    entities = torch.tensor([[size, 0.0] for size in sizes])
    relations = torch.tensor([[1.0, 0.0]] * (2 * graph.n_relations))
    return KgeModel(ModelSettings(width=2), entities, relations)


def figure(
    model: KgeModel, space: JointGraph, *graphs: KnowledgeGraph, queries: int = 100, seed: int = 0
) -> float:
    settings = TrainingSettings(validation_queries=queries, seed=seed)
    mrr = validation_mrr(model, draw_samples(space, graphs, settings))
    assert mrr is not None
    return mrr()


def test_mrr_by_hand(tiny: Collection, by_size: Callable[..., TrainedModel]) -> None:
    mine = tiny.graphs["mine"]
    model = by_size(mine, [1, 2, 3, 4, 5], [1, 1])
    assert figure(model.kge, model.graph, mine) == pytest.approx(TINY_MRR)


def test_each_fact_counts_by_its_confidence(
    tiny: Collection, by_size: Callable[..., TrainedModel]
) -> None:
    mine = tiny.graphs["mine"]
    model = by_size(mine, [1, 2, 3, 4, 5], [1, 1])
    two = np.concatenate([mine.valid, [[4, 0, 0]]])
    alike = replace(mine, valid=two)
    samples = draw_samples(model.graph, [alike], TrainingSettings())
    ranks = validation_ranks(model.kge, samples).by("realistic").reshape(2, 2)
    places = samples[0].facts.tolist()
    of_fact = dict(zip(map(tuple, places), (1 / ranks).mean(axis=0).tolist(), strict=True))
    one, other = (of_fact[tuple(x)] for x in two.tolist())
    assert one != other
    assert figure(model.kge, model.graph, alike) == pytest.approx((one + other) / 2)
    doubted = replace(alike, confidence={"valid": np.array([1.0, 0.25])})
    assert figure(model.kge, model.graph, doubted) == pytest.approx((one + other / 4) / 1.25)
    first = replace(doubted, name="other")  # of two graphs one has confidences
    joint = join([alike, first])
    weighted = validation_mrr(
        sized(joint, [1, 2, 3, 4, 5] * 2), draw_samples(joint, [alike, first], TrainingSettings())
    )
    assert weighted is not None
    assert weighted() == pytest.approx((one + other + one + other / 4) / 3.25)


def test_candidates_are_the_graphs_own_entities(tiny: Collection) -> None:
    space = join(list(tiny.graphs.values()), tiny.links)
    model = sized(space, [1, 2, 3, 4, 5, 100])  # Z of big is largest
    assert figure(model, space, tiny.graphs["mine"]) == pytest.approx(TINY_MRR)


def test_rows_of_a_later_graph_are_found(tiny: Collection) -> None:
    mine, big = tiny.graphs["mine"], tiny.graphs["big"]
    space = join([big, mine], tiny.links)
    own = space.part("mine").entity_rows
    sizes = np.full(space.n_entities, 100.0)
    sizes[own] = [1, 2, 3, 4, 5]
    assert figure(sized(space, sizes.tolist()), space, mine) == pytest.approx(TINY_MRR)


def test_test_facts_play_no_part(tiny: Collection, by_size: Callable[..., TrainedModel]) -> None:
    mine = tiny.graphs["mine"]
    model = by_size(mine, [1, 2, 3, 4, 5], [1, 1])
    filtered = replace(mine, test=np.array([[0, 1, 4], [0, 1, 3]]))
    assert figure(model.kge, model.graph, filtered) == pytest.approx(TINY_MRR)


def test_there_is_no_figure_without_validation_facts(tiny: Collection) -> None:
    big = tiny.graphs["big"]
    space = join([big])
    samples = draw_samples(space, [big], TrainingSettings())
    assert validation_mrr(sized(space, [1, 2, 3, 4]), samples) is None


def test_the_model_is_measured_as_it_is_at_each_call(
    tiny: Collection, by_size: Callable[..., TrainedModel]
) -> None:
    mine = tiny.graphs["mine"]
    model = by_size(mine, [1, 2, 3, 4, 5], [1, 1])
    mrr = validation_mrr(model.kge, draw_samples(model.graph, [mine], TrainingSettings()))
    assert mrr is not None
    before = mrr()
    model.kge.entities[:, 0] = torch.tensor([8.0, 2.0, 9.0, 4.0, 5.0])
    # cay first; ann behind cay
    assert (before, mrr()) == (pytest.approx(TINY_MRR), pytest.approx((1 + 1 / 2) / 2))


def chain(name: str, n: int, n_valid: int) -> KnowledgeGraph:
    """Entity i leads to i + 1; the first facts are for validation."""
    facts = np.array([[i, 0, i + 1] for i in range(n - 1)])
    entities = Vocabulary.of(f"{name}{i}" for i in range(n))
    return KnowledgeGraph(
        name, entities, Vocabulary.of(["next"]), facts[n_valid:], valid=facts[:n_valid]
    )


def test_a_sample_is_fixed_by_its_seed_and_shared_among_graphs() -> None:
    one, two = chain("a", 60, 30), chain("b", 25, 10)
    space = join([one, two])
    model = KgeModel.create(ModelSettings(width=4), space.n_entities, 1, seed=2)
    asked: list[int] = []
    score = model.score

    def count(anchors: torch.Tensor, *rest: torch.Tensor, **named: object) -> torch.Tensor:
        asked.append(len(anchors))
        return score(anchors, *rest, **named)  # type: ignore[arg-type]

    model.score = count  # type: ignore[method-assign]
    figures = [figure(model, space, one, two, queries=20, seed=seed) for seed in (0, 0, 1)]
    assert figures[0] == figures[1] != figures[2]
    # Half of 30 and half of 10, on both sides.
    assert asked == [15, 15, 5, 5] * 3


def test_an_epoch_is_chosen_by_the_first_facts_of_each_sample(
    tiny: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tiny.graphs["mine"]
    two = replace(mine, valid=np.concatenate([mine.valid, [[4, 0, 0]]]))
    joint = join([two, replace(two, name="other")])
    model = sized(joint, [1, 2, 3, 4, 5] * 2)
    samples = draw_samples(joint, [two, replace(two, name="other")], TrainingSettings())
    monkeypatch.setattr(validation, "LOOK_FACTS", 2)
    found = validation_mrr(model, samples)
    wanted = 1 / validation_ranks(model, [sample.first(1) for sample in samples]).realistic
    assert found is not None
    assert found() == pytest.approx(wanted.mean())
    assert wanted.mean() != pytest.approx((1 / validation_ranks(model, samples).realistic).mean())
