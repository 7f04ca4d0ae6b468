"""Synthetic collections: what was asked for comes out, and one part leaves the others alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from kgraft.errors import KgraftWarning, SettingsError
from kgraft.evaluation.evaluate import evaluate
from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples
from kgraft.graph.known_facts import KnownFacts
from kgraft.linking.collection import Collection
from kgraft.linking.coverage import covered
from kgraft.linking.join import join
from kgraft.linking.links import Links
from kgraft.pipeline.train import train
from kgraft.settings import ModelSettings, TrainingSettings, TrainSettings
from kgraft.toml_settings import read_settings
from kgraft_experiments.synthesis.rules import PlantedRule
from kgraft_experiments.synthesis.settings import SynthSettings
from kgraft_experiments.synthesis.synthesize import Synthetic, synthesize

SMALL = {"target.entities": 600, "target.facts": 3000, "background.facts": 8000}


def made(**changes: object) -> Synthetic:
    """Make a small collection; ``links_wrong=0.2`` changes ``links.wrong``."""
    dotted = {key.replace("_", ".", 1): value for key, value in changes.items()}
    return synthesize(read_settings(SynthSettings, changes=SMALL | dotted))


@pytest.fixture(scope="module")
def small() -> Synthetic:
    return made()


def same_graph(one: KnowledgeGraph, other: KnowledgeGraph) -> bool:
    return (
        one.entities == other.entities
        and one.relations == other.relations
        and all(np.array_equal(getattr(one, x), getattr(other, x)) for x in ("train", "valid"))
        and np.array_equal(one.test, other.test)
    )


def same_links(one: Links, other: Links) -> bool:
    return (
        (one.left, one.right) == (other.left, other.right)
        and np.array_equal(one.pairs, other.pairs)
        and np.array_equal(one.confidence, other.confidence)
    )


def links_of_target(collection: Collection) -> list[Links]:
    return [links for links in collection.links if links.left == "target"]


def true_ends(links: Links, collection: Collection) -> np.ndarray:
    """Say of each link whether both ends carry one label, which all sources give one thing."""
    labels = [collection.graphs[name].labels for name in (links.left, links.right)]
    assert labels[0] is not None
    assert labels[1] is not None
    left, right = (x.gather(rows) for x, rows in zip(labels, links.pairs.T, strict=True))
    return (left == right).to_numpy()


# ------------------------------------------------------------------------------ reproducible parts


def test_one_seed_gives_one_collection_and_another_seed_another(small: Synthetic) -> None:
    again, other = made(), made(world_seed=1)
    for name, graph in small.collection.graphs.items():
        assert same_graph(graph, again.collection.graphs[name])
    pairs = zip(small.collection.links, again.collection.links, strict=True)
    assert all(same_links(*pair) for pair in pairs)
    assert small.rules == again.rules
    assert not same_graph(small.collection.target_graph, other.collection.target_graph)


def test_more_background_leaves_the_target_and_its_links_alone(small: Synthetic) -> None:
    grown = made(background_facts=64_000)
    assert same_graph(small.collection.target_graph, grown.collection.target_graph)
    assert small.rules == grown.rules
    for one, other in zip(small.collection.links, grown.collection.links, strict=True):
        assert same_links(one, other)
        right, larger = (x.collection.graphs[one.right] for x in (small, grown))
        names = [x.entities.names_of(one.pairs[:, 1]) for x in (right, larger)]
        assert names[0] == names[1]
    assert {len(g.triples) for g in grown.collection.graphs.values()} == {3000, 64_000}
    assert same_common_facts(small.collection, grown.collection)


def same_common_facts(one: Collection, other: Collection) -> bool:
    """Whether each background says the same about the target's entities in both collections."""
    return all(common_facts(one, name) == common_facts(other, name) for name in one.backgrounds())


def common_facts(collection: Collection, name: str) -> set[tuple[int, int, int]]:
    graph, known = collection.graphs[name], collection.target_graph.labels
    assert graph.labels is not None
    assert known is not None
    common = graph.labels.is_in(known.implode()).to_numpy()
    facts = graph.triples[common[graph.triples[:, 0]] & common[graph.triples[:, 2]]]
    assert len(facts)
    return set(map(tuple, facts.tolist()))


