"""The house rules that a machine can check: imports run one way, nothing outgrows its shape."""

from __future__ import annotations

import ast
import re
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module as script
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"

LAYERS = (
    {"errors"},
    {"toml_settings"},
    {"settings"},
    {"system"},
    {"graph"},
    {"linking"},
    {"io"},
    {"rules"},
    {"model"},
    {"evaluation"},
    {"training"},
    {"pipeline"},
    {"inference", "alignment"},
    {"querying"},
    {"exporting", "reporting", "serving"},
    {"cli"},
    {"kgraft_experiments"},
    {"__init__", "__main__", "kgraft_command"},
)  # fmt: skip
"""From the ground up: a part of ``kgraft`` imports from its own layer and from lower ones."""

METHODS = {
    "kgraft.model.trained_model": {
        "kgraft.evaluation.evaluate",
        "kgraft.evaluation.ranks",
        "kgraft.inference.check",
        "kgraft.inference.explain",
        "kgraft.inference.explanation",
        "kgraft.inference.fold_in",
        "kgraft.inference.predict",
        "kgraft.inference.results",
        "kgraft.inference.rules",
        "kgraft.inference.similar",
        "kgraft.model.directory",
        "kgraft.querying.answers",
        "kgraft.querying.questions",
        "kgraft.reporting.model_report",
        "kgraft.reporting.page",
    }
}
"""The one exception: methods of a trained model call functions of higher layers, which they import
when they are called."""

PACKAGES = {"kgraft", "kgraft_experiments", "kgraft_command"}
WITHOUT_TORCH = ("graph", "linking", "io", "rules")
ONLY_TORCH = ("kgraft.training.losses", "kgraft.training.distillation_losses")
FORBIDDEN_NAMES = {
    "eval", "exec", "compile", "__import__",
    "pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle", "yaml",
}  # fmt: skip
FORBIDDEN_CALLS = {"torch.load", "torch.save", "torch.hub", "torch.jit", "os.system", "os.popen"}
FORBIDDEN_OPTIONS = {"allow_pickle", "trust_remote_code", "shell"}
"""What runs code that comes with data, by the names of functions, attributes and arguments."""
LONGEST_FILE = 400
LONGEST_FUNCTION = 60


def modules(source: Path) -> dict[str, ast.Module]:
    """Return the syntax tree of every module under ``source`` by its dotted name."""
    return {
        ".".join(path.relative_to(source).with_suffix("").parts): ast.parse(
            path.read_text(encoding="utf-8")
        )
        for path in sorted(source.rglob("*.py"))
    }


def imports(tree: ast.Module, *, lazy: bool) -> set[str]:
    """Return the modules that a module imports; with ``lazy`` also those inside functions."""
    nodes = ast.walk(tree) if lazy else iter(tree.body)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
    return found


def layer_of(module: str) -> int:
    """Return the layer of a module of kgraft, 0 being the ground.

    Raises:
        AssertionError: If it belongs to no layer.
    """
    root, *parts = module.split(".")
    part = root if root != "kgraft" else parts[0] if parts else "__init__"
    layers = [number for number, layer in enumerate(LAYERS) if part in layer]
    assert layers, f"{module} belongs to no layer: give its part a place in LAYERS"
    return layers[0]


def excepted(module: str, tree: ast.Module) -> set[str]:
    """Return the imports that METHODS allows a module, where they are inside of functions."""
    return METHODS.get(module, set()) - imports(tree, lazy=False)


def upward_imports(trees: dict[str, ast.Module]) -> list[str]:
    """Return the imports that run against the layers, and those from the package as a whole."""
    return [
        f"{module} imports {imported}"
        for module, tree in trees.items()
        for imported in imports(tree, lazy=True) - excepted(module, tree)
        if imported.split(".")[0] in PACKAGES
        and (imported == "kgraft" or layer_of(imported) > layer_of(module))
    ]


