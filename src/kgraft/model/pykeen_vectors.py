"""Entity vectors of a model that PyKEEN's pipeline has saved, read without running its code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final

import numpy as np
import polars as pl
import torch
from torch import Tensor

from kgraft.errors import DataError
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.tabular import read_columns
from kgraft.io.vectors import NamedVectors, gather
from kgraft.io.word_vectors import Block

MODEL_FILE: Final = "trained_model.pkl"
"""File of the model in a directory of PyKEEN's pipeline."""

IDS_FILE: Final = "training_triples/entity_to_id.tsv.gz"
"""File of the names of its entities."""


class _Inert:
    """Stands for an object of any class of the file: keeps its parts and does nothing."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        """Keep the parts of an object."""
        self.__dict__.update(state if isinstance(state, dict) else {"state": state})


def read_pykeen_vectors(directory: Path, *, only: Vocabulary | None = None) -> NamedVectors:
    """Read the entity vectors of a directory that PyKEEN's ``save_to_directory`` has written.

    The model's file is a pickle. PyTorch's restricted reader makes its tensors; everything else in
    it becomes an object that does nothing, so that no code of it runs. Complex vectors become their
    real and imaginary parts.

    Args:
        directory: Its directory.
        only: Names to keep.

    Raises:
        DataError: If a file is missing or damaged, the model has no table of one vector an entity,
            or its size is not that of the names.
    """
    model = _loaded(directory / MODEL_FILE)
    tables = [x for x in _tables(model) if x.ndim == 2]
    if not tables:
        raise DataError(
            "the model has no table of entity vectors",
            remedy="Export its vectors to a .npy file, and import that with --names",
            path=directory / MODEL_FILE,
        )
    table = torch.cat([_real(x) for x in tables if len(x) == len(tables[0])], dim=1)
    listed = directory / IDS_FILE
    ids = read_columns(listed, ["id", "label"], header=None, synonyms={"entity": "label"})
    names = ids.sort(pl.col("id").cast(pl.Int64))["label"]
    if len(names) != len(table):
        raise DataError(
            f"there are {len(names):,} names for {len(table):,} vectors",
            remedy="Name a directory as PyKEEN's pipeline has saved it",
            path=listed,
        )
    block = Block(names, np.asarray(table.detach()))
    return gather(directory / MODEL_FILE, iter([block]), only)


def _loaded(path: Path) -> Any:
    """Read a model's file with inert objects in the place of those of unknown classes."""
    try:
        unknown = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        inert = [(type("_Inert", (_Inert,), {}), name) for name in unknown]
        with torch.serialization.safe_globals(inert):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, KeyError, AttributeError, UnpicklingError) as error:
        raise DataError(
            f"the model cannot be read ({str(error).splitlines()[0] if str(error) else error!r})",
            remedy="Check that PyKEEN's pipeline has saved it whole, or export its vectors to .npy",
            path=path,
        ) from error


def _tables(model: Any) -> Iterator[Tensor]:
    """Yield the weights of a model's entity representations."""
    modules = vars(model).get("_modules", {}) if isinstance(model, _Inert) else {}
    representations = modules.get("entity_representations")
    if isinstance(representations, _Inert):
        for part in vars(representations).get("_modules", {}).values():
            yield from _weights(part)


def _weights(part: Any) -> Iterator[Tensor]:
    if not isinstance(part, _Inert):
        return
    yield from (x for x in vars(part).get("_parameters", {}).values() if isinstance(x, Tensor))
    for module in vars(part).get("_modules", {}).values():
        yield from _weights(module)


def _real(table: Tensor) -> Tensor:
    if table.is_complex():
        return torch.cat([table.real, table.imag], dim=1)
    return table.float()
