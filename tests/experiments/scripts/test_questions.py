"""Questions in words: their parts, and answers of paths by stated facts."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn")

from questions import Question, StatedAnswers, hit, main, questions_of, split

LINES = (
    "what is the sex of ann_lee 's mother ?\tfemale(female/)\tann_lee#parents#eve#gender#female"
    "#<end>#female\n"
    "who are bob 's children ?\tann_lee(ann_lee/cay/)\tbob#children#ann_lee\n"
)
FACTS = pl.DataFrame(
    [("ann", "parents", "bob"), ("ann", "parents", "eve"), ("bob", "gender", "male"),
     ("eve", "gender", "female"), ("bob", "born", "rome")],
    schema=["head", "relation", "tail"], orient="row",
)  # fmt: skip


def test_questions_are_read_with_path_and_answers(tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text(LINES)
    first, second = questions_of(tmp_path / "q.txt")
    assert (first.entity, first.path) == ("ann_lee", ("parents", "gender"))
    assert first.answers == {"female"}
    assert second.answers == {"ann_lee", "cay"}


def test_no_entity_is_in_two_parts() -> None:
    asked = [Question(f"q{n}", f"e{n % 50}", ("r",), frozenset()) for n in range(200)]
    parts = split(asked)
    assert [len(x) for x in parts] == [160, 20, 20]
    entities = [{x.entity for x in part} for part in parts]
    assert not entities[0] & entities[1]
    assert not (entities[0] | entities[1]) & entities[2]


def test_stated_answers_follow_a_path_either_way() -> None:
    by = StatedAnswers(FACTS)
    assert by.answers("ann", ("parents", "gender")) == [("female", 1.0), ("male", 1.0)]
    assert by.answers("male", ("^gender", "^parents")) == [("ann", 1.0)]
    assert by.answers("rome", ("gender",)) == []


def test_hits_count_ties_by_their_share() -> None:
    right = frozenset({"female"})
    assert hit(right, [("female", 0.9), ("male", 0.9), ("rome", 0.1)]) == 0.5
    assert hit(right, [("male", 0.9), ("female", 0.8)]) == 0
    assert hit(right, [("female", 0.0)]) == hit(right, []) == 0


@pytest.mark.slow
def test_the_report_has_each_share_and_way(tmp_path: Path) -> None:
    people = [f"p{n}" for n in range(40)]
    facts = [f"{x}\tparents\t{people[n - 7]}" for n, x in enumerate(people)]
    facts += [f"{x}\tgender\t{('male', 'female')[n % 2]}" for n, x in enumerate(people)]
    (tmp_path / "2H-kb.txt").write_text("\n".join(facts) + "\n")
    lines = []
    for n, x in enumerate(people):
        parent, sex = people[n - 7], ("male", "female")[(n - 7) % 2]
        lines += [f"what sex has {x} 's parent ?\t{sex}({sex}/)\t{x}#parents#{parent}#gender#{sex}"]
        lines += [f"who is parent of {x} ?\t{parent}({parent}/)\t{x}#parents#{parent}"]
    (tmp_path / "PQ-2H.txt").write_text("\n".join(lines) + "\n")
    settings = tmp_path / "settings.toml"
    settings.write_text("[model]\nwidth = 8\n[training]\nepochs = 2\n[rules]\nlongest = 1\n")
    out = tmp_path / "questions.json"
    main([str(tmp_path), "--graphs", "2h", "--settings", str(settings), "--threads", "1",
          "--out", str(out)])  # fmt: skip
    report = json.loads(out.read_text())
    assert {"full_2h", "half_2h", "grafted_2h", "traversal_half_2h"} <= report.keys()
    figures = report["figures"]["2h"]
    assert figures["full"]["from_paths"]["kgraft"] == report["full_2h"] > 0.9
    assert figures["full"]["from_answers"]["traversal"] > 0.5
    assert figures["half"]["from_paths"]["traversal"] == report["traversal_half_2h"] < 0.9
    assert set(figures["full"]["by_names"]) == {"kgraft", "traversal", "entity", "path"}
    assert str(tmp_path) not in out.read_text()
