"""Answers of rules: candidates of a query, or all facts that rules infer in a graph.

Columns: ``x`` the entity of the query, ``relation``, ``y`` the answer, ``rule`` the rule's row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.grouped_index import (
    Column,
    GroupedIndex,
    Ints,
    changes,
    quotient_and_rest,
    row_keys,
    spans,
)
from kgraft.graph.vocabulary import Rows
from kgraft.rules.edges import Edges, inverse
from kgraft.rules.rule_bodies import Adjacency, BodyTree
from kgraft.rules.rules import BODY, Rules
from kgraft.system.threads import Map

TOP_RULES = 3
"""Number of rules in an answer's noisy-or, the most confident ones."""

CONFIDENCE_OFFSET = 0.01
"""Added to a confidence before its logarithm is taken."""

NO_ANSWER_ODDS = 0.3
"""Unnormalised probability that the answer is none of those that rules give."""

BATCH_ENTITIES = 500
"""Entities whose facts are inferred at a time."""

SCHEMA = {
    "x": pl.Int32,
    "relation": pl.Int32,
    "y": pl.Int32,
    "rule": pl.UInt32,
    "confidence": pl.Float32,
    "weight": pl.Float32,
}
"""The columns of answers."""


class QueryAnswers(NamedTuple):
    """Answers of queries with their probability.

    Args:
        query: Position of the query, ascending, int64 ``(n,)``.
        entity: The answer, ``(n,)``.
        probability: float32 ``(n,)``.
    """

    query: Ints
    entity: Column
    probability: NDArray[np.float32]


_Answers = tuple[Ints, Column, Column, Column]
"""Position of the query, relation, answer, and rule, ``(n,)`` each."""


