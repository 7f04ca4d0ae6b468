"""What a release needs: versions agree, extras that texts name exist, and links lead somewhere."""

from __future__ import annotations

import re
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
AT = "https://example.org/some/kgraft"


def hook() -> ModuleType:
    pytest.importorskip("hatchling", reason="hatchling, which builds the package, is not installed")
    spec = spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_versions_agree() -> None:
    cited = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {PROJECT['version']}\n" in cited


def test_every_extra_that_is_named_exists() -> None:
    texts = [*(ROOT / "src").rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    texts += [ROOT / "Dockerfile", *(ROOT / ".github").rglob("*.yml"), ROOT / "CHANGELOG.md"]
    found: set[str] = set()
    for path in texts:
        text = path.read_text(encoding="utf-8")
        for named in re.findall(r"(?:kgraft|\.|whl\)\")\[([a-z,]+)\]", text):
            found |= {*named.split(",")}
        found |= {*re.findall(r"extra=\"(\w+)\"", text)} - {"forbid"}
    assert found <= {*EXTRAS}, found - {*EXTRAS}
    assert {"ask", "serve", "mcp", "tune"} <= found


def test_all_has_what_users_may_want() -> None:
    (everything,) = EXTRAS["all"]
    named = {*everything.partition("[")[2].rstrip("]").split(",")}
    # Trackers, clusters and PyKEEN bring much with them; the others are for those who build kgraft.
    left_out = {"all", "dev", "docs", "mlflow", "pykeen", "ray", "slurm", "tensorboard"}
    left_out |= {"wandb", "world"}
    assert named == {*EXTRAS} - left_out


def test_links_of_the_readme_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [x for x in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in x]
    assert len(links) > 20
    assert [x for x in links if not (ROOT / x.partition("#")[0]).exists()] == []


def test_links_of_a_release_lead_into_its_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    module = hook()
    made = module.CustomMetadataHook(str(ROOT), {})
    metadata: dict[str, object] = {"version": "1.2.3"}
    monkeypatch.delenv("KGRAFT_REPOSITORY", raising=False)
    made.update(metadata)
    assert "urls" not in metadata
    monkeypatch.setenv("KGRAFT_REPOSITORY", f"{AT}/")
    made.update(metadata)
    readme = metadata["readme"]
    assert isinstance(readme, dict)
    links = re.findall(r"\]\(([^)\s]+)\)", readme["text"])
    assert [x for x in links if not x.startswith("https://")] == []
    assert f"{AT}/blob/v1.2.3/docs/tutorial.md" in links
    assert f"{AT}/raw/v1.2.3/docs/page.png" in links
    urls = metadata["urls"]
    assert isinstance(urls, dict)
    assert {*urls.values()} > {AT, f"{AT}/issues"}


def test_the_image_runs_without_rights() -> None:
    steps = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    last = max(i for i, line in enumerate(steps) if line.startswith("FROM "))
    users = [line for line in steps[last:] if line.startswith("USER ")]
    assert users
    assert users[-1] not in ("USER root", "USER 0")
    copied = [x for line in steps[:last] if line.startswith("COPY ") for x in line.split()[1:-1]]
    assert [x for x in copied if not (ROOT / x).exists()] == []
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert {f"!{x}" for x in copied} <= {*allowed}
