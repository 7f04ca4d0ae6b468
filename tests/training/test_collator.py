"""Batches out of draws: what is known, by either way to look; and padding that changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from steps import step

from kgraft.graph import grouped_index
from kgraft.graph.knowledge_graph import Triples
from kgraft.model.kge import KgeModel
from kgraft.settings import ModelSettings, OptimizerName
from kgraft.training import collator, distinct_facts
from kgraft.training.answer_index import AnswerIndex
from kgraft.training.batch import Batch
from kgraft.training.collator import PaddingSizes
from kgraft.training.distinct_facts import distinct_queries
from kgraft.training.sampler import TripleSampler
from kgraft.training.step import Trainer

N_ENTITIES, N_RELATIONS = 9, 2

FACTS = st.integers(1, 25).flatmap(
    lambda n: arrays(np.int64, (n, 3), elements=st.integers(0, N_ENTITIES - 1))
).map(lambda facts: np.unique(facts % [N_ENTITIES, N_RELATIONS, N_ENTITIES], axis=0))  # fmt: skip


def answered(index: AnswerIndex) -> dict[tuple[int, int], list[int]]:
    """The answers of every query that there may be, each with its relation's direction."""
    queries = [(head, way) for head in range(N_ENTITIES) for way in range(2 * N_RELATIONS)]
    starts, sizes = index.groups(*(torch.tensor(column) for column in zip(*queries, strict=True)))
    return {
        query: index.entities[start : start + size].tolist()
        for query, start, size in zip(queries, starts.tolist(), sizes.tolist(), strict=True)
    }


