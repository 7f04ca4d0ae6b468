"""A target with attributes, from its training to its use: values explain, and are no answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import kgraft
from kgraft.graph.knowledge_graph import ATTRIBUTE_SCHEMA, KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.collection import Collection, collect
from kgraft.model.trained_model import TrainedModel
from kgraft.serving.served_model import ServedModel
from kgraft.settings import TrainSettings

VALUES = "values of mine"
N = 60


SETTINGS = TrainSettings.model_validate(
    {
        "model": {"width": 16},
        "training": {"epochs": 10, "min_steps": 0},
        "rules": {"longest": 2},
        "attributes": {"intervals": (3, 6)},
    }
)


@pytest.fixture(scope="module")
def teams() -> Collection:
    """Members of three teams by their height, of whom a third is asked for."""
    draw = np.random.default_rng(0)
    heights = draw.permutation(N)
    facts = np.array([(x, 0, N + heights[x] * 3 // N) for x in range(N)])
    order = draw.permutation(N)
    rows = [(x, "height", f"{heights[x]}", None, None) for x in range(N)]
    graph = KnowledgeGraph(
        "mine",
        Vocabulary.of([*(f"member {x}" for x in range(N)), "short", "middle", "tall"]),
        Vocabulary.of(["team"]),
        facts[order[:40]],
        facts[order[40:50]],
        facts[order[50:]],
        attributes=pl.DataFrame(rows, schema=ATTRIBUTE_SCHEMA, orient="row"),
    )
    return collect([graph], target="mine")


@pytest.fixture(scope="module")
def trained(teams: Collection) -> TrainedModel:
    return kgraft.train(teams, SETTINGS, alone=True)


def test_values_tell_what_facts_do_not(teams: Collection, trained: TrainedModel) -> None:
    plain = SETTINGS.model_copy(update={"attributes": {"use": False}})
    without = kgraft.train(teams, plain, alone=True)
    assert without.graph.sources == ("mine",)
    assert trained.graph.sources == ("mine", VALUES)
    mrr = [
        (1 / x.evaluate(teams, sides=("tail",)).ranks["tail", "all"].realistic).mean()
        for x in (trained, without)
    ]
    assert mrr[0] > mrr[1] + 0.2
    values = set(trained.graph.parts[VALUES].entities.names)
    answers = trained.predict(head="member 0", relation="team", k=60)
    assert not {x.tail for x in answers} & values


def test_every_use_of_the_model_knows_values(trained: TrainedModel, tmp_path: Path) -> None:
    head, _, tail = trained.graph.triples[0].tolist()
    names = trained.graph.parts["mine"].entities
    trained.save(tmp_path / "model")
    read = kgraft.load_model(tmp_path / "model")
    assert read.graph.sources == ("mine", VALUES)
    explained = read.explain(names.name(head), "team", names.name(tail))
    assert VALUES in str(explained)
    assert read.similar(names.name(head), k=2)
    assert read.check(k=3)
    folded = read.fold_in([("new", "team", "tall")])
    assert folded.predict(head="new", relation="team", k=1)
    view = ServedModel(tmp_path / "model").view(names.name(head), 10)
    assert any(VALUES in fact.stated_by for fact in view.facts)
    read.report(tmp_path / "report.html")
    assert VALUES in (tmp_path / "report.html").read_text()
