"""Stage the pages of the documentation site, and build it into site/ without a warning.

Usage: python scripts/build_site.py [--stage-only] [--site-url URL] [--repository URL]

Pages of docs/ are copied to build/site-pages with what they link to outside of docs/ beside them;
the pages about the command line and about Python are made from the code, and equations become
MathML, so that the site loads nothing from elsewhere.
"""

from __future__ import annotations

import argparse
import inspect
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import typer
from latex2mathml.converter import convert

import kgraft
from kgraft.cli.main import COMMANDS, EXIT_STATUS, app

ROOT = Path(__file__).parent.parent
DOCS, STAGED = ROOT / "docs", ROOT / "build" / "site-pages"
CONFIG, SITE_CONFIG = ROOT / "zensical.toml", ROOT / "build-zensical.toml"
MOVED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Pages of the root, and where they are on the site. What the README says, the index says."""

FENCE = re.compile(r"(^```.*?^```$)", re.M | re.S)
CODE = re.compile(r"(`[^`\n]+`)")
LINK = re.compile(r"(?<=\]\()([^)\s]+)(?=\))")
BLOCK_MATH = re.compile(r"^\$\$\n(.*?)\n\$\$$", re.M | re.S)
MATH = re.compile(r"\$`([^`]+)`\$")
GROUPS = {
    "Data": "read_collection read_graph read_links from_frame from_pykeen collect Collection "
    "KnowledgeGraph Links inspect",
    "Training": "pretrain retrain graft train import_vectors text_teacher RunOptions Listener",
    "Models": "load_model TrainedModel export",
    "Links": "align audit",
    "Settings": "TrainSettings RetrainSettings AlignSettings read_settings",
    "Errors": "KgraftError DataError KgraftWarning",
}
"""The public names of ``kgraft`` on the page about Python."""


def staged_link(page: PurePosixPath, link: str) -> str:
    """Return a link of a page, given by its path in the repository, as the site needs it.

    Raises:
        ValueError: If it leads to nothing in the repository.
    """
    if "://" in link or link.startswith(("#", "mailto:")):
        return link
    path, hash_, anchor = link.partition("#")
    place = (ROOT / page.parent / path).resolve()
    if not place.exists():
        raise ValueError(f"{page}: {link} leads to nothing")
    inside = PurePosixPath(place.relative_to(ROOT).as_posix())
    if place.is_dir():
        raise ValueError(f"{page}: {link} is a directory, which a site cannot show: name a file")
    target = staged_place(inside)
    if not (STAGED / target).exists() and target.suffix != ".md":
        (STAGED / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(place, STAGED / target)
    up = len(staged_place(page).parent.parts)
    return "../" * up + str(target) + hash_ + anchor


def staged_place(path: PurePosixPath) -> PurePosixPath:
    """Return the place on the site of a file of the repository."""
    if str(path) in MOVED:
        return PurePosixPath(MOVED[str(path)])
    return PurePosixPath(*path.parts[1:]) if path.parts[0] == "docs" else path


def staged_page(page: PurePosixPath, text: str) -> str:
    """Return the text of a page as the site shows it."""
    parts = FENCE.split(text)
    for place in range(0, len(parts), 2):
        part = BLOCK_MATH.sub(lambda found: convert(found[1], display="block"), parts[place])
        pieces = CODE.split(MATH.sub(inline, part))
        for at in range(0, len(pieces), 2):
            pieces[at] = LINK.sub(lambda found: staged_link(page, found[1]), pieces[at])
        parts[place] = "".join(pieces)
    return "".join(parts)


def inline(found: re.Match[str]) -> str:
    """Return a formula as MathML, in an element that does not end a paragraph of Markdown."""
    return f"<span>{convert(found[1])}</span>"


def stage() -> None:
    """Write all pages to ``build/site-pages``."""
    shutil.rmtree(STAGED, ignore_errors=True)
    pages = [PurePosixPath(path.relative_to(ROOT).as_posix()) for path in DOCS.rglob("*.md")]
    examples = (ROOT / "examples").rglob("*.md")
    pages += [PurePosixPath(path.relative_to(ROOT).as_posix()) for path in examples]
    pages += [PurePosixPath(name) for name in MOVED if name != "README.md"]
    for page in pages:
        place = STAGED / staged_place(page)
        place.parent.mkdir(parents=True, exist_ok=True)
        text = (ROOT / page).read_text(encoding="utf-8")
        place.write_text(staged_page(page, text), encoding="utf-8")
    (STAGED / "cli.md").write_text(command_page(), encoding="utf-8")
    (STAGED / "python.md").write_text(python_page(), encoding="utf-8")


def command_page() -> str:
    """Return the page about the command line: each command, its arguments and options."""
    root: Any = typer.main.get_command(app)
    parts = ["# Command line\n", EXIT_STATUS.strip() + "\n"]
    for panel, commands in COMMANDS.items():
        parts.append(f"## {panel}\n")
        names = [*commands, *(["teacher"] if panel == "Train" else [])]
        for name in names:
            command = root.commands[name]
            below = getattr(command, "commands", {})
            parts.append(command_section(f"kgraft {name}", command, below))
            parts += [command_section(f"kgraft {name} {x}", below[x], {}) for x in below]
    return "\n".join(parts)


def command_section(name: str, command: Any, below: Mapping[str, Any]) -> str:
    """Return the section about a command."""
    parts = [f"### {name}\n", inspect.cleandoc(command.help or "") + "\n"]
    if below:
        parts.append(f"Its commands: {', '.join(f'`{x}`' for x in below)}.\n")
    if command.epilog:
        parts.append(f"`{command.epilog.removeprefix('Example: ')}`\n")
    rows = []
    for parameter in command.params:
        if "--help" in parameter.opts:
            continue
        named = ", ".join(f"`{x}`" for x in parameter.opts)
        if parameter.param_type_name == "argument":
            named = f"`{parameter.metavar or parameter.name.upper()}`"
        said = str(getattr(parameter, "help", None) or "").replace("|", r"\|")
        default = parameter.default
        shown = "" if default in (None, False, ()) or callable(default) else f"`{default}`"
        rows.append(f"| {named} | {said} | {shown} |")
    if rows:
        parts.append(
            "\n".join(["| option | what it is | default |", "|---|---|---|", *rows]) + "\n"
        )
    return "\n".join(parts)


def python_page() -> str:
    """Return the page about Python, with a reference to each public name for mkdocstrings.

    Raises:
        ValueError: If a public name is in no group.
    """
    if missing := {*kgraft.__all__} - {"__version__", *" ".join(GROUPS.values()).split()}:
        raise ValueError(f"scripts/build_site.py: no group has {', '.join(sorted(missing))}")
    parts = ["# Python\n", "Each name is imported from `kgraft`; types are those of the code.\n"]
    for group, names in GROUPS.items():
        parts.append(f"## {group}\n")
        parts += [f"::: kgraft.{kgraft._MODULES[name]}.{name}\n" for name in names.split()]
    return "\n".join(parts)


def main() -> None:
    """Stage and build."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage-only", action="store_true")
    parser.add_argument("--site-url", default="")
    parser.add_argument("--repository", default="")
    chosen = parser.parse_args()
    stage()
    if chosen.stage_only:
        return
    more = [
        f'{key} = "{x}"'
        for key, x in (("site_url", chosen.site_url), ("repo_url", chosen.repository))
        if x
    ]
    config = CONFIG.read_text(encoding="utf-8").replace(
        "[project]\n", "\n".join(["[project]", *more, ""]), 1
    )
    SITE_CONFIG.write_text(config, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "zensical",
        "build",
        "--clean",
        "--strict",
        "-f",
        str(SITE_CONFIG),
    ]
    try:
        sys.exit(subprocess.run(command, cwd=ROOT, check=False).returncode)  # noqa: S603
    finally:
        SITE_CONFIG.unlink()


if __name__ == "__main__":
    main()
