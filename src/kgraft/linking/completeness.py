"""Completeness: the share of the true facts that a target states, of each relation.

Several sources describe one world, so that their overlap tells how much of it none of them states,
as in capture and recapture of animals. With ``f1`` facts that exactly one of ``s`` sources states,
and ``f2`` that two do, about ``(s - 1) / s * f1 (f1 - 1) / (2 (f2 + 1))`` are stated by none (Chao,
Biometrics 1987, bias-corrected; for two sources the estimate of Lincoln and Petersen). That is a
lower bound where sources tend to state the same facts. It is taken among the facts that the target
lacks, so that nothing is assumed of how the target and the sources overlap.

Shapes: m relations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.knowledge_graph import Triples
from kgraft.linking.joint_graph import JointGraph

Floats = NDArray[np.float64]

Basis = Literal["sources", "source", "none", "given"]
"""Basis of an estimate of completeness: the overlap of two or more other sources, that of the
target with one, or none; or the user has given it."""

BASES: tuple[Basis, ...] = get_args(Basis)

STRENGTH = 10.0
"""Number of facts that move a relation's share half-way from that of all relations."""

ACCURACY = (19.0, 20.0)
"""Right statements, and statements, that a source is credited with in advance."""

FUNCTIONAL = 0.95
"""Share of a relation's queries with one answer from which on a second answer contradicts it."""

MIN_FACTS = 10
"""Facts of a relation from which on it may count as functional."""

SHARES = ("overall", "linked", "by_one", "by_several")
"""Names of the shares of ``Completeness``, by kind of fact."""

LIMITS = (0.001, 0.999)
"""Least and largest share."""

KEY = ["head", "relation", "tail"]

_IN_WORDS: dict[Basis, str] = {
    "given": "as given",
    "sources": "by the overlap of other sources",
    "source": "by the overlap with one other source",
    "none": "by nothing, so that their probabilities are lower bounds (facts.completeness sets it)",
}

_ONCE, _TWICE, _ANY = pl.col("stating") == 1, pl.col("stating") == 2, pl.col("stating") > 0


@dataclass(frozen=True)
class SplitSizes:
    """Numbers of a graph's facts in its splits."""

    train: int
    valid: int
    test: int

    @property
    def held_out(self) -> float:
        """The share of validation and test facts."""
        return (self.valid + self.test) / max(self.train + self.valid + self.test, 1)


@dataclass(frozen=True, eq=False)
class Completeness:
    """Shares of the true facts that a target states in any split, float ``(m,)`` each.

    Args:
        overall: Of all facts of a relation.
        linked: Of those that no other source states, though two or more know both entities.
        by_one: Of those that one other source states.
        by_several: Of those that two or more other sources state.
        basis: How each is estimated. By ``none`` as many facts are taken to be missing as are held
            out, so that probabilities are lower bounds.
        accuracy: Estimated share of other sources' statements that are true.
    """

    overall: Floats
    linked: Floats
    by_one: Floats
    by_several: Floats
    basis: tuple[Basis, ...]
    accuracy: float

    def in_words(self, target: str, used: Sequence[int]) -> str:
        """Return in a sentence what the shares of a target's relations, by row, rest on."""
        kinds = Counter(self.basis[row] for row in used)
        found = [f"{kinds[basis]} {words}" for basis, words in _IN_WORDS.items() if kinds[basis]]
        return (
            f"How complete {target} is was estimated for each of its {len(used)} relations: "
            f"{'; '.join(found)}."
        )

    def with_given(self, shares: Mapping[int, float]) -> Completeness:
        """Return the shares with those of some relations, by row, as given by the user."""
        rows = sorted(shares)
        values = np.clip([shares[row] for row in rows], *LIMITS)
        changed = {}
        for name in SHARES:
            changed[name] = getattr(self, name).copy()
            changed[name][rows] = values
        basis: list[Basis] = [*self.basis]
        for row in rows:
            basis[row] = "given"
        return replace(self, **changed, basis=tuple(basis))


def estimate_completeness(
    graph: JointGraph, target: str, valid: Triples, sizes: SplitSizes
) -> Completeness:
    """Estimate a target's completeness by the facts of other sources.

    Test facts play no part; they count as stated by their number alone.

    Args:
        graph: The target joined with other sources.
        target: The target's name.
        valid: The target's validation facts in the graph's rows, ``(n, 3)``.
        sizes: Numbers of the target's facts.
    """
    facts, users, alike = _facts(graph, target, valid)
    elsewhere = facts.filter(pl.col("stating") > 0)
    m, accuracy = graph.n_relations, _accuracy(facts)
    # Facts of the test split are not told from missing ones, but they are a sample of all facts.
    more = 1 + sizes.test / max(sizes.train + sizes.valid, 1)
    unknown = 1 / (1 + sizes.held_out)

    def shares(part: Floats, whole: Floats, known: NDArray[np.bool_]) -> Floats:
        part, whole = np.where(known, part, 0), np.where(known, whole, 0)
        common = part.sum() / whole.sum() if whole.any() else unknown
        found = (part + STRENGTH * common) / (whole + STRENGTH)
        return np.clip(np.where(known, found, unknown), *LIMITS)

    def agreeing(stated: pl.DataFrame) -> Floats:
        own, all_ = more * _counts(stated.filter("own"), m), accuracy * _counts(stated, m)
        return shares(own, all_, all_ > 0)

    agreed = _counts(elsewhere.filter("own"), m)
    twice = _counts(facts.filter(pl.col("stating") > 1, ~pl.col("own")), m)
    # Relations that only correspond differ in what they mean, and seem to add to each other.
    by_overlap = (alike > 1) & (twice > 0) & (agreed > 0)
    by_source = (users > 0) & (agreed > 0)
    stated = np.where(by_source, agreeing(elsewhere), unknown)
    overall, linked = _by_overlap(facts, accuracy, more, len(graph.sources) - 1, m)
    return Completeness(
        np.where(by_overlap, shares(*overall, by_overlap), stated),
        np.where(by_overlap, shares(*linked, by_overlap), stated),
        agreeing(elsewhere.filter(_ONCE)),
        agreeing(elsewhere.filter(pl.col("stating") > 1)),
        tuple(np.select([by_overlap, by_source], BASES[:2], BASES[2]).tolist()),
        accuracy,
    )


