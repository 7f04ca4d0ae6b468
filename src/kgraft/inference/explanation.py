"""The parts of an explanation; ``dataclasses.asdict`` makes JSON of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Literal

from kgraft.errors import counted
from kgraft.inference.names import StatedFact, Statement, stated
from kgraft.model.evidence import By
from kgraft.system.terminal import visible


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
        probability_if_asked: The probability if asked, without it.
        rank: The rank without it.
    """

    support: Literal["statement", "body"]
    text: str
    score: float
    probability_if_asked: float | None
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
        probability_if_asked: As in ``Prediction``.
        contradicts: As in ``Prediction``.
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
    probability_if_asked: float | None
    contradicts: str
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

    def __repr__(self) -> str:
        head, relation, tail = self.labels
        value = f"score {self.score:.3f}"
        if self.probability is not None:
            value = f"probability {self.probability:.3f}"
        return visible(
            f"<Explanation of {relation}({head}, {tail}): {value}, rank {self.rank:,} of "
            f"{self.candidates:,}; statements {len(self.stated_by)}, rules {len(self.rules)}, "
            f"paths {len(self.paths)}>"
        )

    def __str__(self) -> str:
        return "\n".join(map(visible, self._lines()))

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"

    def _lines(self) -> Iterator[str]:
        head, relation, tail = self.labels
        likely = "" if self.probability is None else f"probability {self.probability:.3f}, "
        yield f"{relation}({head}, {tail})"
        yield (
            f"  {likely}{_if_asked(self)}score {self.score:.3f} by {self.by}, "
            f"rank {self.rank:,} of {counted(self.candidates, 'candidate')}"
        )
        yield from [f"Contradicted: {self.contradicts}"] * bool(self.contradicts)
        if self.stated_by:
            yield "Copied from a linked source that states it:" if self.copied else "Stated by:"
            yield from (f"  {x.source}: {x.head} {x.relation} {x.tail}" for x in self.stated_by)
        if others := [x for x in self.supports if x not in self.stated_by]:
            yield "Facts of linked sources that support it:"
            yield from (
                f"  {x.source}: {x.labels[1]}({x.labels[0]}, {x.labels[2]})" for x in others
            )
        if self.rules:
            yield "Rules that infer it, and the score without each:"
        for rule in self.rules:
            yield f"  {rule.confidence:.2f}  {rule.rule}  ({rule.score_without:.3f})"
            if rule.facts:
                yield f"        because {stated(rule.facts)}"
        if self.paths:
            yield "Paths that mean about the same, by the vectors:"
            yield from (f"  {path.weight:.2f}  {stated(path.facts)}" for path in self.paths)
        if self.similar:
            yield "The most similar known facts:"
            yield from (f"  {x.similarity:.2f}  {stated([x.fact])}" for x in self.similar)
        if (left := self.without) is not None:
            yield f"Without the fact that supports it most ({left.text}):"
            yield f"  {_if_asked(left)}score {left.score:.3f}, rank {left.rank:,}"
        elif self.by == "vectors":
            yield (
                "Vectors learn from all facts at once, so only re-training can tell what the "
                "score would be without one of them. Where the model has rules, an explanation by "
                "both (--by both) shows what each rule and statement adds."
            )


def _if_asked(found: Explanation | WithoutSupport) -> str:
    value = found.probability_if_asked
    return "" if value is None else f"{value:.3f} if asked, "
