"""Wrong links among right ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kgraft.alignment.audit import audit
from kgraft.alignment.settings import AlignSettings
from kgraft.errors import DataError
from kgraft_experiments.synthesis.settings import LinkSettings, SynthSettings, TargetSettings
from kgraft_experiments.synthesis.synthesize import synthesize

MASKED = AlignSettings(labels={"use": False})


@pytest.fixture(scope="module")
def made():
    """A collection with a fifth of its links replaced, and which of them are."""
    asked = SynthSettings(
        target=TargetSettings(entities=300, facts=3000), links=LinkSettings(linked=1.0)
    )
    true = synthesize(asked).collection
    links, wrong = [], []
    for place, x in enumerate(true.links):
        rows = np.random.default_rng(place).permutation(len(x))[: len(x) // 5]
        pairs = x.pairs.copy()
        pairs[rows, 1] = np.roll(pairs[rows, 1], 1)
        links.append(replace(x, pairs=pairs))
        wrong.append((pairs != x.pairs).any(axis=1))
    return replace(true, links=tuple(links)), wrong


def test_most_wrong_links_are_found_and_few_right_ones_doubted(made) -> None:
    collection, wrong = made
    found = audit(collection, MASKED)
    suspected = np.concatenate([x.error_probability >= 0.5 for x in found.audited])
    is_wrong = np.concatenate(wrong)
    assert is_wrong[suspected].mean() > 0.9
    assert suspected[is_wrong].mean() > 0.6


def test_doubtful_links_are_ranked_and_explained(made) -> None:
    collection, _ = made
    found = audit(collection, MASKED, threshold=0.9)
    errors = [error for error, *_ in found.doubtful()]
    assert errors == sorted(errors, reverse=True)
    assert min(errors) >= 0.9
    _, links, row, why = found.doubtful()[0]
    graphs = collection.graphs[links.left], collection.graphs[links.right]
    ends = [graph.label(end) for graph, end in zip(graphs, links.pairs[row], strict=True)]
    assert why.startswith(f"{ends[0]} and {ends[1]}: ")


def test_what_is_left_is_trusted_by_how_doubtful_it_is(made) -> None:
    collection, _ = made
    found = audit(collection, MASKED)
    assert len(found.doubtful()) > 0
    for before, audited, after in zip(
        collection.links, found.audited, found.cleaned(), strict=True
    ):
        kept = audited.error_probability < 0.5
        assert len(before) == len(audited.error_probability)
        assert after.pairs.tolist() == before.pairs[kept].tolist()
        assert after.confidence == pytest.approx(1 - audited.error_probability[kept], abs=1e-4)


def test_an_audit_is_reproducible(made) -> None:
    collection, _ = made
    one, two = (audit(collection, MASKED) for _ in range(2))
    for x, y in zip(one.audited, two.audited, strict=True):
        assert x.error_probability.tolist() == y.error_probability.tolist()


def test_there_has_to_be_a_link(collection_of) -> None:
    with pytest.raises(DataError, match="has no entity links to audit"):
        audit(collection_of({"a": "p r q", "b": "P r Q"}), MASKED)


def test_few_links_and_facts_are_no_obstacle(collection_of) -> None:
    found = audit(collection_of({"a": "p r q", "b": "P r Q"}, {"a b": "p=P q=Q"}), MASKED)
    assert [len(x.error_probability) for x in found.audited] == [2]
