"""Stated facts of a target that are probably wrong, each with the evidence in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from kgraft.errors import KgraftError
from kgraft.graph.known_facts import KnownFacts
from kgraft.inference.error_probability import SIGNS, JudgedGraph, judge
from kgraft.inference.names import ModelNames
from kgraft.inference.results import Results
from kgraft.model.trained_model import TrainedModel
from kgraft.system.progress import Listener

MIN_PART = 0.3
"""Least part of the log odds, above that of a common fact, of evidence that is put into words."""

MAX_RIVALS = 3
"""Maximum number of other answers that are named."""

Fact = tuple[int, int, int]


@dataclass(frozen=True)
class SuspectFact:
    """A stated fact that may be wrong.

    Args:
        head: Name of the head.
        relation: Name of the relation.
        tail: Name of the tail.
        labels: Readable labels of the three.
        error_probability: The probability that it is wrong.
        evidence: What tells against it, the strongest first, and what tells for it.
    """

    head: str
    relation: str
    tail: str
    labels: tuple[str, str, str]
    error_probability: float
    evidence: tuple[str, ...]

    COLUMNS: ClassVar = {
        **dict.fromkeys(("head", "relation", "tail"), pl.String),
        "error_probability": pl.Float64,
        "evidence": pl.List(pl.String),
    }

    def __str__(self) -> str:
        head, relation, tail = self.labels
        reasons = "; ".join(self.evidence)
        return f"{self.error_probability:.2f}  {relation}({head}, {tail}): {reasons}"


def check(
    model: TrainedModel,
    *,
    k: int | None = 100,
    min_probability: float = 0.0,
    seed: int = 0,
    listener: Listener | None = None,
) -> Results[SuspectFact]:
    """Return the target's facts that are most probably wrong, as ``TrainedModel.check`` says."""
    if k is not None and k < 1:
        raise ValueError(f"k is at least 1, not {k}")
    names = ModelNames(model)
    if not len(model.graph.facts_of([names.source])):
        raise KgraftError(f"the model knows no fact of {names.source!r} to check.")
    judged = judge(model, names.source, seed=seed, listener=listener)
    order = np.argsort(-judged.probability, kind="stable")
    order = order[judged.probability[order] >= min_probability][:k]
    words = _Words(names, judged)
    return Results(SuspectFact, (words.suspect(int(row)) for row in order))


class _Words:
    """Puts the evidence on facts into words."""

    def __init__(self, names: ModelNames, judged: JudgedGraph) -> None:
        self._names, self._judged = names, judged
        self._common = np.median(judged.parts, axis=0)
        self._own = KnownFacts(judged.facts)
        self._n_entities = len(np.unique(judged.facts[:, [0, 2]]))

    def suspect(self, row: int) -> SuspectFact:
        """Return a fact with its evidence."""
        head, relation, tail = map(int, self._judged.facts[row])
        fact = head, relation, tail
        parts = self._judged.parts[row] - self._common
        reasons = list[str]()
        for place in np.argsort(-np.abs(parts)).tolist():
            name = list(SIGNS)[place]
            if abs(parts[place]) >= MIN_PART:
                value = float(self._judged.features[name][row])
                reasons += self._reason(fact, name, value, wrong=parts[place] > 0)
        return SuspectFact(
            *self._names.names(fact),
            self._names.labels(fact),
            float(self._judged.probability[row]),
            tuple(dict.fromkeys(reasons)) or ("nothing in particular",),
        )

    def _reason(self, fact: Fact, name: str, value: float, *, wrong: bool) -> list[str]:
        """Return what a feature says; nothing where it says too little."""
        if not wrong:
            return self._support(fact, name)
        head, relation, tail = self._names.labels(fact)
        side = name.rpartition("_")[2]
        entity = head if side == "head" else tail
        place = round(float(np.exp(value)) * self._n_entities)
        texts = {
            "kind": f"the other facts of {entity} are not those of a {side} of {relation}",
            "unstated": f"no other source states it, as they do most facts of {relation}",
            "loop": "head and tail are the same",
            "rank": f"without it, vectors rank its {side} {place:,} of {self._n_entities:,}",
            "relation": f"without it, vectors give the two another relation than {relation}",
            "confidence": "no rule, or only weak ones, infer it",
            "probability": "no rule, or only weak ones, infer it",
        }
        kind = name.split("_")[0]
        if kind == "second":
            return [f"the graph also states {self._answers(fact, side, self._own)}"]
        if kind == "rival":
            return list(self._rivals(fact, side))
        return [texts[kind]] if kind in texts else []

    def _support(self, fact: Fact, name: str) -> list[str]:
        """Return what a feature says for a fact."""
        if name == "stated":
            stating = [x.source for x in self._names.statements(fact)]
            others = ", ".join(x for x in stating if x != self._names.source)
            return [f"for it: {others} states it too"] if others else []
        if name == "joined":
            return ["for it: other facts join the two"]
        if name.startswith(("confidence", "probability")):
            return ["for it: rules infer it"]
        return []

    def _rivals(self, fact: Fact, side: str) -> Iterator[str]:
        """Yield what other sources state in place of a fact."""
        for source, known in self._names.known.items():
            if source != self._names.source and (found := self._answers(fact, side, known)):
                yield f"{source} states {found}"

    def _answers(self, fact: Fact, side: str, known: KnownFacts) -> str:
        """Return other known answers in words, for the tail of a fact or for its head."""
        head, relation, tail = fact
        anchor, own = (head, tail) if side == "tail" else (tail, head)
        _, found = known.answers(
            np.array([anchor]), np.array([relation]), "tail" if side == "tail" else "head"
        )
        rows = [x for x in found.tolist() if x != own]
        labels = [self._names.entity_label(x) for x in rows[:MAX_RIVALS]]
        more = f" and {len(rows) - MAX_RIVALS:,} more" if len(rows) > MAX_RIVALS else ""
        return ", ".join(labels) + more
