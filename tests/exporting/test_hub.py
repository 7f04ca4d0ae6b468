"""The Hub's layout: a model directory whose card the Hub reads; its upload, without a network."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pytest
from huggingface_hub import ModelCard
from huggingface_hub.errors import HfHubHTTPError

from kgraft.errors import DataError, KgraftError
from kgraft.exporting.export import export
from kgraft.exporting.selection import merge_prior
from kgraft.model.directory import load_model
from kgraft.model.trained_model import TrainedModel


def test_the_directory_is_the_model(student: TrainedModel, check_scores, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    export(student, tmp_path / "hub", format="hub")
    read = load_model(tmp_path / "hub")
    part = read.graph.parts["mine"]
    plain = merge_prior(read.kge)
    relations = plain.relations.numpy()
    both = [relations[part.relation_rows + x] for x in (0, read.graph.n_relations)]
    check_scores(plain.entities.numpy(), np.concatenate(both))
    with pytest.raises(DataError, match="there is an export already"):
        export(student, tmp_path / "hub", format="hub")
    export(student, tmp_path / "hub", format="hub", overwrite=True)


def test_the_card_says_what_the_hub_asks_for(student: TrainedModel, tmp_path: Path) -> None:
    export(student, tmp_path / "hub", format="hub")
    card = ModelCard.load(tmp_path / "hub" / "README.md")
    assert card.data.library_name == "kgraft"
    assert card.data.pipeline_tag == "graph-ml"
    assert "link-prediction" in card.data.tags
    assert card.text.lstrip().startswith("# student model for mine")


class Api:
    """Stands for the Hub: keeps what it is sent."""

    def __init__(self, taken: tuple[str, ...] = ()) -> None:
        self.taken, self.sent = taken, {}

    def create_repo(self, name: str, *, private: bool, exist_ok: bool) -> None:
        assert private
        if name in self.taken and not exist_ok:
            response = SimpleNamespace(headers={}, request=None)
            raise HfHubHTTPError("409: you already created this model repo", response=response)

    def upload_folder(self, *, repo_id: str, folder_path: str, commit_message: str) -> None:
        assert commit_message
        self.sent[repo_id] = load_model(Path(folder_path))


def test_an_upload_sends_the_whole_directory(
    student: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Api(taken=("me/old",))
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: api)
    export(student, "hf://me/el")
    assert api.sent["me/el"].kge.entities.equal(student.kge.entities)
    with pytest.raises(KgraftError, match=r"hf://me/old: the Hub cannot be written to \(409"):
        export(student, "hf://me/old")
    assert "me/old" not in api.sent
    export(student, "hf://me/old", overwrite=True)
    assert "me/old" in api.sent
