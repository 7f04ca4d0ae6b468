"""Graphs that many tests use: a generated multi-source collection, and tiny ones made by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import settings

from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples
from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.collection import Collection, collect
from kgraft.linking.join import join
from kgraft.linking.linked_subgraph import LinkedSubgraph, connect
from kgraft.linking.links import Links
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.pretrain import pretrain
from kgraft.pipeline.retrain import retrain
from kgraft.settings import ModelSettings, RetrainSettings, TrainingSettings, TrainSettings

# A slow machine is no error; what is too slow shows in the suite's time.
settings.register_profile("kgraft", deadline=None)
settings.load_profile("kgraft")

FAST = TrainSettings(
    model=ModelSettings(width=32),
    training=TrainingSettings(
        epochs=12, batch_size=256, negatives=128, regularization=0.03, validate_every=3
    ),
)
"""A run of about 0.1 s on the generated collection."""

STUDENT = RetrainSettings.model_validate(
    {"model": FAST.model, "training": FAST.training.model_dump()}
)
"""The same for a student, whose own defaults take longer."""


torch.set_num_threads(1)  # sums in one order, and the machine free for others


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Go back to one thread after a test that has chosen otherwise."""
    yield
    torch.set_num_threads(1)


# ------------------------------------------------------------------------- a generated collection

N_CLUSTERS, CLUSTER_SIZE, N_RELATIONS = 8, 24, 10


def _truth(draw: np.random.Generator) -> Triples:
    """All true facts: a relation leads from a cluster to a cluster, and shifts the place in it."""
    entities = np.arange(N_CLUSTERS * CLUSTER_SIZE)
    clusters, places = np.divmod(entities, CLUSTER_SIZE)
    facts = []
    for relation in range(N_RELATIONS):
        leads_to = draw.permutation(N_CLUSTERS)
        shift = draw.integers(1, CLUSTER_SIZE)
        tails = leads_to[clusters] * CLUSTER_SIZE + (places + shift) % CLUSTER_SIZE
        facts.append(np.stack([entities, np.full_like(entities, relation), tails], axis=1))
    return np.concatenate(facts)


class _View:
    """What one source sees of the truth: some entities, some facts, names and rows of its own."""

    def __init__(self, name: str, truth: Triples, share: float, draw: np.random.Generator) -> None:
        n_entities = N_CLUSTERS * CLUSTER_SIZE
        self.name = name
        self.entities = draw.permutation(n_entities)[: round(0.9 * n_entities)]
        self.row_of = np.full(n_entities, -1)
        self.row_of[self.entities] = np.arange(len(self.entities))
        heads, tails = self.row_of[truth[:, 0]], self.row_of[truth[:, 2]]
        seen = (heads >= 0) & (tails >= 0) & (draw.random(len(truth)) < share)
        facts = np.stack([heads, truth[:, 1], tails], axis=1)[seen]
        self.facts = facts[draw.permutation(len(facts))]

    def graph(self, valid: float, test: float, prefix: str) -> KnowledgeGraph:
        n_valid, n_test = (round(share * len(self.facts)) for share in (valid, test))
        return KnowledgeGraph(
            self.name,
            Vocabulary.of(f"{self.name}:{entity}" for entity in self.entities),
            Vocabulary.of(f"{prefix}{relation}" for relation in range(N_RELATIONS)),
            train=self.facts[n_valid + n_test :],
            valid=self.facts[:n_valid],
            test=self.facts[n_valid : n_valid + n_test],
        )

    def links(self, other: _View) -> Links:
        both = np.flatnonzero((self.row_of >= 0) & (other.row_of >= 0))
        pairs = np.stack([self.row_of[both], other.row_of[both]], axis=1)
        return Links(self.name, other.name, pairs, np.ones(len(pairs), dtype=np.float32))


def _generate(seed: int) -> Collection:
    """Make a target and two backgrounds that each see a part of one truth of 192 entities.

    ``atlas`` names relations as the target does; ``cards`` has names of its own and relation links.
    """
    draw = np.random.default_rng(seed)
    truth = _truth(draw)
    views = [
        _View(*x, draw)
        for x in (("mine", truth, 0.6), ("atlas", truth, 0.6), ("cards", truth, 0.6))
    ]
    mine, atlas, cards = views
    same = np.stack([np.arange(N_RELATIONS)] * 2, axis=1)
    sure = np.ones(N_RELATIONS, dtype=np.float32)
    graphs = [mine.graph(0.1, 0.2, "r"), atlas.graph(0.05, 0, "r"), cards.graph(0.05, 0, "verb")]
    links = [mine.links(atlas), mine.links(cards), atlas.links(cards)]
    links += [Links(x, "cards", same, sure, "relation") for x in ("mine", "atlas")]
    return collect(graphs, links, target="mine", name="generated")


