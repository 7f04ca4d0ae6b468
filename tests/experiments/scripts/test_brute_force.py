"""Queries and merging beside all possibilities tried, in a few of the script's random cases."""

from __future__ import annotations

from importlib import import_module as script
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("rdflib", reason="needs the extra 'ask'")

from kgraft.querying.pattern import QueryError


@settings(max_examples=60)
@given(seed=st.integers(0, 10**9))
def test_queries_are_answered_as_by_trying_all(seed: int) -> None:
    try:
        assert script("brute_force").query_differs(Random(seed)) is None  # noqa: S311
    except QueryError:
        return


@settings(max_examples=60)
@given(seed=st.integers(0, 10**9))
def test_links_are_merged_as_by_the_definition(seed: int) -> None:
    assert script("brute_force").merging_differs(Random(seed)) is None  # noqa: S311


def test_a_difference_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    brute, merge = script("brute_force"), script("kgraft.linking.merge").merge
    monkeypatch.setattr(brute, "merge", lambda n, x, pairs, y: merge(n, x, pairs[:1], y[:1]))
    report = tmp_path / "report.json"
    brute.main(["merging", "--cases", "30", "--out", str(report)])
    found = script("json").loads(report.read_text())
    assert found["tried"] == 30
    assert found["survived"] < 30
    assert found["problems"][0]["problem"]