class RuleApplier:
    """Rules indexed to be applied to a graph.

    Args:
        rules: The rules.
        edges: The graph.
        candidates: Entities that may be answers; by default all.

    Attributes:
        graph: The graph's edges, by entity.
    """

    def __init__(self, rules: Rules, edges: Edges, candidates: Rows | None = None) -> None:
        self._edges = edges
        self.graph = Adjacency(edges)
        self._wanted = np.ones(len(self.graph.of) - 1, dtype=np.bool_)
        self._candidates = np.arange(len(self._wanted))
        constants = rules.constants
        if candidates is not None:
            self._wanted = np.isin(self._candidates, candidates)
            self._candidates = np.unique(candidates)
            among = pl.Series(candidates, dtype=pl.Int32).implode()
            constants = constants.filter(pl.col("answer").is_in(among))
        paths = _with_inverses(rules)
        self._bodies = {
            by: BodyTree(paths, rules.n_relations, by_relation=by) for by in (True, False)
        }
        unbound = pl.col("entity").is_null()
        self._bound = _Constants(constants.filter(~unbound), ["first", "entity"])
        self._unbound = _Constants(constants.filter(unbound), ["first"])
        self._confidence, self._weight = (
            rules.frame[name].to_numpy() for name in ("confidence", "weight")
        )

    def extended(self, edges: Edges, graph: Adjacency, candidates: Rows) -> RuleApplier:
        """Return the rules applied to a graph with more edges and candidates."""
        found = copy(self)
        found._edges, found.graph = edges, graph
        found._wanted = np.zeros(len(graph.of) - 1, dtype=np.bool_)
        found._wanted[: len(self._wanted)] = self._wanted
        found._wanted[candidates[candidates < len(found._wanted)]] = True
        found._candidates = np.union1d(self._candidates, candidates)
        return found

    def answers(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Return all answers of rules; beyond ``rule_bodies.MAX_QUERY_EDGES``, of sampled edges.

        Args:
            asked: Distinct int32 ``x`` and ``relation`` (inverses ask for heads); without the
                latter, all relations.

        Returns:
            Distinct rows of ``SCHEMA``.
        """
        x = asked["x"].to_numpy().astype(np.int64)
        along = asked["relation"].to_numpy().astype(np.int64) if "relation" in asked else None
        query, relation, y, rule = self._found(x, along)
        columns = {
            "x": x[query].astype(np.int32),
            "relation": relation.astype(np.int32),
            "y": y.astype(np.int32),
            "rule": rule.astype(np.uint32),
            "confidence": self._confidence[rule],
            "weight": self._weight[rule],
        }
        return pl.DataFrame(columns, schema=SCHEMA)

    def probabilities(self, x: Ints, along: Ints) -> QueryAnswers:
        """Return the answers of rules to queries with the probability of ``combine_rules``.

        Args:
            x: Entities, ``(n,)``.
            along: Relations; inverses ask for heads.
        """
        query, _, y, rule = self._found(x, along)
        n_entities, n_rules = int(y.max(initial=-1)) + 1, max(len(self._weight), 1)
        # One number sorts several times faster than a row, and than its position.
        numbers = query * n_entities
        numbers += y
        numbers *= n_rules
        numbers += rule
        numbers.sort()
        answers, rule = quotient_and_rest(numbers, n_rules)
        first = np.flatnonzero(changes(answers))
        query, y = quotient_and_rest(answers[first], max(n_entities, 1))
        confidence = noisy_or(self._confidence[rule], first)
        probability = _probabilities(confidence, self._weight[rule], first, changes(query))
        return QueryAnswers(query, y, probability.astype(np.float32))

    def _found(self, x: Ints, along: Ints | None) -> _Answers:
        """Return the answers of rules, each with a true rule."""
        parts = [*self._by_constants(x, along), *self._by_paths(x, along)]
        query, relation, y, rule = (np.concatenate(part) for part in zip(*parts, strict=True))
        return query, relation, y, rule

    def infer_facts(
        self,
        each: Map = map,
        advance: Callable[[int], None] = lambda _: None,
        about: Ints | None = None,
    ) -> pl.DataFrame:
        """Return the facts between candidates that rules infer and the graph lacks.

        Args:
            each: Maps over parts of the candidates.
            advance: Receives the number of candidates done.
            about: Those of the candidates whose answers are looked for, all by default.

        Returns:
            ``head``, ``relation``, ``tail`` and ``confidence``, sorted.
        """
        n_relations = self._edges.n_relations
        asked = self._candidates if about is None else about
        own = pl.DataFrame({"x": asked}, schema={"x": pl.Int32})
        slices = list(own.iter_slices(BATCH_ENTITIES))
        parts = []
        found = each(lambda part: combine_rules(self.answers(part)), slices)
        for part, inferred in zip(slices, found, strict=True):
            parts.append(inferred)
            advance(len(part))
        forward = pl.col("relation") < n_relations
        key = ["head", "relation", "tail"]
        return (
            pl.concat(parts or [combine_rules(pl.DataFrame(schema=SCHEMA))])
            .join(self._edges.frame, on=["x", "relation", "y"], how="anti")
            .select(
                head=pl.when(forward).then("x").otherwise("y"),
                relation=pl.col("relation") % n_relations,
                tail=pl.when(forward).then("y").otherwise("x"),
                confidence="confidence",
            )
            .group_by(key)
            .agg(pl.col("confidence").max())
            .sort(key)
        )

    def _by_paths(self, x: Ints, along: Ints | None) -> Iterator[_Answers]:
        bodies = self._bodies[along is not None]
        roots = np.zeros_like(x) if along is None else along
        for reached in bodies.follow(self.graph, x, roots, self._wanted):
            first = bodies.start[reached.node]
            which, row = spans(first, bodies.start[reached.node + 1] - first)
            entity = reached.entity[which]
            yield reached.query[which], bodies.relation[row], entity, bodies.rule[row]

    def _by_constants(self, x: Ints, along: Ints | None) -> Iterator[_Answers]:
        query, first, end = self.graph.edges(x)
        yield self._bound.answers(query, [first, end], along)
        query, group = spans(*self.graph.first_and_size(x))
        yield self._unbound.answers(query, [self.graph.relation[group]], along)


class _Constants:
    """Rules with constants, indexed by the columns ``on`` of their body."""

    def __init__(self, rules: pl.DataFrame, on: Sequence[str]) -> None:
        names = ("relation", "answer", "rule")
        self._relation, self._answer, self._rule = (rules[name].to_numpy() for name in names)
        columns = [rules[name].to_numpy() for name in on]
        self._all = GroupedIndex.of(*columns)
        self._by_relation = GroupedIndex.of(*columns, self._relation)

    def answers(self, query: Ints, bodies: Sequence[Ints], along: Ints | None) -> _Answers:
        """Return the answers by columns of true bodies, along the relation of each query or all."""
        if along is None:
            place, row = self._all.rows(*bodies)
        else:
            place, row = self._by_relation.rows(*bodies, along[query])
        return query[place], self._relation[row], self._answer[row], self._rule[row]


def combine_rules(found: pl.DataFrame) -> pl.DataFrame:
    """Combine the rules of each answer.

    Returns:
        ``x``, ``relation``, ``y``, ``confidence`` (noisy-or of the most confident rules) and
        ``probability`` (softmax over the answers of the query, of log odds plus the weights of all
        rules), sorted.
    """
    order, first = by_answer(found)
    answers = found[["x", "relation", "y"]][order[first]]
    confidence = noisy_or(found["confidence"].to_numpy()[order], first)
    weight = found["weight"].to_numpy()[order]
    query = changes(answers["x"].to_numpy(), answers["relation"].to_numpy())
    probability = _probabilities(confidence, weight, first, query)
    columns = {"confidence": confidence, "probability": probability}
    return answers.hstack(
        [pl.Series(name, values.astype(np.float32)) for name, values in columns.items()]
    )


def _probabilities(
    confidence: NDArray[np.float64],
    weight: NDArray[np.float32],
    first: Ints,
    new_query: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return the probability of answers ``(a,)``.

    Args:
        confidence: Confidence of each answer, ``(a,)``.
        weight: Weights of rules, ``(n,)``.
        first: The first rule of each answer, ``(a,)``.
        new_query: True for the first answer of each query, ``(a,)``.
    """
    if not len(first):
        return confidence
    odds = np.exp(log_odds(confidence) + np.add.reduceat(weight.astype(np.float64), first))
    of_all = np.add.reduceat(odds, np.flatnonzero(new_query)) + NO_ANSWER_ODDS
    probability: NDArray[np.float64] = odds / of_all[np.cumsum(new_query) - 1]
    return probability


def by_answer(found: pl.DataFrame) -> tuple[Ints, Ints]:
    """Sort rows of ``SCHEMA`` by answer, then by falling confidence.

    Returns:
        The order of the rows ``(n,)``, and the start of each answer in it ``(a,)``.
    """
    x, relation, y, rule = (found[name].to_numpy() for name in ("x", "relation", "y", "rule"))
    # Rules are numbered by falling confidence.
    order = np.argsort(row_keys(x, relation, y, rule))
    return order, np.flatnonzero(changes(x[order], relation[order], y[order]))


def noisy_or(confidence: NDArray[np.float32], first: Ints) -> NDArray[np.float64]:
    """Return the noisy-or ``(a,)`` of the ``TOP_RULES`` most confident rules of each answer.

    Args:
        confidence: Confidence of rules, in the order of ``by_answer``, ``(n,)``.
        first: Start of each answer, ``(a,)``.
    """
    sizes, wrong = np.diff(first, append=len(confidence)), np.ones(len(first))
    for place in range(TOP_RULES):
        there = np.flatnonzero(sizes > place)
        wrong[there] *= 1.0 - confidence[first[there] + place].astype(np.float64)
    return 1.0 - wrong


def log_odds(confidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the unnormalised log odds of answers, to which the weights of rules are added."""
    return np.log(confidence + CONFIDENCE_OFFSET)


def _with_inverses(rules: Rules) -> pl.DataFrame:
    """Return the path rules and their inverses from ``y`` to ``x``, which answer the other side."""
    paths = rules.paths
    length = pl.sum_horizontal(pl.col(name).is_not_null() for name in BODY)
    parts = [paths]
    for k in range(1, len(BODY) + 1):
        turned = {
            name: inverse(pl.col(other), rules.n_relations)
            for name, other in zip(BODY[:k], reversed(BODY[:k]), strict=True)
        }
        head = pl.col("relation") + rules.n_relations
        parts.append(paths.filter(length == k).with_columns(relation=head, **turned))
    return pl.concat(parts)
