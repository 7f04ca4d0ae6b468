"""Training from scratch: what is learned from, and for whom."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kgraft.errors import DataError, UnknownNameError
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.collection import Collection
from kgraft.pipeline.train import train
from kgraft.settings import RuleSettings, TrainSettings


def test_alone_learns_from_the_targets_facts_only(
    generated: Collection, fast: TrainSettings
) -> None:
    model = train(generated, fast, alone=True)
    mine = generated.graphs["mine"]
    assert (model.kind, model.target, model.graph.sources) == ("single", "mine", ("mine",))
    np.testing.assert_array_equal(model.graph.triples, mine.train)
    assert model.kge.n_entities == len(mine.entities)


def test_joint_learns_from_all_facts_with_linked_rows_shared(
    generated: Collection, fast: TrainSettings
) -> None:
    model = train(generated, fast)
    assert (model.kind, model.target) == ("joint", "mine")
    assert model.graph.sources == ("mine", "atlas", "cards")
    graphs = generated.graphs.values()
    assert len(model.graph.triples) == sum(len(graph.train) for graph in graphs)
    assert model.kge.n_entities < sum(len(graph.entities) for graph in graphs)
    assert model.kge.n_relations == 10


def test_another_target_can_be_named(generated: Collection, fast: TrainSettings) -> None:
    model = train(generated, fast, target="cards", alone=True)
    assert (model.target, model.graph.sources) == ("cards", ("cards",))
    with pytest.raises(UnknownNameError, match="no source is called 'none'; there are mine"):
        train(generated, fast, target="none")


def test_a_target_has_to_be_named(generated: Collection, fast: TrainSettings) -> None:
    with pytest.raises(UnknownNameError, match="names no target"):
        train(replace(generated, target=None), fast)


def test_loss_falls_and_the_best_epoch_is_told(generated: Collection, fast: TrainSettings) -> None:
    model = train(generated, fast)
    assert model.log[-1]["loss"] < 0.7 * model.log[0]["loss"]
    looks = {x["epoch"]: x["validation_mrr"] for x in model.log if "validation_mrr" in x}
    assert sorted(looks) == [3, 6, 9, 12]
    best = model.metrics["best_epoch"]
    assert looks[best] == max(looks.values()) == model.metrics["validation_mrr"]


def test_a_collection_of_one_graph_is_single(generated: Collection, fast: TrainSettings) -> None:
    alone = Collection("one", {"mine": generated.graphs["mine"]}, target="mine")
    assert train(alone, fast).kind == "single"


def test_without_validation_facts_the_last_epoch_is_kept(
    tiny: Collection, fast: TrainSettings
) -> None:
    model = train(tiny, fast, target="big", alone=True)
    assert model.metrics == {"best_epoch": 12, "validation_mrr": None}


def test_a_graph_without_facts_is_an_error(fast: TrainSettings) -> None:
    empty = KnowledgeGraph("empty", Vocabulary.of(["a"]), Vocabulary.of(["r"]), np.array([]))
    with pytest.raises(DataError, match="there is no fact to train on in empty"):
        train(Collection("nothing", {"empty": empty}, target="empty"), fast)


def test_rules_are_mined_where_they_are_asked_for(
    generated: Collection, fast: TrainSettings
) -> None:
    assert train(generated, fast).evidence is None
    ruled = train(generated, fast.model_copy(update={"rules": RuleSettings(longest=2)}))
    assert ruled.evidence is not None
    assert len(ruled.evidence.rules)
    assert ruled.evidence.mrr.keys() == {"vectors", "rules", "both"}
    assert ruled.log[0]["rules"] > 0
