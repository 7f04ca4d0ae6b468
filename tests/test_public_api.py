"""The names of ``import kgraft``, and what importing it costs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import kgraft

HEAVY = {
    "typing",
    "torch",
    "numpy",
    "scipy",
    "polars",
    "pyarrow",
    "pydantic",
    "rich",
    "typer",
    "tomllib",
}

ROOT = Path(__file__).parent.parent

PYTHON = [sys.executable, "-c"]


def test_there_are_few_names() -> None:
    assert len(kgraft.__all__) <= 31
    assert kgraft.__all__ == sorted(kgraft.__all__)
    assert {*kgraft.__all__} <= {*dir(kgraft)}


@pytest.mark.parametrize("name", kgraft.__all__)
def test_each_name_leads_somewhere(name: str) -> None:
    assert getattr(kgraft, name) is not None


def test_editors_see_what_python_imports() -> None:
    """The imports that only type checkers look at are those that names are resolved by."""
    tree = ast.parse(Path(kgraft.__file__).read_text(encoding="utf-8"))
    ifs = [x for x in tree.body if isinstance(x, ast.If)]
    blocks = [x for x in ifs if ast.unparse(x.test) == "TYPE_CHECKING"]
    seen = {
        alias.name: f"{node.module}.{alias.name}"
        for block in blocks
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kgraft.")
        for alias in node.names
    }
    assert {*seen, "__version__"} == {*kgraft.__all__}
    for name, place in seen.items():
        found = getattr(kgraft, name)
        assert f"{found.__module__}.{found.__qualname__}" == place


@pytest.mark.parametrize(
    "page", sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md"]), ids=lambda x: x.name
)
def test_pages_use_names_that_there_are(page: Path) -> None:
    """What code blocks and prose call ``kgraft.x(`` or import from kgraft can be found there."""
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"\bkgraft\.(\w+)\(", text):
        assert name in kgraft.__all__
    for module, names in re.findall(r"^from (kgraft[\w.]*) import (.+)$", text, re.MULTILINE):
        assert all(hasattr(import_module(module), name.strip()) for name in names.split(","))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = kgraft.nothing  # type: ignore[attr-defined]


def test_importing_it_loads_no_library() -> None:
    code = "import sys, kgraft; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([*PYTHON, code], capture_output=True, text=True, check=True)
    assert not HEAVY & {*loaded.stdout.split()}


def test_the_version_is_that_of_the_package() -> None:
    from importlib.metadata import version

    assert kgraft.__version__ == version("kgraft")
