"""The review of missing facts on the page: what is proposed, and the decisions about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from kgraft.errors import KgraftError
from kgraft.io.decision_file import Decision, DecisionFile, Fact
from kgraft.io.named_facts import ROLES
from kgraft.serving.missing_facts import Basis
from kgraft.serving.served_model import ServedModel


@dataclass(frozen=True)
class ProposedFact:
    """A fact that the graph lacks.

    Args:
        head: Its names.
        relation: Its names.
        tail: Its names.
        labels: Readable labels of the three.
        probability: That it is true.
        probability_if_asked: That it is the answer, if someone asks and one is missing.
        stated_by: The other sources that state it, none where it is inferred.
        decision: The decision about it, if one is kept.
    """

    head: str
    relation: str
    tail: str
    labels: tuple[str, str, str]
    probability: float
    probability_if_asked: float
    stated_by: tuple[str, ...]
    decision: Decision | None


@dataclass(frozen=True)
class Proposals:
    """Facts that the graph lacks, the most probable first.

    Args:
        facts: The facts that were asked for.
        n_facts: Number of all that have been found so far.
        asked: Number of queries that have been asked so far; those left are being asked.
        queries: Number of all queries.
    """

    facts: list[ProposedFact]
    n_facts: int
    asked: int
    queries: int


@dataclass(frozen=True)
class DecidedFact:
    """A fact, and the decision about it."""

    head: str
    relation: str
    tail: str
    decision: Decision | None


@dataclass(frozen=True)
class Decisions:
    """The decisions that the server keeps.

    Args:
        file: The name of their file; None where the server was started without one.
        decisions: The decisions.
    """

    file: str | None
    decisions: list[DecidedFact]


class Review:
    """Proposes missing facts, and keeps decisions about them.

    Args:
        file: Keeps the decisions; without it none are taken.
    """

    def __init__(self, file: DecisionFile | None = None) -> None:
        self._file = file

    def proposals(
        self,
        model: ServedModel,
        relation: str | None,
        basis: Basis | None,
        offset: int,
        k: int,
        *,
        undecided: bool = False,
    ) -> Proposals:
        """Return so many missing facts from a place on, of all or of those without a decision.

        Raises:
            KgraftError: As ``MissingFacts.find``, or if the file of decisions cannot be read.
        """
        found = model.missing.find(relation, basis)
        decided, proposed = self._decided(), found.facts
        if undecided and decided:
            known = pl.DataFrame([*decided], schema=dict.fromkeys(ROLES, pl.String), orient="row")
            proposed = proposed.join(known, on=ROLES, how="anti", maintain_order="left")
        facts = [
            ProposedFact(
                x["head"],
                x["relation"],
                x["tail"],
                (
                    model.label(x["head"]),
                    model.relation_label(x["relation"]),
                    model.label(x["tail"]),
                ),
                x["probability"],
                x["probability_if_asked"],
                tuple(source for source in x["stated_by"].split(",") if source),
                decided.get((x["head"], x["relation"], x["tail"])),
            )
            for x in proposed.slice(offset, k).iter_rows(named=True)
        ]
        return Proposals(facts, len(proposed), found.asked, found.queries)

    def all(self) -> Decisions:
        """Return the decisions that are kept.

        Raises:
            DataError: If their file cannot be read.
        """
        name = None if self._file is None else self._file.path.name
        return Decisions(name, [DecidedFact(*fact, x) for fact, x in self._decided().items()])

    def decide(
        self,
        model: ServedModel,
        fact: Fact,
        decision: Literal["accept", "refuse", "none"],
    ) -> DecidedFact:
        """Keep a decision about a fact, or take it back.

        Raises:
            UnknownNameError: If the target has no such entity or relation.
            KgraftError: If decisions are not kept, the target states the fact, or the file cannot
                be read or written.
        """
        if self._file is None:
            raise KgraftError(
                "this server keeps no decisions; start it with a file for them: "
                "kgraft serve MODEL --decisions decisions.csv"
            )
        names = model.named
        relation = names.part.relations.name(names.relation(fact[1]))
        named: Fact = (model.entity_name(fact[0]), relation, model.entity_name(fact[2]))
        taken: Decision | None = None if decision == "none" else decision
        about = {} if taken is None else _about(model, named)
        self._file.write(named, taken, about)
        return DecidedFact(*named, taken)

    def _decided(self) -> dict[Fact, Decision]:
        return {} if self._file is None else self._file.read()


def _about(model: ServedModel, fact: Fact) -> dict[str, str]:
    """Return further cells of a fact's row in the file.

    Raises:
        KgraftError: If the target states the fact, or knows it to be false.
    """
    names, judge = model.named, model.predictor.judge
    head, tail = (int(names.part.entity_rows[names.entity(x)]) for x in (fact[0], fact[2]))
    rows = np.array([[head, names.relation_row(fact[1]), tail]])
    by = names.stated_by(rows)[0]
    states = "states" if names.source in by else "knows to be false"
    if names.source in by or names.known_false.contains(rows)[0]:
        raise KgraftError(
            f"{names.source} {states} this fact already; only its own files can change that"
        )
    about = {"why": f"stated by {', '.join(by)}" if by else "inferred"}
    if judge is not None:
        about["probability"] = f"{judge.probability(rows)[0]:.4f}"
    return about
