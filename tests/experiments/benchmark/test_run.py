"""The benchmarks: what they write, what they train, and that they go on where they stopped."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kgraft.errors import KgraftError, SettingsError, UnknownNameError
from kgraft.model.directory import load_model
from kgraft.model.evidence import WAYS
from kgraft.settings import ModelSettings, RetrainSettings, TrainSettings
from kgraft.system.outputs import exclusive_lock
from kgraft_experiments.benchmark import runner
from kgraft_experiments.benchmark.run import ablate, benchmark, sweep_links
from kgraft_experiments.benchmark.settings import SYSTEMS, BenchmarkSettings

pytestmark = pytest.mark.slow

TARGETS = ("aa", "bb", "cc")

WAYS_OF = {"alone": WAYS, "student": WAYS}  # the systems that have rules


def test_results_are_complete(
    layout: Path, tmp_path: Path, quick: BenchmarkSettings, started: list[str]
) -> None:
    report = benchmark(layout, tmp_path / "out", settings=quick, threads=1, seed=3)
    assert report == json.loads((tmp_path / "out" / "results.json").read_text())
    assert report["settings"]["targets"] == [*TARGETS]
    assert report["settings"]["seeds"] == [3]
    assert report["settings"]["retrain"]["training"]["seed"] == 3
    keys = {
        (row["target"], row["system"], row["by"], row["side"], row["filter"], row["facts"])
        for row in report["quality"]
    }
    assert keys == {
        (target, system, by, side, facts_filter, facts)
        for target in TARGETS
        for system in SYSTEMS
        for by in WAYS_OF.get(system, ("vectors",))
        for side in ("tail", "head", "both")
        for facts_filter in ("all", "train+valid")
        for facts in ("all", "covered", "uncovered")
    }
    for row in report["quality"]:
        assert row["candidates"] == "own"
        assert (row["seed"], row["width"]) == (3, 8)
        assert row["queries"] == 0 or 0 < row["mrr"] <= 1
    assert [(cost["target"], cost["system"]) for cost in report["cost"]] == [
        (target, system) for target in TARGETS for system in SYSTEMS
    ]
    for cost in report["cost"]:
        assert min(cost[key] for key in ("train_seconds", "parameters", "triples")) > 0
        assert 0 < cost["prepare_seconds"] < cost["train_seconds"]
        ways = WAYS_OF.get(cost["system"], ("vectors",))
        assert cost["answers_by"] in {*cost["answered_per_second"]} == {*ways}
        assert min(cost["answered_per_second"].values()) > 0


def test_it_goes_on_where_it_stopped(
    layout: Path, tmp_path: Path, quick: BenchmarkSettings, started: list[str]
) -> None:
    out = tmp_path / "out"
    options: dict[str, Any] = {"targets": ["bb"], "systems": ["student"], "settings": quick}
    first = benchmark(layout, out, threads=1, **options)
    assert started == ["teacher for bb", "student for bb"]
    assert {row["system"] for row in first["quality"]} == {"student"}
    assert {row["by"] for row in first["quality"]} == {*WAYS}
    again = benchmark(layout, out, threads=1, **options)
    assert len(started) == 2
    assert again == first
    [student] = (out / "jobs").glob("bb-student-*.json")
    student.unlink()
    benchmark(layout, out, threads=1, **options)
    assert started[2:] == ["student for bb"]


@pytest.mark.parametrize("damage", ["", "[]", "{}", "[" * 100_000], ids=len)
def test_a_piece_that_is_damaged_runs_again(
    layout: Path, tmp_path: Path, quick: BenchmarkSettings, started: list[str], damage: str
) -> None:
    out = tmp_path / "out"
    options: dict[str, Any] = {"targets": ["bb"], "systems": ["plain"], "settings": quick}
    first = benchmark(layout, out, threads=1, **options)
    [job] = (out / "jobs").iterdir()
    job.write_text(damage)
    again = benchmark(layout, out, threads=1, **options)
    assert started == ["plain for bb"] * 2
    assert again["quality"] == first["quality"]


def test_a_teacher_whose_model_is_gone_is_trained_again_for_a_new_student(
    layout: Path, tmp_path: Path, quick: BenchmarkSettings, started: list[str]
) -> None:
    out = tmp_path / "out"
    options: dict[str, Any] = {"targets": ["bb"], "systems": ["student"], "settings": quick}
    benchmark(layout, out, threads=1, **options)
    [teacher] = (out / "models").glob("bb-teacher-*")
    teacher.rename(tmp_path / "elsewhere")
    benchmark(layout, out, threads=1, widths=[6], **options)
    assert started[2:] == ["teacher for bb", "student for bb"]
    assert load_model(teacher).kind == "teacher"


def test_other_data_or_settings_run_anew(
    layout: Path, tmp_path: Path, quick: BenchmarkSettings, started: list[str]
) -> None:
    arguments: dict[str, Any] = {"targets": ["aa"], "systems": ["plain"], "threads": 1}
    benchmark(layout, tmp_path / "out", settings=quick, **arguments)
    path = layout / "kg" / "aa-train.tsv"
    lines = path.read_text().splitlines(keepends=True)
    for changed, times in ((lines, 2), (lines[::-1], 2), (lines[1:], 3)):  # An order is no change.
        path.write_text("".join(changed))
        benchmark(layout, tmp_path / "out", settings=quick, seed=1, **arguments)
        assert len(started) == times


def test_other_names_run_anew(
    layout: Path, tmp_path: Path, quick: BenchmarkSettings, started: list[str]
) -> None:
    arguments: dict[str, Any] = {"targets": ["aa"], "systems": ["plain"], "threads": 1}
    benchmark(layout, tmp_path / "out", settings=quick, **arguments)
    entities = layout / "entity"
    entities.mkdir()
    for name in TARGETS:
        (entities / f"{name}.tsv").write_text("".join(f"thing {row}\n" for row in range(20)))
    benchmark(layout, tmp_path / "out", settings=quick, **arguments)
    assert started == ["plain for aa"] * 2


def test_other_settings_of_one_system_leave_the_others_pieces_alone(
    layout: Path, tmp_path: Path, quick: BenchmarkSettings, started: list[str]
) -> None:
    benchmark(layout, tmp_path / "out", targets=["aa"], settings=quick, threads=1)
    wider = RetrainSettings(model=ModelSettings(width=12), training=quick.retrain.training)
    changed = quick.model_copy(update={"retrain": wider})
    benchmark(layout, tmp_path / "out", targets=["aa"], settings=changed, threads=1)
    assert started[len(SYSTEMS) :] == ["student for aa"]


def test_another_teacher_makes_another_student(
    layout: Path, tmp_path: Path, quick: BenchmarkSettings, started: list[str]
) -> None:
    benchmark(layout, tmp_path / "out", targets=["aa"], settings=quick, threads=1)
    wider = TrainSettings(model=ModelSettings(width=12), training=quick.pretrain.training)
    changed = quick.model_copy(update={"pretrain": wider})
    benchmark(layout, tmp_path / "out", targets=["aa"], settings=changed, threads=1)
    assert started[len(SYSTEMS) :] == ["teacher for aa", "student for aa"]


def test_seeds_train_all_anew_but_the_teacher(
    layout: Path, tmp_path: Path, quick: BenchmarkSettings, started: list[str]
) -> None:
    report = benchmark(
        layout, tmp_path / "out", targets=["aa"], settings=quick, threads=1, seeds=2, seed=5
    )
    assert Counter(started) == {
        "teacher for aa": 1,
        "plain for aa": 2,
        "alone for aa": 2,
        "joint for aa": 2,
        "student for aa": 2,
    }
    assert report["settings"]["seeds"] == [5, 6]
    assert report["settings"]["teacher_seed"] == 5
    assert {(cost["system"], cost["seed"]) for cost in report["cost"]} == {
        ("teacher", 5),
        *((x, seed) for x in SYSTEMS if x != "teacher" for seed in (5, 6)),
    }


def test_one_teacher_serves_all_targets_and_widths(
    layout: Path, tmp_path: Path, quick: BenchmarkSettings, started: list[str]
) -> None:
    out = tmp_path / "out"
    report = benchmark(
        layout,
        out,
        targets=["bb", "cc"],
        systems=["teacher", "student"],
        widths=[4, 8],
        reuse_teacher=True,
        settings=quick,
        threads=1,
    )
    assert Counter(started) == {"teacher for bb,cc": 1, "student for cc": 2, "student for bb": 2}
    assert [(x["target"], x["system"], x["width"]) for x in report["cost"]] == [
        ("bb,cc", "teacher", 8),
        ("bb", "student", 4),
        ("bb", "student", 8),
        ("cc", "student", 4),
        ("cc", "student", 8),
    ]
    measured = {(x["target"], x["system"], x["width"]) for x in report["quality"]}
    assert {(target, "teacher", 8) for target in ("bb", "cc")} < measured
    assert len(measured) == 6
    [directory] = (out / "models").glob("shared-teacher-*")
    assert load_model(directory).graph.sources == ("aa",)


def test_one_teacher_for_all_needs_a_source_that_is_no_target(layout: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has none besides aa, bb, cc; name fewer targets"):
        benchmark(layout, tmp_path / "out", reuse_teacher=True)


def test_an_ablation_trains_each_variant_and_the_teacher_once(
    layout: Path, tmp_path: Path, quick: BenchmarkSettings, started: list[str]
) -> None:
    out = tmp_path / "out"
    asked: dict[str, Any] = {"targets": ["aa", "bb"], "settings": quick, "seeds": 2, "threads": 1}
    report = ablate(layout, out, variants=["none", "feature", "all"], **asked)
    assert report == json.loads((out / "ablation.json").read_text())
    variants = report["settings"]["variants"]
    assert max(Counter(started).values()) == 2
    assert [x for x in started if "teacher" in x] == ["teacher for aa", "teacher for bb"]
    assert [(row["target"], row["variant"], row["seed"]) for row in report["rows"]] == [
        (target, variant, seed)
        for target in ("aa", "bb")
        for seed in (0, 1)
        for variant in variants
    ]
    for row in report["rows"]:
        assert row["train_seconds"] > 0
        assert {*row["tail"]} == {*row["both"]} == {"all", "covered", "uncovered"}
        assert 0 < row["tail"]["all"] <= 1
    assert len(report["summary"]) == len(variants) * 2 * 3
    figures = {(x["variant"], x["side"], x["facts"]): x for x in report["summary"]}
    assert figures["none", "tail", "all"]["minus_none"] == 0
    assert figures["feature", "tail", "all"]["minus_none"] is not None


def test_a_comparison_and_an_ablation_share_their_pieces(
    layout: Path, tmp_path: Path, quick: BenchmarkSettings, started: list[str]
) -> None:
    out = tmp_path / "out"
    compared = benchmark(
        layout, out, targets=["aa"], systems=["student"], settings=quick, threads=1
    )
    report = ablate(layout, out, targets=["aa"], settings=quick, seeds=1, threads=1)
    variants = report["settings"]["variants"]
    assert variants[:3] == ["all", "all by rules", "all by both"]
    assert len(variants) == 16 + 2
    assert "student for aa" not in started[2:]
    assert len(started) == 1 + 16
    mrr = {
        row["by"]: row["mrr"]
        for row in compared["quality"]
        if (row["side"], row["filter"], row["facts"]) == ("tail", "all", "all")
    }
    assert [row["tail"]["all"] for row in report["rows"][:3]] == [mrr[by] for by in WAYS]


def test_variants_of_the_same_settings_are_trained_once(
    layout: Path, tmp_path: Path, quick: BenchmarkSettings, started: list[str]
) -> None:
    alone = quick.retrain.distillation.model_copy(update={"network": 0.0})
    settings = quick.model_copy(
        update={"retrain": quick.retrain.model_copy(update={"distillation": alone})}
    )
    report = ablate(layout, tmp_path / "out", targets=["aa"], settings=settings, seeds=1, threads=1)
    assert "student, without-network for aa" not in started
    rows = {row["variant"]: row for row in report["rows"]}
    assert rows["without-network"]["tail"] == rows["all"]["tail"]


def test_a_sweep_thins_the_targets_links_and_keeps_the_facts_apart(
    layout: Path, tmp_path: Path, quick: BenchmarkSettings, started: list[str]
) -> None:
    out = tmp_path / "out"
    benchmark(layout, out, targets=["aa"], settings=quick, threads=1)
    before = len(started)
    report = sweep_links(
        layout, out, targets=["aa"], shares=[0.2, 1.0], settings=quick, seeds=1, threads=1
    )
    assert report == json.loads((out / "links.json").read_text())
    assert started[before:] == [
        "joint, 20% of the links for aa",
        "student, 20% of the links for aa",
        "student, none, 20% of the links for aa",
        "student, none for aa",
    ]
    assert [(row["variant"], row["share"]) for row in report["rows"]] == [
        (variant, share) for share in (0.2, 1.0) for variant in ("joint", "all", "none")
    ]
    # aa has 10 links to bb and 10 to cc, both from its entities 0, 2, ..., 18.
    rows = {(row["variant"], row["share"]): row for row in report["rows"]}
    assert rows["all", 1.0]["linked_entities"] == 10
    assert 2 <= rows["all", 0.2]["linked_entities"] <= 4
    assert rows["joint", 0.2]["linked_entities"] == rows["all", 0.2]["linked_entities"]
    assert rows["all", 0.2]["triples"] < rows["all", 1.0]["triples"]
    assert {row["share"] for row in report["summary"]} == {0.2, 1.0}


def test_which_facts_are_covered_does_not_depend_on_the_share(
    layout: Path, tmp_path: Path, quick: BenchmarkSettings, started: list[str]
) -> None:
    facts = (layout / "kg" / "aa-test.tsv").read_text().splitlines()
    even = [fact for fact in facts if all(int(x) % 2 == 0 for x in fact.split("\t")[::2])]
    with (layout / "kg" / "bb-train.tsv").open("a") as file:
        file.write("".join(f"{fact}\n" for fact in even))
    assert even
    out = tmp_path / "out"
    sweep_links(layout, out, targets=["aa"], shares=[0.1, 1], settings=quick, seeds=1, threads=1)
    jobs = [json.loads(path.read_text()) for path in (out / "jobs").glob("aa-*.json")]
    queries = {
        row["queries"]
        for job in jobs
        for row in job["quality"]
        if (row["side"], row["facts"]) == ("tail", "covered")
    }
    assert len(jobs) == 7
    assert queries == {len(even)}


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_a_share_that_is_none_is_refused(layout: Path, tmp_path: Path, share: float) -> None:
    with pytest.raises(ValueError, match="a share of links lies above 0 and at most at 1"):
        sweep_links(layout, tmp_path / "out", shares=[share, 1.0])


def test_a_width_that_the_encoder_cannot_have_is_refused(layout: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="ComplEx needs an even width, not 7"):
        benchmark(layout, tmp_path / "out", widths=[7])


def test_no_seed_is_refused(layout: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one seed, not 0"):
        ablate(layout, tmp_path / "out", seeds=0)


def test_a_piece_runs_in_a_process_of_its_own(
    layout: Path, tmp_path: Path, quick: BenchmarkSettings
) -> None:
    options: dict[str, Any] = {"targets": ["cc"], "systems": ["plain"], "settings": quick}
    report = benchmark(layout, tmp_path / "out", threads=1, **options)
    assert report["cost"][0]["peak_rss_mib"] > 0
    files = [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert sorted(x.partition("-plain-")[0] for x in files) == ["cc", "results.json"]


def test_what_fails_is_named_and_what_finished_is_kept(
    layout: Path, tmp_path: Path, quick: BenchmarkSettings
) -> None:
    out = tmp_path / "out"
    benchmark(layout, out, targets=["cc"], systems=["plain"], settings=quick, threads=1)
    [job] = (out / "jobs").iterdir()
    kept = job.read_bytes()
    huge = quick.model_copy(update={"joint": TrainSettings(model=ModelSettings(width=2**50))})
    with pytest.raises(KgraftError, match=r"joint for cc \(.*\) failed; finished jobs are kept"):
        benchmark(layout, out, targets=["cc"], systems=["joint"], settings=huge, threads=1)
    assert job.read_bytes() == kept


def test_an_ablation_goes_on_after_a_piece_that_failed(
    layout: Path,
    tmp_path: Path,
    quick: BenchmarkSettings,
    started: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    works = runner._start

    def fails(job: Any) -> None:
        if job.case.variant == "warm-start":
            raise KgraftError("the disk is full")
        works(job)

    monkeypatch.setattr(runner, "_start", fails)
    options: dict[str, Any] = {"targets": ["aa"], "settings": quick, "seeds": 1, "threads": 1}
    with pytest.raises(KgraftError, match="the disk is full"):
        ablate(layout, out, **options)
    assert started == ["teacher for aa", "student for aa", "student, none for aa"]
    assert not (out / "ablation.json").exists()
    monkeypatch.setattr(runner, "_start", works)
    ablate(layout, out, **options)
    assert started[3] == "student, warm-start for aa"
    assert len(started) == len({*started}) == 1 + 16


def test_a_second_benchmark_in_one_directory_is_refused(
    layout: Path, tmp_path: Path, quick: BenchmarkSettings, started: list[str]
) -> None:
    options: dict[str, Any] = {"targets": ["cc"], "systems": ["plain"], "settings": quick}
    with (
        exclusive_lock(tmp_path / "out" / ".lock"),
        pytest.raises(KgraftError, match="another run writes here"),
    ):
        benchmark(layout, tmp_path / "out", **options)
    assert started == []
    assert benchmark(layout, tmp_path / "out", **options)["quality"]


def test_an_unknown_target_is_refused(layout: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="no source is called 'zz'; there are aa, bb, cc"):
        benchmark(layout, tmp_path / "out", targets=["zz"])
