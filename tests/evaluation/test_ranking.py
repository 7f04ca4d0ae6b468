"""Ranks by hand, by brute force and by PyKEEN."""

from __future__ import annotations

import warnings
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kgraft.evaluation import ranking as module
from kgraft.evaluation.ranking import rank, ranks_by_filter
from kgraft.evaluation.ranks import Ranks, concatenate, measure
from kgraft.graph import grouped_index
from kgraft.graph.known_facts import KnownFacts

INF, NAN = float("inf"), float("nan")


class Table:
    """Scores written down: ``tables[side]`` of shape (entities, relations, entities)."""

    def __init__(self, tail: torch.Tensor, head: torch.Tensor | None = None) -> None:
        self.tables = {"tail": tail, "head": tail if head is None else head}
        self.queries: list[tuple[int, int]] = []
        self.largest = 0
        self.calls = 0

    def score(
        self,
        anchors: torch.Tensor,
        relations: torch.Tensor,
        *,
        side: str,
        candidates: torch.Tensor | None,
        out: torch.Tensor,  # noqa: ARG002 - it may be left alone
    ) -> torch.Tensor:
        self.calls += 1
        self.queries += zip(anchors.tolist(), relations.tolist(), strict=True)
        scores = self.tables[side][anchors, relations]
        scores = scores if candidates is None else scores[:, candidates]
        self.largest = max(self.largest, scores.numel())
        return scores


def by_hand(*scores: float) -> Table:
    """A table in which every query of one relation scores the entities like this."""
    return Table(torch.tensor(scores).expand(len(scores), 1, -1).clone())


def tails(scorer: Table, triples: list, **settings: object) -> tuple[list, list, list]:
    settings = {"known": None, "n_entities": scorer.tables["tail"].shape[2]} | settings
    ranks = rank(scorer, triples, side="tail", **settings)
    return ranks.optimistic.tolist(), ranks.pessimistic.tolist(), ranks.candidates.tolist()


def test_rank_by_hand() -> None:
    scorer = by_hand(0.1, 0.9, 0.5, 0.5, 0.5)
    # Higher: one. Equal: the answer and two others.
    assert tails(scorer, [[0, 0, 2], [0, 0, 1], [0, 0, 0]]) == ([2, 1, 5], [4, 1, 5], [5, 5, 5])


def test_ranks_follow_the_order_of_the_facts() -> None:
    scorer = by_hand(3.0, 2.0, 1.0)
    assert tails(scorer, [[2, 0, 2], [0, 0, 1], [1, 0, 0], [0, 0, 0]])[0] == [3, 2, 1, 1]


def test_filter_removes_other_known_answers_only() -> None:
    scorer = by_hand(0.9, 0.8, 0.7, 0.7, 0.1)
    triples = [[0, 0, 2], [1, 0, 2]]
    known = KnownFacts([[0, 0, 0], [0, 0, 3], [0, 0, 2], [0, 0, 4]])
    # Query (0, 0, ?): 0, 3 and 4 go, the asked 2 stays, though it is known, behind 1.
    assert tails(scorer, triples, known=known) == ([2, 3], [2, 4], [2, 5])


def test_answer_that_is_not_known_counts_itself_once() -> None:
    scorer = by_hand(0.9, 0.8, 0.7)
    known = KnownFacts([[0, 0, 0]])
    # Two test answers of one query, neither known: each is a candidate to the other.
    assert tails(scorer, [[0, 0, 1], [0, 0, 2]], known=known) == ([1, 2], [1, 2], [2, 2])


def test_the_head_side_uses_heads() -> None:
    head = torch.tensor([[[0.1, 0.2, 0.3]], [[0.3, 0.2, 0.1]], [[0.2, 0.3, 0.1]]])
    scorer = Table(torch.zeros(3, 1, 3), head)
    known = KnownFacts([[2, 0, 0], [1, 0, 1]])
    ranks = rank(scorer, [[1, 0, 0], [2, 0, 1]], side="head", known=known, n_entities=3)
    assert ranks.optimistic.tolist() == [1, 2]
    assert ranks.candidates.tolist() == [2, 2]


@pytest.mark.parametrize("chunk_elements", [1, 2, 100])
def test_candidates_in_any_order(chunk_elements: int) -> None:
    scorer = by_hand(0.9, 0.8, 0.7, 0.6, 0.5)
    known = KnownFacts([[0, 0, 0], [0, 0, 3]])
    # Ranked: 4, 1 and 3. 3 is filtered for (0, 0, 4); the known 0 is no candidate.
    settings = {"candidates": np.array([4, 1, 3, 1]), "chunk_elements": chunk_elements}
    assert tails(scorer, [[0, 0, 4], [1, 0, 4]], known=known, **settings) == (
        [2, 3],
        [2, 3],
        [2, 3],
    )


