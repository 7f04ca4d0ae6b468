from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pytest

from kgraft.errors import DataError
from kgraft.io import columnar
from kgraft.io.columnar import facts_of, read_columnar, read_table

FRAME = pl.DataFrame({"head": ["a", "b"], "relation": ["p", "q"], "tail": ["b", "c"]})
ROWS = [("a", "p", "b"), ("b", "q", "c")]


def rows_of(path: Path) -> list[tuple[str, ...]]:
    return [row for frame in read_columnar(path) for row in frame.rows()]


def test_parquet_and_both_kinds_of_arrow(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "f.parquet")
    FRAME.write_ipc(tmp_path / "f.arrow")
    FRAME.write_ipc_stream(tmp_path / "f.stream")
    for name in ("f.parquet", "f.arrow", "f.stream"):
        assert rows_of(tmp_path / name) == ROWS, name


@pytest.mark.parametrize("written", ["write_ipc", "write_ipc_stream", "write_parquet"])
def test_a_table_stays_what_it_was_when_its_file_changes(tmp_path: Path, written: str) -> None:
    frame = pl.DataFrame({"name": [f"a name that is long, {x}" for x in range(1000)]})
    path = tmp_path / "f"
    getattr(frame, written)(path, compression="uncompressed")
    table = read_table(path)
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert table.equals(frame)


def test_columns_by_name_by_place_and_as_told() -> None:
    assert facts_of(FRAME.select("tail", "relation", "head")).rows() == ROWS
    renamed = FRAME.rename({"head": "0", "relation": "1", "tail": "2"}).with_columns(
        pl.lit(1).alias("3")
    )
    assert facts_of(renamed).rows() == ROWS
    turned = FRAME.select("tail", pl.lit(1).alias("weight"), "relation", "head")
    assert facts_of(turned, ("tail", "weight", "relation", "head")).rows() == ROWS


def test_numbers_become_names_and_whole_floats_are_whole() -> None:
    frame = pl.DataFrame(
        {"h": [1.0, 2.0], "r": [0, 0], "t": pl.Series(["x", "y"]).cast(pl.Categorical)}
    )
    assert facts_of(frame).rows() == [("1", "0", "x"), ("2", "0", "y")]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"tail": [None, "x"]}, "the tail in row 1 is empty"),
        ({"relation": ["p", ""]}, "the relation in row 2 is empty"),
        ({"head": [1.0, 1.5]}, "the head in row 2 is 1.5, not a whole number"),
        ({"head": [1.0, float("nan")]}, "the head in row 2 is nan, not a whole number"),
    ],
)
def test_bad_cells(change: dict[str, list[object]], problem: str) -> None:
    frame = FRAME.with_columns(**{name: pl.Series(values) for name, values in change.items()})
    with pytest.raises(DataError) as caught:
        facts_of(frame, path=Path("f.parquet"))
    assert (caught.value.problem, caught.value.path) == (problem, "f.parquet")


def test_lists_are_no_names() -> None:
    with pytest.raises(DataError, match=r"column 'tail' holds List\(String\), not text"):
        facts_of(FRAME.with_columns(pl.concat_list("tail")))


@pytest.mark.parametrize("written", ["parquet", "file", "stream"])
def test_nested_columns_are_not_read_and_are_no_names(tmp_path: Path, written: str) -> None:
    n, path = 300, tmp_path / "facts"
    words = pa.DictionaryArray.from_arrays(pa.array([0] * n), pa.array(["x" * 100_000]))
    more = pa.ListArray.from_arrays(pa.array(range(n + 1), pa.int32()), words)
    pair = pa.array([{"a": 1, "b": "c"}] * n)
    names = {x: pa.array([f"{x}{i}" for i in range(n)]) for x in ("head", "relation", "tail")}
    table = pa.table({"more": more, **names, "pair": pair})
    if written == "parquet":
        pa.parquet.write_table(table, path)
    else:
        new = pa.ipc.new_file if written == "file" else pa.ipc.new_stream
        with new(str(path), table.schema) as out:
            out.write_table(table)
    read = read_table(path)
    assert read.columns == ["more", "head", "relation", "tail", "pair"]
    assert read["more"].null_count() == read["pair"].null_count() == n
    assert read["tail"][299] == "tail299"
    [facts] = read_columnar(path)
    assert facts.row(7) == ("head7", "relation7", "tail7")
    assert read_table(path, ["tail", "pair"]).columns == ["tail", "pair"]
    with pytest.raises(DataError, match=r"'more' holds List.*not text or numbers"):
        next(read_columnar(path, ["head", "relation", "tail"]))


def test_too_few_columns_and_no_rows() -> None:
    with pytest.raises(DataError, match="expected 3 columns, found 2"):
        facts_of(FRAME.select("head", "tail"))
    with pytest.raises(DataError, match="no rows"):
        facts_of(FRAME.clear())


def test_damaged_missing_and_directory(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "f.parquet")
    whole = (tmp_path / "f.parquet").read_bytes()
    for name, content in (("cut", whole[:-30]), ("text", b"a\tb\tc\n"), ("empty", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match="not whole Parquet or Arrow") as caught:
            rows_of(tmp_path / name)
        assert caught.value.path == str(tmp_path / name)
    with pytest.raises(DataError, match="no such file"):
        rows_of(tmp_path / "none")
    with pytest.raises(DataError, match="directory"):
        rows_of(tmp_path)


def test_a_path_that_looks_like_a_partition_adds_no_column(tmp_path: Path) -> None:
    path = tmp_path / "split=train" / "f.parquet"
    path.parent.mkdir()
    FRAME.rename({"head": "h"}).write_parquet(path)
    assert rows_of(path) == ROWS


def test_an_arrow_file_written_by_pyarrow(tmp_path: Path) -> None:
    table = pa.table({"h": ["a"], "r": ["p"], "t": ["b"]})
    with (
        pa.OSFile(str(tmp_path / "f.feather"), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        writer.write_table(table)
    assert rows_of(tmp_path / "f.feather") == [("a", "p", "b")]


def test_a_large_file_comes_in_batches_that_count_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columnar, "BATCH", 2)
    names = [f"e{row}" for row in range(5)]
    frame = pl.DataFrame({"head": names, "relation": ["p"] * 5, "tail": names[::-1]})
    frame.write_parquet(tmp_path / "f.parquet")
    assert [len(x) for x in read_columnar(tmp_path / "f.parquet")] == [2, 2, 1]
    assert rows_of(tmp_path / "f.parquet") == frame.rows()
    for bad in (pl.Series("tail", [*names[:4], None]), pl.Series("head", [0, 1, 2, 3, -1])):
        frame.with_columns(bad).write_parquet(tmp_path / "bad.parquet")
        with pytest.raises(DataError, match=f"the {bad.name} in row 5 is"):
            rows_of(tmp_path / "bad.parquet")


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    FRAME.clear().write_parquet(tmp_path / "f.parquet")
    with pytest.raises(DataError, match="no rows"):
        rows_of(tmp_path / "f.parquet")