def test_links_change_no_graph(small: Synthetic) -> None:
    other = made(links_linked=0.3, links_wrong=0.5)
    for name, graph in small.collection.graphs.items():
        assert same_graph(graph, other.collection.graphs[name])


# --------------------------------------------------------------------------------------- the shares


def test_sizes_and_splits_are_as_asked(small: Synthetic) -> None:
    target = small.collection.target_graph
    assert (len(target.train), len(target.valid), len(target.test)) == (2400, 300, 300)
    assert len(target.entities) == 600
    assert set(np.unique(target.train[:, [0, 2]])) == set(range(600))
    for graph in small.collection.graphs.values():
        assert len(np.unique(graph.triples, axis=0)) == len(graph.triples)
        assert len(np.unique(graph.train[:, [0, 2]])) == len(graph.entities)
    assert KnownFacts(small.world.train).contains(target.triples).all()


@pytest.mark.parametrize("linked", [0.2, 1.0])
def test_the_share_of_linked_entities_is_as_asked(linked: float) -> None:
    links = links_of_target(made(links_linked=linked).collection)
    ends = np.unique(np.concatenate([x.pairs[:, 0] for x in links]))
    assert len(ends) == round(600 * linked)
    assert all((x.confidence == 1).all() for x in links)


@pytest.mark.parametrize("shared", [0.0, 0.35, 1.0])
def test_the_share_of_facts_that_a_background_states_is_as_asked(shared: float) -> None:
    result = made(links_linked=1.0, background_shared=shared)
    collection = result.collection
    joint = join(collection.graphs.values(), collection.links)
    found = covered(joint, "target", collection.target_graph.triples)
    assert found.sum() == result.shared == round(3000 * shared)


def test_wrong_links_are_as_many_as_asked_and_less_sure() -> None:
    collection = made(links_wrong=0.25).collection
    for links in collection.links:
        right = true_ends(links, collection)
        assert (~right).sum() == round(0.25 * len(links))
        assert links.confidence[right].mean() > links.confidence[~right].mean() + 0.1
        assert links.confidence[right].min() < links.confidence[~right].max()
        assert len(np.unique(links.pairs[:, 1])) == len(links)


def test_without_wrong_links_all_are_right(small: Synthetic) -> None:
    assert all(true_ends(links, small.collection).all() for links in small.collection.links)


def test_a_private_vocabulary_shares_no_relation_and_changes_no_fact(small: Synthetic) -> None:
    collection = made(background_vocabulary="private").collection
    names = [set(graph.relations.names.to_list()) for graph in collection.graphs.values()]
    assert set.intersection(*names) == set()
    assert all(links.kind == "entity" for links in collection.links)
    for name, graph in collection.graphs.items():
        known = small.collection.graphs[name]
        assert np.array_equal(graph.triples, known.triples)
        assert np.array_equal(graph.relations.names != known.relations.names, [True] * 30)


def test_nothing_linked_is_allowed_and_warned_of() -> None:
    with pytest.warns(KgraftWarning, match="has no links"):
        assert made(links_linked=0.0).collection.links == ()


# ---------------------------------------------------------------------------------------- the rules


def groundings(rule: PlantedRule, world: KnowledgeGraph) -> Iterator[tuple[str, str]]:
    """Yield what the body says of the head's two ends, found by plain search over names."""
    facts: dict[str, list[tuple[str, str]]] = {}
    for head, relation, tail in world.train.tolist():
        pair = (world.entities.name(head), world.entities.name(tail))
        facts.setdefault(world.relations.name(relation), []).append(pair)
    bindings: list[dict[str, str]] = [{}]
    for x, relation, y in rule.body:
        by_first: dict[str, list[tuple[str, str]]] = {}
        for pair in facts.get(relation, []):
            by_first.setdefault(pair[0], []).append(pair)
        found = []
        for known in bindings:
            first = known.get(x, x)
            pairs = facts.get(relation, []) if first.startswith("?") else by_first.get(first, [])
            for a, b in pairs:
                if known.get(y, y) in (b, y) and (y.startswith("?") or y == b):
                    found.append({**known, x: a, y: b})
        bindings = found
    for known in bindings:
        yield known.get(rule.head[0], rule.head[0]), known.get(rule.head[2], rule.head[2])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["symmetric", "inverse", "subrelation", "composition", "constant"])
