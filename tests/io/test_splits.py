import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgraft.errors import KgraftWarning
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.read_graph import read_graph
from kgraft.io.source import GraphSource, Split
from kgraft.io.splits import draw_splits

Fact = tuple[str, str, str]
DENSE = [(f"e{h}", f"r{(h + t) % 3}", f"e{t}") for h in range(40) for t in range(40)]
SPLITS = ("train", "valid", "test")


def graph_of(facts: Sequence[Fact]) -> KnowledgeGraph:
    """A graph of training facts, with rows in the order of first appearance."""
    entities = list(dict.fromkeys(x for head, _, tail in facts for x in (head, tail)))
    relations = list(dict.fromkeys(relation for _, relation, _ in facts))
    rows = [(entities.index(h), relations.index(r), entities.index(t)) for h, r, t in facts]
    return KnowledgeGraph("g", Vocabulary.of(entities), Vocabulary.of(relations), np.array(rows))


def by_split(graph: KnowledgeGraph) -> dict[Fact, str]:
    return {(h, r, t): split for h, r, t, split in graph.to_frame().iter_rows()}


def drawn(facts: Sequence[Fact], **split: float) -> dict[Fact, str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KgraftWarning)
        return by_split(draw_splits(graph_of(facts), Split.model_validate(split)))


def test_each_fact_is_in_one_split_of_about_the_share() -> None:
    found = drawn(DENSE, valid=0.1, test=0.2)
    assert found.keys() == set(DENSE)
    sizes = [list(found.values()).count(split) / len(DENSE) for split in SPLITS]
    assert sizes == pytest.approx([0.7, 0.1, 0.2], abs=0.03)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_facts_plays_no_part(seed: int) -> None:
    facts = DENSE[::7]
    mixed = [facts[x] for x in np.random.default_rng(seed).permutation(len(facts))]
    assert drawn(mixed, seed=seed) == drawn(facts, seed=seed)


def test_repeats_and_order_of_lines_play_no_part(tmp_path: Path) -> None:
    lines = ["\t".join(fact) + "\n" for fact in DENSE]
    found = []
    for name, written in {"a.tsv": lines, "b.tsv": [*reversed(lines), *lines[:9]]}.items():
        (tmp_path / name).write_text("".join(written))
        source = GraphSource(name="g", train=(tmp_path / name,), split=Split(seed=4))
        found.append(by_split(read_graph(source)))
    assert found[0] == found[1]


def test_a_new_fact_moves_no_other() -> None:
    before = drawn(DENSE)
    after = drawn([("e3", "new", "e99"), *DENSE, ("e3", "r0", "e100")])
    assert {fact: after[fact] for fact in DENSE} == before


def test_a_larger_share_keeps_what_was_held_out() -> None:
    small, large = drawn(DENSE, test=0.1, valid=0), drawn(DENSE, test=0.3, valid=0.1)
    assert all(large[fact] == "test" for fact, split in small.items() if split == "test")


def test_another_seed_draws_others() -> None:
    assert drawn(DENSE, seed=0) != drawn(DENSE, seed=1)


def test_one_split_is_the_same_on_every_machine() -> None:
    facts = [("a", "r", x) for x in "bcdefgh"] + [("b", "r", x) for x in "cdefgh"]
    held_out = [h + t for (h, _, t), split in drawn(facts, test=0.4).items() if split == "test"]
    assert held_out == ["ab", "ae", "ag", "bc", "bf", "bh"]


def test_a_share_that_cannot_be_met_is_told() -> None:
    alone = [(f"a{i}", "r", f"b{i}") for i in range(100)]
    with pytest.warns(KgraftWarning, match="only 0 of 100 facts of 'g' are drawn for valid"):
        found = by_split(draw_splits(graph_of(alone), Split(valid=0.2, test=0)))
    assert set(found.values()) == {"train"}


def test_no_share_holds_out_nothing() -> None:
    assert set(drawn(DENSE, valid=0, test=0).values()) == {"train"}


@given(
    st.sets(
        st.tuples(st.sampled_from("abcdefg"), st.sampled_from("rst"), st.sampled_from("abcdefg")),
        min_size=1,
        max_size=60,
    ),
    st.floats(0, 0.49),
    st.floats(0, 0.49),
    st.integers(0, 5),
)
def test_all_that_is_asked_about_was_seen(
    facts: set[Fact], valid: float, test: float, seed: int
) -> None:
    found = drawn(sorted(facts), valid=valid, test=test, seed=seed)
    assert found.keys() == facts
    trained = [fact for fact, split in found.items() if split == "train"]
    assert {x for h, _, t in trained for x in (h, t)} == {x for h, _, t in facts for x in (h, t)}
    assert {r for _, r, _ in trained} == {r for _, r, _ in facts}
