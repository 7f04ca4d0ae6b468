"""Why a model finds a fact plausible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
import torch

from kgraft.inference.candidates import Standing
from kgraft.inference.explanation import (
    Explanation,
    Inference,
    Node,
    SimilarFact,
    WeighedPath,
    Without,
)
from kgraft.inference.facts import Statement
from kgraft.inference.paths import Step, weighed_paths
from kgraft.inference.predict import Predictor
from kgraft.inference.rules import in_words
from kgraft.inference.similar import similar_facts
from kgraft.model.evidence import By
from kgraft.model.trained_model import TrainedModel
from kgraft.rules.edges import Edges
from kgraft.rules.evidence_index import EvidenceScores
from kgraft.rules.groundings import atoms, groundings

MOST = 5
"""The most rules, paths and similar facts of an explanation."""

RULES = 30
"""The surest rules whose bodies are looked at; more have no say, for the surest few are counted."""

BODIES = 100
"""The bodies of each that are looked at."""


def explain(
    model: TrainedModel,
    head: str,
    relation: str,
    tail: str,
    *,
    source: str | None = None,
    by: By | None = None,
) -> Explanation:
    """Explain a fact, be it stated or predicted. For more than one, prepare an ``Explainer``.

    Args:
        model: A trained model.
        head: Name or label of the head.
        relation: Name of the relation, or its last part where that is unambiguous.
        tail: Name or label of the tail.
        source: The graph whose names are used and whose entities are candidates; by default the
            model's target, or a teacher's first source.
        by: What the model answers by; by default what its validation facts favour.

    Raises:
        UnknownNameError: If a name is unknown, a label means several entities, or an entity has
            no vector.
        ValueError: If the model has no rules to answer by.
    """
    return Explainer(Predictor(model, source, by)).explain(head, relation, tail)


class Explainer:
    """Explains what a predictor predicts.

    Args:
        predictor: The model, made ready to answer.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        graph, witnesses = predictor.model.graph, predictor.witnesses
        self._edges = Edges.of(graph) if witnesses is None else witnesses.edges

    @torch.inference_mode()
    def explain(self, head: str, relation: str, tail: str) -> Explanation:
        """Explain a fact, as the function of the same name does."""
        named, model = self._predictor.named, self._predictor.model
        ends = named.vector(named.entity(head)), named.vector(named.entity(tail))
        fact = ends[0], int(named.part.relation_rows[named.relation(relation)]), ends[1]
        standing = self._predictor.candidates.standing(fact)
        statements = tuple(named.statements(fact))
        others = tuple(x for x in statements if x.source != named.source)
        supports, rules, without = self._by_witnesses(fact, others)
        paths = weighed_paths(model.kge, self._edges, fact, MOST)
        similar = similar_facts(model, fact, MOST)
        steps = [*supports, *(step for _, path in paths for step in path), *(x for _, x in similar)]
        return Explanation(
            *named.names(fact),
            labels=named.labels(fact),
            by=self._predictor.by,
            **standing._asdict(),
            candidates=len(self._predictor.candidates),
            copied=bool(others) and len(others) == len(statements),
            stated_by=statements,
            supports=tuple(
                dict.fromkeys(
                    statement
                    for step in [fact, *supports]
                    for statement in named.statements(step)
                    if statement.source != named.source
                )
            ),
            rules=rules,
            paths=tuple(
                WeighedPath(weight, tuple(named.fact(*step) for step in path))
                for weight, path in paths
            ),
            similar=tuple(
                SimilarFact(similarity, named.fact(*known)) for similarity, known in similar
            ),
            entities=tuple(
                Node(named.entity_name(row), named.entity_label(row), named.sources(row))
                for row in dict.fromkeys(row for step in [fact, *steps] for row in step[::2])
            ),
            without=without,
        )

    def _by_witnesses(
        self, fact: Step, others: Sequence[Statement]
    ) -> tuple[list[Step], tuple[Inference, ...], Without | None]:
        """Return the facts below the rules that infer a fact, those rules, and what is left of the
        fact without its strongest support.
        """  # noqa: D205
        witnesses, named = self._predictor.witnesses, self._predictor.named
        if witnesses is None:
            return [], (), None
        head, relation, tail = fact
        asked = pl.DataFrame(
            {"x": [head], "relation": [relation]}, schema={"x": pl.Int32, "relation": pl.Int32}
        )
        heard = witnesses.testimony(asked)
        bodies = self._bodies(fact, heard)
        inferences, steps = list[Inference](), list[Step]()
        for row, ways in list(bodies.items())[:MOST]:
            rule = self._rule(row)
            left = self._standing(fact, heard.without_rules([row], tail))
            facts = tuple(named.fact(*step) for step in ways[0])
            text = in_words(rule, named)
            inferences.append(Inference(text, rule["confidence"], facts, left.score))
            steps += ways[0]
        options = list[Without]()
        for support in dict.fromkeys([*([fact] if others else []), *steps]):
            needing = [row for row, ways in bodies.items() if all(support in way for way in ways)]
            left_over = heard.without_rules(needing, tail)
            if support == fact:
                standing = self._standing(fact, left_over.without_statement(tail))
                text = f"stated by {', '.join(x.source for x in others)}"
                options.append(Without("statement", text, *standing))
            else:
                told = named.fact(*support)
                text = f"{told.relation}({told.head}, {told.tail}), {', '.join(told.stated_by)}"
                options.append(Without("body", text, *self._standing(fact, left_over)))
        weakest = min(options, key=lambda option: option.score, default=None)
        return steps, tuple(inferences), weakest

    def _bodies(self, fact: Step, heard: EvidenceScores) -> dict[int, list[list[Step]]]:
        """Return the rules that infer a fact, the surest first, and the bodies of each."""
        head, _, tail = fact
        forward = self._predictor.named.forward
        inferring = heard.by_rules.filter(pl.col("y") == tail).sort(
            "confidence", "rule", descending=[True, False]
        )
        found: dict[int, list[list[Step]]] = {}
        for row in inferring["rule"].unique(maintain_order=True).head(RULES).to_list():
            rule = self._rule(row)
            grounded = groundings(rule, self._edges, head, tail, BODIES).to_dicts()
            found[row] = [
                [forward((at[a], verb, at[b])) for a, verb, b in atoms(rule)] for at in grounded
            ]
        return found

    def _rule(self, row: int) -> dict[str, Any]:
        evidence, _ = self._predictor.model.ruled()
        return evidence.rules.frame.row(row, named=True)

    def _standing(self, fact: Step, heard: EvidenceScores) -> Standing:
        """Return how a fact stands by what is left of the testimony."""
        predictor = self._predictor
        evidence, _ = predictor.model.ruled()
        scorer = evidence.scorer(predictor.by, predictor.model.kge, heard)
        return predictor.candidates.standing(fact, scorer)
