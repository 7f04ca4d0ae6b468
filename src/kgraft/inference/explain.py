"""Explanations of facts: statements, rules, paths and similar facts that support them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import torch

from kgraft.inference.candidates import FactScore
from kgraft.inference.explanation import (
    Explanation,
    GroundedRule,
    Node,
    SimilarFact,
    WeightedPath,
    WithoutSupport,
)
from kgraft.inference.names import Statement
from kgraft.inference.paths import Edge, weighted_paths
from kgraft.inference.predict import Predictor, prepared
from kgraft.inference.rules import rule_text
from kgraft.inference.similar import similar_facts
from kgraft.model.evidence import By
from kgraft.model.trained_model import TrainedModel
from kgraft.rules.edges import Edges
from kgraft.rules.evidence_index import EvidenceScores
from kgraft.rules.groundings import atoms, groundings
from kgraft.system.forks import require_threads

MAX_SHOWN = 5
"""The maximum number of rules, paths and similar facts in an explanation."""

MAX_RULES = 30
"""The most confident rules whose bodies are searched; the scorer counts no more than these few."""

MAX_BODIES = 100
"""The maximum number of bodies searched for each rule."""


def explain(
    model: TrainedModel,
    head: str,
    relation: str,
    tail: str,
    *,
    source: str | None = None,
    by: By | None = None,
) -> Explanation:
    """Explain one fact, as ``TrainedModel.explain`` says."""
    require_threads()
    return Explainer(prepared(model, source, by)).explain(head, relation, tail)


class Explainer:
    """Explains the predictions of a predictor.

    Args:
        predictor: A prepared model.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        index = predictor.evidence_index
        self._edges = Edges.of(predictor.model.graph) if index is None else index.edges

    @torch.inference_mode()
    def explain(self, head: str, relation: str, tail: str) -> Explanation:
        """Explain a fact, as the function of the same name does."""
        names, model = self._predictor.names, self._predictor.model
        ends = names.vector(names.entity(head)), names.vector(names.entity(tail))
        fact = ends[0], names.relation_row(relation), ends[1]
        statements = tuple(names.statements(fact))
        others = tuple(x for x in statements if x.source != names.source)
        supports, rules, without = self._by_rules(fact, others)
        paths = weighted_paths(model.kge, self._edges, fact, MAX_SHOWN)
        similar = similar_facts(model, fact, MAX_SHOWN)
        shown = [fact, *supports, *(x for _, path in paths for x in path), *(x for _, x in similar)]
        head_name, relation_name, tail_name = names.names(fact)
        return Explanation(
            head=head_name,
            relation=relation_name,
            tail=tail_name,
            labels=names.labels(fact),
            by=self._predictor.by,
            **self._judged(fact),
            **self._predictor.candidates.score_fact(fact)._asdict(),
            candidates=len(self._predictor.candidates),
            copied=bool(others) and len(others) == len(statements),
            stated_by=statements,
            supports=tuple(
                dict.fromkeys(
                    statement
                    for support in [fact, *supports]
                    for statement in names.statements(support)
                    if statement.source != names.source
                )
            ),
            rules=rules,
            paths=tuple(
                WeightedPath(weight, tuple(names.fact(*edge) for edge in path))
                for weight, path in paths
            ),
            similar=tuple(
                SimilarFact(similarity, names.fact(*known)) for similarity, known in similar
            ),
            entities=tuple(
                Node(names.entity_name(row), names.entity_label(row), names.sources(row))
                for row in dict.fromkeys(row for edge in shown for row in edge[::2])
            ),
            without=without,
        )

    def _judged(self, fact: Edge) -> dict[str, Any]:
        """Return the fact's probability, and what the target states instead."""
        judge, names = self._predictor.judge, self._predictor.names
        if judge is None:
            return {"probability": None, "contradicts": ""}
        row = np.array([fact])
        against = names.against(judge.contradicted(row)[0])
        return {"probability": float(judge.probability(row)[0]), "contradicts": against}

    def _by_rules(
        self, fact: Edge, others: Sequence[Statement]
    ) -> tuple[list[Edge], tuple[GroundedRule, ...], WithoutSupport | None]:
        """Return the facts in rule bodies, the rules, and the fact without its best support."""
        index, names = self._predictor.evidence_index, self._predictor.names
        if index is None:
            return [], (), None
        head, relation, tail = fact
        asked = pl.DataFrame(
            {"x": [head], "relation": [relation]}, schema={"x": pl.Int32, "relation": pl.Int32}
        )
        evidence = index.scores_of(asked)
        bodies = self._bodies(fact, evidence)
        rules, facts = list[GroundedRule](), list[Edge]()
        for row, found in list(bodies.items())[:MAX_SHOWN]:
            rule = self._rule(row)
            score = self._score(fact, evidence.without_rules([row], tail)).score
            body = tuple(names.fact(*edge) for edge in found[0])
            rules.append(GroundedRule(rule_text(rule, names), rule["confidence"], body, score))
            facts += found[0]
        options = list[WithoutSupport]()
        for support in dict.fromkeys([*([fact] if others else []), *facts]):
            needing = [row for row, found in bodies.items() if all(support in x for x in found)]
            left = evidence.without_rules(needing, tail)
            if support == fact:
                text = f"stated by {', '.join(x.source for x in others)}"
                left = left.without_statement(tail)
                options.append(WithoutSupport("statement", text, *self._score(fact, left)))
            else:
                known = names.fact(*support)
                text = f"{known.relation}({known.head}, {known.tail}), {', '.join(known.stated_by)}"
                options.append(WithoutSupport("body", text, *self._score(fact, left)))
        return facts, tuple(rules), min(options, key=lambda option: option.score, default=None)

    def _bodies(self, fact: Edge, evidence: EvidenceScores) -> dict[int, list[list[Edge]]]:
        """Return the rules that infer a fact, the most confident first, each with its bodies."""
        head, _, tail = fact
        forward = self._predictor.names.forward
        firing = evidence.by_rules.filter(pl.col("y") == tail).sort(
            "confidence", "rule", descending=[True, False]
        )
        found: dict[int, list[list[Edge]]] = {}
        for row in firing["rule"].unique(maintain_order=True).head(MAX_RULES).to_list():
            rule = self._rule(row)
            grounded = groundings(rule, self._edges, head, tail, MAX_BODIES).to_dicts()
            found[row] = [
                [forward((at[x], relation, at[y])) for x, relation, y in atoms(rule)]
                for at in grounded
            ]
        return found

    def _rule(self, row: int) -> dict[str, Any]:
        evidence, _ = self._predictor.model.require_evidence()
        return evidence.rules.frame.row(row, named=True)

    def _score(self, fact: Edge, left: EvidenceScores) -> FactScore:
        """Score a fact by the evidence that is left."""
        predictor = self._predictor
        evidence, _ = predictor.model.require_evidence()
        scorer = evidence.scorer(predictor.by, predictor.model.kge, left)
        return predictor.candidates.score_fact(fact, scorer)
