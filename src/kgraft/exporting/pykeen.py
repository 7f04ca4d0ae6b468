"""A ComplEx model as PyKEEN objects, and their parts in a directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import torch
from safetensors.torch import save_file
from torch import Tensor

from kgraft.errors import DataError
from kgraft.exporting.selection import Selection, merge_prior
from kgraft.io.name_lists import unique_names
from kgraft.linking.joint_graph import JointGraph
from kgraft.model.trained_model import TrainedModel
from kgraft.system.extras import import_extra

if TYPE_CHECKING:
    from pykeen.models import ComplEx
    from pykeen.triples import TriplesFactory


def to_pykeen(model: TrainedModel) -> tuple[ComplEx, TriplesFactory]:
    """Return a ComplEx model as a PyKEEN model, with the factory of its training facts.

    Its scores of heads and of tails are kgraft's, by vectors. PyKEEN numbers relation ``r`` as
    ``2 r`` and its inverse as ``2 r + 1``, and holds a complex number's two parts side by side.
    The factory holds the facts between entities that have vectors, each once. An entity or relation
    has its first source's name, with ``#row`` added where another row has that name.

    Raises:
        DataError: If the model's encoder is not ComplEx.
        KgraftError: If PyKEEN is not installed.
    """
    if model.settings.model.encoder != "complex":
        raise DataError(
            f"PyKEEN has no model that scores as {model.settings.model.encoder!r} does",
            remedy="Export a model whose encoder is complex",
        )
    kge, graph = merge_prior(model.kge), model.graph
    models = import_extra("pykeen.models", extra="pykeen")
    factory = import_extra("pykeen.triples", extra="pykeen").TriplesFactory(
        torch.from_numpy(np.unique(graph.triples[graph.among_first(kge.n_entities)], axis=0)),
        entity_to_id=_row_of(graph, "entity", kge.n_entities),
        relation_to_id=_row_of(graph, "relation", kge.n_relations),
        create_inverse_triples=True,
    )
    start = import_extra("pykeen.nn.init", extra="pykeen").PretrainedInitializer
    both_ways = torch.stack(kge.relations.chunk(2), dim=1).flatten(0, 1)
    made = models.ComplEx(
        triples_factory=factory,
        embedding_dim=kge.settings.width // 2,
        entity_initializer=start(_paired(kge.vectors())),
        relation_initializer=start(_paired(both_ways)),
        random_seed=import_extra("pykeen.utils", extra="pykeen").NoRandomSeedNecessary,
    )
    return made.eval(), factory


def write_pykeen(selection: Selection, directory: Path) -> None:
    """Write PyKEEN's state as safetensors, the facts as ``.npy`` and the names as JSON."""
    made, factory = to_pykeen(selection.model)
    state = {name: x.detach().contiguous() for name, x in made.state_dict().items()}
    save_file(state, directory / "state.safetensors")
    np.save(directory / "triples.npy", factory.mapped_triples.numpy())
    names = {"entity_to_id": factory.entity_to_id, "relation_to_id": factory.relation_to_id}
    (directory / "names.json").write_text(json.dumps(names, ensure_ascii=False), encoding="utf-8")


def _paired(vectors_ND: Tensor) -> Tensor:
    """Return complex numbers as pairs of real ones, ``(N, D / 2, 2)``."""
    return torch.stack(vectors_ND.chunk(2, dim=-1), dim=-1)


def _row_of(graph: JointGraph, kind: str, n_rows: int) -> dict[str, int]:
    """Return the first ``n_rows`` rows by name."""
    frames = [
        pl.DataFrame(
            {"row": part.entity_rows, "name": part.entities.names}
            if kind == "entity"
            else {"row": part.relation_rows, "name": part.relations.names}
        )
        for part in graph.parts.values()
    ]
    first = pl.concat(frames).unique("row", keep="first", maintain_order=True).sort("row")
    names = unique_names(first["name"].head(n_rows))
    return {name: row for row, name in enumerate(names.to_list())}
