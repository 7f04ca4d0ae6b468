"""Best assignments of a pattern: the largest product of the probabilities of its facts.

From the leaves of the join tree to its root each variable gets, for each entity, the probability of
the best assignment of all below it, by the largest product (max-product dynamic programming, as in
QTO: Bai et al., ICML 2023). Of a variable's entities the best ones go on to predicted facts, and
all go on to stated ones. Answers are then read off from the root down.

Entities are columns, the places of candidates. Shapes: C candidates, K of them, M assignments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kgraft.querying.hops import Columns, FactSource, Floats, HopDown, HopUp
from kgraft.querying.join_tree import JoinForest, TreeEdge, TreeNode, join_forest
from kgraft.querying.pattern import Atom, Branch, Negation, QueryError, check_time

BEAM = 64
"""Entities of a variable that go on to predicted facts."""

KEPT = 128
"""Entities of a variable for which one that no entity leads to is looked for."""

NEXT = 8
"""Of these, entities that go on where more variables follow."""

ROWS = 512
"""Assignments kept."""

LEAST = 1e-9
"""Probability below which an entity does not go on."""

MAX_VALUES = 2**24
"""Probabilities of one hop that are held at once."""


@dataclass(frozen=True, eq=False)
class Assignments:
    """Assignments of a branch, the best first.

    Args:
        columns: The entity of each variable, ``(M,)`` each.
        probability: The product of all probabilities, ``(M,)``.
        beliefs: The probability of each entity as the value of the one variable that is asked for,
            ``(C,)``; None where there are several, or conditions that were checked afterwards.
        cut: The largest probability that an assignment which was not looked at may have.
    """

    columns: Mapping[str, Columns]
    probability: Floats
    beliefs: Floats | None
    cut: float


@dataclass(eq=False)
class Solver:
    """Finds the best assignments of branches.

    Args:
        facts: Probabilities of facts.
        beam: Entities of a variable that go on to predicted facts.
        kept: Entities for which a variable that no entity leads to is looked for.
        rows: Assignments kept.
        deadline: Time by ``time.monotonic`` at which to give up; None for no limit.
        used: The directed relation along which each fact was looked up.
    """

    facts: FactSource
    beam: int = BEAM
    kept: int = KEPT
    rows: int = ROWS
    deadline: float | None = None
    used: dict[Atom, int] = field(default_factory=dict)
    _hops: dict[int, HopUp | HopDown] = field(default_factory=dict)
    _cut: float = 0.0

    def solve(self, branch: Branch, asked: Sequence[str]) -> Assignments:
        """Return the best assignments of a branch.

        Args:
            branch: Conditions that all hold.
            asked: The variables that are asked for; others get what fits them best.

        Raises:
            QueryError: If the time is over, or a condition is not supported.
        """
        self._hops, self._cut = {}, 0.0
        forest = join_forest(branch, asked)
        wanted = set(asked)
        if not forest.exact:
            wanted |= set(_checked(forest))
        constant = float(np.prod([self._ground(atom) for atom in forest.facts]))
        beliefs = [self._belief(tree) for tree in forest.trees]
        tables = [self._read(*x, wanted) for x in zip(forest.trees, beliefs, strict=True)]
        columns, probability = _crossed(tables, self.rows)
        probability = probability * constant
        if not forest.exact:
            probability = probability * self._checks(forest, columns, len(probability))
            self._cut = max(self._cut, _lowest(probability, len(probability) < self.rows))
        order = np.argsort(-probability, kind="stable")
        order = order[probability[order] > 0]
        dense = None
        if forest.exact and len(asked) == 1 and forest.trees[0].variable == asked[0]:
            others = [float(x.max(initial=0)) for x in beliefs[1:]]
            dense = beliefs[0] * constant * float(np.prod(others))
        kept = {name: x[order] for name, x in columns.items()}
        return Assignments(kept, probability[order], dense, self._cut)

    def _ground(self, atom: Atom) -> float:
        return float(self._row(atom)[self.facts.column(int(atom.right))])

    def _row(self, atom: Atom) -> Floats:
        """Return the probabilities of a fact with an entity at one end, ``(C,)``."""
        forward = not isinstance(atom.left, str)
        given = atom.left if forward else atom.right
        along = atom.relation + (0 if forward else self.facts.n_relations)
        columns = np.array([self.facts.column(int(given))])
        self.used[atom] = along
        row: Floats = self._probabilities(columns, along)[0].astype(np.float64)
        return row

    def _probabilities(self, columns: Columns, along: int) -> NDArray[np.float32]:
        check_time(
            self.deadline, "the query takes too long; give it more entities, or fewer variables"
        )
        return self.facts.probabilities(columns, along)

    def _belief(self, node: TreeNode, among: Columns | None = None) -> Floats:
        """Return the probability of the best assignment of a variable and all below, ``(C,)``.

        Args:
            node: The variable.
            among: The entities that matter, where no entity leads to the variable.
        """
        belief = np.ones(self.facts.size)
        for atom in node.facts:
            belief *= self._row(atom)
        self._restrict(node, belief)
        for edge in node.edges:
            if edge.child.anchored:
                belief *= self._up(edge)
        late = [edge for edge in node.edges if not edge.child.anchored]
        at_once = [x for x in node.negations if all(map(_dense, _trees(x, node.variable)))]
        negated = [x for x in node.negations if x not in at_once]
        for negation in at_once:
            belief *= 1 - self._negated(negation, node.variable, None)
        if among is None and not node.anchored and late:
            among = self._seeds(late)
        if among is not None:
            belief = _only(belief, among)
        if not (late or negated):
            return belief
        columns = np.sort(self._best(belief, self.kept if among is None else len(among)))
        values = belief[columns]
        for edge in late:
            values *= self._down(edge, columns)
        for negation in negated:
            values *= 1 - self._negated(negation, node.variable, columns)[columns]
        found = np.zeros_like(belief)
        found[columns] = values
        return found

    def _restrict(self, node: TreeNode, belief: Floats) -> None:
        """Set the belief of entities that a variable cannot have to 0."""
        for bindings in node.allowed:
            place = bindings.variables.index(node.variable)
            rows = [row[place] for row in bindings.rows]
            if None not in rows:
                mask = np.zeros(len(belief), dtype=np.bool_)
                mask[[self.facts.column(x) for x in rows if x is not None]] = True
                belief[~mask] = 0
        belief[[self.facts.column(x) for x in node.forbidden]] = 0

    def _seeds(self, edges: Sequence[TreeEdge]) -> Columns:
        """Return entities that are known to have an answer along facts to free variables."""
        fits = np.zeros(self.facts.size)
        for edge in edges:
            for atom in edge.atoms:
                fits[self.facts.domain(self._along(atom, edge.parent))] += 1
        return self._best(fits, self.kept)

    def _negated(self, negation: Negation, variable: str, among: Columns | None) -> Floats:
        """Return the probability of the best assignment of a negated pattern, ``(C,)``."""
        found = np.zeros(self.facts.size)
        for inner in negation.branches:
            forest = join_forest(inner, [variable])
            if not forest.exact:
                raise QueryError(
                    "NOT EXISTS or MINUS with a cycle, or a FILTER on two variables, is not "
                    "supported"
                )
            own, *others = forest.trees
            belief = self._belief(own, None if _dense(own) else among)
            belief *= float(np.prod([self._ground(atom) for atom in forest.facts]))
            belief *= float(np.prod([self._belief(x).max(initial=0) for x in others]))
            np.maximum(found, belief, out=found)
        return found

    def _best(self, belief: Floats, most: int) -> Columns:
        """Return the best columns, at most some, and note what may be lost."""
        most = max(1, min(most, MAX_VALUES // self.facts.size))
        columns = np.flatnonzero(belief > LEAST)
        if len(columns) > most:
            order = np.argsort(-belief[columns], kind="stable")
            self._cut = max(self._cut, min(1.0, float(belief[columns[order[most]]])))
            columns = columns[order[:most]]
        return columns

    def _up(self, edge: TreeEdge) -> Floats:
        """Return for each entity of the parent the best value by the child, ``(C,)``."""
        belief, size = self._belief(edge.child), self.facts.size
        anchors = self._best(belief, self.beam)
        values = np.ones((len(anchors), size), dtype=np.float32)
        for atom in edge.atoms:
            values *= self._probabilities(anchors, self._along(atom, edge.child.variable))
        values *= belief[anchors, None]
        best, choice = np.zeros(size), np.full(size, -1)
        if len(anchors):
            row = values.argmax(axis=0)
            best = values[row, np.arange(size)].astype(np.float64)
            choice = anchors[row]
        rest = np.setdiff1d(np.flatnonzero(belief > LEAST), anchors)
        more = self._more(edge, belief, rest)
        np.maximum.at(best, more[1], more[2])
        from_more = more[2] >= best[more[1]]
        choice[more[1][from_more]] = more[0][from_more]
        self._hops[id(edge)] = HopUp(anchors, values, more, best, choice)
        return best

    def _more(
        self, edge: TreeEdge, belief: Floats, rest: Columns
    ) -> tuple[Columns, Columns, Floats]:
        """Return the stated facts of entities that do not go on to predicted ones."""
        if not len(rest) or len(edge.atoms) > 1:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
        place, end = self.facts.stated(rest, self._along(edge.atoms[0], edge.child.variable))
        return rest[place], end, belief[rest[place]]

    def _down(self, edge: TreeEdge, columns: Columns) -> Floats:
        """Return for some entities of the parent the best value by a free child, ``(K,)``."""
        child, size = edge.child, self.facts.size
        values = np.ones((len(columns), size), dtype=np.float64)
        for atom in edge.atoms:
            values *= self._probabilities(columns, self._along(atom, edge.parent))
        values[:, [self.facts.column(x) for x in child.forbidden]] = 0
        if child.edges or child.negations:
            best = np.argsort(-values, axis=1, kind="stable")[:, :NEXT]
            reached = values.max(axis=0, initial=0)
            among = np.unique(best)
            among = among[np.argsort(-reached[among], kind="stable")[: 2 * self.kept]]
            values *= self._belief(child, among)
        order = np.argpartition(-values, min(self.beam, size) - 1, axis=1)[:, : self.beam]
        found = np.take_along_axis(values, order, axis=1)
        within = np.argsort(-found, axis=1, kind="stable")
        entities = np.take_along_axis(order, within, axis=1)
        found = np.take_along_axis(found, within, axis=1)
        self._hops[id(edge)] = HopDown(columns, entities, found)
        return found[:, 0] if len(columns) else np.empty(0)

    def _along(self, atom: Atom, start: str) -> int:
        """Return the directed relation of a fact from one of its variables."""
        along = atom.relation + (0 if atom.left == start else self.facts.n_relations)
        self.used[atom] = along
        return along

    def _read(
        self, tree: TreeNode, belief: Floats, wanted: set[str]
    ) -> tuple[dict[str, Columns], Floats]:
        """Read the best assignments off a tree, different ones for wanted variables alone."""
        most = self.rows if wanted & {x.variable for x in tree.nodes()} else 1
        columns = np.flatnonzero(belief > 0)
        columns = columns[np.argsort(-belief[columns], kind="stable")[:most]]
        found, probability = {tree.variable: columns}, belief[columns]
        for node in tree.nodes():
            for edge in node.edges:
                hop, parents = self._hops[id(edge)], found[node.variable]
                child = edge.child.variable
                places, entities, share = hop.options(parents)
                value = probability[places] * share
                if wanted & {x.variable for x in edge.child.nodes()}:
                    chosen = np.argsort(-value, kind="stable")[: self.rows]
                else:
                    order = np.lexsort((-value, places))
                    chosen = order[np.unique(places[order], return_index=True)[1]]
                if len(value) > len(chosen) == self.rows:
                    self._cut = max(self._cut, float(value[chosen].min()))
                found = {name: x[places[chosen]] for name, x in found.items()}
                found[child], probability = entities[chosen], value[chosen]
        return found, probability

    def _checks(self, forest: JoinForest, columns: Mapping[str, Columns], size: int) -> Floats:
        """Return the probability of all conditions that no tree holds, ``(M,)``."""
        found = np.ones(size)
        for difference in forest.differs:
            found *= columns[difference.variable] != columns[str(difference.other)]
        for bindings in forest.allowed:
            fits = np.zeros(size, dtype=np.bool_)
            for row in bindings.rows:
                of_row = np.ones(size, dtype=np.bool_)
                for name, entity in zip(bindings.variables, row, strict=True):
                    if entity is not None:
                        of_row &= columns[name] == self.facts.column(entity)
                fits |= of_row
            found *= fits
        for atom in forest.checks:
            found *= self._of_rows(atom, columns, found)
        for negation in forest.negations:
            taken = np.zeros(size)
            for inner in negation.branches:
                holds = np.ones(size)
                for atom in inner.atoms:
                    holds *= self._of_rows(atom, columns, found)
                np.maximum(taken, holds, out=taken)
            found *= 1 - taken
        return found

    def _of_rows(self, atom: Atom, columns: Mapping[str, Columns], so_far: Floats) -> Floats:
        """Return the probability of a fact in each assignment that is still possible, ``(M,)``."""
        size = len(so_far)
        left, right = (
            columns[x] if isinstance(x, str) else np.full(size, self.facts.column(x))
            for x in (atom.left, atom.right)
        )
        found, rows = np.zeros(size), np.flatnonzero(so_far > 0)
        along, start, end = atom.relation, left[rows], right[rows]
        if len(np.unique(end)) < len(np.unique(start)):
            along, start, end = along + self.facts.n_relations, end, start
        self.used[atom] = along
        anchors, which = np.unique(start, return_inverse=True)
        block = max(1, MAX_VALUES // self.facts.size)
        for first in range(0, len(anchors), block):
            values = self._probabilities(anchors[first : first + block], along)
            own = np.flatnonzero((which >= first) & (which < first + block))
            found[rows[own]] = values[which[own] - first, end[own]]
        return found


def _checked(forest: JoinForest) -> list[str]:
    """Return the variables of conditions that no tree holds."""
    found = [x for atom in forest.checks for x in atom.variables]
    found += [x for bindings in forest.allowed for x in bindings.variables]
    found += [x for y in forest.differs for x in (y.variable, str(y.other))]
    return [*found, *(x for negation in forest.negations for x in negation.variables)]


def _trees(negation: Negation, variable: str) -> list[TreeNode]:
    return [join_forest(inner, [variable]).trees[0] for inner in negation.branches]


def _dense(node: TreeNode) -> bool:
    """Whether a variable's belief can be had for all entities at once."""
    return node.anchored and all(edge.child.anchored for edge in node.edges)


def _only(belief: Floats, columns: Columns) -> Floats:
    found = np.zeros_like(belief)
    found[columns] = belief[columns]
    return found


def _lowest(probability: Floats, complete: bool) -> float:
    return 0.0 if complete or not len(probability) else float(probability.min())


def _crossed(
    tables: Sequence[tuple[dict[str, Columns], Floats]], most: int
) -> tuple[dict[str, Columns], Floats]:
    """Return all combinations of the assignments of trees, the best ones."""
    columns, probability = dict[str, Columns](), np.ones(1)
    for more, values in tables:
        product = np.outer(probability, values).ravel()
        chosen = np.argsort(-product, kind="stable")[:most]
        left, right = np.divmod(chosen, max(len(values), 1))
        columns = {name: x[left] for name, x in columns.items()}
        columns |= {name: x[right] for name, x in more.items()}
        probability = product[chosen]
    return columns, probability
