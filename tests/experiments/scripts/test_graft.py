"""Targets alone and grafted, by which ends of a fact are linked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import graft
import numpy as np
import pytest

from kgraft.linking.collection import Collection
from kgraft.model.trained_model import TrainedModel


def test_parts_by_ends_hold_each_fact_once(generated: Collection, student: TrainedModel) -> None:
    few = tuple(
        replace(x, pairs=x.pairs[::3], confidence=x.confidence[::3]) for x in generated.links
    )
    linked = graft.linked_entities(replace(generated, links=few))
    assert 0 < linked.sum() < len(linked)
    measured = student.evaluate(generated, sides=("tail",))
    masks = {(facts, ends): mask for facts, ends, mask in graft.by_ends(measured, linked)}
    ends = ("both", "head", "tail", "none")
    disjoint = [masks["all", name] for name in ends if ("all", name) in masks]
    assert (np.sum(disjoint, axis=0) == 1).all()
    for row, (head, _, tail) in enumerate(measured.facts):
        assert masks["all", "both"][row] == (linked[head] and linked[tail])
        assert masks["all", "one"][row] == (linked[head] != linked[tail])


def test_a_share_of_the_facts_leaves_all_else(generated: Collection) -> None:
    own = generated.target_graph
    some = graft.with_share(generated, 0.25, seed=3).target_graph
    assert len(some.train) == round(0.25 * len(own.train))
    assert {tuple(x) for x in some.train} < {tuple(x) for x in own.train}
    assert np.array_equal(some.test, own.test)
    assert some.entities is own.entities
    assert graft.with_share(generated, 1, seed=3) is generated


def test_rows_of_other_cases_are_kept(tmp_path: Path) -> None:
    labels = {"collection": "c", "target": "t", "seed": 1, "system": "alone"}
    old = [{**labels, "share": share, "ends": "any", "mrr": 0.1} for share in (1.0, 0.5)]
    (tmp_path / "graft.json").write_text(json.dumps({"rows": old, "folded_ms": 7}))
    new = [{**labels, "share": 1.0, "ends": ends, "mrr": 0.2} for ends in ("any", "none")]
    graft.write(tmp_path / "graft.json", {"rows": new})
    found = json.loads((tmp_path / "graft.json").read_text())
    assert found == {"rows": [old[1], *new], "folded_ms": 7}


def test_rows_name_what_they_measure(generated: Collection, student: TrainedModel) -> None:
    rows = graft.rows_of(student, generated, "grafted")
    assert {row["by"] for row in rows} == set(graft.WAYS)
    whole = [x for x in rows if (x["by"], x["facts"], x["ends"]) == ("both", "all", "any")]
    expected = student.evaluate(generated, sides=("tail",), by="both").mrr("tail")
    assert [row["mrr"] for row in whole] == pytest.approx([expected])
