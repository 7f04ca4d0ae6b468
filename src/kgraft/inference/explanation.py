"""What an explanation holds; all of it goes into JSON by ``dataclasses.asdict``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kgraft.inference.facts import StatedFact, Statement
from kgraft.model.evidence import By


@dataclass(frozen=True)
class Inference:
    """A rule that infers the fact.

    Args:
        rule: The rule in words.
        confidence: The share of its answers that are stated, pessimistically counted.
        facts: Facts that make its body true here.
        score_without: What the score becomes without the rule.
    """

    rule: str
    confidence: float
    facts: tuple[StatedFact, ...]
    score_without: float


@dataclass(frozen=True)
class WeighedPath:
    """A path of facts from head to tail.

    Args:
        weight: How far the path asks for what the relation asks for: the cosine of the model's two
            query vectors, from -1 to 1.
        facts: The facts along it.
    """

    weight: float
    facts: tuple[StatedFact, ...]


@dataclass(frozen=True)
class SimilarFact:
    """A known fact of the same relation between entities that are like the two.

    Args:
        similarity: The mean cosine of heads and of tails, from -1 to 1.
        fact: The fact.
    """

    similarity: float
    fact: StatedFact


@dataclass(frozen=True)
class Node:
    """An entity that an explanation speaks of.

    Args:
        name: Its name as in the facts of the explanation.
        label: What a person calls it.
        sources: The sources that have it; several are linked in it.
    """

    name: str
    label: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Without:
    """What becomes of a prediction when the fact that supports it most is taken away.

    The fact states nothing then, and rules that need it do not infer the prediction. The vectors,
    which have learned from it too, and the other candidates stay as they are.

    Args:
        support: Whether it is the predicted fact itself, as others state it, or a fact that makes
            bodies of rules true.
        text: The support in words.
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
    """Why a model finds a fact plausible, asked for its tail.

    Args:
        head: Name of the head.
        relation: Name of the relation.
        tail: Name of the tail.
        labels: What a person calls the three.
        by: What the model answers by.
        score: The model's score.
        probability: As in ``Prediction``.
        rank: One more than the candidates with a higher score that the source does not state.
        candidates: How many there are, the tail included.
        copied: Whether a linked source states the fact and the source that was asked does not.
        stated_by: Those who state it.
        supports: Facts of other sources that speak for it: the fact itself, then those that make
            bodies of rules true, the surest rule first.
        rules: Rules that infer it, the surest first, where the model answers by rules.
        paths: Paths between head and tail, those that the vectors weigh most first.
        similar: Known facts between similar entities, the most similar first.
        entities: All entities in these facts.
        without: The prediction without the fact that supports it most; None where there is none,
            or the model answers by vectors: those have learned from all facts together, and only
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
    rules: tuple[Inference, ...]
    paths: tuple[WeighedPath, ...]
    similar: tuple[SimilarFact, ...]
    entities: tuple[Node, ...]
    without: Without | None
