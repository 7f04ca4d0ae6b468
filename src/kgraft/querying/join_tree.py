"""The join tree of a pattern: how its facts hang together, from a root variable down.

A pattern whose facts make a cycle is cut open; what was cut is checked for each assignment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kgraft.querying.pattern import Allowed, Atom, Branch, Differs, Negation, QueryError


@dataclass
class TreeEdge:
    """The facts that join a variable with one nearer to the root.

    Args:
        parent: The nearer variable.
        child: The other one.
        atoms: The facts.
    """

    parent: str
    child: TreeNode
    atoms: list[Atom] = field(default_factory=list)


@dataclass
class TreeNode:
    """A variable with all that concerns it alone, and what hangs on it.

    Args:
        variable: The variable.
        facts: Facts that join it with an entity.
        allowed: Bindings of which one holds; of several variables, each is taken by itself.
        forbidden: Entities that it is not.
        negations: Patterns about it that do not hold.
        edges: To the variables that hang on it.
    """

    variable: str
    facts: list[Atom] = field(default_factory=list)
    allowed: list[Allowed] = field(default_factory=list)
    forbidden: list[int] = field(default_factory=list)
    negations: list[Negation] = field(default_factory=list)
    edges: list[TreeEdge] = field(default_factory=list)

    @property
    def anchored(self) -> bool:
        """Whether an entity is given, here or below."""
        return bool(self.facts or self.allowed) or any(x.child.anchored for x in self.edges)

    def nodes(self) -> Iterator[TreeNode]:
        """Yield this node and all below, parents first."""
        yield self
        for edge in self.edges:
            yield from edge.child.nodes()


@dataclass(frozen=True)
class JoinForest:
    """A pattern as trees.

    Args:
        trees: A tree for each part that shares no variable with the others.
        facts: Facts without a variable.
        checks: Facts that close a cycle.
        differs: Pairs of variables that are not the same.
        allowed: Bindings of several variables.
        negations: Patterns of facts alone that do not hold, about several variables or none.
    """

    trees: tuple[TreeNode, ...]
    facts: tuple[Atom, ...]
    checks: tuple[Atom, ...]
    differs: tuple[Differs, ...]
    allowed: tuple[Allowed, ...]
    negations: tuple[Negation, ...]

    @property
    def exact(self) -> bool:
        """Whether the trees hold all conditions."""
        return not (self.checks or self.differs or self.allowed or self.negations)


def join_forest(branch: Branch, roots: Sequence[str]) -> JoinForest:
    """Return the trees of a branch.

    Args:
        branch: Conditions that all hold.
        roots: Variables, of which the first in each tree becomes its root.

    Raises:
        QueryError: If a condition is about a variable that occurs in no fact, or about several in a
            way that is not supported.
    """
    variables = branch.variables
    nodes = {name: TreeNode(name) for name in variables}
    between: dict[frozenset[str], list[Atom]] = {}
    ground, checks = list[Atom](), list[Atom]()
    for atom in branch.atoms:
        ends = atom.variables
        if len(ends) == 2:
            between.setdefault(frozenset(ends), []).append(atom)
        elif atom.left == atom.right:
            checks.append(atom)  # A loop, or one entity at both ends, which is ground.
        elif ends:
            nodes[ends[0]].facts.append(atom)
        else:
            ground.append(atom)
    ground += [atom for atom in checks if not atom.variables]
    checks = [atom for atom in checks if atom.variables]
    left, trees = dict(between), list[TreeNode]()
    seen = set[str]()
    for name in dict.fromkeys([*(x for x in roots if x in nodes), *variables]):
        if name not in seen:
            trees.append(_grown(nodes[name], nodes, left, seen))
    for atoms in left.values():
        checks += atoms
    several = _conditions(branch, nodes)
    return JoinForest(tuple(trees), tuple(ground), tuple(checks), *several)


def _grown(
    root: TreeNode,
    nodes: dict[str, TreeNode],
    left: dict[frozenset[str], list[Atom]],
    seen: set[str],
) -> TreeNode:
    """Hang on a root all variables that facts lead to; take the facts that do so."""
    seen.add(root.variable)
    waiting = [root]
    while waiting:
        node = waiting.pop(0)
        for pair in [x for x in left if node.variable in x]:
            (other,) = pair - {node.variable}
            if other not in seen:
                seen.add(other)
                node.edges.append(TreeEdge(node.variable, nodes[other], left.pop(pair)))
                waiting.append(nodes[other])
    return root


def _conditions(
    branch: Branch, nodes: dict[str, TreeNode]
) -> tuple[tuple[Differs, ...], tuple[Allowed, ...], tuple[Negation, ...]]:
    """Put conditions on one variable at its node; return those on several."""
    differs = list[Differs]()
    for difference in branch.differs:
        for name in (difference.variable, difference.other):
            if isinstance(name, str) and name not in nodes:
                raise QueryError(f"FILTER is about ?{name}, which occurs in no fact beside it")
        if isinstance(difference.other, str):
            differs.append(difference)
        else:
            nodes[difference.variable].forbidden.append(difference.other)
    for bindings in branch.allowed:
        for name in bindings.variables:
            nodes[name].allowed.append(bindings)
    allowed = tuple(x for x in branch.allowed if len(x.variables) > 1)
    return tuple(differs), allowed, _negations(branch, nodes)


def _negations(branch: Branch, nodes: dict[str, TreeNode]) -> tuple[Negation, ...]:
    """Put negations about one variable at its node; return the others."""
    several = list[Negation]()
    for negation in branch.negations:
        shared = [name for name in negation.variables if name in nodes]
        if len(shared) == 1:
            nodes[shared[0]].negations.append(negation)
        elif all(_facts_alone(inner, shared) for inner in negation.branches):
            several.append(negation)
        else:
            raise QueryError(
                "NOT EXISTS or MINUS about "
                + (" and ".join(f"?{x}" for x in shared) or "no variable of the rest")
                + " may hold facts between these alone; others are not supported"
            )
    return tuple(several)


def _facts_alone(inner: Branch, shared: Sequence[str]) -> bool:
    """Whether a negated pattern is facts between known variables, and nothing else."""
    others = inner.allowed or inner.differs or inner.negations
    return not others and set(inner.variables) <= set(shared)
