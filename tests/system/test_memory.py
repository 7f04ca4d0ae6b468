"""Memory that threads have freed, as glibc keeps it."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

ALLOCATE_IN_THREADS = """
import ctypes, sys, threading
from kgraft.system.memory import reuse_freed_memory
reuse_freed_memory()
libc = ctypes.CDLL("libc.so.6")
together = threading.Barrier(8)
def allocate():
    together.wait()
    kept = [bytearray(3000) for _ in range(100)]
    together.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for one in threads: one.start()
for one in threads: one.join()
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""
"""Eight threads that allocate at the same time, and what glibc tells of its memory then."""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_info"),
    reason="asks glibc",
)
def test_threads_of_a_server_share_what_they_have_freed(tmp_path: Path) -> None:
    told = tmp_path / "told.xml"
    subprocess.run([sys.executable, "-c", ALLOCATE_IN_THREADS, told], check=True)
    assert told.read_text().count("<heap nr=") == 1
