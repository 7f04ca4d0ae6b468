"""Rows that are a map of given vectors: what moves, and what does not."""

from __future__ import annotations

import torch

from kgraft.training.mapped_rows import MappedRows


def _rows() -> tuple[MappedRows, dict[str, torch.Tensor], torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    tables = {"entities": torch.zeros(5, 4), "relations": torch.randn(4, 4, generator=draw)}
    given = torch.eye(5)[:, :3]
    return MappedRows(tables, 0.1, given, seed=0), tables, given


def test_entities_are_the_map_of_what_is_given_and_share_it() -> None:
    rows, tables, given = _rows()
    entities, relations = torch.tensor([0, 4]), torch.tensor([1])
    before = tables["entities"].clone(), tables["relations"].clone()
    taken = rows.take(entities, relations)
    assert torch.equal(taken[:2], before[0][entities])
    assert not before[0][4].any()  # nothing is given of the last two
    rows.step((entities, relations), taken, torch.ones(3, 4))
    rows.write()
    moved = (tables["entities"] != before[0]).any(dim=1)
    assert moved.tolist() == [True, False, False, False, False]
    assert (tables["relations"] != before[1]).any(dim=1).tolist() == [False, True, False, False]
    assert torch.equal(tables["entities"], given @ rows.state()["map"])
