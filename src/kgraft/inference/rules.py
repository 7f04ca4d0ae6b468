"""A model's rules as people read them: in words, with examples, and who states their bodies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from kgraft.inference.facts import StatedFact
from kgraft.inference.names import Named
from kgraft.model.trained_model import TrainedModel
from kgraft.rules.edges import Edges
from kgraft.rules.groundings import atoms, examples


@dataclass(frozen=True)
class ReadableRule:
    """A rule.

    Args:
        relation: The relation that it infers.
        text: The rule in words.
        support: How many different facts it explains.
        confidence: The share of its answers that are stated, pessimistically counted.
        examples: For some of those facts, the fact and then the facts of the body.
    """

    relation: str
    text: str
    support: int
    confidence: float
    examples: tuple[tuple[StatedFact, ...], ...]


def rules(
    model: TrainedModel, *, relation: str | None = None, k: int = 20, n_examples: int = 1
) -> list[ReadableRule]:
    """Return a model's rules, the surest first.

    Args:
        model: A model that has rules.
        relation: The relation that they infer, by name or by the unambiguous end of its name; by
            default any.
        k: The most rules.
        n_examples: The most examples of each.

    Raises:
        UnknownNameError: If the relation is unknown.
        ValueError: If the model has no rules.
    """
    evidence, target = model.ruled()
    named, frame, graph = Named(model, target), evidence.rules.frame, model.graph
    if relation is not None:
        row = int(named.part.relation_rows[named.relation(relation)])
        either = pl.col("relation").is_in([row, row + graph.n_relations])
        frame = frame.filter(either)
    found = frame.head(k).to_dicts()
    if not n_examples:
        return [_readable(rule, named, []) for rule in found]
    edges = Edges.of(graph)
    return [_readable(rule, named, examples(rule, edges, n_examples).to_dicts()) for rule in found]


def _readable(
    rule: Mapping[str, Any], named: Named, grounded: Sequence[Mapping[str, int]]
) -> ReadableRule:
    whole = [("x", rule["relation"], "y"), *atoms(rule)]
    return ReadableRule(
        named.relation_label(rule["relation"]),
        in_words(rule, named),
        rule["support"],
        rule["confidence"],
        tuple(
            tuple(named.fact(at[left], relation, at[right]) for left, relation, right in whole)
            for at in grounded
        ),
    )


def in_words(rule: Mapping[str, Any], named: Named) -> str:
    """Return a row of ``kgraft.rules.rules.Rules`` as people read it."""
    variables = {"x": "X", "y": "Y", "a": "A", "b": "B"}
    if rule["answer"] is not None:
        entity = rule["entity"]
        variables["y"] = named.entity_label(rule["answer"])
        variables["a"] = "anything" if entity is None else named.entity_label(entity)
    whole = [("x", rule["relation"], "y"), *atoms(rule)]
    head, *body = (_atom(named, atom, variables) for atom in whole)
    return f"{head} if {' and '.join(body)}"


def _atom(named: Named, atom: tuple[str, int, str], variables: Mapping[str, str]) -> str:
    """Return an atom in words, read along its relation."""
    left, relation, right = atom
    if relation >= named.n_relations:
        left, right = right, left
    return f"{named.relation_label(relation)}({variables[left]}, {variables[right]})"
