"""The share of a gain that one command reaches."""

from __future__ import annotations

from pathlib import Path

import one_command
import pytest

from kgraft.io.read_collection import read_collection


@pytest.mark.parametrize("split", one_command.SPLITS)
def test_the_file_has_all_facts_and_the_links_lead_to_its_names(tmp_path: Path, split: str) -> None:
    world = read_collection("world")
    file = one_command.written(world, tmp_path, split)
    given = one_command.with_given_links(world, file)
    own = given.target_graph
    assert len(own.triples) == len(world.target_graph.triples)
    assert (len(own.test) == len(world.target_graph.test)) is (split == "own")
    for before, after in zip(world.links, given.links, strict=True):
        named = [
            set(zip(*(graphs[x].entities.names_of(rows) for x, rows in ends), strict=True))
            for graphs, ends in (
                (c.graphs, zip((x.left, x.right), x.pairs.T, strict=True))
                for c, x in ((world, before), (given, after))
            )
        ]
        assert named[0] == named[1]


def test_the_share_is_of_means() -> None:
    mrr = {"alone": (0.4, 0.6), "given": (0.8, 0.8), "grafted": (0.7, 0.7)}
    rows = [
        {"system": system, "facts": "all", "mrr": value}
        for system, values in mrr.items()
        for value in values
    ]
    assert one_command.share_of_gain(rows, "all") == pytest.approx(2 / 3, abs=1e-4)