@pytest.fixture(scope="session")
def generate() -> Callable[[int], Collection]:
    """Make the generated collection of a seed: sources mine (the target), atlas and cards."""
    return _generate


@pytest.fixture(scope="session")
def generated() -> Collection:
    """The generated collection of seed 0."""
    return _generate(0)


@pytest.fixture(scope="session")
def fast() -> TrainSettings:
    """Settings that train on the generated collection in a moment."""
    return FAST


@pytest.fixture(scope="session")
def fast_student() -> RetrainSettings:
    """The same for a student."""
    return STUDENT


@pytest.fixture(scope="session")
def teacher(generated: Collection) -> TrainedModel:
    """A teacher of the generated collection's backgrounds."""
    return pretrain(generated, FAST)


@pytest.fixture(scope="session")
def student(generated: Collection, teacher: TrainedModel) -> TrainedModel:
    """Its student."""
    return retrain(generated, teacher, STUDENT)


# ------------------------------------------------------------------------------ tiny ones, by hand

ANN, BOB, CAY, DAN, EVE = range(5)
LIKES, KNOWS = range(2)


def _tiny() -> Collection:
    mine = KnowledgeGraph(
        "mine",
        Vocabulary.of(["ann", "bob", "cay", "dan", "eve"]),
        Vocabulary.of(["likes", "knows"]),
        train=np.array([[ANN, LIKES, BOB], [BOB, KNOWS, CAY], [CAY, LIKES, DAN]]),
        valid=np.array([[ANN, KNOWS, CAY]]),
        test=np.array([[ANN, LIKES, CAY], [BOB, LIKES, DAN], [EVE, KNOWS, BOB], [ANN, LIKES, EVE]]),
        labels=pl.Series(["Ann", "Bob", "Sam", "Sam", None], dtype=pl.String),
    )
    big = KnowledgeGraph(
        "big",
        Vocabulary.of(["Z", "C", "B", "A"]),
        Vocabulary.of(["sees", "likes"]),
        # A likes C, A likes B, B sees Z
        train=np.array([[3, 1, 1], [3, 1, 2], [2, 0, 0]]),
    )
    pairs = np.array([[ANN, 3], [BOB, 2], [CAY, 1]])
    return collect(
        [mine, big],
        [Links("mine", "big", pairs, np.ones(3, dtype=np.float32))],
        target="mine",
        name="tiny",
    )


@pytest.fixture(scope="session")
def tiny() -> Collection:
    """Five people of mine; three of them are linked to big, which states one test fact of mine.

    mine.train: ann likes bob, bob knows cay, cay likes dan. mine.valid: ann knows cay. mine.test:
    ann likes cay, bob likes dan, eve knows bob, ann likes eve. big.train: A likes C, A likes B,
    B sees Z. Links: ann-A, bob-B, cay-C.
    """
    return _tiny()


@pytest.fixture(scope="session")
def tiny_subgraph(tiny: Collection) -> LinkedSubgraph:
    """What links join to mine out of big: all its facts. Z is entity 5, sees is relation 2."""
    background = join([tiny.graphs["big"]])
    return connect(tiny.graphs["mine"], tiny.links, background, mode="incident")


@pytest.fixture(scope="session")
def by_size() -> Callable[[KnowledgeGraph, Sequence[float], Sequence[float]], TrainedModel]:
    """Make a model of one graph whose score of (h, r, t) is size(h) * factor(r) * size(t).

    Arguments are the graph, each entity's size and each relation's factor.
    """

    def make(
        graph: KnowledgeGraph, sizes: Sequence[float], factors: Sequence[float]
    ) -> TrainedModel:
        one_number = TrainSettings(model=ModelSettings(width=2))
        entities, relations = (
            torch.tensor([[float(real), 0.0] for real in reals]) for reals in (sizes, factors)
        )
        kge = KgeModel(one_number.model, entities, torch.cat([relations, relations]))
        return TrainedModel("single", kge, join([graph]), graph.name, one_number)

    return make


@pytest.fixture
def write(tmp_path: Path) -> Callable[[dict[str, str | bytes]], Path]:
    """Write files under a new directory and return it."""

    def files(contents: dict[str, str | bytes]) -> Path:
        for name, content in contents.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path

    return files
