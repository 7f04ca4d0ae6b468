"""Write the pages that list the modules, from their docstrings.

Usage: python scripts/architecture.py

It rewrites docs/files.md, and the block between the markers ``<!-- files -->`` and
``<!-- /files -->`` of docs/architecture.md. A test fails where they are stale.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE, DOCS = ROOT / "src", ROOT / "docs"
BLOCK = re.compile(r"(<!-- files -->\n).*(<!-- /files -->)", re.DOTALL)
BESIDE = "Beside the packages"
HEAD = """# Files

Every module with the first sentence of its docstring. `make docs` writes this page; the
[architecture](architecture.md) says how the rooms belong together.
"""


def sentence(module: Path) -> str:
    """Return the first sentence of a module's docstring, fit for a cell of a table."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    paragraph = (ast.get_docstring(tree) or "").partition("\n\n")[0].replace("\n", " ")
    first = re.split(r"(?<=\.) ", paragraph)[0].removesuffix(".")
    return first.replace("``", "`").replace("|", r"\|")


def rooms(source: Path) -> dict[str, list[Path]]:
    """Return the modules of each directory below ``source``, those of the root under its name."""
    found: dict[str, list[Path]] = {}
    for path in sorted(source.rglob("*.py"), key=lambda path: (path.parent, path)):
        room = path.parent.relative_to(source).as_posix()
        found.setdefault("" if room == "." else room, []).append(path)
    return found


def files_page(source: Path) -> str:
    """Return the page with a table for each room and a row for each file."""
    parts = [HEAD]
    for room, modules in rooms(source).items():
        parts.append(f"## {room or BESIDE}\n")
        parts += [f"{sentence(path)}.\n" for path in modules if path.name == "__init__.py"]
        rows = [
            f"| `{path.name}` | {sentence(path)} |"
            for path in modules
            if path.name != "__init__.py"
        ]
        if rows:
            parts.append("\n".join(["| file | what it is |", "|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def rooms_block(source: Path) -> str:
    """Return the table with a row for each room and the names of its files."""
    rows = []
    for room, modules in rooms(source).items():
        names = [f"`{path.name}`" for path in modules if path.name != "__init__.py"]
        if names:
            title = room or BESIDE
            anchor = re.sub(r"[^a-z_-]", "", title.lower().replace(" ", "-"))
            rows.append(f"| [{title}](files.md#{anchor}) | {', '.join(names)} |")
    return "\n".join(["| below `src` | files |", "|---|---|", *rows]) + "\n"


def pages(source: Path, docs: Path) -> dict[Path, str]:
    """Return the text that each generated page should have.

    Raises:
        ValueError: If docs/architecture.md has lost the markers.
    """
    page = docs / "architecture.md"
    text, found = BLOCK.subn(
        lambda match: match[1] + rooms_block(source) + match[2], page.read_text(encoding="utf-8")
    )
    if not found:
        raise ValueError(f"{page}: there is no block between <!-- files --> and <!-- /files -->")
    return {page: text, docs / "files.md": files_page(source)}


if __name__ == "__main__":
    for page, text in pages(SOURCE, DOCS).items():
        page.write_text(text, encoding="utf-8")
