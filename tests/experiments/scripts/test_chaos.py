"""The scripts of ``make chaos``: their damage is reproducible, and a crash does not go unseen."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from importlib import import_module as script
from pathlib import Path
from random import Random
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


def test_an_input_is_made_by_its_seed_and_number(tmp_path: Path) -> None:
    readers = script("readers")
    reader = readers.READERS["collection"]
    seeds = reader.seeds(tmp_path)
    made = [reader.input(seeds, 0, number) for number in range(50)]
    assert made == [reader.input(seeds, 0, number) for number in range(50)]
    assert made != [reader.input(seeds, 1, number) for number in range(50)]
    assert len({json.dumps({x: str(y) for x, y in files.items()}) for files in made}) > 40


def test_what_is_compressed_is_damaged_inside() -> None:
    mutate, gzip = script("mutate"), script("gzip")
    seeds = [{"a.gz": gzip.compress(b"abcdefgh" * 10)}]
    inside = 0
    for number in range(100):
        files = mutate.mutated(seeds, Random(number), mutate.WORDS)  # noqa: S311
        try:
            inside += gzip.decompress(files["a.gz"]) != b"abcdefgh" * 10
        except Exception:  # noqa: S112
            continue
    assert inside > 50


def test_a_manifest_can_be_made_true_to_what_was_damaged() -> None:
    mutate = script("mutate")
    manifest = json.dumps({"files": {"a": {}, "gone": {}}}).encode()
    made = mutate.with_true_manifest({"a": b"abc", "manifest.json": manifest})
    assert json.loads(made["manifest.json"])["files"]["a"]["bytes"] == 3
    for broken in (b"", b"[]", b'{"files": 1}', b"[" * 100_000):
        assert mutate.with_true_manifest({"manifest.json": broken}) == {"manifest.json": broken}


def row(check: str, tried: int, survived: int, crashes: list[Any]) -> dict[str, Any]:
    fuzz = {"reader": check, "inputs": 10, "crashes": crashes}
    passed = tried == survived and not crashes
    return {"check": check, "tried": tried, "survived": survived, "passed": passed, "fuzz": [fuzz]}


def test_a_report_sums_kills_and_inputs() -> None:
    rows = [row("kill train", 5, 5, []), row("inside retrain", 4, 3, []), row("x", 9, 9, [{}])]
    found = script("chaos").report(rows)
    sums = (
        "kills_tried",
        "kills_survived",
        "kills_inside_writes",
        "fuzzed_inputs",
        "crashes_open",
        "checks_passed",
    )
    assert [found[key] for key in sums] == [9, 8, 4, 30, 1, 1]


def test_a_row_of_tests_tells_what_came_of_each() -> None:
    junit = (
        '<testsuites><testsuite><testcase name="a"/><testcase name="a"><failure/></testcase>'
        '<testcase name="b"><skipped/></testcase><testcase name="c"><error/></testcase>'
        "</testsuite></testsuites>"
    )
    found = script("chaos").outcomes(junit)
    assert found == {"tried": 3, "survived": 1, "passed_tests": ["a"], "skipped": ["b"]}


@pytest.mark.slow
def test_tests_that_are_all_skipped_show_nothing(tmp_path: Path) -> None:
    chaos, file = script("chaos"), tmp_path / "test_it.py"
    for text, passed in (("def test_it(): pass", True), ("import pytest; pytest.skip()", False)):
        file.write_text(text)
        assert chaos.check("test it", ["-m", "pytest", str(file)])["passed"] is passed
    file.write_text("import pytest\n@pytest.mark.skip\ndef test_it(): pass")
    assert not chaos.check("test it", ["-m", "pytest", str(file)])["passed"]


def test_every_check_names_tests_that_exist() -> None:
    for arguments in script("chaos").TESTS.values():
        files = [Path(__file__).parents[3] / x for x in arguments if x.endswith(".py")]
        assert files
        assert all(file.exists() for file in files), arguments


def test_every_check_selects_tests_that_there_are() -> None:
    for arguments in script("chaos").TESTS.values():
        paths, _, words = " ".join(arguments).partition(" -k ")
        texts = [(ROOT / path).read_text(encoding="utf-8") for path in paths.split()]
        names = re.findall(r"def (test_\w+)", "".join(texts))
        assert all(any(word in name for name in names) for word in words.split(" or ")), words


def test_what_has_passed_by_the_same_command_is_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chaos, ran, out = script("chaos"), [], tmp_path / "report.json"
    asked = {"fuzz a": ["a", "7"], "fuzz b": ["b", "7"], "kill c": ["c"]}
    monkeypatch.setattr(chaos, "commands", lambda *_: asked)

    def check(name: str, command: list[str]) -> dict[str, Any]:
        ran.append(name)
        passed = name != "fuzz b" or len(ran) > 2
        return {"check": name, "passed": passed, "command": chaos.shown(command), "tried": 1}

    monkeypatch.setattr(chaos, "check", check)
    arguments = [f"--out={out}", "--workers=1"]
    assert chaos.main([*arguments, "--only=fuzz"]) == 1
    assert chaos.main([*arguments, "--only=nothing", "--resume"]) == 1
    assert [x["passed"] for x in json.loads(out.read_text())["rows"]] == [True, False]
    assert chaos.main([*arguments, "--resume"]) == 0
    assert ran == ["fuzz a", "fuzz b", "fuzz b", "kill c"]
    assert [x["check"] for x in json.loads(out.read_text())["rows"]] == list(asked)
    asked["fuzz a"] = ["a", "8"]
    chaos.main([*arguments, "--resume"])
    assert ran[4:] == ["fuzz a"]
    chaos.main(arguments)
    assert ran[5:] == list(asked)
    parts = [tmp_path / f"part{number}.json" for number in (0, 1)]
    for part, only in zip(parts, ("fuzz", "kill"), strict=True):
        chaos.main([f"--out={part}", f"--only={only}"])
    assert len(ran) == 11
    assert chaos.main([f"--out={out}", "--resume", *map(str, parts)]) == 0
    assert len(ran) == 11
    assert len(json.loads(out.read_text())["rows"]) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux tells of a process")
def test_a_stop_before_kgraft_has_begun_is_told_from_others() -> None:
    kills = script("kills")
    sleeping = [
        sys.executable,
        "-c",
        "import signal, time; {}; print(1, flush=True); time.sleep(9)",
    ]
    for does, handled in (("0", False), ("signal.signal(15, lambda *_: exit(3))", True)):
        command = [*sleeping[:2], sleeping[2].format(does)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            child = kills.Child(process.pid, process.stdout)
            child.send(signal.SIGTERM)
            process.returncode = child.status
        assert (child.handled, child.status) == (handled, 3 if handled else -signal.SIGTERM)


@pytest.mark.slow
def test_a_reader_is_fuzzed_in_a_process_of_its_own(tmp_path: Path) -> None:
    out = tmp_path / "fuzz.json"
    script("fuzz").main(["settings", "--inputs=40", "--workers=1", f"--out={out}"])
    [found] = json.loads(out.read_text())["fuzz"]
    assert (found["inputs"], found["crashes"]) == (40, [])
