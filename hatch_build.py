"""Metadata that depend on where the project is kept: its URLs, and links that work on PyPI.

The environment variable ``KGRAFT_REPOSITORY``, which the release workflow sets, names the
repository, as ``https://github.com/OWNER/NAME``. Without it a package has no URLs, and its
description keeps the links of the README.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s]+)(?=\))")
IMAGE = re.compile(r"(!\[[^\]]*\]\()(?![a-z]+:)([^)\s]+)(?=\))")


class CustomMetadataHook(MetadataHookInterface):
    """Sets the description and the URLs."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add them to the metadata of ``pyproject.toml``."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        repository = os.environ.get("KGRAFT_REPOSITORY", "").rstrip("/")
        if repository:
            at = f"v{metadata['version']}"
            text = with_absolute_links(text, repository, at)
            metadata["urls"] = {
                "Repository": repository,
                "Documentation": f"{repository}/blob/{at}/docs/index.md",
                "Changelog": f"{repository}/blob/{at}/CHANGELOG.md",
                "Issues": f"{repository}/issues",
            }
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def with_absolute_links(text: str, repository: str, at: str) -> str:
    """Return Markdown whose links and images lead into a repository, at a tag."""
    text = IMAGE.sub(lambda x: f"{x[1]}{repository}/raw/{at}/{x[2]}", text)
    return LINK.sub(lambda x: f"{repository}/blob/{at}/{x[1]}", text)
