"""Facts known to be false, in the rows of the graph that they are about."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.errors import KgraftWarning, describe
from kgraft.graph.assemble import FactRows
from kgraft.graph.spelling import Spelling
from kgraft.graph.vocabulary import Vocabulary

Names = tuple[Vocabulary, Vocabulary]
"""Entities and relations."""


def known_false_facts(
    name: str,
    names: Names,
    pieces: Iterable[FactRows],
    own_names: Names,
    spelling: Spelling = "exact",
) -> list[FactRows]:
    """Return facts known to be false in the rows of a graph; those of other names are left out.

    Args:
        name: The graph's name.
        names: The names of its facts.
        pieces: Facts in the rows of names of their own.
        own_names: These names.
        spelling: Comparison of names.

    Warns:
        KgraftWarning: If some are left out, with their number and the first one.
    """
    entities, relations = (
        own.rows_by_form(other.names) if spelling == "normal" else own.rows(other.names)
        for own, other in zip(names, own_names, strict=True)
    )
    found = []
    for piece in pieces:
        heads, along, tails = piece.triples.T
        triples = np.stack([entities[heads], relations[along], entities[tails]], axis=1)
        known = np.asarray((triples >= 0).all(axis=1))
        if not known.all():
            _warn_of_unknown(name, piece, known, own_names)
        lines = None if piece.lines is None else piece.lines.filter(pl.Series(known))
        found.append(FactRows(triples[known], piece.path, lines))
    return found


def _warn_of_unknown(
    name: str, piece: FactRows, known: NDArray[np.bool_], own_names: Names
) -> None:
    place = int((~known).argmax())
    head, relation, tail = piece.triples[place].tolist()
    entities, relations = own_names
    first = (entities.name(head), relations.name(relation), entities.name(tail))
    warnings.warn(
        describe(
            f"{int((~known).sum()):,} of {len(known):,} facts known to be false have a name that "
            f"no fact of {name!r} has, first {first}",
            remedy="They are left out; correct the names, or take them out to silence this",
            path=piece.path,
            line=None if piece.lines is None else int(piece.lines[place]),
        ),
        KgraftWarning,
        stacklevel=4,
    )
