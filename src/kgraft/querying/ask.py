"""Answers to SPARQL over a graph that lacks facts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from kgraft.graph.knowledge_graph import Triples
from kgraft.inference.predict import Predictor, prepared
from kgraft.inference.rules import rule_text
from kgraft.model.trained_model import TrainedModel
from kgraft.querying.answers import Answer, Answers, Basis, Hop
from kgraft.querying.hops import Floats
from kgraft.querying.model_facts import ModelFacts
from kgraft.querying.names import QueryNames
from kgraft.querying.pattern import Atom, Branch, PatternQuery, QueryError, Term
from kgraft.querying.solve import ROWS, Assignments, Solver
from kgraft.querying.sparql import read_query

ANSWERS = 10
"""Answers by default."""

MOST_ANSWERS = 10_000
"""Answers at most."""

CONFIDENT = 0.1
"""Confidence of a rule from which on it is named as the reason of a fact."""

COUNTED = 2048
"""Entities of a free variable that are looked at for a count."""

STATED = 1 - 1e-6
"""Probability from which on an assignment rests on stated facts."""

Row = tuple[int, ...]


def asker(model: TrainedModel, source: str | None = None) -> Asker:
    """Return the model's asker, which is made on the first call and kept with the model."""
    key = ("asker", source)
    if key not in model.prepared:
        model.prepared[key] = Asker(prepared(model, source))
    found: Asker = model.prepared[key]
    return found


@dataclass(frozen=True)
class _Found:
    """A binding of the variables that are asked for, with the best assignment."""

    probability: float
    branch: Branch
    columns: dict[str, int]


