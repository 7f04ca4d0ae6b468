"""TripleSampler: what is asked, where it stands, and what is no negative."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from kgraft.graph.knowledge_graph import Triples
from kgraft.rules.pseudo_facts import PseudoFacts
from kgraft.training.batch import Batch
from kgraft.training.sampler import TripleSampler

N_ENTITIES, N_RELATIONS = 9, 2

FACTS = st.integers(1, 25).flatmap(
    lambda n: arrays(np.int64, (n, 3), elements=st.integers(0, N_ENTITIES - 1))
).map(lambda facts: facts % [N_ENTITIES, N_RELATIONS, N_ENTITIES])  # fmt: skip


def batches_of(
    facts: Triples, batch_size: int = 4, negatives: int = 3, seed: int = 0
) -> TripleSampler:
    return TripleSampler(
        facts, N_ENTITIES, N_RELATIONS, batch_size=batch_size, negatives=negatives, seed=seed
    )


def asked(batch: Batch) -> list[tuple[int, int, int]]:
    """The queries of a batch and their answers, in rows of the tables."""
    columns = (
        batch.entities[batch.heads],
        batch.relations[batch.relation_positions],
        batch.entities[batch.tails],
    )
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_facts_away_from_some_entities_are_answers_alone() -> None:
    facts = np.array([[0, 0, 1], [1, 1, 2], [3, 0, 4], [3, 0, 1], [5, 1, 6]])
    near = np.isin(np.arange(N_ENTITIES), [1])
    pseudo = PseudoFacts(np.array([[1, 0, 7], [7, 0, 8]]), np.ones(2))
    sampler = TripleSampler(
        facts,
        N_ENTITIES,
        N_RELATIONS,
        near=near,
        pseudo_facts=pseudo,
        known_false=np.array([[4, 0, 1], [4, 0, 5]]),
        batch_size=4,
        negatives=3,
        seed=0,
    )
    drawn = [query for batch in sampler.epoch(0) for query in asked(batch)]
    chosen = np.array([[0, 0, 1], [1, 1, 2], [3, 0, 1], [1, 0, 7], [4, 0, 1]])
    assert Counter(drawn) == dict.fromkeys(both_ways(chosen), 1)
    assert sampler.n_queries == len(drawn) == 10


def both_ways(facts: Triples) -> set[tuple[int, int, int]]:
    return {
        query
        for head, relation, tail in facts.tolist()
        for query in ((head, relation, tail), (tail, relation + N_RELATIONS, head))
    }


@given(facts=FACTS, batch_size=st.integers(1, 9), number=st.integers(0, 100))
def test_every_fact_is_asked_both_ways_once_an_epoch(
    facts: Triples, batch_size: int, number: int
) -> None:
    batches = batches_of(facts, batch_size)
    drawn = list(batches.epoch(number))
    assert all(len(batch) == batch_size for batch in drawn[:-1])
    counts = Counter(query for batch in drawn for query in asked(batch))
    assert counts == dict.fromkeys(both_ways(facts), 1)
    assert 2 * len(batches.facts) == counts.total()


@given(facts=FACTS, seed=st.integers(0, 100))
def test_all_true_answers_are_known_and_nothing_else(facts: Triples, seed: int) -> None:
    true = both_ways(facts)
    for batch in batches_of(facts, negatives=6, seed=seed).epoch(1):
        expected = {
            (query, column)
            for query, (head, relation, _) in enumerate(asked(batch))
            for column, entity in enumerate(batch.entities.tolist())
            if (head, relation, entity) in true
        }
        known = [divmod(place, len(batch.entities)) for place in batch.known.tolist()]
        assert len(known) == len(set(known))
        assert set(known) == expected


@given(facts=FACTS)
def test_rows_are_distinct_and_all_in_use(facts: Triples) -> None:
    for batch in batches_of(facts, negatives=2).epoch(3):
        assert len(set(batch.entities.tolist())) == len(batch.entities)
        assert len(set(batch.relations.tolist())) == len(batch.relations)
        assert set(batch.relation_positions.tolist()) == set(range(len(batch.relations)))
        # At most the two drawn entities are no end of a query.
        ends = set(batch.heads.tolist()) | set(batch.tails.tolist())
        assert len(batch.entities) - len(ends) <= 2


def parts(batch: Batch) -> list[list[int]]:
    return [part.tolist() for part in vars(batch).values() if isinstance(part, Tensor)]


def epoch(seed: int, number: int) -> list[list[list[int]]]:
    facts = np.random.default_rng(0).integers(0, (N_ENTITIES, N_RELATIONS, N_ENTITIES), (20, 3))
    return [parts(batch) for batch in batches_of(facts, seed=seed).epoch(number)]


@pytest.mark.slow
@pytest.mark.parametrize(("negatives", "inferred"), [(3, False), (1, True), (2, True)])
def test_discounts_are_by_how_often_entities_are_in_a_batch(negatives: int, inferred: bool) -> None:
    draw = np.random.default_rng(0)
    facts = np.minimum(draw.geometric(0.2, (60, 3)) - 1, [99, 1, 99])
    more = PseudoFacts(np.array([[0, 1, 90], [91, 0, 1]]), np.array([0.5, 1.0]))
    batches = TripleSampler(
        facts, 100, N_RELATIONS, batch_size=4, negatives=negatives, logq_correction=0.5, seed=0,
        pseudo_facts=more if inferred else None,
    )  # fmt: skip
    seen, logq, n_batches = np.zeros(100), np.full(100, np.nan), 0
    for number in range(300):
        for batch in batches.epoch(number):
            seen[batch.entities] += 1
            logq[batch.entities] = batch.logq
            n_batches += 1
    # Facts of an epoch are not drawn twice, as the probabilities assume.
    assert np.exp(2 * logq) == pytest.approx(seen / n_batches, rel=0.12, abs=0.01)


def test_seed_and_number_decide_an_epoch() -> None:
    assert epoch(5, 2) == epoch(5, 2)
    assert epoch(5, 2) != epoch(5, 3)
    assert epoch(5, 2) != epoch(6, 2)


def test_an_epoch_does_not_depend_on_those_before() -> None:
    facts = np.random.default_rng(0).integers(0, (N_ENTITIES, N_RELATIONS, N_ENTITIES), (20, 3))
    batches = batches_of(facts, seed=5)
    for number in (1, 2):
        list(batches.epoch(number))
    assert [parts(batch) for batch in batches.epoch(3)] == epoch(5, 3)


def test_by_default_any_entity_is_a_negative() -> None:
    (batch,) = batches_of(np.array([[0, 0, 1]]), negatives=200).epoch(1)
    assert batch.entities.tolist() == list(range(N_ENTITIES))


@pytest.mark.parametrize("repeats", [1, 3])
def test_a_fact_that_two_sources_state_counts_once(repeats: int) -> None:
    facts = np.array([[0, 0, 1], [2, 1, 2]] * repeats)
    assert len(batches_of(facts).facts) == 2


@given(facts=FACTS, length=st.integers(2, 4), number=st.integers(0, 100))
def test_paths_begin_with_every_fact_and_stay_together(
    facts: Triples, length: int, number: int
) -> None:
    batches = TripleSampler(
        facts, N_ENTITIES, N_RELATIONS, batch_size=8, negatives=3, seed=0, path_length=length
    )
    drawn = list(batches.epoch(number))
    assert sum(map(len, drawn)) == batches.n_queries
    firsts = []
    for batch in drawn:
        assert batch.path_length == length
        assert len(batch) % length == 0
        queries = asked(batch)
        assert set(queries) <= both_ways(facts)
        for place in range(0, len(queries), length):
            path = queries[place : place + length]
            assert [head for head, _, _ in path[1:]] == [tail for _, _, tail in path[:-1]]
            firsts.append(path[0])
    assert Counter(firsts) == dict.fromkeys(both_ways(facts), 1)


def test_pseudo_facts_are_sampled_by_their_probability() -> None:
    facts = np.array([[0, 0, 1], [2, 1, 3]])
    inferred = PseudoFacts(np.array([[4, 0, 5], [6, 1, 7], [8, 0, 8]]), np.array([1.0, 0.5, 0.0]))
    batches = TripleSampler(
        facts, N_ENTITIES, N_RELATIONS, pseudo_facts=inferred, batch_size=3, negatives=2, seed=0
    )
    seen: Counter[tuple[int, int, int]] = Counter()
    for number in range(1, 201):
        for batch in batches.epoch(number):
            queries = asked(batch)
            assert [query not in both_ways(facts) for query in queries] == batch.is_pseudo.tolist()
            seen.update(queries)
    for query in (*both_ways(facts), *both_ways(np.array([[4, 0, 5]]))):
        assert seen[query] == 200
    assert seen[6, 1, 7] == seen[7, 1 + N_RELATIONS, 6]
    assert 70 <= seen[6, 1, 7] <= 130
    assert seen[8, 0, 8] == 0
    assert batches.n_queries == 4 + 2 * 2  # rounded to the even number: 1.5 facts to expect


def test_a_known_answer_is_no_negative_of_an_inferred_one_but_the_other_way_round_it_is() -> None:
    facts, inferred = np.array([[0, 0, 1]]), PseudoFacts(np.array([[0, 0, 2]]), np.ones(1))
    batches = TripleSampler(
        facts, N_ENTITIES, N_RELATIONS, pseudo_facts=inferred, batch_size=8, negatives=1, seed=0
    )
    (batch,) = batches.epoch(1)
    left_out = {
        (asked(batch)[query], int(batch.entities[column]))
        for query, column in (divmod(x, len(batch.entities)) for x in batch.known.tolist())
        if column != batch.tails[query]
    }
    assert left_out == {((0, 0, 2), 1)}


@given(facts=FACTS, length=st.integers(1, 3))
def test_only_the_first_fact_of_a_path_is_inferred(facts: Triples, length: int) -> None:
    inferred = PseudoFacts(facts[:1, ::-1][:, [2, 1, 0]], np.ones(1))
    batches = TripleSampler(
        facts,
        N_ENTITIES,
        N_RELATIONS,
        pseudo_facts=inferred,
        path_length=length,
        batch_size=8,
        negatives=1,
        seed=0,
    )
    flags = np.concatenate([batch.is_pseudo.numpy() for batch in batches.epoch(1)])
    assert flags.sum() == 2
    assert flags.reshape(-1, length)[:, 1:].sum() == 0
