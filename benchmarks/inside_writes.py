"""Kills inside changes of files, by a library that ``LD_PRELOAD`` puts before the system's.

``torn_writes.c`` has the library. It counts the writes, renames, deletions, flushes and so on that
a command's processes make below a directory. In the one that was chosen a write is cut off after a
share of its bytes, any other change is made or not, and the process gets SIGKILL.
"""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

from kgraft.errors import KgraftError

SOURCE = Path(__file__).with_name("torn_writes.c")

STATE = "TORN_WRITES"
"""Environment variable: the file that the library's state is in."""

_FIELDS = struct.Struct("qqqqq24s4096s")
"""Changes so far, the one to be killed in, its share, whole group, struck, its call, directory."""


def begin_again_with_library() -> None:
    """Start this script again with the library; return where that has been done.

    Raises:
        KgraftError: If the library cannot be compiled.
    """
    if STATE in os.environ:
        return
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        raise KgraftError("kills inside writes need Linux and a C compiler, as 'cc'")
    place = Path(tempfile.mkdtemp())
    library, state = place / "torn_writes.so", place / "state"
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
    subprocess.run(command, check=True)  # noqa: S603
    state.write_bytes(bytes(_FIELDS.size))
    more = {"LD_PRELOAD": str(library), STATE: str(state)}
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **more})  # noqa: S606


class TornWrites:
    """The library's state, which all processes of a command share."""

    def __init__(self) -> None:
        self._place = Path(os.environ[STATE])
        with self._place.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _FIELDS.size)

    @staticmethod
    def is_loaded() -> bool:
        """Tell whether the library is in this process."""
        return STATE in os.environ

    def arm(self, below: Path, at: int = 0, draw: Random | None = None) -> None:
        """Count changes below a directory, and kill in one of them; in none if that is zero."""
        permille, whole = (draw.randrange(1000), draw.random() < 0.5) if draw else (0, False)
        directory = os.fsencode(os.path.realpath(below))
        self._shared[:] = _FIELDS.pack(0, at, permille, whole, 0, b"", directory)

    def disarm(self) -> None:
        """Count no more."""
        count, at, permille, whole, struck, call, _ = _FIELDS.unpack(self._shared[:])
        self._shared[:] = _FIELDS.pack(count, at, permille, whole, struck, call, b"")

    @property
    def count(self) -> int:
        """Number of changes so far."""
        return int(_FIELDS.unpack(self._shared[:])[0])

    @property
    def struck(self) -> str:
        """Name of the call in which a process has been killed; empty if none was."""
        _, _, _, _, struck, call, _ = _FIELDS.unpack(self._shared[:])
        return call.rstrip(b"\0").decode() if struck else ""

    def remove(self) -> None:
        """Remove library and state."""
        shutil.rmtree(self._place.parent, ignore_errors=True)
