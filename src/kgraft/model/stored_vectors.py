"""Entity vectors that stay in their files: rows are read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kgraft.errors import ModelDirectoryError
from kgraft.graph.vocabulary import Rows
from kgraft.model.encoders import Encoder
from kgraft.model.frequency_prior import FrequencyPrior
from kgraft.model.kge import KgeModel, make_encoder
from kgraft.model.tensor_file import BLOCK_BYTES, StoredTensor
from kgraft.settings import ModelSettings

GAP_BYTES = 1 << 14
"""Bytes between two rows that are read along with them, which takes less time than a new read."""


class StoredRows:
    """A table ``(n, D)`` in one file or several.

    Args:
        parts: The table's rows, in order.

    Raises:
        ValueError: If the parts are no rows of one width and type.
    """

    def __init__(self, parts: Sequence[StoredTensor]) -> None:
        self._parts = parts
        self.dtype = parts[0].dtype
        if len({(x.shape[1:], x.dtype) for x in parts}) > 1 or len(parts[0].shape) != 2:
            raise ValueError("the parts of a table are of several widths or types")
        self._first = np.cumsum([0, *(x.shape[0] for x in parts)])
        self.shape = (int(self._first[-1]), parts[0].shape[1])

    @property
    def starts(self) -> list[int]:
        """The first row of each part."""
        return [int(x) for x in self._first[:-1]]

    def rows(self, wanted: Rows) -> Tensor:
        """Return rows ``(n, D)`` of the table, in any order.

        Raises:
            ModelDirectoryError: If a file was changed or cut off since it was opened.
        """
        asked, place = np.unique(wanted, return_inverse=True)
        if len(asked) and not 0 <= asked[0] <= asked[-1] < self.shape[0]:
            raise IndexError(f"a row is outside 0 to {self.shape[0] - 1}")
        found = torch.empty(len(asked), self.shape[1], dtype=self.dtype)
        bounds = np.searchsorted(asked, self._first)
        for part, first, begin, end in zip(
            self._parts, self._first, bounds, bounds[1:], strict=False
        ):
            for at, stop in self._runs(asked[begin:end]):
                own = asked[begin + at : begin + stop] - first
                block = self._read(part, int(own[0]), int(own[-1]) + 1)
                found[begin + at : begin + stop] = block[torch.from_numpy(own - own[0])]
        return found[torch.from_numpy(place.reshape(-1))]

    def whole(self) -> Tensor:
        """Return the table."""
        found = torch.empty(self.shape, dtype=self.dtype)
        step = max(1, BLOCK_BYTES // self._row_bytes)
        for part, first in zip(self._parts, self._first, strict=False):
            for at in range(0, part.shape[0], step):
                last = min(at + step, part.shape[0])
                found[first + at : first + last] = self._read(part, at, last)
        return found

    @property
    def _row_bytes(self) -> int:
        return max(1, self.shape[1] * self.dtype.itemsize)

    def _runs(self, rows: Rows) -> Iterator[tuple[int, int]]:
        """Yield the bounds of ascending rows that are read at once."""
        gap, longest = (max(1, size // self._row_bytes) for size in (GAP_BYTES, BLOCK_BYTES))
        begin = 0
        for end in [*(np.diff(rows) > gap).nonzero()[0] + 1, len(rows)]:
            while begin < end:
                stop = int(np.searchsorted(rows[:end], rows[begin] + longest))
                yield begin, stop
                begin = stop

    @staticmethod
    def _read(part: StoredTensor, first: int, last: int) -> Tensor:
        try:
            return part.read(first, last)
        except (OSError, ValueError) as error:
            raise ModelDirectoryError(
                f"{part.path}: this file cannot be read ({error}). Copy or train the model again."
            ) from error


class InterleavedRows(StoredRows):
    """A table of which row ``i`` is row ``i // n`` of part ``i % n``, of ``n`` parts."""

    def rows(self, wanted: Rows) -> Tensor:
        """Return rows ``(n, D)`` of the table, in any order."""
        first, n = np.array(self.starts), len(self.starts)
        return super().rows(first[wanted % n] + wanted // n)

    def whole(self) -> Tensor:
        """Return the table."""
        return self.rows(np.arange(self.shape[0]))


class StoredKge(KgeModel):
    """A model whose entity table stays in its files until all of it is asked for.

    Args:
        settings: As in ``KgeModel``.
        stored: The entity table.
        relations: As in ``KgeModel``.
        encoder: As in ``KgeModel``.
        prior: As in ``KgeModel``.

    Raises:
        ValueError: As ``KgeModel``.
    """

    def __init__(
        self,
        settings: ModelSettings,
        stored: StoredRows,
        relations: Tensor,
        encoder: Encoder | None = None,
        prior: FrequencyPrior | None = None,
    ) -> None:
        empty = torch.empty(0, stored.shape[1], dtype=stored.dtype)
        KgeModel(settings, empty, relations)  # Checks widths and types.
        if prior is not None and not prior.fits(stored.shape[0], len(relations)):
            raise ValueError("the frequency prior does not fit the tables of the vectors")
        self.stored, self.settings, self.relations, self.prior = stored, settings, relations, prior
        self.encoder = encoder if encoder is not None else make_encoder(settings)

    @cached_property
    def entities(self) -> Tensor:  # type: ignore[override]
        """The whole table, read when it is first asked for."""
        return self.stored.whole()

    @property
    def n_entities(self) -> int:
        """Number of entity rows."""
        return self.stored.shape[0]

    def saved_tensors(self) -> Mapping[str, Any]:
        """Return all weights by name, the entity table as ``StoredRows``."""
        return {"entities": self.stored, **self._other_tensors()}

    def entity_rows(self, rows: Rows) -> Tensor:
        """Return rows of the entity table, in its type, ``(n, D)``."""
        return super().entity_rows(rows) if "entities" in vars(self) else self.stored.rows(rows)
