"""Compare query answering and merging with all possibilities tried, on small random cases.

Usage: python benchmarks/brute_force.py PART --cases 100000 --out brute-force.json

PART is

queries
    Random patterns of one to four facts over four entities, with unions, negations, values, cycles
    and conditions of two variables: each answer has the probability of the best of all
    assignments, and none is missing.
merging
    Random links between up to 14 nodes of up to five sources: clusters and conflicts are those of
    the definition in ``kgraft.linking.merge``, which here follows every shortest path.

A case is made by its seed and number, so one that differs is made again by ``--first NUMBER --cases
1``.
"""

from __future__ import annotations

import math
import sys
import time
from argparse import Namespace
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations, product
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from common import options_of, run

from kgraft.linking.merge import merge
from kgraft.querying.pattern import Allowed, Atom, Branch, Differs, Negation, QueryError, Term
from kgraft.querying.solve import Solver
from kgraft_experiments.benchmark.plan import write_report

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))

from made_facts import MadeFacts, best

SIZE, RELATIONS = 4, 3
"""Entities and relations of a case."""

CLOSE = 1e-4
"""Largest difference of two probabilities, relative to them; the solver's are float32."""

SMALL = 1e-6
"""Probability up to which an answer may be missing."""

SHOWN = 20
"""Cases that differ that a report shows."""


# ------------------------------------------------------------------------------------- queries


def made_facts(draw: Random) -> MadeFacts:
    """Return facts of which a third are stated, a third false, others between."""
    values = [
        draw.choice((1.0, 0.0, draw.uniform(0.01, 1))) for _ in range(RELATIONS * SIZE * SIZE)
    ]
    return MadeFacts(np.array(values).reshape(RELATIONS, SIZE, SIZE))


def made_branch(draw: Random) -> Branch:
    """Return a pattern with the variable ``x``."""
    atoms = [_atom(draw, "xvw") for _ in range(draw.randint(1, 4))]
    if not any("x" in atom.variables for atom in atoms):
        atoms[0] = Atom("x", atoms[0].relation, atoms[0].right)
    own = Branch(tuple(atoms)).variables
    allowed = tuple(_allowed(draw, own) for _ in range(_few(draw)))
    differs = tuple(
        Differs(draw.choice(own), draw.choice([*own, *range(SIZE)])) for _ in range(_few(draw))
    )
    differs = tuple(x for x in differs if x.variable != x.other)
    negations = tuple(_negation(draw, own) for _ in range(_few(draw)))
    return Branch(tuple(atoms), allowed, differs, negations)


def _few(draw: Random) -> int:
    return draw.choice((0, 0, 0, 1, 1, 2))


def _atom(draw: Random, variables: Sequence[str]) -> Atom:
    ends: list[Term] = [
        draw.choice(variables) if draw.random() < 0.7 else draw.randrange(SIZE) for _ in range(2)
    ]
    return Atom(ends[0], draw.randrange(RELATIONS), ends[1])


def _allowed(draw: Random, own: Sequence[str]) -> Allowed:
    names = tuple(draw.sample(own, min(len(own), draw.choice((1, 1, 2)))))
    rows = [
        tuple(None if draw.random() < 0.2 else draw.randrange(SIZE) for _ in names)
        for _ in range(draw.randint(1, 3))
    ]
    return Allowed(names, tuple(rows))


def _negation(draw: Random, own: Sequence[str]) -> Negation:
    inner = []
    for _ in range(draw.choice((1, 1, 2))):
        atoms = [_atom(draw, [*own, "n"]) for _ in range(draw.randint(1, 2))]
        if not {x for atom in atoms for x in atom.variables} & {*own}:
            atoms[0] = Atom(draw.choice(own), atoms[0].relation, atoms[0].right)
        inner.append(Branch(tuple(atoms)))
    return Negation(tuple(inner))


def query_differs(draw: Random) -> str | None:
    """Return how the answers to a random query differ from the best of all assignments.

    Raises:
        QueryError: If the query is one that is refused.
    """
    facts, branch = made_facts(draw), made_branch(draw)
    others = [name for name in branch.variables if name != "x"]
    asked = ["x", *draw.sample(others, min(len(others), draw.choice((0, 0, 1))))]
    found = Solver(facts).solve(branch, asked)
    taken: dict[tuple[int, ...], float] = {}
    rows = zip(*(found.columns[name].tolist() for name in asked), strict=True)
    for row, value in zip(rows, found.probability.tolist(), strict=True):
        taken[row] = max(taken.get(row, 0.0), value)
    for row in product(range(SIZE), repeat=len(asked)):
        wanted = best(facts, branch, dict(zip(asked, row, strict=True)))
        value = taken.pop(row, 0.0)
        if not math.isclose(value, wanted, rel_tol=CLOSE, abs_tol=SMALL):
            return f"{dict(zip(asked, row, strict=True))} has {value}, not {wanted}: {branch}"
    return f"answers that there are not: {taken}" if taken else None


# ------------------------------------------------------------------------------------- merging

Tied = dict[int, tuple[int, int]]
"""Links of one rank by their number, with the clusters at their ends."""