def test_rules_hold_in_the_hidden_world_as_often_as_they_say(kind: str) -> None:
    result = made(target_entities=2000, target_facts=10_000, background_facts=20_000)
    world = result.world
    true = {
        (world.entities.name(h), world.relations.name(r), world.entities.name(t))
        for h, r, t in world.train.tolist()
    }
    rules = [rule for rule in result.rules if rule.kind == kind]
    assert rules
    for rule in rules:
        ends = list(groundings(rule, world))
        assert len(ends) >= 30, rule
        hits = sum((x, rule.head[1], y) in true for x, y in ends)
        tolerance = 4 * np.sqrt(rule.confidence * (1 - rule.confidence) / len(ends)) + 0.02
        assert abs(hits / len(ends) - rule.confidence) <= tolerance, rule


def test_without_planted_rules_only_what_always_holds_is_left() -> None:
    rules = made(world_rules=False).rules
    assert {rule.kind for rule in rules} == {"symmetric", "inverse"}
    assert all(rule.confidence == 1 for rule in rules)


def test_a_rule_reads_as_a_sentence_of_logic() -> None:
    rule = PlantedRule(
        "composition", ("?x", "r", "?y"), (("?x", "s", "?a"), ("?a", "t", "?y")), 0.8
    )
    assert str(rule) == "r(?x, ?y) <= s(?x, ?a), t(?a, ?y)  [0.8]"


# ------------------------------------------------------------------------------- shape of the world


def test_degrees_have_a_heavy_tail() -> None:
    graph = made(background_facts=100_000).collection.graphs["background1"]
    degrees = np.sort(np.bincount(graph.triples[:, [0, 2]].ravel()))[::-1]
    assert degrees[0] > 50 * np.median(degrees)
    flat = made(background_facts=100_000, world_degree_exponent=5.0)
    even = np.bincount(flat.collection.graphs["background1"].triples[:, [0, 2]].ravel())
    assert even.max() < degrees[0] / 3


def popularity_mrr(graph: KnowledgeGraph) -> float:
    """MRR of tails ranked by how often the relation leads to them, known answers left out."""
    counts = np.zeros((len(graph.relations), len(graph.entities)))
    np.add.at(counts, (graph.train[:, 1], graph.train[:, 2]), 1)
    return float(np.mean([_reciprocal(counts, graph.triples, fact) for fact in graph.test]))


def _reciprocal(counts: np.ndarray, known: Triples, fact: np.ndarray) -> float:
    scores = counts[fact[1]].copy()
    own = scores[fact[2]]
    scores[known[(known[:, :2] == fact[:2]).all(axis=1), 2]] = -1
    rank = 1 + (scores > own).sum() + (scores == own).sum() / 2
    return float(1 / rank)


@pytest.mark.slow
def test_embeddings_learn_what_popularity_cannot_tell() -> None:
    collection = made(
        target_entities=1000, target_facts=8000, target_sees=0.7, background_facts=20_000
    ).collection
    training = TrainingSettings(
        epochs=12, batch_size=256, negatives=256, regularization=0.03, validate_every=6
    )
    settings = TrainSettings(model=ModelSettings(width=32), training=training)
    model = train(collection, settings, alone=True)
    learned = evaluate(model, collection, sides=["tail"]).mrr("tail")
    assert learned > 2 * popularity_mrr(collection.target_graph)


# ------------------------------------------------------------------------------------- bad settings


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"links.linked": 1.5}, "links.linked: .*less than or equal to 1"),
        ({"links.linkd": 0.5}, "links.linkd: there is no such setting"),
        ({"background.vocabulary": "own"}, "background.vocabulary: .*'shared' or 'private'"),
        ({"target.facts": 500}, "target: 500 facts are too few for 600 entities"),
        ({"target.valid": 0.5, "target.test": 0.5}, "must leave facts to train on"),
        ({"world.types": 20}, "20 types need at least 60 relations, not 30"),
        ({"world.types": 40, "world.relations": 200, "target.entities": 100}, "at least 160"),
        ({"target.facts": 200_000}, "have no room for"),
        ({"background.facts": 1000}, "source 1 needs at least .* facts .*, not 1,000"),
    ],
)
def test_bad_settings_are_refused_with_a_sentence(
    changes: dict[str, object], complaint: str
) -> None:
    with pytest.raises(SettingsError, match=complaint):
        synthesize(read_settings(SynthSettings, changes=SMALL | changes))
