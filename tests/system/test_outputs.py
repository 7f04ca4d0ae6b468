import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from kgraft.errors import DataError, KgraftError
from kgraft.system import outputs
from kgraft.system.outputs import (
    check_empty,
    exclusive_lock,
    lock_of,
    remove_leftovers,
    remove_temporary,
    run_of,
    write_atomically,
    write_directory,
)


def test_a_written_file_replaces_the_old_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    with write_atomically(path) as temporary:
        temporary.write_text("old")
    with write_atomically(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.suffix == ".txt"
    assert path.read_text() == "new"
    assert [file.name for file in path.parent.iterdir()] == ["a.txt"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with write_atomically(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_a_pipe_or_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path):
        with pytest.raises(DataError, match="no regular file"), write_atomically(place):
            pass
    assert (tmp_path / "pipe").is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.parametrize("at_one_instant", [True, False])
def test_a_written_directory_replaces_the_old_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_one_instant: bool
) -> None:
    if not at_one_instant:
        monkeypatch.setattr(outputs, "_exchange", lambda *_: False)
    place = tmp_path / "place"
    for text in ("old", "new"):
        with write_directory(place) as temporary:
            (temporary / "a.txt").write_text(text)
        assert (place / "a.txt").read_text() == text
        assert list(tmp_path.iterdir()) == [place]

    def fail() -> None:
        with write_directory(place) as temporary:
            (temporary / "a.txt").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (place / "a.txt").read_text() == "new"
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges directories")
def test_linux_exchanges_directories_at_one_instant(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert outputs._exchange(tmp_path / "one", tmp_path / "other")
    assert (tmp_path / "one" / "other").exists()
    assert (tmp_path / "other" / "one").exists()


HOLDER = """
import sys, time
from pathlib import Path
from kgraft.system.outputs import exclusive_lock
with exclusive_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.slow
def test_a_lock_is_refused_while_it_is_held_and_not_after_its_holder_was_killed(
    tmp_path: Path,
) -> None:
    lock = tmp_path / "deep" / "lock"
    command = [sys.executable, "-c", HOLDER, str(lock)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        refused = rf"lock: another run writes here \(process {holder.pid} on .+\)\. Wait until"
        with pytest.raises(KgraftError, match=refused), exclusive_lock(lock):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert lock.exists()
    with (
        exclusive_lock(lock),
        pytest.raises(KgraftError, match=f"process {os.getpid()}"),
        exclusive_lock(lock),
    ):
        pass
    assert not lock.exists()


def test_what_a_killed_writer_has_left_is_cleared_up(tmp_path: Path) -> None:
    token = "0123456789abcdef" * 2
    left = [f".{token}.new.model", f".{token}.old.model", f".{token}.model"]
    kept = [f".{token}.new.model2", f".{token}.model.json", f".{token[1:]}.model", "model.old"]
    for name in [*left[:2], *kept, "model"]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(name)
    (tmp_path / left[2]).touch()
    remove_leftovers(tmp_path / "model", tmp_path / "nowhere" / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, "model"])
    assert (tmp_path / "model" / "a.txt").read_text() == "model"


def test_a_directory_that_was_moved_aside_goes_back(tmp_path: Path) -> None:
    aside = tmp_path / f".{'0' * 32}.old.model"
    aside.mkdir()
    (aside / "a.txt").write_text("earlier")
    remove_leftovers(tmp_path / "model")
    assert (tmp_path / "model" / "a.txt").read_text() == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    """Set the umask, which is as before after the test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def private(path: Path) -> None:
    """Write a file as mkstemp and safetensors make them, for its owner alone."""
    path.write_text("new")
    path.chmod(0o600)


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
@pytest.mark.parametrize(
    ("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o027, 0o640), (0o077, 0o600)]
)
def test_written_files_have_the_mode_that_the_umask_gives(
    tmp_path: Path, umask: Callable[[int], int], mask: int, mode: int
) -> None:
    umask(mask)
    with write_atomically(tmp_path / "a.txt") as temporary:
        private(temporary)
    with write_directory(tmp_path / "place") as temporary:
        (temporary / "deep").mkdir()
        private(temporary / "deep" / "a.txt")
        (temporary / "run").touch(0o700)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == mode
    assert (tmp_path / "place" / "deep" / "a.txt").stat().st_mode & 0o777 == mode
    assert (tmp_path / "place" / "run").stat().st_mode & 0o100
    assert sorted(path.name for path in (tmp_path / "place").iterdir()) == ["deep", "run"]


@pytest.mark.parametrize("exists", [True, False])
def test_a_file_is_written_through_symbolic_links(tmp_path: Path, exists: bool) -> None:
    (tmp_path / "disk").mkdir()
    file, link = tmp_path / "disk" / "a.txt", tmp_path / "link.txt"
    if exists:
        file.write_text("old")
    (tmp_path / "between").symlink_to("disk/a.txt")
    link.symlink_to("between")
    with write_atomically(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert file.read_text() == "new"
    names = sorted(path.name for path in tmp_path.rglob("*"))
    assert names == ["a.txt", "between", "disk", "link.txt"]


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("exchanged", [True, False])
def test_a_directory_is_written_through_symbolic_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool, exchanged: bool
) -> None:
    if not exchanged:
        monkeypatch.setattr(outputs, "_exchange", lambda *_: False)
    place, link = tmp_path / "disk" / "v1", tmp_path / "current"
    link.symlink_to("disk/v1")
    if exists:
        place.mkdir(parents=True)
        (place / "old.txt").touch()
    with write_directory(link) as temporary:
        (temporary / "new.txt").touch()
    assert link.is_symlink()
    names = sorted(path.name for path in tmp_path.rglob("*"))
    assert names == ["current", "disk", "new.txt", "v1"]


@pytest.mark.parametrize("write", [write_atomically, write_directory])
def test_a_link_that_leads_to_itself_is_refused_and_stays(
    tmp_path: Path, write: Callable[[Path], AbstractContextManager[Path]]
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DataError, match="loop: this symbolic link leads to itself"):
        write(tmp_path / "loop").__enter__()
    assert (tmp_path / "loop").is_symlink()
    assert len(list(tmp_path.iterdir())) == 1


def test_no_directory_takes_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mine")
    (tmp_path / "link").symlink_to("a.txt")
    for name in ("a.txt", "link"):
        with (
            pytest.raises(DataError, match="this is no directory"),
            write_directory(tmp_path / name),
        ):
            pass
    assert (tmp_path / "a.txt").read_text() == "mine"


def test_a_link_that_a_killed_writer_has_left_is_removed_and_what_it_names_stays(
    tmp_path: Path,
) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a.txt").touch()
    (tmp_path / f".{'0' * 32}.new.model").symlink_to("disk")
    remove_leftovers(tmp_path / "model")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.txt", "disk"]


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory that the system's table of mounts names, with a space in its path."""
    place = tmp_path / "my volume"
    (place / "lost+found").mkdir(parents=True)
    mounts = tmp_path / "mountinfo"
    escaped = str(place).replace(" ", "\\040")
    mounts.write_text(f"36 35 98:0 / / rw - ext4 /dev/root rw\n37 36 98:0 /v {escaped} rw - x x\n")
    monkeypatch.setattr(outputs, "MOUNTS", mounts)
    return place


def names_in(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


def test_a_mount_point_is_written_inside(tmp_path: Path, volume: Path) -> None:
    check_empty(volume)
    before = volume.stat().st_ino
    with write_directory(volume) as temporary:
        (temporary / "old.txt").touch()
        assert temporary.parent == volume
    with pytest.raises(DataError, match="something here already"):
        check_empty(volume)
    with write_directory(volume) as temporary:
        (temporary / "new.txt").touch()
        (temporary / "deep").mkdir()
        (temporary / "deep" / "a.txt").touch()
    assert names_in(volume) == ["deep", "lost+found", "new.txt"]
    assert volume.stat().st_ino == before
    assert names_in(tmp_path) == ["mountinfo", "my volume"]

    def fail() -> None:
        with write_directory(volume) as temporary:
            (temporary / "half.txt").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert names_in(volume) == ["deep", "lost+found", "new.txt"]


def test_lock_and_run_of_a_mount_point_are_inside(tmp_path: Path, volume: Path) -> None:
    assert (lock_of(volume), run_of(volume)) == (volume / ".kgraft.lock", volume / ".kgraft.run")
    with exclusive_lock(lock_of(volume)):
        run_of(volume).mkdir()
        check_empty(volume)
    assert lock_of(volume / "model") == volume / ".model.lock"
    (tmp_path / "link").symlink_to(volume)
    assert run_of(tmp_path / "link") == volume / ".kgraft.run"


@pytest.mark.parametrize("error", [errno.EBUSY, errno.EXDEV])
def test_a_directory_that_turns_out_to_be_fixed_is_written_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (place / "old.txt").touch()

    def refuse(*_: Path) -> bool:
        raise OSError(error, "refused")

    monkeypatch.setattr(outputs, "_exchange", refuse)
    with write_directory(place) as temporary:
        (temporary / "new.txt").touch()
    assert names_in(place) == ["new.txt"]
    assert names_in(tmp_path) == ["place"]


@pytest.mark.parametrize(
    ("new", "old", "whole", "here", "expected"),
    [
        (["a", "b"], None, None, ["x", "y"], ["x", "y"]),
        (["a", "b"], ["x"], None, ["y"], ["x", "y"]),
        (None, ["x", "y"], ["a", "b"], [], ["a", "b"]),
        (None, ["x", "y"], ["b"], ["a"], ["a", "b"]),
        (None, ["x", "y"], None, ["a", "b"], ["a", "b"]),
    ],
    ids=["written", "moved half away", "whole", "moved half in", "moved in"],
)
def test_content_that_a_killed_writer_has_half_replaced_is_old_or_new(
    tmp_path: Path,
    new: list[str] | None,
    old: list[str] | None,
    whole: list[str] | None,
    here: list[str],
    expected: list[str],
) -> None:
    place = tmp_path / "volume"
    token = "." + "0" * 32
    states = {f"{token}.new": new, f"{token}.old": old, f"{token}.whole": whole, "": here}
    for name, files in states.items():
        for file in files or ():
            (place / name).mkdir(parents=True, exist_ok=True)
            (place / name / file).write_text(file)
    remove_leftovers(place)
    assert names_in(place) == expected


def test_a_file_that_is_mounted_is_written_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def refuse(*_: object) -> None:
        raise OSError(errno.EBUSY, "busy")

    monkeypatch.setattr(Path, "replace", refuse)
    with write_atomically(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert names_in(tmp_path) == ["a.txt"]


def test_what_a_library_leaves_beside_its_file_is_removed_with_it(tmp_path: Path) -> None:
    place = tmp_path / "vectors.safetensors"
    with write_atomically(place, apart=True) as temporary:
        temporary.write_bytes(b"whole")
        temporary.with_name(".tmpAbCdEf").write_bytes(b"ha")
    assert place.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [place]
    killed = tmp_path / f".{'ab' * 16}.{place.name}"
    killed.mkdir()
    (killed / ".tmpAbCdEf").write_bytes(b"ha")
    remove_leftovers(place)
    assert list(tmp_path.iterdir()) == [place]


def test_a_directory_of_one_run_is_cleared_of_what_was_not_finished(tmp_path: Path) -> None:
    whole = tmp_path / "rules.safetensors"
    whole.touch()
    (tmp_path / f".{'ab' * 16}.rules.safetensors").touch()
    (tmp_path / f".{'cd' * 16}.embeddings.safetensors").mkdir()
    remove_temporary(tmp_path)
    assert list(tmp_path.iterdir()) == [whole]
