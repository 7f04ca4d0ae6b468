"""Vocabulary: the names of a graph's entities or relations, by row."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.errors import UnknownNameError
from kgraft.graph.spelling import Spelling, differences, normal_form

Rows = NDArray[np.int64]

COMPARED = 50_000
"""Names that an unknown one is compared with, which takes a second."""

MANY_MORE = 4
"""Ratio of known names to those that are looked up from which the latter are few."""

PIECE = 1 << 18
"""Names of a piece."""

LISTED = 30
"""Names that are listed all where none is similar to an unknown one."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Distinct names (IRIs, labels or ids as text); a name's position is its row.

    Args:
        names: String series of length ``n`` without nulls or repeats.

    Raises:
        ValueError: If a name is missing or repeated.
    """

    names: pl.Series

    def __post_init__(self) -> None:
        if self.names.dtype != pl.String:
            raise ValueError(f"a vocabulary holds strings, not {self.names.dtype}")
        if self.names.null_count():
            raise ValueError("a vocabulary has no missing names")
        if self.names.n_unique() != len(self.names):
            repeated = self.names.filter(self.names.is_duplicated())[0]
            raise ValueError(f"the name {repeated!r} is repeated in one vocabulary")

    @classmethod
    def of(cls, names: Iterable[str]) -> Vocabulary:
        """Make a vocabulary from names in row order."""
        return cls(pl.Series("name", list(names), dtype=pl.String))

    @classmethod
    def of_distinct(cls, names: pl.Series) -> Vocabulary:
        """Make a vocabulary of names that are known to be distinct, without looking for repeats."""
        found = cls.__new__(cls)
        object.__setattr__(found, "names", names)
        return found

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._row_of

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return self.names.equals(other.names)

    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.names.to_list())}

    def in_order(self) -> tuple[Vocabulary, Rows]:
        """Return the names in the order of their UTF-8 bytes, and each one's new row, ``(n,)``."""
        if self.names.is_sorted():
            return self, np.arange(len(self))
        order = self.names.arg_sort()
        rows = np.empty(len(self), dtype=np.int64)
        rows[order.to_numpy()] = np.arange(len(self))
        return Vocabulary.of_distinct(self.names.gather(order)), rows

    def extended(self, names: Sequence[str]) -> Vocabulary:
        """Return the vocabulary with further names at its end."""
        more = pl.Series(names, dtype=pl.String)
        found = Vocabulary(pl.concat([self.names, more]))
        numbered = {name: len(self) + place for place, name in enumerate(names)}
        found.__dict__["_row_of"] = {**self._row_of, **numbered}
        return found

    def name(self, row: int) -> str:
        """Return the name of one row."""
        return str(self.names[int(row)])

    def pieces(self) -> Iterator[pl.Series]:
        """Yield all names in row order, in pieces."""
        return (self.names.slice(begin, PIECE) for begin in range(0, len(self.names), PIECE))

    def gather(self, rows: Rows) -> pl.Series:
        """Return the names of many rows, in their order, as a series ``(n,)``."""
        return self.names.gather(rows)

    def names_of(self, rows: Sequence[int] | Rows) -> list[str]:
        """Return the names of many rows, in their order."""
        taken = self.gather(np.asarray(rows, dtype=np.int64))
        return [str(name) for name in taken.to_list()]

    def row(self, name: str) -> int:
        """Return the row of one name.

        Raises:
            UnknownNameError: With the nearest known names, where there are any.
        """
        row = self._row_of.get(name)
        if row is None:
            raise unknown(name, self.names)
        return row

    def rows(self, names: pl.Series) -> Rows:
        """Return the row of each name, int64 ``(n,)``, with -1 where a name is unknown."""
        known = pl.DataFrame({"name": self.names, "row": np.arange(len(self), dtype=np.int64)})
        asked = pl.DataFrame({"name": names.cast(pl.String)})
        if len(asked) < len(known) // MANY_MORE:
            # A table of the few takes less memory than one of all.
            known = known.filter(pl.col("name").is_in(asked["name"].implode()))
        found = asked.join(known, on="name", how="left", maintain_order="left")
        return found["row"].fill_null(-1).to_numpy().astype(np.int64)

    def count_matching(self, pattern: str, *, literal: bool = False) -> int:
        """Return the number of names that contain a match of a pattern, or a literal text."""
        return int(self.names.str.contains(pattern, literal=literal).sum())

    def rows_by_form(self, names: pl.Series, forms: pl.Series | None = None) -> Rows:
        """Return the row of each name, or of the only one of its normal form, else -1, ``(n,)``.

        The names' forms need not be given.
        """
        rows = self.rows(names)
        unknown = np.flatnonzero(rows < 0)
        if forms is None:
            asked = pl.DataFrame({"form": normal_form(names.gather(unknown).cast(pl.String))})
        else:
            asked = pl.DataFrame({"form": forms.gather(unknown)})
        known = self._row_of_forms(asked["form"])
        found = asked.join(known, on="form", how="left", maintain_order="left")
        rows[unknown] = found["row"].fill_null(-1).to_numpy()
        return rows

    def _row_of_forms(self, asked: pl.Series) -> pl.DataFrame:  # noqa: ARG002 (all are known)
        """Return columns form and row, of those asked for at least, that one name alone has."""
        return self._row_of_form

    def first_of_form(self) -> Rows:
        """Return for each row the first one of the same normal form, int64 ``(n,)``.

        A blank node, and a name of nothing visible, is its own.
        """
        row, first = pl.col("row"), pl.col("row").first().over("form")
        return self._forms.select(pl.when(pl.col("form").is_null()).then(row).otherwise(first))[
            "row"
        ].to_numpy()

    def is_disjoint(self, other: Vocabulary) -> bool:
        """Return True if no normal form of a name is that of another one; blank nodes aside."""
        few, many = sorted((self._keys, other._keys), key=len)
        if not len(few):
            return True
        places = np.searchsorted(many, few).clip(max=len(many) - 1)
        return not (many[places] == few).any()

    @cached_property
    def _keys(self) -> NDArray[np.uint64]:
        """Hashes of normal forms, or of names of nothing visible, in order."""
        keys = self.forms.zip_with(self.forms.is_not_null(), self.names)
        keys = keys.filter(~self.names.str.starts_with("_:"))
        return np.sort(keys.hash().to_numpy())

    @property
    def forms(self) -> pl.Series:
        """Normal form of each name, ``(n,)``; null for blank nodes and names of nothing visible."""
        return self._forms["form"]

    @cached_property
    def _forms(self) -> pl.DataFrame:
        """Columns form, null for blank nodes and names of nothing visible, and row."""
        return forms_of(self.names)

    @cached_property
    def _row_of_form(self) -> pl.DataFrame:
        return self._forms.filter(~pl.col("form").is_duplicated()).drop_nulls()


