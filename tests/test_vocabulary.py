"""One vocabulary: names in the code are the field's terms, and docstrings begin plainly."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src"

INSTEAD = {
    "agreement": "source reliability",
    "atlas": "projection",
    "chance": "probability",
    "chances": "probabilities",
    "debias": "logq_correction",
    "desk": "request queue",
    "doubt": "probability that a link is wrong",
    "folded": "what it does: merged, normalised",
    "heard": "evidence",
    "keyed": "grouped index",
    "ledger": "step metrics",
    "maker": "collator",
    "mixed": "ensemble",
    "mixing": "ensemble",
    "mixture": "ensemble",
    "recorder": "CUDA graph",
    "said": "what was stated, by its name",
    "spread": "std",
    "surest": "most confident",
    "surroundings": "entity view",
    "taught": "student",
    "teaching": "distillation",
    "testimony": "evidence",
    "told": "what was given, by its name",
    "trust": "link confidence, or source reliability",
    "trusted": "link confidence, or source reliability",
    "usual": "frequency prior",
    "verb": "command, or relation",
    "verbs": "commands, or relations",
    "watching": "run options, or listener",
    "weighing": "rule weights",
    "witness": "evidence",
    "witnesses": "evidence",
}
"""Words that named things in an earlier dialect, and the terms that name them now."""

RIDDLES = ("What", "How", "Which", "Where", "Who", "Why")
"""How no docstring begins: it is a noun phrase or an imperative."""


def names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the names that a module defines or gives arguments by, each with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield node.lineno, name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.alias(asname=str(name)):
                yield node.lineno, name


def words(name: str) -> list[str]:
    """Return the words of a name: of ``HalfTrust`` and ``half_trust``, half and trust."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


def old_names(source: Path) -> list[str]:
    """Return the names below ``source`` with a word of the earlier dialect, and what to say."""
    return [
        f"{path.relative_to(source)}, line {line}: {name}; say {INSTEAD[word]}"
        for path in sorted(source.rglob("*.py"))
        for line, name in [(1, path.stem), *names(ast.parse(path.read_text(encoding="utf-8")))]
        for word in words(name)
        if word in INSTEAD
    ]


def riddles(source: Path) -> list[str]:
    """Return the docstrings below ``source`` that begin as questions do."""
    return [
        f"{path.relative_to(source)}: {text.strip().splitlines()[0]}"
        for path in sorted(source.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(text := node.value.value, str)
        and text.split()[:1]
        and text.split()[0] in RIDDLES
    ]


def test_names_are_terms_of_the_field() -> None:
    assert old_names(SOURCE) == []


def test_docstrings_say_what_a_thing_is_or_does() -> None:
    assert riddles(SOURCE) == []


def test_the_rules_can_fail(tmp_path: Path) -> None:
    (tmp_path / "verbs.py").write_text(
        '"""What is here."""\n\ndef weigh(trust_B, *, by):\n    """Weigh."""\n'
        "    usual_rows = by(doubt=1)\n    return usual_rows\n\n\nclass HalfWitness:\n    pass\n"
    )
    assert old_names(tmp_path) == [
        "verbs.py, line 1: verbs; say commands, or relations",
        "verbs.py, line 9: HalfWitness; say evidence",
        "verbs.py, line 3: trust_B; say link confidence, or source reliability",
        "verbs.py, line 5: usual_rows; say frequency prior",
        "verbs.py, line 5: doubt; say probability that a link is wrong",
    ]
    assert riddles(tmp_path) == ["verbs.py: What is here."]
