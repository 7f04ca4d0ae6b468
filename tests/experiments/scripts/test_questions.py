"""Questions in words: their parts, and answers of paths by stated facts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn")

from questions import EntityLinker, PathRanker, Question, StatedAnswers, hit, questions_of, split

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


class NoSearch:
    def find(self, *_: Any) -> list[Any]:
        return []


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


def test_the_longest_run_of_words_is_the_entity() -> None:
    linker = EntityLinker(["ann", "Ann_Lee", "sex"], NoSearch())  # type: ignore[arg-type]
    assert linker.linked("the sex of ann_lee ?") == ("Ann_Lee", "the sex of E ?")
    assert linker.linked("the sex of ann lee ?") == ("Ann_Lee", "the sex of E ?")
    assert linker.linked("who is this ?")[0] is None


def test_words_choose_the_path() -> None:
    texts = ["the sex of E 's mother", "the birthplace of E 's dad", "sex of E 's father"] * 3
    paths = [("parents", "gender"), ("parents", "born"), ("parents", "gender")] * 3
    ranked = PathRanker(texts, paths, 10.0).ranked(["which sex has E 's mother"])
    assert ranked[0][0][0] == ("parents", "gender")
    assert sum(x for _, x in ranked[0]) == pytest.approx(1, abs=0.1)


def test_hits_count_ties_by_their_share_and_paths_that_lead_nowhere_not_at_all() -> None:
    by = StatedAnswers(FACTS)
    assert by.answers("ann", ("parents", "gender")) == [("female", 1.0), ("male", 1.0)]
    question = Question("", "ann", ("parents", "gender"), frozenset({"female"}))
    sure = [(("parents", "gender"), 0.9), (("parents", "born"), 0.1)]
    assert hit(question, sure, "ann", by) == 0.5
    assert hit(question, [(("spouse", "gender"), 0.9), *sure], "ann", by) == 0.5
    assert hit(question, sure, None, by) == 0
    assert hit(question, sure, "rome", by) == 0
