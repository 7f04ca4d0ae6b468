"""A model's rules as text, with examples and the sources that state their bodies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from kgraft.inference.names import ModelNames, StatedFact
from kgraft.inference.results import Results
from kgraft.model.trained_model import TrainedModel
from kgraft.rules.edges import Edges
from kgraft.rules.groundings import atoms, examples
from kgraft.system.forks import require_threads


@dataclass(frozen=True)
class ReadableRule:
    """A rule as text.

    Args:
        relation: The relation that it infers.
        text: The rule, head first.
        support: The number of different stated facts that it infers.
        confidence: The share of its answers that are stated (a pessimistic estimate).
        examples: For some of those facts, the fact and then the facts of the body.
    """

    relation: str
    text: str
    support: int
    confidence: float
    examples: tuple[tuple[StatedFact, ...], ...]

    COLUMNS: ClassVar = {
        "relation": pl.String,
        "text": pl.String,
        "support": pl.Int64,
        "confidence": pl.Float64,
    }

    def __str__(self) -> str:
        return f"{self.confidence:.2f}  {self.text}"


def rules(
    model: TrainedModel, *, relation: str | None = None, k: int = 20, n_examples: int = 1
) -> Results[ReadableRule]:
    """Return a model's rules, as ``TrainedModel.rules`` says."""
    require_threads()
    evidence, target = model.require_evidence()
    names, frame, graph = ModelNames(model, target), evidence.rules.frame, model.graph
    if relation is not None:
        row = names.relation_row(relation)
        frame = frame.filter(pl.col("relation").is_in([row, row + graph.n_relations]))
    found = frame.head(k).to_dicts()
    edges = Edges.of(graph) if n_examples else None
    return Results(
        ReadableRule,
        (
            _readable(rule, names, examples(rule, edges, n_examples).to_dicts() if edges else [])
            for rule in found
        ),
    )


def _readable(
    rule: Mapping[str, Any], names: ModelNames, grounded: Sequence[Mapping[str, int]]
) -> ReadableRule:
    whole = [("x", rule["relation"], "y"), *atoms(rule)]
    return ReadableRule(
        names.relation_label(rule["relation"]),
        rule_text(rule, names),
        rule["support"],
        rule["confidence"],
        tuple(
            tuple(names.fact(at[left], relation, at[right]) for left, relation, right in whole)
            for at in grounded
        ),
    )


def rule_text(rule: Mapping[str, Any], names: ModelNames) -> str:
    """Return a row of ``kgraft.rules.rules.Rules`` as text."""
    variables = {"x": "X", "y": "Y", "a": "A", "b": "B"}
    if rule["answer"] is not None:
        entity = rule["entity"]
        variables["y"] = names.entity_label(rule["answer"])
        variables["a"] = "anything" if entity is None else names.entity_label(entity)
    whole = [("x", rule["relation"], "y"), *atoms(rule)]
    head, *body = (_atom(names, atom, variables) for atom in whole)
    return f"{head} if {' and '.join(body)}"


def _atom(names: ModelNames, atom: tuple[str, int, str], variables: Mapping[str, str]) -> str:
    """Return an atom as text, in its relation's direction."""
    left, relation, right = atom
    if relation >= names.n_relations:
        left, right = right, left
    return f"{names.relation_label(relation)}({variables[left]}, {variables[right]})"
