"""The parts of an explanation; ``dataclasses.asdict`` makes JSON of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kgraft.inference.names import StatedFact, Statement
from kgraft.model.evidence import By


@dataclass(frozen=True)
class GroundedRule:
    """A rule that infers the fact, with facts that make its body true.

    Args:
        rule: The rule as text.
        confidence: The share of its answers that are stated (a pessimistic estimate).
        facts: Facts that make its body true here.
        score_without: The score of the fact without the rule.
    """

    rule: str
    confidence: float
    facts: tuple[StatedFact, ...]
    score_without: float


@dataclass(frozen=True)
class WeightedPath:
    """A path of facts from head to tail.

    Args:
        weight: The cosine of the path's query vector and the relation's, from -1 to 1.
        facts: The facts along it.
    """

    weight: float
    facts: tuple[StatedFact, ...]


@dataclass(frozen=True)
class SimilarFact:
    """A known fact of the same relation between similar entities.

    Args:
        similarity: The mean cosine of heads and of tails, from -1 to 1.
        fact: The fact.
    """

    similarity: float
    fact: StatedFact


@dataclass(frozen=True)
class Node:
    """An entity in an explanation's facts.

    Args:
        name: Its name, as in those facts.
        label: A readable label.
        sources: The sources that have it; more than one are linked there.
    """

    name: str
    label: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class WithoutSupport:
    """A prediction after its strongest supporting fact is removed.

    The fact states nothing then, and rules that need it do not infer the prediction. The vectors,
    which have learned from it too, and the other candidates stay as they are.

    Args:
        support: ``statement``: the predicted fact itself, as other sources state it; ``body``: a
            fact in the bodies of rules.
        text: The removed fact in words.
        score: The score without it.
        probability: The probability without it.
        rank: The rank without it.
    """

    support: Literal["statement", "body"]
    text: str
    score: float
    probability: float | None
    rank: int


@dataclass(frozen=True)
class Explanation:
    """The reasons for which a model finds a fact plausible, asked for its tail.

    Args:
        head: Name of the head.
        relation: Name of the relation.
        tail: Name of the tail.
        labels: Readable labels of the three.
        by: How the model answers.
        score: The model's score.
        probability: As in ``Prediction``.
        rank: One more than the number of candidates with a higher score that the source does not
            state.
        candidates: The number of candidates, the tail included.
        copied: Whether a linked source states the fact and the requested source does not.
        stated_by: The statements of the fact, one for each source.
        supports: Facts of other sources that support it: the fact itself, then those in the bodies
            of rules, the most confident rule first.
        rules: Rules that infer it, the most confident first, where the model answers by rules.
        paths: Paths from head to tail, the largest weight first.
        similar: Known facts between similar entities, the most similar first.
        entities: All entities in these facts.
        without: The prediction without its strongest supporting fact; None where there is none, or
            where the model answers by vectors: they have learned from all facts together, so only
            re-training could tell.
    """

    head: str
    relation: str
    tail: str
    labels: tuple[str, str, str]
    by: By
    score: float
    probability: float | None
    rank: int
    candidates: int
    copied: bool
    stated_by: tuple[Statement, ...]
    supports: tuple[Statement, ...]
    rules: tuple[GroundedRule, ...]
    paths: tuple[WeightedPath, ...]
    similar: tuple[SimilarFact, ...]
    entities: tuple[Node, ...]
    without: WithoutSupport | None