def forms_of(names: pl.Series, first: int = 0) -> pl.DataFrame:
    """Return columns form, null for blank nodes and names of nothing visible, and row.

    Args:
        names: The names.
        first: The row of the first.
    """
    own = names.str.starts_with("_:")
    forms = pl.DataFrame({"form": normal_form(names).set(own, None).replace("", None)})
    return forms.with_columns(row=pl.int_range(first, first + pl.len(), dtype=pl.Int64))


def equal_names(left: Vocabulary, right: Vocabulary, spelling: Spelling = "exact") -> Rows:
    """Return the pairs of rows of one name, or of one normal form, int64 ``(n, 2)``.

    A blank node equals no other. A form pairs names where only one of each side has it; equal names
    come before it.
    """
    names = left.names
    is_exact = spelling == "exact"
    if not is_exact and left.is_disjoint(right):
        return np.empty((0, 2), dtype=np.int64)
    rows = right.rows(names) if is_exact else right.rows_by_form(names, left.forms)
    found = np.flatnonzero((rows >= 0) & ~names.str.starts_with("_:").to_numpy())
    if not is_exact:
        ends = rows[found]
        again = left.rows_by_form(right.names.gather(ends), right.forms.gather(ends))
        found = found[again == found]
    return np.stack([found, rows[found]], axis=1)


def unknown(name: str, *known: pl.Series) -> UnknownNameError:
    """Return the error for an unknown name, with the most similar known ones, or all of a few.

    Args:
        name: The unknown name.
        known: Known names and labels.
    """
    texts = [text for series in known for text in series.head(COMPARED).drop_nulls().to_list()]
    near = dict.fromkeys(difflib.get_close_matches(name, texts, n=3))
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
    forms = normal_form(pl.Series([name, *texts], dtype=pl.String))
    same = next((text for text, form in zip(texts, forms[1:], strict=True) if form == forms[0]), "")
    if same:
        hint = f"; did you mean {same!r}, which differs in {' and '.join(differences(name, same))}?"
    if not near and 0 < len(texts) <= LISTED:
        hint = f"; there are {', '.join(sorted({*texts}))}"
    return UnknownNameError(f"no entity or relation is called {name!r}{hint}")
