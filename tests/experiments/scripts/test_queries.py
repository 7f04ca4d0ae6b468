"""Made queries: their shapes, their answers, and the rank of an answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rdflib", reason="needs the extra 'ask'")

from queries import main, reciprocal_rank
from query_sets import NEGATED, POSITIVE, SHAPES, Facts, MadeQuery, Sampler, answers

import kgraft
from kgraft.settings import TrainSettings

M = 3


def made(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return observed and missing facts between 12 entities."""
    draw = np.random.default_rng(seed)
    whole = np.stack([draw.integers(12, size=90), draw.integers(M, size=90),
                      draw.integers(12, size=90)], axis=1)  # fmt: skip
    whole = np.unique(whole, axis=0)
    draw.shuffle(whole)
    return whole[:50], whole[50:]


def test_every_shape_has_queries_with_answers_that_need_missing_facts() -> None:
    observed, missing = made(0)
    sampler, known = Sampler(observed, missing, M, 0), Facts(observed, M)
    for shape in SHAPES:
        queries = sampler.sample(shape, 5)
        assert len(queries) == 5
        for query in queries:
            assert query.hard <= query.answers
            assert query.hard.isdisjoint(answers(query.node, known))
            assert bool(query.missing) <= (shape in POSITIVE)
    assert not set(POSITIVE) & set(NEGATED)


@pytest.mark.parametrize("shape", POSITIVE)
def test_answers_of_missing_facts_alone_have_no_derivation_with_an_observed_one(shape: str) -> None:
    observed, missing = made(1)
    whole = np.concatenate([observed, missing])
    for query in Sampler(observed, missing, M, 0).sample(shape, 5, all_missing=True):
        for fact in observed:
            without = Facts(whole[(whole != fact).any(axis=1)], M)
            assert query.missing <= answers(query.node, without)
        assert query.missing <= answers(query.node, Facts(missing, M))


def test_answers_by_hand() -> None:
    facts = Facts(np.array([[0, 0, 1], [0, 0, 2], [1, 1, 3], [2, 1, 4]]), M)
    two = ("p", 1, ("p", 0, ("e", 0)))
    assert answers(two, facts) == {3, 4}
    assert answers(("p", 0 + M, ("e", 1)), facts) == {0}
    assert answers(("i", (two, ("n", ("p", 1, ("e", 1))))), facts) == {4}
    assert answers(("u", (("p", 0, ("e", 0)), ("p", 1, ("e", 1)))), facts) == {1, 2, 3}


def test_other_answers_do_not_count_and_ties_count_half() -> None:
    query = MadeQuery("1p", ("e", 0), frozenset({0, 1}), frozenset({1}), frozenset())
    assert reciprocal_rank(np.array([9.0, 2.0, 3.0, 1.0]), query, query.hard) == 1 / 2
    assert reciprocal_rank(np.array([9.0, 2.0, 2.0, 2.0]), query, query.hard) == 1 / 2
    assert reciprocal_rank(np.array([9.0, 2.0, 1.0, 1.0]), query, query.hard) == 1


@pytest.mark.slow
def test_the_whole_measure(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    lines = [
        f"e{head}\tr{step}\te{(head + step + further) % 40}"
        for head in range(40)
        for step in (1, 2, 3)
        for further in (0, 5)
    ]
    draw.shuffle(lines)
    for name, part in (("train", lines[:160]), ("valid", lines[160:200]), ("test", lines[200:])):
        (tmp_path / f"{name}.tsv").write_text("\n".join(part) + "\n")
    whole = '[[source]]\nname = "made"\ntrain = "train.tsv"\nvalid = "valid.tsv"\n'
    (tmp_path / "known.toml").write_text(f'name = "made"\n{whole}')
    (tmp_path / "all.toml").write_text(f'name = "made"\n{whole}test = "test.tsv"\n')
    known = kgraft.read_collection(tmp_path / "known.toml")
    for name, longest in (("model", 3), ("plain", 0)):
        settings = TrainSettings.model_validate(
            {"model": {"width": 16}, "training": {"epochs": 3}, "rules": {"longest": longest}}
        )
        kgraft.train(known, settings, alone=True).save(tmp_path / name)
    report = main(
        [str(tmp_path / "all.toml"), "--name", "made", "--queries", "2",
         "--model", str(tmp_path / "model"), "--plain", str(tmp_path / "plain"),
         "--out", str(tmp_path / "out.json")]
    )  # fmt: skip
    shapes = report["graphs"]["made"]["shapes"]
    assert set(shapes) == set(SHAPES)
    assert all(0 <= row["kgraft"] <= 1 and row["median_ms"] > 0 for row in shapes.values())
    assert report["graphs"]["made"]["positive"]["kgraft"] > 0.3