def test_minus_infinity_is_a_score() -> None:
    scorer = by_hand(-INF, 0.5, -INF, -INF, 0.4)
    known = KnownFacts([[0, 0, 2], [0, 0, 1]])
    # 1 and 2 go; 4 is better; 3 ties with the answer, and the filtered 2 does not.
    assert tails(scorer, [[0, 0, 0]], known=known) == ([2], [3], [3])
    assert tails(scorer, [[0, 0, 0]]) == ([3], [5], [5])


@pytest.mark.parametrize("chunk_elements", [1, 100])
def test_nan_is_refused(chunk_elements: int) -> None:
    with pytest.raises(ValueError, match="NaN"):
        tails(by_hand(0.1, NAN, 0.2), [[0, 0, 0]], chunk_elements=chunk_elements)


def test_nan_is_refused_where_it_would_be_filtered() -> None:
    with pytest.raises(ValueError, match="NaN"):
        tails(by_hand(0.1, NAN, 0.2), [[0, 0, 0]], known=KnownFacts([[0, 0, 1]]))


def test_an_answer_outside_the_candidates_is_refused() -> None:
    scorer = by_hand(0.1, 0.2, 0.3)
    with pytest.raises(
        ValueError, match=r"1 of 2 answers are not among the 2 candidates.*entity 2"
    ):
        tails(scorer, [[0, 0, 1], [0, 0, 2]], candidates=np.array([0, 1]))
    with pytest.raises(ValueError, match="not among the 0 candidates"):
        tails(scorer, [[0, 0, 1]], candidates=np.array([], dtype=np.int64))
    with pytest.raises(ValueError, match="not among the 2 candidates"):
        tails(scorer, [[0, 0, 2]], n_entities=2)


def test_other_bad_input_is_refused() -> None:
    scorer = by_hand(0.1, 0.2, 0.3)
    with pytest.raises(ValueError, match=r"candidates 1\.\.3 reach beyond the 3 entities"):
        tails(scorer, [[0, 0, 1]], candidates=np.array([3, 1]))
    with pytest.raises(ValueError, match=r"shape \(1, 3\), not \(1, 4\)"):
        tails(scorer, [[0, 0, 1]], n_entities=4)
    with pytest.raises(ValueError, match="chunk_elements"):
        tails(scorer, [[0, 0, 1]], chunk_elements=0)


def test_no_facts_give_no_ranks() -> None:
    assert tails(by_hand(0.1, 0.2), []) == ([], [], [])


def test_equal_queries_are_scored_once() -> None:
    scorer = by_hand(0.3, 0.2, 0.1)
    tails(scorer, [[0, 0, 1], [1, 0, 1], [0, 0, 2], [0, 0, 0]])
    assert scorer.queries == [(0, 0), (1, 0)]


def test_the_scorer_keeps_its_table() -> None:
    scores = torch.tensor([[0.3, 0.2, 0.1]], requires_grad=True)

    class Same:
        def score(self, *_: object, **__: object) -> torch.Tensor:
            return scores

    rank(Same(), [[0, 0, 1]], side="tail", known=KnownFacts([[0, 0, 0]]), n_entities=3)
    assert scores.tolist() == [pytest.approx([0.3, 0.2, 0.1])]