def cycle(trees: dict[str, ast.Module]) -> list[str]:
    """Return modules that import each other in a circle, or nothing."""
    graph = {
        name: (imports(tree, lazy=True) & trees.keys()) - excepted(name, tree)
        for name, tree in trees.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def long_parts(source: Path) -> list[str]:
    """Return files and functions that have outgrown their limits, docstrings not counted."""
    found = []
    for path in sorted(source.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        lines = text.count("\n")
        if lines > LONGEST_FILE:
            found.append(f"{path.name} has {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1 - docstring_lines(node)
                if length > LONGEST_FUNCTION:
                    found.append(f"{path.name}: {node.name} has {length} lines")
    return found


def docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    if ast.get_docstring(node) is None:
        return 0
    return (first.end_lineno or 0) - first.lineno + 1


def forbidden(trees: dict[str, ast.Module]) -> list[str]:
    """Return places that could run code that comes with data."""
    found = []
    for module, tree in trees.items():
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_NAMES:
                    wrong = True
                case ast.Attribute():
                    wrong = ast.unparse(node) in FORBIDDEN_CALLS
                case ast.keyword(arg=str(name), value=value):
                    wrong = name in FORBIDDEN_OPTIONS and ast.unparse(value) != "False"
                case _:
                    wrong = False
            if wrong:
                found.append(f"{module}, line {node.lineno}: {ast.unparse(node)[:40]}")
        found += [
            f"{module} imports {name}"
            for name in imports(tree, lazy=True)
            if name.split(".")[0] in FORBIDDEN_NAMES
        ]
    return found


@cache
def source_trees() -> dict[str, ast.Module]:
    """The modules of kgraft and its experiments."""
    return modules(SOURCE)


def test_imports_run_one_way() -> None:
    assert upward_imports(source_trees()) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert cycle(source_trees()) == []


def test_only_methods_import_upwards() -> None:
    for module, upward in METHODS.items():
        tree = source_trees()[module]
        assert upward <= imports(tree, lazy=True)
        assert not upward & imports(tree, lazy=False)


@pytest.mark.parametrize("part", WITHOUT_TORCH)
def test_graphs_and_links_do_without_torch(part: str) -> None:
    own = {name: tree for name, tree in source_trees().items() if name.startswith(f"kgraft.{part}")}
    assert own
    for name, tree in own.items():
        roots = {imported.split(".")[0] for imported in imports(tree, lazy=True)}
        assert "torch" not in roots, name


@pytest.mark.parametrize("module", ONLY_TORCH)
def test_losses_are_functions_of_tensors_and_nothing_else(module: str) -> None:
    others = set(imports(source_trees()[module], lazy=True)) - {"kgraft.model.products"}
    assert {name.split(".")[0] for name in others} <= {"__future__", "torch", "typing"}


@pytest.mark.parametrize("folder", ["src", "scripts", "benchmarks"])
def test_no_code_comes_from_data(folder: str) -> None:
    assert forbidden(modules(ROOT / folder)) == []


@pytest.mark.parametrize("folder", ["src", "scripts", "benchmarks", "tests"])
def test_files_and_functions_stay_small(folder: str) -> None:
    assert long_parts(ROOT / folder) == []


def test_every_module_says_what_it_is() -> None:
    assert [name for name, tree in source_trees().items() if not ast.get_docstring(tree)] == []


def test_the_pages_of_files_are_up_to_date() -> None:
    for page, text in script("architecture").pages(SOURCE, ROOT / "docs").items():
        assert page.exists(), f"{page.name} is missing: run make docs"
        # Compared out of the assert, which would print both pages.
        fresh = page.read_text(encoding="utf-8") == text
        assert fresh, f"{page.name} is not what the docstrings say: run make docs"


def test_the_pages_of_files_follow_the_docstrings(tmp_path: Path) -> None:
    (tmp_path / "kgraft" / "graph").mkdir(parents=True)
    (tmp_path / "start.py").write_text('"""The start."""\n')
    (tmp_path / "kgraft" / "__init__.py").write_text('"""All."""\n')
    (tmp_path / "kgraft" / "graph" / "__init__.py").write_text('"""Graphs.\n\nLong."""\n')
    (tmp_path / "kgraft" / "graph" / "low.py").write_text('"""One ``a|b`` of\ntwo. More."""\n')
    (tmp_path / "architecture.md").write_text("A\n<!-- files -->\nold\n<!-- /files -->\nB\n")
    architecture, files = script("architecture").pages(tmp_path, tmp_path).values()
    assert architecture == (
        "A\n<!-- files -->\n| below `src` | files |\n|---|---|\n"
        "| [Beside the packages](files.md#beside-the-packages) | `start.py` |\n"
        "| [kgraft/graph](files.md#kgraftgraph) | `low.py` |\n<!-- /files -->\nB\n"
    )
    assert files.partition("## ")[2] == (
        "Beside the packages\n\n| file | what it is |\n|---|---|\n| `start.py` | The start |\n\n"
        "## kgraft\n\nAll.\n\n## kgraft/graph\n\nGraphs.\n\n| file | what it is |\n|---|---|\n"
        "| `low.py` | One `a\\|b` of two |\n"
    )
    (tmp_path / "architecture.md").write_text("no markers")
    with pytest.raises(ValueError, match="no block between"):
        script("architecture").pages(tmp_path, tmp_path)


def test_the_architecture_is_told_on_one_page() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert page.count("\n") < 200


@pytest.mark.parametrize("place", ["src", "scripts", "docs", "benchmarks", "README.md"])
def test_nothing_names_a_place_of_one_machine(place: str) -> None:
    pattern = re.compile(r"(?<![\w.:/])/(?:work|tmp|root|home|Users)/|\.\./shared")
    root = ROOT / place
    paths = [root] if root.is_file() else [path for path in root.rglob("*") if path.is_file()]
    texts = [path for path in paths if path.suffix in (".py", ".md", ".toml", ".json", ".tsv")]
    assert texts
    assert [path for path in texts if pattern.search(path.read_text(encoding="utf-8"))] == []


def test_the_rules_can_fail(tmp_path: Path) -> None:
    package = tmp_path / "kgraft"
    (package / "graph").mkdir(parents=True)
    (package / "model").mkdir()
    (package / "graph" / "low.py").write_text("from kgraft.model.high import x\n")
    (package / "cli").mkdir()
    (package / "cli" / "main.py").write_text("from kgraft_experiments.commands import x\n")
    (package / "model" / "high.py").write_text(
        "import pickle\nimport kgraft.graph.low\n\ndef f():\n    eval('1')\n" + "    x = 1\n" * 70
    )
    (package / "model" / "trusting.py").write_text(
        "np.load(path, allow_pickle=True)\nfrom yaml import load\nrun(command, shell=True)\n"
        "torch.load(path)\nhub(name, trust_remote_code=told)\nrun(command, shell=False)\n"
    )
    (package / "model" / "big.py").write_text("x = 1\n" * 401)
    trees = modules(tmp_path)
    assert upward_imports(trees) == [
        "kgraft.cli.main imports kgraft_experiments.commands",
        "kgraft.graph.low imports kgraft.model.high",
    ]
    assert set(cycle(trees)) == {"kgraft.graph.low", "kgraft.model.high"}
    assert len(forbidden(trees)) == 2 + 5
    assert long_parts(tmp_path) == ["big.py has 401 lines", "high.py: f has 72 lines"]
    with pytest.raises(AssertionError, match="belongs to no layer"):
        layer_of("kgraft.attic")
