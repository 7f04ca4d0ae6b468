import bz2
import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from kgraft.errors import DataError
from kgraft.system.files import content_ending, open_bytes


def test_compression_is_looked_through(tmp_path: Path) -> None:
    text = b"one\ntwo\n"
    (tmp_path / "a.txt").write_bytes(text)
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(text[:4]) + gzip.compress(text[4:]))
    (tmp_path / "a.txt.bz2").write_bytes(bz2.compress(text))
    (tmp_path / "a.txt.zst").write_bytes(pa.Codec("zstd").compress(text, asbytes=True))
    for name in ("a.txt", "a.txt.gz", "a.txt.bz2", "a.txt.zst"):
        with open_bytes(tmp_path / name) as stream:
            assert stream.read() == text, name
        assert content_ending(tmp_path / name) == ".txt"


def test_content_ending_ignores_case() -> None:
    assert content_ending(Path("facts.TSV.GZ")) == ".tsv"
    assert content_ending(Path("facts")) == ""


def test_missing_file_and_directory_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"), open_bytes(tmp_path / "none"):
        pass
    with pytest.raises(DataError, match="is a directory"), open_bytes(tmp_path):
        pass


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".zst"])
def test_damaged_compression_is_an_error_with_the_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.txt{ending}"
    path.write_bytes(b"this was never compressed")
    with pytest.raises(DataError, match="cannot be read") as caught, open_bytes(path) as stream:
        stream.read()
    assert caught.value.path == str(path)


def test_truncated_compression_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"a\tb\tc\n" * 1000)[:-20])
    with pytest.raises(DataError, match="complete"), open_bytes(path) as stream:
        stream.read()
