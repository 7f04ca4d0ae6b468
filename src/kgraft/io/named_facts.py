"""Numbering of entities and relations by name."""

from __future__ import annotations

import numpy as np
import polars as pl

from kgraft.graph.grouped_index import changes
from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.vocabulary import Rows, Vocabulary

ROLES = ("head", "relation", "tail")
"""Columns of facts by name."""


class NameTable:
    """Rows of names, for facts in batches; in the order of first appearance until all are read.

    Memory grows with the number of distinct names only. Names are found by sorted hashes, several
    times faster than in a dictionary, and then compared. Should two have one hash, all are hashed
    with another seed.
    """

    def __init__(self) -> None:
        self._names = pl.Series("name", dtype=pl.String)
        self._seed = 0
        # Hashes, ascending, and the row of each one's name.
        self._hashes = np.empty(0, dtype=np.uint64)
        self._row_of_hash = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._names)

    def rows(self, *columns: pl.Series) -> list[Rows]:
        """Return the rows of names, adding new ones.

        Args:
            columns: String columns of one length ``n``, without nulls. Names appear row by row:
                the first row of each column, then the second.

        Returns:
            For each column int64 ``(n,)``.
        """
        names = pl.concat([column.rename("name") for column in columns])
        while (rows := self._added(names, len(columns))) is None:
            self._seed += 1
            hashes = self._names.hash(self._seed).to_numpy()
            self._row_of_hash = np.argsort(hashes)
            self._hashes = hashes[self._row_of_hash]
        return list(rows)

    def _added(self, names: pl.Series, n_columns: int) -> Rows | None:
        """Return the rows of names that are given column by column, ``(n_columns, n)``.

        None, and nothing is added, if two names have one hash.
        """
        hashes = names.hash(self._seed).to_numpy().reshape(n_columns, -1).T.ravel()
        order = np.argsort(hashes)
        starts = np.flatnonzero(changes(hashes[order]))
        different = hashes[order[starts]]
        place = np.searchsorted(self._hashes, different)
        known = place < len(self._hashes)
        known[known] = self._hashes[place[known]] == different[known]
        row_of_different = np.empty(len(different), dtype=np.int64)
        row_of_different[known] = self._row_of_hash[place[known]]

        new = np.flatnonzero(~known)
        first = np.minimum.reduceat(order, starts)[new]
        by_appearance = np.argsort(first)
        row_of_different[new[by_appearance]] = len(self) + np.arange(len(new))
        row, column = np.divmod(first[by_appearance], n_columns)
        # Through Arrow: a slice would keep all of the batch's text in memory.
        added = pl.Series("name", names.gather(column * (len(names) // n_columns) + row).to_arrow())
        every = pl.concat([self._names, added]).rechunk()

        rows = np.empty(len(hashes), dtype=np.int64)
        rows[order] = np.repeat(row_of_different, np.diff(starts, append=len(hashes)))
        rows = np.ascontiguousarray(rows.reshape(-1, n_columns).T)
        if not (every.gather(rows.ravel()) == names).all():
            return None
        self._names = every
        self._hashes = np.insert(self._hashes, place[new], different[new])
        self._row_of_hash = np.insert(self._row_of_hash, place[new], row_of_different[new])
        return rows

    def in_order(self) -> Rows:
        """Put the names in their order, and return the new row of each former one, ``(n,)``."""
        vocabulary, rows = Vocabulary(self._names).in_order()
        self._names = vocabulary.names
        self._row_of_hash = rows[self._row_of_hash]
        return rows

    def vocabulary(self) -> Vocabulary:
        """Return all names in row order."""
        return Vocabulary(self._names)


class FactNames:
    """The entity and relation names that all files of one graph share.

    Args:
        entities: Numbers the entities; by default in memory.
    """

    def __init__(self, entities: NameTable | None = None) -> None:
        self.entities = NameTable() if entities is None else entities
        self.relations = NameTable()

    def in_order(self) -> tuple[Rows, Rows]:
        """Put the names in their order; return the new row of each former entity and relation."""
        return self.entities.in_order(), self.relations.in_order()

    def triples(self, facts: pl.DataFrame) -> Triples:
        """Return facts as rows, ``(n, 3)``, from String columns head, relation and tail."""
        heads, tails = self.entities.rows(facts["head"], facts["tail"])
        (relations,) = self.relations.rows(facts["relation"])
        return np.stack([heads, relations, tails], axis=1)


def labels_for(entities: Vocabulary, named: pl.DataFrame) -> pl.Series | None:
    """Return a label for each entity, null where there is none; None when there are none at all.

    White space around a label is no part of it.

    Args:
        entities: The entities, ``n``.
        named: String columns name and label, best label of a name first; other names are ignored.
    """
    trimmed = named.with_columns(pl.col("label").str.strip_chars()).filter(pl.col("label") != "")
    best = trimmed.unique("name", keep="first", maintain_order=True)
    names = entities.names.rename("name").to_frame()
    labels = names.join(best, on="name", how="left", maintain_order="left")["label"]
    return labels if labels.null_count() < len(labels) else None
