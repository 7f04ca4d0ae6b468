"""Short displays of collections, models and results, their HTML, and their data frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from kgraft.alignment.align import align
from kgraft.alignment.audit import audit
from kgraft.alignment.settings import AlignSettings, LabelSettings
from kgraft.evaluation.evaluate import evaluate
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.inference.explain import explain
from kgraft.inference.predict import Prediction, predict
from kgraft.inference.results import Results
from kgraft.inference.similar import similar
from kgraft.linking.collection import Collection, collect
from kgraft.linking.inspection import inspect
from kgraft.linking.join import join
from kgraft.linking.links import Links
from kgraft.model.trained_model import TrainedModel
from kgraft.system.tables import SHOWN, html_table
from kgraft.system.terminal import HIDDEN

NAMELESS = AlignSettings(labels=LabelSettings(use=False))

MAKERS: dict[str, Callable[[Collection, TrainedModel], Any]] = {
    "mine: 173 entities, 10 relations, facts: ": lambda known, _: known.graphs["mine"],
    "generated: 3 graphs, target mine\n": lambda known, _: known,
    "mine - atlas: 155 entity links": lambda known, _: known.links[0],
    "of mine, atlas, cards: 519 entities, ": lambda known, _: join([*known.graphs.values()]),
    "all, covered facts: MRR ": lambda known, model: evaluate(model, known),
    "and 10 more": lambda _, model: predict(model, head="mine:1", relation="r1", k=20),
    ": similarity 0.": lambda _, model: similar(model, "mine:1", k=3),
    "of r1(mine:1, mine:2): probability ": lambda _, model: explain(
        model, "mine:1", "r1", "mine:2"
    ),
    "of generated: 3 sources, ": lambda known, _: inspect(known),
    "links of entities proposed, ": lambda known, _: align(
        replace(known, links=known.links[:1]), NAMELESS
    ),
    "Audit of ": lambda known, _: audit(known, NAMELESS),
}


@pytest.mark.parametrize("said", MAKERS)
def test_an_echo_is_short(said: str, generated: Collection, student: TrainedModel) -> None:
    found = MAKERS[said](generated, student)
    assert said in repr(found)
    assert len(repr(found)) < 1000
    if hasattr(found, "_repr_html_"):
        assert len(found._repr_html_()) < 5000


def test_names_from_data_are_escaped() -> None:
    names = ["<script>alert(1)</script>", "b&c"]
    graph = KnowledgeGraph(
        "<i>x", Vocabulary.of(names), Vocabulary.of(["<r>"]), np.array([[0, 0, 1]])
    )
    shown = [
        graph._repr_html_(),
        collect([graph])._repr_html_(),
        inspect(collect([graph]))._repr_html_(),
        Results(Prediction, [Prediction(*names, "x", "<b>", 1.0, ("<i>x",))])._repr_html_(),
    ]
    for html in shown:
        assert "<script" not in html
        assert "<i>" not in html
        assert "<b>" not in html
    assert "&lt;script&gt;alert(1)" in shown[0]
    assert "b&amp;c" in shown[0]


def test_names_from_data_do_not_steer_a_terminal() -> None:
    evil = "a\x1b]0;b\x07\r\nError: \u2028c"
    graph = KnowledgeGraph(evil, Vocabulary.of([evil]), Vocabulary.of([evil]), np.zeros((1, 3)))
    known = collect([graph])
    shown = [graph, known, inspect(known), join([graph]), Links(evil, "b", *no_links())]
    shown += [Results(Prediction, [Prediction(evil, evil, evil, evil, 1.0, (evil,))])]
    for found in shown:
        assert not HIDDEN.search(repr(found).replace("\n  ", ""))
        if hasattr(found, "_repr_html_"):
            assert not HIDDEN.search(found._repr_html_())


def no_links() -> tuple[np.ndarray, np.ndarray]:
    return np.empty((0, 2), dtype=np.int64), np.empty(0, dtype=np.float32)


def test_a_long_table_is_cut() -> None:
    html = html_table(pl.DataFrame({"n": range(SHOWN + 5)}), "numbers")
    assert html.count("<tr>") == SHOWN + 2
    assert "5 more rows" in html
    assert html_table(pl.DataFrame(), "none") == "<div>none</div>"


def test_a_table_formats_values() -> None:
    html = html_table(
        pl.DataFrame({"a": 1234, "b": 0.12345, "c": [None], "d": [["x", "y"]], "e": True})
    )
    for value in ("1,234", "0.123", "<td></td>", "x, y", "True"):
        assert value in html


def test_facts_of_a_graph_by_name(tiny: Collection) -> None:
    frame = tiny.graphs["mine"].to_frame()
    assert frame.columns == ["head", "relation", "tail", "split"]
    assert frame.row(0) == ("ann", "likes", "bob", "train")
    assert frame["split"].to_list() == ["train"] * 3 + ["valid"] + ["test"] * 4


def test_results_become_frames(generated: Collection, student: TrainedModel) -> None:
    found = predict(student, head="mine:1", relation="r1", k=4)
    frame = found.to_frame()
    assert frame.columns == [
        "head", "relation", "tail", "label", "score", "probability", "probability_if_asked",
        "stated_by", "contradicts",
    ]  # fmt: skip
    assert frame["tail"].to_list() == [x.tail for x in found]
    assert frame["stated_by"].to_list() == [[*x.stated_by] for x in found]
    assert similar(student, "mine:1", k=2).to_frame().shape == (2, 4)
    assert Results(Prediction).to_frame().schema == frame.schema
    assert repr(Results(Prediction)) == "no Prediction"
    measured = evaluate(student, generated)
    assert measured.to_frame()["mrr"].to_list() == [row["mrr"] for row in measured.rows()]
    assert inspect(generated).to_frame()["name"].to_list() == ["mine", "atlas", "cards"]


def test_proposed_links_become_a_frame(generated: Collection) -> None:
    few = [replace(x, pairs=x.pairs[:40], confidence=x.confidence[:40]) for x in generated.links]
    found = align(replace(generated, links=tuple(few)), NAMELESS)
    frame = found.to_frame()
    assert frame.columns[:4] == ["left", "left_name", "right", "right_name"]
    assert len(frame) == sum(len(x.links) for x in found.proposed) > 0
    assert frame["confidence"].is_sorted(descending=True)
    first = frame.filter(pl.col("left") == "mine", pl.col("right") == "atlas").row(0, named=True)
    assert first["left_name"].startswith("mine:")
    assert first["right_name"].startswith("atlas:")


def test_an_explanation_prints_in_lines(student: TrainedModel) -> None:
    found = explain(student, "mine:1", "r1", "mine:2")
    assert str(found).splitlines()[0] == "r1(mine:1, mine:2)"
    assert found._repr_html_().startswith("<pre>r1(mine:1, mine:2)\n")
