"""A fact is covered when another source states it in training, between linked entities."""

from __future__ import annotations

import numpy as np
import pytest

from kgraft.errors import UnknownNameError
from kgraft.linking.collection import Collection
from kgraft.linking.coverage import covered
from kgraft.linking.join import join


def test_only_what_another_source_states_is_covered(tiny: Collection) -> None:
    joint = join(list(tiny.graphs.values()), tiny.links)
    mine, big = tiny.graphs["mine"], tiny.graphs["big"]
    # Of "ann likes cay, bob likes dan, eve knows bob, ann likes eve" big has "A likes C".
    assert covered(joint, "mine", mine.test).tolist() == [True, False, False, False]
    # "ann likes bob" is big's "A likes B"; the others are mine's alone.
    assert covered(joint, "mine", mine.train).tolist() == [True, False, False]
    assert covered(joint, "big", big.train).tolist() == [False, True, False]


def test_without_links_nothing_is_covered(tiny: Collection) -> None:
    joint = join(list(tiny.graphs.values()))
    assert not covered(joint, "mine", tiny.graphs["mine"].test).any()


def test_a_relation_link_covers_what_names_do_not(graph_of, links_of) -> None:
    mine = graph_of("mine", "a likes b", test="b likes a")
    big = graph_of("big", "B mag A")
    entities = links_of(mine, big, "a=A b=B")
    relations = links_of(mine, big, "likes=mag", "relation")
    assert covered(join([mine, big], [entities]), "mine", mine.test).tolist() == [False]
    assert covered(join([mine, big], [entities, relations]), "mine", mine.test).tolist() == [True]


def test_held_out_facts_of_others_do_not_cover(graph_of, links_of) -> None:
    mine = graph_of("mine", "a likes b", test="b likes a")
    big = graph_of("big", "A likes B", test="B likes A")
    joint = join([mine, big], [links_of(mine, big, "a=A b=B")])
    assert covered(joint, "mine", mine.test).tolist() == [False]


def test_a_single_source_covers_nothing(graph_of) -> None:
    mine = graph_of("mine", "a likes b")
    assert covered(join([mine]), "mine", mine.train).tolist() == [False]


def test_no_facts_and_unknown_sources(tiny: Collection) -> None:
    joint = join(list(tiny.graphs.values()), tiny.links)
    assert covered(joint, "mine", np.empty((0, 3), np.int64)).shape == (0,)
    with pytest.raises(UnknownNameError, match="no source is called 'his'; there are mine, big"):
        covered(joint, "his", np.empty((0, 3), np.int64))
