"""Coverage-guided inputs: what counts as a crash, and which inputs are kept."""

from __future__ import annotations

import zipfile
from importlib import import_module as script
from pathlib import Path

import pytest

from kgraft.errors import DataError


def test_small_inputs_are_kept_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    guided, corpus = script("guided"), tmp_path / "corpus"
    corpus.mkdir()
    for name, size in (("a", 10), ("b", 3), ("c", guided.KEPT_BYTES), ("seed0", 5)):
        (corpus / name).write_bytes(bytes(size))
    archives = [tmp_path / "kept" / f"{number}.zip" for number in (0, 1)]
    for archive in archives:
        guided.keep(corpus, archive)
    with zipfile.ZipFile(archives[0]) as kept:
        assert kept.namelist() == ["b", "a"]
    assert archives[0].read_bytes() == archives[1].read_bytes()


def test_only_errors_of_others_are_crashes(tmp_path: Path) -> None:
    guided, case = script("guided"), tmp_path / "case"

    def refuses() -> None:
        raise DataError("no", remedy="none", path=case / "a")

    def crashes() -> None:
        (case / "a").read_bytes().decode()

    assert guided._read(refuses, {"a": b"x"}, case) == ""
    assert guided._read(crashes, {"a": b"x"}, case) == ""
    assert "UnicodeDecodeError" in guided._read(crashes, {"a": b"\xff"}, case)


@pytest.mark.slow
def test_a_reader_is_fuzzed_by_the_branches_that_inputs_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("atheris")
    guided, out = script("guided"), tmp_path / "guided.json"
    monkeypatch.setattr(guided, "CORPUS", tmp_path / "corpus")
    guided.main(["settings", "--seconds=5", f"--out={out}"])
    assert (tmp_path / "corpus" / "settings.zip").exists()