@st.composite
def cases(draw: st.DrawFn) -> tuple[torch.Tensor, np.ndarray, np.ndarray, np.ndarray | None]:
    """Scores with many ties, facts to ask for, facts to filter by, perhaps candidates."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, n_relations = draw(st.integers(1, 7)), draw(st.integers(1, 2))
    scores = torch.from_numpy(random.choice([-INF, 0.0, 1.0, 2.0], (2, n, n_relations, n)))
    limits = [n, n_relations, n]
    known = random.integers(limits, size=(draw(st.integers(0, 30)), 3))
    asked = random.integers(limits, size=(draw(st.integers(0, 12)), 3))
    candidates = None
    if draw(st.booleans()):
        some = random.permutation(n)[: random.integers(n + 1)]
        candidates = np.concatenate([some, asked[:, 0], asked[:, 2]])
    return scores, asked, known, candidates


class Filling(Table):
    """Scores that go to the memory that is offered."""

    def score(self, *asked: torch.Tensor, out: torch.Tensor, **how: object) -> torch.Tensor:
        return out.copy_(super().score(*asked, out=out, **how))


def both(case: tuple, chunk_elements: int = 2**24, kind: type[Table] = Table) -> Ranks:
    scores, asked, known, candidates = case
    return concatenate(
        [
            rank(
                kind(*scores),
                asked,
                side=side,
                known=KnownFacts(known),
                candidates=candidates,
                n_entities=scores.shape[-1],
                chunk_elements=chunk_elements,
            )
            for side in ("tail", "head")
        ]
    )


@given(cases())
def test_agrees_with_brute_force(case: tuple) -> None:
    scores, asked, known, candidates = case
    pool = range(scores.shape[-1]) if candidates is None else set(candidates.tolist())
    truth = set(map(tuple, known.tolist()))
    expected = []
    for side, table in enumerate(scores.tolist()):
        for h, r, t in asked.tolist():
            anchor, answer = (t, h) if side else (h, t)
            facts = {e: (e, r, anchor) if side else (anchor, r, e) for e in pool}
            row = table[anchor][r]
            rivals = [row[e] for e, f in facts.items() if e != answer and f not in truth]
            better = sum(score > row[answer] for score in rivals)
            equal = sum(score == row[answer] for score in rivals)
            expected.append((better + 1, better + equal + 1, len(rivals) + 1))
    ranks = both(case)
    found = zip(ranks.optimistic, ranks.pessimistic, ranks.candidates, strict=True)
    assert list(found) == expected


@given(cases(), st.integers(1, 40), st.sampled_from([Table, Filling]))
def test_chunks_change_nothing(case: tuple, chunk_elements: int, kind: type[Table]) -> None:
    whole, parts = both(case), both(case, chunk_elements, kind)
    assert parts.optimistic.tolist() == whole.optimistic.tolist()
    assert parts.pessimistic.tolist() == whole.pessimistic.tolist()
    assert parts.candidates.tolist() == whole.candidates.tolist()


@given(cases(), st.integers(1, 5))
def test_looking_at_few_known_answers_at_once_changes_nothing(case: tuple, most: int) -> None:
    whole = both(case)
    with mock.patch.object(module, "MAX_KNOWN", most):
        parts = both(case)
    assert parts.optimistic.tolist() == whole.optimistic.tolist()
    assert parts.pessimistic.tolist() == whole.pessimistic.tolist()
    assert parts.candidates.tolist() == whole.candidates.tolist()


def test_many_answers_of_a_hub_are_not_compared_with_all_known_ones_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # 100 answers, 200 known ones of their only query: 20,000 pairs.
    hub = np.array([[0, 0, tail] for tail in range(200)])
    compared = []

    def spans(starts: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = grouped_index.spans(starts, sizes)
        compared.append(len(found[0]))
        return found

    monkeypatch.setattr(module, "spans", spans)
    monkeypatch.setattr(module, "MAX_KNOWN", 1000)
    scorer = Table(torch.arange(200.0).expand(200, 1, -1))
    ranks = rank(scorer, hub[:100], side="tail", known=KnownFacts(hub), n_entities=200)
    assert ranks.optimistic.tolist() == [1] * 100
    assert ranks.candidates.tolist() == [1] * 100
    assert max(compared) <= 1000
    assert sum(compared) == 20_000


@pytest.mark.parametrize("chunk_elements", [1, 7, 20, 64, 1000])
def test_no_more_scores_at_once_than_allowed(chunk_elements: int) -> None:
    random = np.random.default_rng(0)
    scorer = Table(torch.from_numpy(random.normal(size=(20, 3, 20))))
    asked = random.integers([20, 3, 20], size=(50, 3))
    rank(scorer, asked, side="tail", known=None, n_entities=20, chunk_elements=chunk_elements)
    assert 0 < scorer.largest <= chunk_elements


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_change_nothing(threads: int) -> None:
    random = np.random.default_rng(0)
    scorer = Table(torch.from_numpy(random.integers(20, size=(90, 2, 90)).astype(np.float32)))
    asked, known = (random.integers([90, 2, 90], size=(n, 3)) for n in (200, 900))
    settings = {"side": "tail", "known": KnownFacts(known), "n_entities": 90}
    alone = rank(scorer, asked, **settings)
    torch.set_num_threads(threads)
    together = rank(scorer, asked, **settings)
    for one, other in zip(vars(together).values(), vars(alone).values(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_with_many_candidates_facts_with_neighbouring_answers_share_a_chunk() -> None:
    random = np.random.default_rng(0)
    scores = torch.from_numpy(random.normal(size=(400, 1, 400)))
    asked = random.integers([400, 1, 400], size=(100, 3))
    settings = {"side": "tail", "known": None, "n_entities": 400}
    whole, scorer = rank(Table(scores), asked, **settings), Table(scores)
    parts = rank(scorer, asked, chunk_elements=400, **settings)
    np.testing.assert_array_equal(parts.optimistic, whole.optimistic)
    np.testing.assert_array_equal(parts.pessimistic, whole.pessimistic)
    # One query's scores fit at once, or those of about ten in blocks: their answers lie within 40.
    assert scorer.largest <= 400
    assert len(scorer.queries) / scorer.calls > 5


@given(cases(), st.integers(1, 40))
def test_several_filters_share_scores_and_nothing_else(case: tuple, chunk_elements: int) -> None:
    scores, asked, known, candidates = case
    filters = [KnownFacts(known), None, KnownFacts(known[::2])]
    settings = {
        "side": "tail",
        "candidates": candidates,
        "n_entities": scores.shape[-1],
        "chunk_elements": chunk_elements,
    }
    scorer = Table(*scores)
    together = ranks_by_filter(scorer, asked, filters=filters, **settings)
    n_queries = len(scorer.queries)
    for found, facts in zip(together, filters, strict=True):
        scorer = Table(*scores)
        alone = rank(scorer, asked, known=facts, **settings)
        assert len(scorer.queries) == n_queries
        for one, other in zip(vars(found).values(), vars(alone).values(), strict=True):
            np.testing.assert_array_equal(one, other)


@given(cases(), st.randoms(use_true_random=False))
def test_relabelling_entities_changes_no_metric(case: tuple, random: object) -> None:
    scores, asked, known, candidates = case
    new = list(range(scores.shape[-1]))
    random.shuffle(new)
    new_row = np.array(new)
    old_row = np.argsort(new_row)

    def relabel(facts: np.ndarray) -> np.ndarray:
        return np.stack([new_row[facts[:, 0]], facts[:, 1], new_row[facts[:, 2]]], axis=1)

    relabelled = (
        scores[:, old_row][..., old_row],
        relabel(asked),
        relabel(known),
        None if candidates is None else new_row[candidates],
    )
    for tie in ("optimistic", "realistic", "pessimistic"):
        before, after = (measure(both(c), tie).as_dict() for c in (case, relabelled))
        assert after == pytest.approx(before)


PYKEEN = {
    "mrr": "inverse_harmonic_mean_rank",
    "hits@1": "hits_at_1",
    "hits@3": "hits_at_3",
    "hits@10": "hits_at_10",
    "mr": "arithmetic_mean_rank",
    "amri": "adjusted_arithmetic_mean_rank_index",
}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_pykeen(seed: int) -> None:
    with warnings.catch_warnings():
        # PyKEEN and what it imports use old names of other libraries.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        evaluation = pytest.importorskip("pykeen.evaluation")
    from pykeen.evaluation.evaluator import create_sparse_positive_filter_, filter_scores_

    random = np.random.default_rng(seed)
    limits = [30, 3, 30]
    # Few different scores, so that ties abound; PyKEEN takes infinite ones for filtered.
    scores = torch.from_numpy(random.integers(0, 15, size=(2, 30, 3, 30)).astype(np.float64))
    asked = random.integers(limits, size=(60, 3))
    known = np.concatenate([asked, random.integers(limits, size=(600, 3))])

    evaluator = evaluation.RankBasedEvaluator()
    batch, positives = torch.from_numpy(asked), torch.from_numpy(known)
    for side, column, table in zip(("tail", "head"), (2, 0), scores, strict=True):
        rows = table[batch[:, 2 - column], batch[:, 1]]
        answer = rows.gather(1, batch[:, column : column + 1])
        filtered, _ = create_sparse_positive_filter_(batch, positives, filter_col=column)
        rows = filter_scores_(rows, filtered).scatter(1, batch[:, column : column + 1], answer)
        evaluator.process_scores_(batch, side, rows, true_scores=answer)
    expected = evaluator.finalize()

    ours = {"both": both((scores, asked, known, None))}
    ours |= {"tail": ours["both"].select(np.arange(120) < 60)}
    ours |= {"head": ours["both"].select(np.arange(120) >= 60)}
    compared = 0
    for side, ranks in ours.items():
        for tie in ("optimistic", "realistic", "pessimistic"):
            figures = measure(ranks, tie).as_dict()
            for name, theirs in PYKEEN.items():
                if name == "amri" and tie != "realistic":
                    continue  # PyKEEN defines it for realistic ranks only.
                value = expected.get_metric(f"{side}.{tie}.{theirs}")
                assert figures[name] == pytest.approx(value, abs=1e-6)
                compared += 1
    assert compared == 3 * (3 * 5 + 1)
