"""PyKEEN's model of the same rows; apart, because PyKEEN takes seconds to import."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from kgraft.errors import DataError
from kgraft.exporting.export import export
from kgraft.exporting.pykeen import to_pykeen
from kgraft.exporting.selection import merge_prior
from kgraft.io.interchange import from_pykeen
from kgraft.model.trained_model import TrainedModel
from kgraft.settings import ModelSettings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("pykeen") is None, reason="needs PyKEEN"),
]


def assert_same_scores(model: TrainedModel, made: object) -> None:
    n, m = model.kge.n_entities, model.kge.n_relations
    asked = torch.cartesian_prod(torch.arange(n), torch.arange(m))
    tails = model.kge.score(asked[:, 0], asked[:, 1], side="tail")
    heads = model.kge.score(asked[:, 0], asked[:, 1], side="head")
    torch.testing.assert_close(made.predict_t(asked), tails, atol=1e-5, rtol=0)
    torch.testing.assert_close(made.predict_h(asked.flip(1)), heads, atol=1e-5, rtol=0)
    facts = torch.from_numpy(model.graph.triples[model.graph.among_first(n)])
    one_by_one = made.predict_hrt(facts)[:, 0]
    own = model.kge.score(facts[:, 0], facts[:, 1], side="tail").gather(1, facts[:, 2:])[:, 0]
    torch.testing.assert_close(one_by_one, own, atol=1e-5, rtol=0)


def test_pykeen_scores_tails_heads_and_facts_alike(student: TrainedModel) -> None:
    made, _ = to_pykeen(student)
    assert_same_scores(student, made)


def test_the_factory_holds_the_facts_by_name(student: TrainedModel) -> None:
    _, factory = to_pykeen(student)
    part = student.graph.parts["mine"]
    assert factory.entity_to_id == {x: row for row, x in enumerate(part.entities.names)}
    graph = from_pykeen("again", factory)
    learned = student.graph.triples[student.graph.among_first(student.kge.n_entities)]
    assert {tuple(x) for x in graph.train.tolist()} == {tuple(x) for x in learned.tolist()}
    assert len(graph.train) < len(learned)  # what two sources state stands once


def test_names_that_two_rows_share_are_made_unique(teacher: TrainedModel) -> None:
    graph = teacher.graph
    cards = graph.parts["cards"]
    atlas = graph.parts["atlas"]
    alone = np.flatnonzero(~np.isin(cards.entity_rows, atlas.entity_rows))
    names = cards.entities.names.to_list()
    names[alone[0]] = atlas.entities.name(0)
    renamed = replace(cards, entities=type(cards.entities).of(names))
    model = replace(teacher, graph=replace(graph, parts={**graph.parts, "cards": renamed}))
    _, factory = to_pykeen(model)
    assert len(factory.entity_to_id) == teacher.kge.n_entities
    row = int(cards.entity_rows[alone[0]])
    assert factory.entity_to_id[atlas.entities.name(0)] == atlas.entity_rows[0]
    assert factory.entity_to_id[f"{atlas.entities.name(0)}#{row}"] == row


def test_the_directory_makes_the_model_without_kgraft(
    student: TrainedModel, tmp_path: Path
) -> None:
    from pykeen import models, triples

    export(student, tmp_path / "el", format="pykeen")
    names = json.loads((tmp_path / "el" / "names.json").read_text())
    factory = triples.TriplesFactory(
        np.load(tmp_path / "el" / "triples.npy"), **names, create_inverse_triples=True
    )
    state = load_file(tmp_path / "el" / "state.safetensors")
    embedding_dim = merge_prior(student.kge).settings.width // 2
    made = models.ComplEx(triples_factory=factory, embedding_dim=embedding_dim, random_seed=0)
    made.load_state_dict(state)
    assert_same_scores(student, made)


def test_other_encoders_are_refused(student: TrainedModel, tmp_path: Path) -> None:
    settings = student.settings.model_copy(update={"model": ModelSettings(encoder="gru", width=32)})
    with pytest.raises(DataError, match="PyKEEN has no model that scores as 'gru' does"):
        export(replace(student, settings=settings), tmp_path / "el", format="pykeen")
    assert list(tmp_path.iterdir()) == []
