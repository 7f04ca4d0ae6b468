"""Vectors of named things from files of other tools, read in slices."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tokenize import TokenError
from typing import Any, Final, Literal, get_args

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from kgraft.errors import DataError, counted
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.name_lists import read_names
from kgraft.io.word_vectors import Block, word_vectors
from kgraft.system.extras import import_extra
from kgraft.system.files import content_ending
from kgraft.system.memory import require_for_file

VectorFormat = Literal["auto", "text", "npy", "parquet", "safetensors", "pbg"]
"""Format of a file of vectors: ``text`` is word2vec's and GloVe's, ``pbg`` PyTorch-BigGraph's;
``auto`` goes by the ending."""

ENDINGS: Final[Mapping[str, VectorFormat]] = {
    ".npy": "npy",
    ".parquet": "parquet",
    ".safetensors": "safetensors",
    ".h5": "pbg",
}

SLICE: Final = 1 << 16
"""Rows that are read at a time."""

NAME_COLUMNS: Final = ("name", "entity", "iri", "uri", "id", "word", "title", "label", "index")
"""Columns that hold names rather than other columns of text."""

READ_ERRORS: Final = (
    OSError, ValueError, TypeError, LookupError, RuntimeError, EOFError, TokenError,
    SafetensorError, pa.ArrowException,
)  # fmt: skip
"""Errors of the libraries that read vectors."""

PYKEEN_FILE: Final = "trained_model.pkl"
"""File of a model that PyKEEN's pipeline has saved."""

PBG_FILE: Final = re.compile(r"embeddings_(.+)_(\d+)\.v(\d+)\.h5")


@dataclass(frozen=True, eq=False)
class NamedVectors:
    """Vectors by name.

    Args:
        names: Distinct names, ``n`` of them.
        rows: float32 ``(n, D)``, finite.
    """

    names: Vocabulary
    rows: NDArray[np.float32]


def read_vectors(
    path: Path,
    names: Path | None = None,
    *,
    format: VectorFormat = "auto",  # noqa: A002 (the word that collections use)
    tensor: str | None = None,
    only: Vocabulary | None = None,
) -> NamedVectors:
    """Read vectors and their names.

    ``text`` has a line for each: a name, then its numbers, perhaps below a line with both sizes. A
    Parquet table has a column of names, and one of lists of numbers or else columns of numbers.
    Others need ``names``: a list, one name a line, or with an id beside each; for PyTorch-BigGraph
    the directory of its ``entity_names_*.json``, by default that of the vectors.

    Args:
        path: The file, text also compressed; for PyTorch-BigGraph its directory too.
        names: File or directory of the names.
        format: Format of the file.
        tensor: The tensor of a safetensors file; by default its only matrix.
        only: Names to keep the vectors of, so that a large file need not fit into memory.

    Raises:
        DataError: If something is missing or damaged, numbers of vectors and names or the lengths
            of vectors differ, a number is not finite, a name is repeated, none is among ``only``,
            or memory does not suffice.
        KgraftError: If h5py is not installed, for PyTorch-BigGraph.
    """
    if not path.exists():
        raise DataError("there is no such file", remedy="Check the path", path=path)
    if (path / PYKEEN_FILE).exists() or path.name == PYKEEN_FILE:
        raise DataError(
            "PyKEEN has saved this model as a pickle, which may run any code",
            remedy="Save its vectors in Python, numpy.save('vectors.npy', "
            "model.entity_representations[0](None).detach().numpy()), and import them with "
            "--names training_triples/entity_to_id.tsv.gz",
            path=path,
        )
    chosen = format
    if format == "auto":
        chosen = "pbg" if path.is_dir() else ENDINGS.get(content_ending(path), "text")
    if names is not None and chosen in ("text", "parquet"):
        raise DataError(
            f"{path.name} holds the names itself", remedy="Leave out the list of names", path=names
        )
    match chosen:
        case "text":
            blocks = word_vectors(path)
        case "parquet":
            blocks = _parquet(path)
        case "pbg":
            blocks = _pbg(path, names)
        case "npy" | "safetensors":
            if names is None:
                raise DataError(
                    "the file holds no names", remedy="Give a list of them by --names", path=path
                )
            opened = _npy(path) if chosen == "npy" else _safetensors(path, tensor)
            blocks = _with_names(path, opened, read_names(names).vocabulary.names, names)
        case _:
            raise DataError(
                f"there is no format {format!r}",
                remedy=f"Give one of {', '.join(get_args(VectorFormat))}",
                path=path,
            )
    with _located(path):
        return gather(path, blocks, only)


