"""The collections of examples/: their files are those that the script makes, and run as told."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest
from build_examples import write
from pages import DOCS, run, run_page

EXAMPLES = DOCS.parent / "examples"
FILES = {
    "shop": "products.csv catalogue.ttl sameas.csv",
    "companies": "customers.ttl register.nt",
    "library": "books.jsonld national.nq",
}


def test_the_files_are_those_that_the_script_makes(tmp_path: Path) -> None:
    write(tmp_path)
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.*")}
    assert len(made) == 13
    assert [
        str(name) for name, data in made.items() if (EXAMPLES / name).read_bytes() != data
    ] == []


@pytest.mark.parametrize("name", FILES)
def test_the_collection_is_what_init_writes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(EXAMPLES / name, tmp_path / name)
    monkeypatch.chdir(tmp_path / name)
    kept = Path("collection.toml").read_text(encoding="utf-8")
    Path("collection.toml").unlink()
    printed = run(f"kgraft init {FILES[name]}", {})
    assert "Warning" not in printed
    assert Path("collection.toml").read_text(encoding="utf-8") == kept
    assert len(tomllib.loads(kept)["source"]) == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore:.*has no links")
def test_it_prints_what_its_page_shows(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(EXAMPLES / name, tmp_path / name)
    monkeypatch.chdir(tmp_path / name)
    assert run_page(f"../examples/{name}/README.md", {}, more={}) >= 2
