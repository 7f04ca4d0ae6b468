"""One command onto a teacher of texts, whose names are the graph's."""

from __future__ import annotations

import polars as pl

from kgraft.alignment.graft import graft
from kgraft.io.texts import Texts
from kgraft.linking.collection import Collection
from kgraft.pipeline.vector_teacher import text_teacher
from kgraft.settings import RetrainSettings


def test_a_graph_is_grafted_onto_texts(
    generated: Collection, fast_student: RetrainSettings
) -> None:
    own = generated.target_graph
    texts = pl.Series([f"number {x.split(':')[1]}" for x in own.entities.names])
    teacher = text_teacher(Texts(own.entities, texts))
    grafted = graft(own, teacher, fast_student, compare_alone=False)
    assert grafted.linked.linkage.linked == len(own.entities)
    assert grafted.student.kge.settings.width == 232