def merging_differs(draw: Random) -> str | None:
    """Return how the merging of random links differs from the definition."""
    sources = [draw.randrange(draw.choice((2, 3, 5))) for _ in range(draw.randint(2, 14))]
    nodes = range(len(sources))
    pairs = [(draw.choice(nodes), draw.choice(nodes)) for _ in range(draw.randint(1, 24))]
    pairs = [x for x in pairs if x[0] != x[1]]
    levels = draw.choice(((1.0,), (0.5, 1.0), (0.25, 0.5, 0.75, 1.0)))
    confidence = [draw.choice(levels) for _ in pairs]
    found = merge(len(sources), sources, np.array(pairs, dtype=np.int64).reshape(-1, 2), confidence)
    clusters, rejected = plain_merge(sources, pairs, confidence)
    if found.clusters.tolist() != clusters:
        return f"clusters {found.clusters.tolist()}, not {clusters}: {sources} {pairs} {confidence}"
    said = {x.link: x.reason for x in found.conflicts}
    return None if said == rejected else f"{said}, not {rejected}: {sources} {pairs} {confidence}"


def plain_merge(
    sources: Sequence[int], pairs: Sequence[tuple[int, int]], confidence: Sequence[float]
) -> tuple[list[int], dict[int, str]]:
    """Return the cluster of each node, and the reason of each link that was not followed."""
    cluster = list(range(len(sources)))
    rejected: dict[int, str] = {}
    ranks = _ranks(pairs, confidence)
    for rank in sorted(set(ranks), reverse=True):
        tied: Tied = {}
        for link, (left, right) in enumerate(pairs):
            ends = cluster[left], cluster[right]
            if ranks[link] != rank or ends[0] == ends[1]:
                continue
            if _shares(sources, cluster, *ends):
                rejected[link] = "apart" if sources[left] == sources[right] else "confidence"
            else:
                tied[link] = ends
        for length in range(2, len(sources) + 1):
            wrong = _contradicting(sources, cluster, tied, length)
            rejected |= dict.fromkeys(wrong, "apart")
            tied = {link: ends for link, ends in tied.items() if link not in wrong}
        for left, right in tied.values():
            new, old = cluster[left], cluster[right]
            cluster = [new if x == old else x for x in cluster]
    number: dict[int, int] = {}
    numbered = [number.setdefault(x, len(number)) for x in cluster]
    open_links = {x: why for x, why in rejected.items() if len({cluster[y] for y in pairs[x]}) > 1}
    return numbered, open_links


def _ranks(
    pairs: Sequence[tuple[int, int]], confidence: Sequence[float]
) -> list[tuple[float, int]]:
    """Return the best confidence of each link's pair, and the number of nodes linked to both."""
    near: dict[int, set[int]] = defaultdict(set)
    for left, right in pairs:
        near[left].add(right)
        near[right].add(left)
    return [
        (
            max(y for x, y in zip(pairs, confidence, strict=True) if {*x} == {*pair}),
            len((near[pair[0]] & near[pair[1]]) - {*pair}),
        )
        for pair in pairs
    ]


def _shares(sources: Sequence[int], cluster: Sequence[int], left: int, right: int) -> bool:
    """Tell whether two clusters have nodes of one source."""
    of = [{sources[x] for x, own in enumerate(cluster) if own == end} for end in (left, right)]
    return bool(of[0] & of[1])


def _contradicting(
    sources: Sequence[int], cluster: Sequence[int], tied: Tied, length: int
) -> set[int]:
    """Return the links on shortest chains of a length between clusters that share a source."""
    ends = sorted({x for pair in tied.values() for x in pair})
    far = {end: _distances(end, tied.values()) for end in ends}
    found: set[int] = set()
    for left, right in combinations(ends, 2):
        if far[left].get(right) != length or not _shares(sources, cluster, left, right):
            continue
        for link, (one, other) in tied.items():
            for near, away in ((one, other), (other, one)):
                if far[left].get(near, length) + 1 + far[right].get(away, length) == length:
                    found.add(link)
    return found


def _distances(start: int, edges: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Return the number of links from a cluster to each that it reaches."""
    near: dict[int, list[int]] = defaultdict(list)
    for one, other in edges:
        near[one].append(other)
        near[other].append(one)
    found, waiting = {start: 0}, deque([start])
    while waiting:
        here = waiting.popleft()
        for there in near[here]:
            if there not in found:
                found[there] = found[here] + 1
                waiting.append(there)
    return found


PARTS: dict[str, Callable[[Random], str | None]] = {
    "queries": query_differs,
    "merging": merging_differs,
}


def measured(asked: Namespace) -> dict[str, Any]:
    """Try the cases, and return the counts."""
    begin, refused, differing = time.perf_counter(), 0, []
    for number in range(asked.first, asked.first + asked.cases):
        try:
            problem = PARTS[asked.part](Random(f"{asked.seed} {number}"))
        except QueryError:
            refused += 1
            continue
        if problem is not None:
            differing.append({"case": number, "problem": problem})
            print(f"{asked.part} {number}: {problem}", file=sys.stderr, flush=True)
    tried = asked.cases - refused
    return {
        "tried": tried,
        "survived": tried - len(differing),
        "refused": refused,
        "problems": differing[:SHOWN],
        "seconds": round(time.perf_counter() - begin, 1),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options_of(
        __doc__,
        out=Path("brute-force.json"),
        threads=None,
        cases=100_000,
        first=(0, "the number of the first case"),
        seed=0,
    )
    parser.add_argument("part", choices=PARTS)
    run(parser, measured, arguments, write=write_report)


if __name__ == "__main__":
    main()