def gather(path: Path, blocks: Iterator[Block], only: Vocabulary | None) -> NamedVectors:
    """Return the vectors of blocks whose names are among ``only``, checked.

    Raises:
        DataError: As ``read_vectors``.
    """
    names: list[pl.Series] = []
    parts: list[NDArray[np.float32]] = []
    first: str | None = None
    size = 0
    for block in blocks:
        first = first if first is not None or not len(block.names) else str(block.names[0])
        kept = np.ones(len(block.names), np.bool_)
        if only is not None:
            kept = only.rows(block.names) >= 0
        rows = block.rows[kept].astype(np.float32)
        own = block.names.filter(pl.Series(kept))
        finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            place = int(np.flatnonzero(kept)[np.argmin(finite)])
            raise DataError(
                f"the vector of {block.names[place]!r} has a number that is not finite",
                remedy="Correct or leave out this vector",
                path=path,
                line=None if block.lines is None else int(block.lines[place]),
            )
        size += rows.nbytes
        require_for_file(path, rows.nbytes)
        names.append(own)
        parts.append(rows)
    if first is None:
        raise DataError("there are no vectors", remedy="Check the file", path=path)
    every = pl.concat(names)
    if not len(every) and only is not None:
        raise DataError(
            f"none of its names, such as {first!r}, is one of the {len(only):,} that are asked "
            f"for, such as {only.name(0)!r}",
            remedy="Give vectors under the names of the graph, or links to them, or all vectors",
            path=path,
        )
    repeated = every.filter(every.is_duplicated())
    if len(repeated):
        raise DataError(
            f"{counted(repeated.n_unique(), 'name')} are repeated, such as {repeated[0]!r}",
            remedy="Keep one vector of each name",
            path=path,
        )
    return NamedVectors(Vocabulary(every.cast(pl.String)), np.concatenate(parts))


@dataclass(frozen=True)
class _Matrix:
    """A matrix on disk: its shape, and a function that reads rows from one place to another."""

    shape: tuple[int, ...]
    read: Callable[[int, int], NDArray[Any]]


def _with_names(path: Path, matrix: _Matrix, names: pl.Series, place: Path) -> Iterator[Block]:
    if len(matrix.shape) != 2 or not matrix.shape[1]:
        raise DataError(
            f"its shape is {matrix.shape}, not (vectors, numbers of each)",
            remedy="Give one vector a row",
            path=path,
        )
    if len(names) != matrix.shape[0]:
        raise DataError(
            f"there are {counted(len(names), 'name')} for {matrix.shape[0]:,} vectors",
            remedy=f"Give one name for each row of {path.name}, in their order",
            path=place,
        )
    for start in range(0, matrix.shape[0], SLICE):
        rows = np.asarray(matrix.read(start, min(start + SLICE, matrix.shape[0])))
        if rows.dtype.kind == "c":
            rows = np.concatenate([rows.real, rows.imag], axis=1)
        if rows.dtype.kind not in "fiu":
            raise DataError(
                f"it holds {rows.dtype}, not numbers",
                remedy="Give floating-point numbers",
                path=path,
            )
        yield Block(names[start : start + SLICE], rows)


def _npy(path: Path) -> _Matrix:
    with _located(path):
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    return _Matrix(found.shape, lambda start, end: found[start:end])


def _safetensors(path: Path, tensor: str | None) -> _Matrix:
    with _located(path):
        file: Any = safe_open(path, framework="numpy")
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    matrices = [name for name, shape in shapes.items() if len(shape) == 2]
    chosen = tensor or (matrices[0] if len(matrices) == 1 else None)
    if chosen not in shapes:
        problem = (
            f"there is no tensor {tensor!r}" if tensor else "it is not clear which one to read"
        )
        raise DataError(
            f"{problem}: the matrices are {', '.join(matrices) or 'none'}",
            remedy="Name one by --tensor",
            path=path,
        )

    def read(start: int, end: int) -> NDArray[Any]:
        with _located(path):
            return np.asarray(file.get_slice(chosen)[start:end])

    return _Matrix(shapes[chosen], read)


def _parquet(path: Path) -> Iterator[Block]:
    with _located(path):
        file = pq.ParquetFile(path)
    schema = file.schema_arrow
    texts = [
        x.name for x in schema if pa.types.is_string(x.type) or pa.types.is_large_string(x.type)
    ]
    lists = [x.name for x in schema if _is_list(x.type)]
    numbers = [x.name for x in schema if pa.types.is_floating(x.type)]
    if not texts or len(lists) > 1 or not (lists or numbers):
        raise DataError(
            f"the columns {', '.join(schema.names)} are not one of names (text) and one of lists "
            "of numbers",
            remedy="Give two such columns, or one column for each number of a vector",
            path=path,
        )
    common = [x for x in texts if x.lower() in NAME_COLUMNS]
    name, columns = (common or texts)[0], lists or numbers
    start = 0
    for batch in file.iter_batches(SLICE, columns=[name, *columns]):
        names = pl.Series(batch.column(name).cast(pa.large_string()).to_pylist(), dtype=pl.String)
        given = [batch.column(x) for x in columns]
        empty = names.is_null().to_numpy() | np.any([x.is_null().to_numpy(False) for x in given], 0)
        if empty.any():
            raise _bad_row(path, start + int(np.argmax(empty)), "lacks a name or numbers")
        if lists:
            rows = _of_lists(path, given[0], start)
        else:
            rows = np.stack([x.to_numpy(zero_copy_only=False) for x in given], axis=1)
        yield Block(names, rows)
        start += len(names)


