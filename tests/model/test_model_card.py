"""Contents of the model card."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.model.gain import Gain, gain_metric
from kgraft.model.kge import KgeModel
from kgraft.model.model_card import model_card
from kgraft.model.trained_model import TrainedModel
from kgraft.settings import ModelSettings, TrainSettings


@pytest.fixture
def model(tiny: Collection) -> TrainedModel:
    settings = TrainSettings(model=ModelSettings(width=4))
    graph = join([tiny.graphs["mine"], tiny.graphs["big"]], tiny.links)
    kge = KgeModel.create(settings.model, graph.n_entities, graph.n_relations)
    log = [{"epoch": 1}, {"epoch": 2}]
    return TrainedModel("student", kge, graph, "mine", settings, log, {"validation_mrr": 0.5})


def test_a_card_names_sources_sizes_and_measures(model: TrainedModel) -> None:
    card = model_card(model)
    front_matter, _, text = card.removeprefix("---\n").partition("---\n")
    assert front_matter.startswith("library_name: kgraft\n")
    assert text.startswith("\n# student model for mine\n")
    assert "- Encoder: complex, width 4, 48 parameters\n" in card
    assert "- Rows: 6 entities, 3 relations\n" in card
    assert "- Epochs: 2\n" in card
    assert "| mine | 5 | 3 | not stated |\n| big | 4 | 3 | not stated |\n" in card
    assert "- Size of the vectors: 192 bytes\n" in card
    assert "- validation_mrr: 0.5\n" in card


def licensed(model: TrainedModel, *licenses: str) -> str:
    """Return the card of the model with licences of its sources."""
    parts = zip(model.graph.parts.items(), licenses, strict=True)
    given = {name: replace(part, license=x) for (name, part), x in parts}
    return model_card(replace(model, graph=replace(model.graph, parts=given)))


@pytest.mark.parametrize(
    ("licenses", "line"),
    [
        (("CC-BY-4.0", "CC-BY-4.0"), "license: cc-by-4.0\n"),
        (("CC-BY-4.0", "MIT"), "license: other\n"),
        (("Ours", "Ours"), "license: other\n"),
        (("", "MIT"), "license: other\n"),
        (("", ""), ""),
    ],
)
def test_a_card_says_under_which_licences_the_data_are(
    model: TrainedModel, licenses: tuple[str, str], line: str
) -> None:
    card = licensed(model, *licenses)
    front_matter = card.removeprefix("---\n").partition("---\n")[0]
    assert front_matter.startswith(f"library_name: kgraft\n{line}pipeline_tag")
    assert f"| mine | 5 | 3 | {licenses[0] or 'not stated'} |\n" in card
    assert ("Where\nnone is stated" in card) == ("" in licenses)


def test_a_card_counts_entities_without_vectors(model: TrainedModel) -> None:
    fewer = KgeModel.create(model.kge.settings, 5, 3)
    card = model_card(replace(model, kge=fewer))
    assert "- Encoder: complex, width 4, 44 parameters\n" in card
    assert "- Rows: 5 entities, 3 relations; 1 further entities have no vector\n" in card


def test_a_card_without_target_or_measures(model: TrainedModel) -> None:
    card = model_card(replace(model, kind="teacher", target=None, metrics={}))
    assert "\n# teacher model\n" in card
    assert "Nothing yet." in card


def test_a_card_says_what_was_gained(model: TrainedModel) -> None:
    assert "Gained" not in model_card(model)
    gains = {"all": Gain(4, 0.25, 0.5), "no end linked": Gain(2, 0.5, 0.375)}
    card = model_card(replace(model, metrics=gain_metric(gains)))
    assert "\n## Gained by grafting\n" in card
    assert (
        "| all | 4 | 25.0 | 50.0 | +25.0 |\n| no end linked | 2 | 50.0 | 37.5 | -12.5 |\n" in card
    )
    assert "gain_over_alone" not in card
