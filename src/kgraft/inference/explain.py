"""Why a model finds a fact plausible."""

from __future__ import annotations

import torch

from kgraft.inference.explanation import Explanation, Node
from kgraft.inference.names import Named
from kgraft.inference.predict import Predictor
from kgraft.model.trained import TrainedModel


def explain(
    model: TrainedModel, head: str, relation: str, tail: str, *, source: str | None = None
) -> Explanation:
    """Explain a fact, be it stated or predicted. For more than one, prepare an ``Explainer``.

    Args:
        model: A trained model.
        head: Name or label of the head.
        relation: Name of the relation, or its last part where that is unambiguous.
        tail: Name or label of the tail.
        source: The graph whose names are used and whose entities are candidates; by default the
            model's target, or a teacher's first source.

    Raises:
        UnknownNameError: If a name is unknown, a label means several entities, or an entity has
            no vector.
    """
    return Explainer(Predictor(model, source)).explain(head, relation, tail)


class Explainer:
    """Explains what a predictor predicts.

    Args:
        predictor: The model, made ready to answer.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    @torch.inference_mode()
    def explain(self, head: str, relation: str, tail: str) -> Explanation:
        """Explain a fact, as the function of the same name does."""
        predictor = self._predictor
        named, part = predictor.named, predictor.named.part
        start, end = named.entity(head), named.entity(tail)
        verb = named.relation(relation)
        rows = named.vector(start), int(part.relation_rows[verb]), named.vector(end)
        names = named.names(rows)
        statements = tuple(named.statements(rows))
        return Explanation(
            *names,
            labels=(
                named.entity_label(rows[0]),
                named.relation_label(rows[1]),
                named.entity_label(rows[2]),
            ),
            by=predictor.by,
            score=0.0,
            probability=None,
            rank=1,
            candidates=len(predictor.places),
            copied=bool(statements) and named.source not in {x.source for x in statements},
            stated_by=statements,
            supports=tuple(x for x in statements if x.source != named.source),
            rules=(),
            paths=(),
            similar=(),
            entities=tuple(_node(named, row) for row in dict.fromkeys((rows[0], rows[2]))),
            without=None,
        )


def _node(named: Named, row: int) -> Node:
    return Node(named.entity_name(row), named.entity_label(row), named.sources(row))
