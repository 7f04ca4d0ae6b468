"""Files and directories to write: whole or not at all, each place by one run at a time."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import socket
import sqlite3
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from polars.exceptions import PolarsError
from safetensors import SafetensorError

from kgraft.errors import DataError, KgraftError, first_line

MOUNTS = Path("/proc/self/mountinfo")
"""Linux's table of mounts, which has bind mounts too."""

_TEMPORARY = re.compile(r"\.[0-9a-f]{32}\..+")
"""Names of what is being written, beside its place."""

_INSIDE = re.compile(r"\.([0-9a-f]{32})\.(new|old|whole)")
"""Names of a writer's own directories inside of one that cannot be replaced."""

_KEPT_INSIDE = {".kgraft.lock", ".kgraft.run", "lost+found"}
"""Names beside a volume's content: of a run, and of its file system."""


@contextmanager
def write_atomically(path: Path, *, apart: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that is renamed to it when the block ends well.

    Readers see the old file or the whole new one. When the block raises, nothing is left behind.
    The temporary name keeps the endings of ``path``; missing parent directories are made. Where
    ``path`` is a symbolic link, the file behind it is replaced. The file is as readable as the
    umask lets new files be.

    Args:
        path: The file.
        apart: Yield a path in a directory of its own, for a library that makes temporary files
            beside what it writes; else a kill would leave these behind.

    Raises:
        DataError: If ``path`` is a device, a pipe, a directory, or a link that leads to itself.
    """
    if path.exists() and not path.is_file():
        raise DataError("this is no regular file", remedy="Name a file", path=path)
    path = behind_links(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = own = path.with_name(f".{uuid.uuid4().hex}.{path.name}")
    if apart:
        own.mkdir()
        temporary = own / path.name
    try:
        mode = _mode_of_new_files(temporary)
        with _library_errors_as_os_errors(path):
            yield temporary
        _finish(temporary, mode)
        try:
            temporary.replace(path)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            shutil.copyfile(temporary, path)  # A mounted file has no other way in.
    finally:
        temporary.unlink(missing_ok=True)
        if apart:
            shutil.rmtree(own, ignore_errors=True)
    _sync_directory(path.parent)


@contextmanager
def _library_errors_as_os_errors(path: Path) -> Iterator[None]:
    """Raise errors of the libraries that write, as of a full disk, as errors of the system."""
    try:
        yield
    except (PolarsError, SafetensorError, sqlite3.Error) as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: Exception) -> OSError:
    """Return the error of a place that a library cannot write to."""
    reason = first_line(error)[:300]
    problem = f"this cannot be written ({reason}). Make room on the disk, or name another place"
    return OSError(errno.EIO, problem, os.fspath(path))


def behind_links(path: Path) -> Path:
    """Return the path that symbolic links lead to, absolute, whether or not it exists.

    Raises:
        DataError: If a link leads to itself.
    """
    place = Path(os.path.realpath(path))
    if place.is_symlink():
        raise DataError(
            "this symbolic link leads to itself",
            remedy="Remove it, or name another place",
            path=path,
        )
    return place


def _mode_of_new_files(probe: Path) -> int:
    """Return the permissions that this process gives to new files, as seen on one at ``probe``."""
    # Setting the umask to read it would change it for other threads.
    probe.touch(exist_ok=False)
    mode = stat.S_IMODE(probe.stat().st_mode)
    probe.unlink()
    return mode


def _finish(file: Path, mode: int) -> None:
    """Write a new file to the disk, with permissions that its writer may have held back."""
    file.chmod(stat.S_IMODE(file.stat().st_mode) | mode)
    with file.open("rb+") as written:
        os.fsync(written.fileno())


def _sync_directory(directory: Path) -> None:
    # The new name reaches the disk with its directory; Windows has no such call.
    if os.name == "posix":
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def content(directory: Path) -> list[Path]:
    """Return what a directory holds, without lock, runs and leftovers of kgraft."""
    return [
        path
        for path in sorted(directory.iterdir())
        if path.name not in _KEPT_INSIDE and not _INSIDE.fullmatch(path.name)
    ]


def is_half_replaced(directory: Path) -> bool:
    """Return True for a directory whose content a killed writer was about to replace."""
    return directory.is_dir() and any(_INSIDE.fullmatch(x.name) for x in directory.iterdir())


def check_empty(directory: Path) -> None:
    """Refuse a path at which there is anything but an empty directory.

    Raises:
        DataError: If there is.
    """
    if directory.exists() and not (directory.is_dir() and not content(directory)):
        raise DataError(
            "there is something here already", remedy="Name another directory", path=directory
        )


def is_fixed(directory: Path) -> bool:
    """Return True for a directory that no other can replace, so that it is written inside.

    It is a mount point, such as a container's volume, or its parent may not be written to.
    """
    if not directory.is_dir():
        return False
    mounts = MOUNTS.read_text(errors="surrogateescape") if MOUNTS.exists() else ""
    places = (line.split(" ")[4] for line in mounts.splitlines())
    named = (re.sub(r"\\([0-7]{3})", lambda x: chr(int(x[1], 8)), place) for place in places)
    return (
        directory.is_mount()
        or os.fspath(directory) in named
        or not os.access(directory.parent, os.W_OK)
    )


def lock_of(place: Path) -> Path:
    """Return the path of a place's lock: beside it, or inside where it ``is_fixed``."""
    return _beside(place, "lock")


def run_of(directory: Path) -> Path:
    """Return the directory of a run that ends in ``directory``: beside it, or inside likewise."""
    return behind_links(_beside(directory, "run"))


def _beside(place: Path, kind: str) -> Path:
    place = behind_links(place)
    fixed = is_fixed(place)
    return place / f".kgraft.{kind}" if fixed else place.with_name(f".{place.name}.{kind}")


@contextmanager
def write_directory(directory: Path) -> Iterator[Path]:
    """Yield a new directory that takes the place of ``directory`` when the block ends well.

    When the block raises, nothing is left behind, and the old directory stays. On Linux the two
    are exchanged atomically; the content of one that ``is_fixed`` is replaced file by file, what
    was written last comes last, and ``remove_leftovers`` completes what a kill has interrupted.
    Where ``directory`` is a symbolic link, the directory behind it is replaced. Files are as
    readable as the umask lets new files be.

    Raises:
        DataError: If ``directory`` is something else, or a link that leads to itself.
    """
    directory = behind_links(directory)
    if directory.exists() and not directory.is_dir():
        raise DataError("this is no directory", remedy="Name a directory", path=directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    token = uuid.uuid4().hex
    if is_fixed(directory):
        temporary = directory / f".{token}.new"
    else:
        temporary = directory.with_name(f".{token}.new.{directory.name}")
    temporary.mkdir()
    try:
        mode = _mode_of_new_files(temporary / token)
        with _library_errors_as_os_errors(directory):
            yield temporary
        for written in temporary.rglob("*"):
            if not written.is_dir():
                _finish(written, mode)
        _sync_directory(temporary)
        _put(temporary, directory, token)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    _sync_directory(directory.parent)


def _put(new: Path, directory: Path, token: str) -> None:
    """Let a new directory take the place of another, or its content that of the other's."""
    old = directory.with_name(f".{token}.old.{directory.name}")
    try:
        if new.parent == directory:
            _put_inside(directory, token)
        elif not directory.exists():
            new.rename(directory)
        elif not _exchange(new, directory):
            directory.rename(old)
            new.rename(directory)
    except OSError as error:
        # What cannot be renamed is a mount, or of a lower layer of a container's files.
        if error.errno not in (errno.EBUSY, errno.EXDEV) or new.parent == directory:
            raise
        shutil.move(new, directory / f".{token}.new")
        _put_inside(directory, token)
    finally:
        if old.exists() and not directory.exists():
            old.rename(directory)
        shutil.rmtree(old, ignore_errors=True)


def _put_inside(directory: Path, token: str) -> None:
    new, old = directory / f".{token}.new", directory / f".{token}.old"
    try:
        old.mkdir()
        for path in content(directory):
            path.rename(old / path.name)
        new.rename(new.with_suffix(".whole"))
    finally:
        _settle(directory, token)


def _settle(directory: Path, token: str) -> None:
    """Complete the replacement of a directory's content that has begun, or take it back."""
    new, old, whole = (directory / f".{token}.{x}" for x in ("new", "old", "whole"))
    taken = whole if whole.exists() else old
    if whole.exists() or (old.exists() and new.exists()):
        for path in sorted(taken.iterdir(), key=lambda x: x.stat().st_mtime_ns):
            path.rename(directory / path.name)
        taken.rmdir()
        _sync_directory(directory)
    for path in (new, old):
        shutil.rmtree(path, ignore_errors=True)


AT_FDCWD, RENAME_EXCHANGE = -100, 2  # names of Linux


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two paths atomically; return False where the system cannot."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    if rename is None:
        return False
    names = [os.fsencode(path) for path in (one, other)]
    return bool(rename(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0)


@contextmanager
def exclusive_lock(path: Path) -> Iterator[int]:
    """Hold the lock ``path`` while the block runs, so that no second run writes to one place.

    The system takes the lock back when its holder ends, however it ends.

    Yields:
        The lock's file descriptor; a process that inherits it holds the lock, too.

    Raises:
        KgraftError: If another process holds the lock, or the lock cannot be written.
    """
    from filelock import FileLock, Timeout  # Its import takes 80 ms.

    handles: list[int] = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, blocking=False, fallback_to_soft=False, on_acquired=handles.append)
        lock.acquire()
    except Timeout:
        holder = ""
        with suppress(OSError):
            holder = path.read_text(encoding="utf-8", errors="replace")
        raise KgraftError(
            f"{path}: another run writes here ({holder or 'another process'}). "
            "Wait until it ends, stop it, or name another directory."
        ) from None
    except OSError as error:
        raise KgraftError(
            f"{path.parent}: nothing can be written here ({error.strerror or error}). "
            "Name a directory with room that you may write to."
        ) from error
    try:
        os.truncate(handles[0], 0)
        os.write(handles[0], f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield handles[0]
    finally:
        path.unlink(missing_ok=True)
        lock.release()


def remove_temporary(directory: Path) -> None:
    """Remove what killed writers have left in a directory in which no other writes now."""
    for path in list(directory.iterdir()):
        if _TEMPORARY.fullmatch(path.name):
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def remove_leftovers(*places: Path) -> None:
    """Remove temporary files of killed writers beside and inside places whose lock is held.

    A directory that was moved aside goes back; content that was half replaced is completed, or goes
    back.
    """
    for place in places:
        left = re.compile(rf"\.[0-9a-f]{{32}}\.((new|old)\.)?{re.escape(place.name)}")
        for path in list(place.parent.iterdir()) if place.parent.is_dir() else []:
            match = left.fullmatch(path.name)
            if match and match[2] == "old" and not place.exists():
                path.rename(place)
            elif match:
                _remove(path)
        inside = sorted(place.iterdir()) if place.is_dir() else []
        for token in dict.fromkeys(x[1] for path in inside if (x := _INSIDE.fullmatch(path.name))):
            _settle(place, token)
