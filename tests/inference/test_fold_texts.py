"""New entities with a text: the vectors that it makes probable, and errors."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from kgraft.errors import DataError
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel

TEXTS = {
    f"c{number}": f"a {'cold harbour' if number < 5 else 'hot desert'} town" for number in range(10)
}


def test_a_text_alone_leads_to_entities_with_such_texts(two_groups: TrainedModel) -> None:
    texts = {**TEXTS, "new": "town at a cold sea, with a harbour", "newer": "a desert town, hot"}
    extended = two_groups.fold_in(texts=texts)
    for name, group, country in (("new", range(5), "north"), ("newer", range(5, 10), "south")):
        assert {x.name for x in extended.similar(name, k=5)} == {f"c{x}" for x in group}
        assert extended.predict(head=name, relation="in", k=1)[0].tail == country
    assert two_groups.graph.n_entities + 2 == extended.graph.n_entities
    assert "new" not in two_groups.graph.parts["mine"].entities


def test_labels_tell_what_words_mean_where_no_known_entity_has_a_text(
    two_groups: TrainedModel,
) -> None:
    part = two_groups.graph.parts["mine"]
    labels = pl.Series([TEXTS.get(name, name) for name in part.entities.names])
    graph = replace(two_groups.graph, parts={"mine": replace(part, labels=labels)})
    model = replace(two_groups, graph=graph)
    for _ in range(2):
        found = model.fold_in(texts={"new": "a hot desert"}).predict(head="new", relation="in", k=1)
        assert found[0].tail == "south"


def test_facts_and_a_text_together(two_groups: TrainedModel) -> None:
    texts = {**TEXTS, "new": "town at a cold sea, with a harbour"}
    extended = two_groups.fold_in([("new", "in", "south")], texts=texts)
    assert extended.predict(head="new", relation="in", k=1)[0].tail == "south"
    nearest = [x.name for x in extended.similar("new", k=3)]
    assert all(x in {f"c{number}" for number in range(5, 10)} for x in nearest)


def test_texts_without_meaning_are_refused(two_groups: TrainedModel) -> None:
    with pytest.raises(DataError, match="too few words in common"):
        two_groups.fold_in(texts={**dict.fromkeys(TEXTS, ""), "new": "a text"})
    assert two_groups.fold_in(texts=TEXTS).graph.n_entities == two_groups.graph.n_entities
    few = replace(
        two_groups,
        kge=KgeModel(
            two_groups.kge.settings, two_groups.kge.entities[:0], two_groups.kge.relations
        ),
    )
    with pytest.raises(DataError, match="only 0 entities of 'mine' have a text and a vector"):
        few.fold_in(texts={"new": "a text"})