@given(facts=FACTS)
@pytest.mark.parametrize("largest", [None, 50])
def test_answers_are_found_in_either_direction(facts: Triples, largest: int | None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if largest is not None:  # Too many entities for one number a fact.
            patch.setattr(grouped_index, "LARGEST", largest)
        index = AnswerIndex.of(facts, N_ENTITIES, N_RELATIONS)
    expected: dict[tuple[int, int], list[int]] = {
        (head, way): [] for head in range(N_ENTITIES) for way in range(2 * N_RELATIONS)
    }
    for head, relation, tail in facts.tolist():
        expected[head, relation].append(tail)
        expected[tail, relation + N_RELATIONS].append(head)
    assert answered(index) == {query: sorted(found) for query, found in expected.items()}


@given(facts=FACTS, at_once=st.integers(1, 30), count=st.integers(1, 3))
def test_answers_are_kept_for_the_heads_that_are_asked_for(
    facts: Triples, at_once: int, count: int
) -> None:
    repeated = np.concatenate([facts, facts[::2]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distinct_facts, "SORTED_AT_ONCE", at_once)
        parts = [*distinct_queries(repeated, N_RELATIONS, lambda x: x % count == 0)]
    assert all((first < len(facts)).all() for _, first in parts)
    index = AnswerIndex.of_parts(
        (queries for queries, _ in parts), 2 * len(repeated), N_ENTITIES, N_RELATIONS
    )
    every = answered(AnswerIndex.of(facts, N_ENTITIES, N_RELATIONS))
    expected = {query: found if query[0] % count == 0 else [] for query, found in every.items()}
    assert answered(index) == expected
    places = np.random.default_rng(0).permutation(len(index))
    rows = index.queries(places)[np.argsort(places)]
    assert [*map(tuple, rows.tolist())] == [
        (*query, answer) for query, found in sorted(expected.items()) for answer in found
    ]


def batches_of(facts: Triples, negatives: int = 3, length: int = 1) -> TripleSampler:
    return TripleSampler(
        facts, N_ENTITIES, N_RELATIONS, batch_size=6, negatives=negatives, path_length=length,
        logq_correction=0.5, seed=0,
    )  # fmt: skip


def known(batch: Batch) -> set[tuple[int, int]]:
    """Queries, and the rows of their true answers among the candidates."""
    places = (divmod(place, len(batch.entities)) for place in batch.known.tolist())
    return {(query, int(batch.entities[column])) for query, column in places}


@given(facts=FACTS)
def test_hubs_are_looked_up_by_candidates_alike(facts: Triples) -> None:
    batches = batches_of(facts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collator, "HUB_FACTOR", 0)
        assert all(
            batches.collator.padding_sizes(sampled).answers == 0 for sampled in batches.samples(1)
        )
        by_candidates = list(batches.epoch(1))
    by_answers = list(batches.epoch(1))
    for left, right in zip(by_candidates, by_answers, strict=True):
        assert known(left) == known(right)
        assert len(left.known) == len(right.known)


@given(facts=FACTS, more=st.integers(0, 5), negatives=st.integers(1, 12), length=st.integers(1, 2))
@pytest.mark.parametrize("many", [0, 0.2, 4])
def test_a_padded_batch_has_one_shape_and_says_the_same(
    facts: Triples, more: int, negatives: int, length: int, many: float
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collator, "HUB_FACTOR", many)
        check_padded(batches_of(facts, negatives, length), more, negatives)


def check_padded(batches: TripleSampler, more: int, negatives: int) -> None:
    for sampled in batches.samples(1):
        made = batches.collator.collate(sampled)
        answers, asked, hubs = batches.collator.padding_sizes(sampled)
        enough = PaddingSizes(answers + more, min(asked + more, sampled.size), hubs + more)
        padded = batches.collator.collate_padded(sampled, enough)
        assert len(padded.entities) == 2 * sampled.size + negatives
        assert len(padded.relations) == sampled.size
        assert len(padded.known) == enough.answers + enough.hub_queries * len(padded.entities)
        n = len(made.entities)
        assert padded.original is not None
        own = padded.original[: len(padded.entities)].tolist()
        assert own == [*range(n), *[0] * (len(padded.entities) - n)]
        for name in ("entities", "logq"):
            assert getattr(padded, name)[:n].equal(getattr(made, name)), name
        assert set(padded.entities[n:].tolist()) <= {int(made.entities[0])}
        assert padded.logq[n:].eq(torch.inf).all()
        assert padded.uses.sum() == made.uses.sum()
        for name in ("heads", "relation_positions", "tails", "weights", "is_pseudo"):
            assert getattr(padded, name).equal(getattr(made, name)), name
        first = (0, int(made.entities[made.tails[0]]))
        assert known(padded) | {first} == known(made) | {first}


@pytest.mark.parametrize("optimizer", ["adagrad", "rowwise_adagrad", "adam"])
@pytest.mark.parametrize("tables", ["float32", "bfloat16"])
def test_padding_changes_no_step(optimizer: OptimizerName, tables: str) -> None:
    facts = np.random.default_rng(0).integers(0, (N_ENTITIES, N_RELATIONS, N_ENTITIES), (30, 3))
    batches = batches_of(facts)

    def learned(*, padded: bool) -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
        settings = ModelSettings(width=4, init_scale=0.5, tables=tables)
        model = KgeModel.create(settings, N_ENTITIES, N_RELATIONS, seed=1)
        trainer = Trainer(
            model, optimizer=optimizer, learning_rate=0.05, dense_learning_rate=1e-3,
            regularization=0.05,
        )  # fmt: skip
        terms = []
        for sampled in batches.samples(1):
            if padded:
                sizes = batches.collator.padding_sizes(sampled)
                batch = batches.collator.collate_padded(
                    sampled, sizes._replace(answers=sizes.answers + 7)
                )
            else:
                batch = batches.collator.collate(sampled)
            terms.append(step(trainer, batch))
        return terms, trainer.state()

    torch.manual_seed(0)
    terms, state = learned(padded=False)
    torch.manual_seed(0)
    same_terms, same_state = learned(padded=True)
    # Rows of bfloat16 are rounded at random, and padding draws more numbers.
    within = 1e-5 if tables == "float32" else 0.05
    for left, right in zip(terms, same_terms, strict=True):
        assert right == pytest.approx(left, rel=within)
    for name, value in state.items():
        torch.testing.assert_close(same_state[name], value, rtol=within, atol=within, msg=name)