class Asker:
    """A model prepared to answer queries.

    Args:
        predictor: A prepared model.
        own: The facts that have probability 1, in the model's rows; by default all that the source
            of the names states, in any split.
    """

    def __init__(self, predictor: Predictor, own: Triples | None = None) -> None:
        self._predictor = predictor
        self.names = predictor.names
        self.facts = ModelFacts(predictor, own)
        self.query_names = QueryNames(predictor.names)

    def read(self, text: str) -> PatternQuery:
        """Return a query in the model's rows.

        Raises:
            QueryError: If it cannot be read, or has what is not supported.
            UnknownNameError: If a name is unknown.
        """
        return read_query(text, self.query_names)

    def ask(
        self,
        text: str,
        *,
        limit: int = ANSWERS,
        most: int = MOST_ANSWERS,
        seconds: float | None = None,
    ) -> Answers:
        """Answer a query.

        Args:
            text: SPARQL.
            limit: The maximum number of answers, where the query sets none.
            most: The same, whatever the query sets.
            seconds: Time after which to give up.

        Raises:
            QueryError: If it cannot be read, has what is not supported, or takes too long.
            UnknownNameError: If a name is unknown.
            ValueError: If ``limit`` is below 1.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        return self.answer(self.read(text), limit=limit, most=most, deadline=deadline)

    def answer(
        self,
        query: PatternQuery,
        *,
        limit: int = ANSWERS,
        most: int = MOST_ANSWERS,
        deadline: float | None = None,
    ) -> Answers:
        """Answer a query that has been read, as ``ask``; ``deadline`` is by ``time.monotonic``."""
        if limit < 1:
            raise ValueError(f"limit is at least 1, not {limit}")
        if query.form == "count":
            return self._count(query, deadline)
        most = min(limit if query.limit is None else query.limit, most)
        last = query.offset + most
        if last > MOST_ANSWERS:
            raise QueryError(f"LIMIT and OFFSET reach beyond the best {MOST_ANSWERS:,} answers")
        solver = Solver(self.facts, rows=max(ROWS, last), deadline=deadline)
        solved = [(branch, solver.solve(branch, query.variables)) for branch in query.branches]
        found = _united(solved, query.variables)
        shown = found[query.offset : last]
        cut = max(x.cut for _, x in solved)
        hops = self._hops([(x, solver.used) for x in shown])
        answers = [self._answer(query, x, y) for x, y in zip(shown, hops, strict=True)]
        if query.form == "ask" and not answers:
            answers = [Answer({}, 0.0)]
        return Answers(query.variables, answers, cut=cut)

    def probabilities(self, query: PatternQuery, deadline: float | None = None) -> Floats:
        """Return the probability of each candidate as the answer, ``(C,)``.

        Args:
            query: A query for one variable, without conditions that join several.
            deadline: Time by ``time.monotonic`` at which to give up.

        Raises:
            QueryError: If it is another query, or takes too long.
        """
        solver = Solver(self.facts, deadline=deadline)
        beliefs = [solver.solve(branch, query.variables).beliefs for branch in query.branches]
        known = [x for x in beliefs if x is not None]
        if len(known) < len(beliefs):
            raise QueryError("the query asks for several variables, or has a cycle")
        return _either(known)

    def _count(self, query: PatternQuery, deadline: float | None) -> Answers:
        """Return the expected number of values of a variable."""
        solver = Solver(self.facts, kept=COUNTED, deadline=deadline)
        solved = [solver.solve(branch, query.variables) for branch in query.branches]
        if all(x.beliefs is not None for x in solved):
            values = _either([x.beliefs for x in solved if x.beliefs is not None])
        else:
            pairs = zip(query.branches, solved, strict=True)
            values = np.array([x.probability for x in _united([*pairs], query.variables)])
        stated = int((values >= STATED).sum())
        count = Answer({query.alias: round(float(values.sum()), 2)}, None, stated=stated)
        return Answers([query.alias], [count], cut=max(x.cut for x in solved))

    def _answer(self, query: PatternQuery, found: _Found, hops: tuple[Hop, ...]) -> Answer:
        names, rows = self.names, self.facts.rows
        entity = {name: int(rows[column]) for name, column in found.columns.items()}
        return Answer(
            {name: names.entity_name(entity[name]) for name in query.variables},
            found.probability,
            {name: names.entity_label(entity[name]) for name in query.variables},
            {
                name: names.entity_name(row)
                for name, row in entity.items()
                if name not in query.variables and not name.startswith("_")
            },
            hops,
        )

    def _hops(self, found: Sequence[tuple[_Found, dict[Atom, int]]]) -> list[tuple[Hop, ...]]:
        """Return the facts of assignments, with what each rests on."""
        atoms = [[(atom, x.columns, used) for atom in x.branch.atoms] for x, used in found]
        flat = [x for row in atoms for x in row]
        facts = np.array([self._fact(*x[:2]) for x in flat], dtype=np.int64).reshape(-1, 3)
        values = self._values(flat)
        stated = self.names.stated_by(facts)
        rules = self._rules(facts[[not by for by in stated]])
        hops = [
            self._hop(fact, value, by, rules.get(fact, ""))
            for fact, value, by in zip(map(tuple, facts.tolist()), values, stated, strict=True)
        ]
        each = iter(hops)
        return [tuple(next(each) for _ in row) for row in atoms]

    def _hop(self, fact: Row, value: float, by: tuple[str, ...], rule: str) -> Hop:
        names = self.names
        head, relation, tail = fact
        basis: Basis = "stated" if by else "inferred" if rule else "predicted"
        ends = names.names((head, relation, tail))
        return Hop(*ends, names.labels((head, relation, tail)), value, basis, by, rule)

    def _fact(self, atom: Atom, columns: dict[str, int]) -> Row:
        rows = self.facts.rows
        ends = [x if isinstance(x, int) else int(rows[columns[x]]) for x in (atom.left, atom.right)]
        return ends[0], atom.relation, ends[1]

    def _values(self, atoms: Sequence[tuple[Atom, dict[str, int], dict[Atom, int]]]) -> list[float]:
        """Return the probabilities of facts, in the direction in which they were solved."""
        found = []
        for atom, columns, used in atoms:
            ends = [self._column(x, columns) for x in (atom.left, atom.right)]
            along = used.get(atom, atom.relation)
            start, end = ends if along < self.facts.n_relations else ends[::-1]
            found.append(self.facts.value(start, along, end))
        return found

    def _column(self, term: Term, columns: dict[str, int]) -> int:
        return columns[term] if isinstance(term, str) else self.facts.column(term)

    def _rules(self, facts: Triples) -> dict[Row, str]:
        """Return the most confident rule that infers each fact, where one does."""
        predictor = self._predictor
        index = predictor.evidence_index
        if index is None or not len(facts):
            return {}
        key = {"x": pl.Int32, "relation": pl.Int32, "y": pl.Int32}
        wanted = pl.DataFrame(np.unique(facts, axis=0), schema=key)
        asked = wanted.select("x", "relation").unique(maintain_order=True)
        best = (
            index.scores_of(asked)
            .by_rules.join(wanted, on=list(key), how="semi")
            .filter(pl.col("confidence") >= CONFIDENT)
            .sort("confidence", "rule", descending=[True, False])
            .unique(list(key), keep="first", maintain_order=True)
        )
        evidence, _ = predictor.model.require_evidence()
        frame = evidence.rules.frame
        return {
            (row["x"], row["relation"], row["y"]): rule_text(
                frame.row(row["rule"], named=True), predictor.names
            )
            for row in best.iter_rows(named=True)
        }


def _either(beliefs: Sequence[Floats]) -> Floats:
    """Return the probability that one of several holds, taken to be independent."""
    found = beliefs[0]
    for other in beliefs[1:]:
        found = 1 - (1 - found) * (1 - other)
    return found


def _united(solved: Sequence[tuple[Branch, Assignments]], variables: Sequence[str]) -> list[_Found]:
    """Return the distinct bindings of all branches, the most probable first.

    Those that several branches give have the probability that one of these holds.
    """
    found: dict[Row, list[_Found]] = {}
    for branch, best in solved:
        of_branch = dict[Row, _Found]()
        columns = {name: x.tolist() for name, x in best.columns.items()}
        for place, probability in enumerate(best.probability.tolist()):
            row = tuple(columns[name][place] for name in variables)
            if row not in of_branch:
                at = {name: x[place] for name, x in columns.items()}
                of_branch[row] = _Found(probability, branch, at)
        for row, x in of_branch.items():
            found.setdefault(row, []).append(x)
    dense = [x.beliefs for _, x in solved if x.beliefs is not None]
    united = []
    for row, several in found.items():
        best_one = max(several, key=lambda x: x.probability)
        values = np.array([x.probability for x in several])
        if len(dense) == len(solved):
            values = np.array([x[row[0]] for x in dense])
        value = float(1 - np.prod(1 - values)) if len(values) > 1 else float(values[0])
        united.append(_Found(min(value, 1.0), best_one.branch, best_one.columns))
    return sorted(united, key=lambda x: -x.probability)
