"""Names become rows: the one way in which every reader numbers entities and relations."""

from __future__ import annotations

import numpy as np
import polars as pl

from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.vocabulary import Rows, Vocabulary

ROLES = ("head", "relation", "tail")
"""The columns of facts by name."""


class NameTable:
    """Rows for names, given in the order in which names first appear.

    Facts may come in batches: what is kept grows with the number of different names only.
    """

    def __init__(self) -> None:
        self._row_of: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._row_of)

    def rows(self, *columns: pl.Series) -> list[Rows]:
        """Return the rows of the names in ``columns``, adding those not seen before.

        Args:
            columns: String columns of one length ``n``, without nulls. Names appear row by row:
                the first row of each column, then the second.

        Returns:
            For each column int64 ``(n,)``.
        """
        stacked = pl.concat([column.rename("name") for column in columns])
        distinct = stacked.unique(maintain_order=True)
        known = pl.DataFrame({"name": distinct, "code": np.arange(len(distinct))})
        codes = stacked.to_frame().join(known, on="name", how="left", maintain_order="left")["code"]
        by_column = codes.to_numpy().reshape(len(columns), -1)
        by_appearance = by_column.T.ravel()
        # Written backwards, the first appearance of each name is the one that stays.
        first = np.empty(len(distinct), dtype=np.int64)
        first[by_appearance[::-1]] = np.arange(by_appearance.size)[::-1]
        order = np.argsort(first)
        row_of = self._row_of
        row_of_code = np.empty(len(distinct), dtype=np.int64)
        row_of_code[order] = [
            row_of.setdefault(name, len(row_of)) for name in distinct.gather(order).to_list()
        ]
        return list(row_of_code[by_column])

    def vocabulary(self) -> Vocabulary:
        """Return all names in row order."""
        return Vocabulary.of(self._row_of)


class FactNames:
    """The entity and relation names that all files of one graph share."""

    def __init__(self) -> None:
        self.entities = NameTable()
        self.relations = NameTable()

    def triples(self, facts: pl.DataFrame) -> Triples:
        """Return facts as rows, ``(n, 3)``, from String columns head, relation and tail."""
        heads, tails = self.entities.rows(facts["head"], facts["tail"])
        (relations,) = self.relations.rows(facts["relation"])
        return np.stack([heads, relations, tails], axis=1)


def labels_for(entities: Vocabulary, named: pl.DataFrame) -> pl.Series | None:
    """Return a label for each entity, null where there is none; None when there are none at all.

    Args:
        entities: The entities, ``n``.
        named: String columns name and label, best label of a name first; names that are not
            entities are passed over.
    """
    best = named.unique("name", keep="first", maintain_order=True)
    names = entities.names.rename("name").to_frame()
    labels = names.join(best, on="name", how="left", maintain_order="left")["label"]
    return labels if labels.null_count() < len(labels) else None
