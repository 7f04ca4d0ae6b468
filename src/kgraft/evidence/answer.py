"""What rules answer: candidates of a query, or all facts that follow from a graph.

Columns: ``x`` the entity asked about, ``relation``, ``y`` the answer, ``rule`` the rule's row.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.evidence.bodies import Adjacency, Bodies
from kgraft.evidence.edges import Edges, inverse
from kgraft.evidence.keyed import Keyed
from kgraft.evidence.rules import BODY, Rules
from kgraft.graph.sorted_rows import Ints, changes, numbers_of, spans
from kgraft.graph.vocabulary import Rows

EVIDENCE = 3
"""Rules that count for an answer's confidence: its surest."""

FAINT = 0.01
"""A confidence below this hardly counts."""

UNSAID = 0.3
"""How likely it is, in the same measure, that the answer is none of those that rules give."""

ENTITIES = 500
"""Entities whose consequences are joined at once."""

SCHEMA = {
    "x": pl.Int32,
    "relation": pl.Int32,
    "y": pl.Int32,
    "rule": pl.UInt32,
    "confidence": pl.Float32,
    "weight": pl.Float32,
}
"""The columns of answers."""


class Answerer:
    """Rules, made ready to be applied to a graph.

    Args:
        rules: The rules.
        edges: The graph.

    Attributes:
        graph: Its edges by entity.
    """

    def __init__(self, rules: Rules, edges: Edges) -> None:
        self._edges = edges
        self.graph = Adjacency(edges)
        paths = _both_ways(rules)
        self._bodies = {
            by: Bodies(paths, rules.n_relations, by_relation=by) for by in (True, False)
        }
        named = rules.constants.select(
            "first", "entity", "relation", "rule", "confidence", "weight", y="answer"
        )
        special = named.filter(pl.col("entity").is_not_null())
        general = named.filter(pl.col("entity").is_null()).drop("entity")
        self._special, self._general = (
            {by: Keyed(table, [*on, "relation"] if by else on) for by in (True, False)}
            for table, on in ((special, ["first", "entity"]), (general, ["first"]))
        )

    def answers(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Return every answer that a rule gives.

        Of a question that leads through hubs to very many entities only a sample of the paths is
        followed, always the same (``kgraft.evidence.bodies.REACH``).

        Args:
            asked: Distinct int32 ``x``, with ``relation`` for queries (inverses ask for heads), or
                without it for all relations.

        Returns:
            Distinct rows of ``SCHEMA``.
        """
        by_relation = "relation" in asked.columns
        bodies = self._bodies[by_relation]
        x = asked["x"].to_numpy().astype(np.int64)
        roots = asked["relation"].to_numpy().astype(np.int64) if by_relation else np.zeros_like(x)
        parts = [self._constants(asked, x)]
        for reached in bodies.follow(self.graph, x, roots):
            first = bodies.start[reached.node]
            which, row = spans(first, bodies.start[reached.node + 1] - first)
            ends = pl.DataFrame(
                {"x": x[reached.question[which]], "y": reached.entity[which]},
                schema={"x": pl.Int32, "y": pl.Int32},
            )
            parts.append(ends.hstack(bodies.rules[row]).select(*SCHEMA))
        return pl.concat(parts)

    def consequences(self, entities: Rows) -> pl.DataFrame:
        """Return the new facts about some entities that the rules infer.

        Args:
            entities: Both ends of each fact are among these rows.

        Returns:
            ``head``, ``relation``, ``tail`` and ``confidence``, in order; the graph's own facts are
            left out.
        """
        n_relations = self._edges.n_relations
        own = pl.DataFrame({"x": np.unique(entities)}, schema={"x": pl.Int32})
        others = own.rename({"x": "y"})
        parts = [
            combined(self.answers(part).join(others, on="y", how="semi"))
            for part in own.iter_slices(ENTITIES)
        ]
        forward = pl.col("relation") < n_relations
        key = ["head", "relation", "tail"]
        return (
            pl.concat(parts or [combined(pl.DataFrame(schema=SCHEMA))])
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

    def _constants(self, asked: pl.DataFrame, x: Ints) -> pl.DataFrame:
        place, relation, end = self.graph.edges(x)
        reached = asked[place].with_columns(
            first=pl.Series(relation, dtype=pl.Int32), entity=pl.Series(end, dtype=pl.Int32)
        )
        by_relation = "relation" in asked.columns
        special = self._special[by_relation].join(reached)
        anything = self._general[by_relation].join(reached.drop("entity").unique())
        return pl.concat([special.select(*SCHEMA), anything.select(*SCHEMA)])


def combined(found: pl.DataFrame) -> pl.DataFrame:
    """Join the evidence of each answer.

    Returns:
        ``x``, ``relation``, ``y``, ``confidence``: the noisy-or of its surest rules, and
        ``chance``: what all its rules' weights make of that, as a share of what is said of all
        answers to the query; in order.
    """
    order, first = by_answer(found)
    answers = found[order[first]].select("x", "relation", "y")
    confidence = noisy_or(found["confidence"].to_numpy()[order], first)
    weight = found["weight"].to_numpy()[order].astype(np.float64)
    chance = np.empty(0)
    if len(first):
        said = np.exp(prior(confidence) + np.add.reduceat(weight, first))
        query = changes(answers["x"].to_numpy(), answers["relation"].to_numpy())
        of_all = np.add.reduceat(said, np.flatnonzero(query)) + UNSAID
        chance = said / of_all[np.cumsum(query) - 1]
    return answers.with_columns(
        confidence=pl.Series(confidence, dtype=pl.Float32),
        chance=pl.Series(chance, dtype=pl.Float32),
    )


def by_answer(found: pl.DataFrame) -> tuple[Ints, Ints]:
    """Order rows of ``SCHEMA`` by answer, its surest rule first.

    Returns:
        The row at each place, and the places at which an answer's rows begin.
    """
    answer = numbers_of(found.select("x", "relation", "y").to_numpy().astype(np.int64))
    order = np.lexsort((-found["confidence"].to_numpy(), answer))
    return order, np.flatnonzero(changes(answer[order]))


def noisy_or(confidence: NDArray[np.float32], first: Ints) -> NDArray[np.float64]:
    """Return the noisy-or of each answer's ``EVIDENCE`` surest rules.

    Args:
        confidence: Of each rule, in the order of ``by_answer``, ``(n,)``.
        first: Where the answers begin, ``(a,)``.
    """
    sizes = np.diff(first, append=len(confidence))
    place = np.arange(len(confidence)) - np.repeat(first, sizes)
    wrong = np.where(place < EVIDENCE, 1.0 - confidence.astype(np.float64), 1.0)
    return 1.0 - np.multiply.reduceat(wrong, first) if len(first) else wrong


def prior(confidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what weights add to: how likely an answer is, in logarithms, by its confidence."""
    return np.log(confidence + FAINT)


def _both_ways(rules: Rules) -> pl.DataFrame:
    """Return the path rules, each also read from ``y`` to ``x``: it answers the other side."""
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