def _of_lists(path: Path, column: pa.Array, start: int) -> NDArray[Any]:
    """Return lists of one length as a matrix."""
    lengths = np.asarray(pa.compute.list_value_length(column).to_numpy(zero_copy_only=False))
    width = int(lengths[0]) if len(lengths) else 0
    if (lengths != width).any():
        place = int(np.argmax(lengths != width))
        raise _bad_row(
            path, start + place, f"has {lengths[place]} numbers, where others have {width}"
        )
    flat = column.flatten()
    if flat.null_count:
        raise _bad_row(path, start, "or one of those after it lacks a number")
    return np.asarray(flat.to_numpy(zero_copy_only=False)).reshape(len(column), width)


def _is_list(kind: pa.DataType) -> bool:
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(x(kind) for x in kinds) and bool(
        pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)
    )


def _bad_row(path: Path, row: int, problem: str) -> DataError:
    return DataError(
        f"row {row + 1:,} {problem}", remedy="Give each name a vector of one length", path=path
    )


def _pbg(path: Path, names: Path | None) -> Iterator[Block]:
    """Read the partitions of one type of entities, of the latest version."""
    h5py = import_extra("h5py", extra="pbg")
    found = [x for x in (path.iterdir() if path.is_dir() else [path]) if PBG_FILE.fullmatch(x.name)]
    parts = {x: _numbers(x) for x in found}
    kinds = sorted({kind for kind, _, _ in parts.values()})
    if len(kinds) != 1:
        what = f"embeddings of {', '.join(kinds)}" if kinds else "no embeddings_TYPE_PART.vN.h5"
        raise DataError(
            f"there are {what} here",
            remedy="Name the directory, or the file of one type of entities",
            path=path,
        )
    latest = max(version for _, _, version in parts.values())
    beside = names or (path if path.is_dir() else path.parent)
    for file, (kind, part, version) in sorted(parts.items(), key=lambda x: x[1][1]):
        if version != latest:
            continue
        listed = beside / f"entity_names_{kind}_{part}.json" if beside.is_dir() else beside
        own = _json_names(listed)
        with _located(file), h5py.File(file, "r") as opened:
            data = _own_data(opened, file)
            yield from _with_names(file, _Matrix(data.shape, partial(_h5_rows, data)), own, listed)


def _own_data(opened: Any, path: Path) -> Any:
    """Return the vectors of an HDF5 file that are in the file itself, not in one that it names."""
    link = opened.get("embeddings", getlink=True) if "embeddings" in opened.keys() else None  # noqa: SIM118
    data: Any = opened["embeddings"] if type(link).__name__ == "HardLink" else None
    if not hasattr(data, "shape") or data.is_virtual or data.external:
        raise DataError(
            "it has no data set called embeddings of its own",
            remedy="Give a checkpoint",
            path=path,
        )
    return data


def _h5_rows(data: Any, start: int, end: int) -> NDArray[Any]:
    return np.asarray(data[start:end])


def _numbers(path: Path) -> tuple[str, int, int]:
    found = PBG_FILE.fullmatch(path.name)
    assert found is not None  # noqa: S101 (only such files are asked for)
    return found[1], int(found[2]), int(found[3])


def _json_names(path: Path) -> pl.Series:
    """Read the names of a partition, a list in JSON."""
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"the names of the entities cannot be read ({error})",
            remedy="Name the directory of entity_names_*.json by --names",
            path=path,
        ) from None
    if not isinstance(names, list) or not all(isinstance(x, str) for x in names):
        raise DataError("this is no list of names", remedy="Give a list in JSON", path=path)
    return pl.Series(names, dtype=pl.String)


@contextmanager
def _located(path: Path) -> Iterator[None]:
    """Name the file in errors of the libraries that read it."""
    try:
        yield
    except READ_ERRORS as error:
        raise DataError(
            f"the vectors cannot be read ({str(error).splitlines()[0] if str(error) else error!r})",
            remedy="Check that the file was written completely, or name its format by --format",
            path=path,
        ) from error