_Shares = tuple[Floats, Floats]
"""Stated facts, and true ones, of each relation."""


def _by_overlap(
    facts: pl.DataFrame, accuracy: float, more: float, others: int, m: int
) -> tuple[_Shares, _Shares]:
    """Return counts of facts, and of those that no other source states.

    All of them are about entities that two or more other sources know.
    """
    several = facts.filter(pl.col("known_to") > 1)
    own = more * _counts(several.filter("own"), m)
    alone = more * _counts(several.filter("own", stating=0), m)
    found, unseen = np.zeros(m), np.zeros(m)
    for s in range(2, others + 1):
        among = several.filter(pl.col("known_to") == s)
        once, twice, all_ = (
            accuracy * _missing(among, pick, more, m) for pick in (_ONCE, _TWICE, _ANY)
        )
        found += all_
        unseen += (s - 1) / s * once * np.maximum(once - 1, 0) / (2 * (twice + 1))
    return (own, own + found + unseen), (alone, alone + unseen)


def _facts(
    graph: JointGraph, target: str, valid: Triples
) -> tuple[pl.DataFrame, NDArray[np.int64], NDArray[np.int64]]:
    """Return the different facts between the target's entities along its relations.

    Columns: the rows of the fact; ``own``, if the target states it; ``stating``, the number of
    other sources that do; ``known_to``, the number of other sources that have both entities. And
    return the number of other sources that state any along each relation, ``(m,)``, and of those
    of them that call it the same, or are linked.
    """
    place, part = graph.sources.index(target), graph.part(target)
    is_own = np.zeros(graph.n_entities, dtype=np.bool_)
    is_own[part.entity_rows] = True
    used = np.zeros(graph.n_relations, dtype=np.bool_)
    used[part.relation_rows] = True
    triples = np.concatenate([graph.triples, valid])
    sources = np.concatenate([graph.triple_sources, np.full(len(valid), place)])
    heads, relations, tails = triples.T
    kept = is_own[heads] & is_own[tails] & used[relations]
    known_to = np.zeros(len(triples), dtype=np.int64)
    for source, other in graph.parts.items():
        if source != target:
            has = np.zeros(graph.n_entities, dtype=np.bool_)
            has[other.entity_rows] = True
            known_to += has[heads] & has[tails]
    stated = (
        pl.DataFrame(triples, schema=KEY)
        .with_columns(source=pl.Series(sources), known_to=pl.Series(known_to))
        .filter(pl.Series(kept))
    )
    using = stated.filter(pl.col("source") != place).select("relation", "source").unique()
    users = np.bincount(using["relation"].to_numpy(), minlength=graph.n_relations)
    alike = users.copy()
    for source, rows in graph.found_relations.items():
        at = using.filter(pl.col("source") == graph.sources.index(source))["relation"]
        alike[np.intersect1d(at.to_numpy(), rows)] -= 1
    facts = stated.group_by(KEY, maintain_order=True).agg(
        own=(pl.col("source") == place).any(),
        stating=pl.col("source").filter(pl.col("source") != place).n_unique(),
        known_to=pl.col("known_to").first(),
    )
    return facts, users, alike


def _counts(facts: pl.DataFrame, m: int) -> Floats:
    return np.bincount(facts["relation"].to_numpy(), minlength=m).astype(np.float64)


def _missing(facts: pl.DataFrame, pick: pl.Expr, more: float, m: int) -> Floats:
    """Return the number of facts that the target lacks, less those that its test split has."""
    chosen = facts.filter(pick)
    own = _counts(chosen.filter("own"), m)
    return np.maximum(_counts(chosen, m) - more * own, 0)


def _accuracy(facts: pl.DataFrame) -> float:
    """Return the share of other sources' statements that are true.

    Where the target gives a single answer along a relation that mostly has one, what another source
    states instead is taken to be wrong.
    """
    right, made = ACCURACY
    for anchor in ("head", "tail"):
        query = [anchor, "relation"]
        own = facts.filter("own").with_columns(answers=pl.len().over(query))
        single = own.group_by("relation").agg(
            share=(pl.col("answers") == 1).sum() / pl.struct(query).n_unique(), n=pl.len()
        )
        functional = single.filter(pl.col("share") >= FUNCTIONAL, pl.col("n") >= MIN_FACTS)
        asked = own.filter(pl.col("answers") == 1).select(query)
        stated = facts.filter(pl.col("stating") > 0).join(
            functional.select("relation"), on="relation", how="semi"
        )
        compared = stated.join(asked, on=query, how="semi")
        right += float(compared["own"].sum())
        made += len(compared)
    return right / made
