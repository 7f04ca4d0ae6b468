"""PyKEEN's ComplEx for comparisons: training, scores, and our model with its weights."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.known_facts import Side
from kgraft.linking.joint_graph import JointGraph
from kgraft.model.kge import KgeModel
from kgraft.settings import ModelSettings

_SMALL = partial(torch.nn.init.normal_, std=1e-2)

FACTS = 4096
"""Facts scored at once."""

PYKEEN_SUITED: Mapping[str, Any] = {
    "loss": "crossentropy",
    "entity_initializer": _SMALL,
    "relation_initializer": _SMALL,
    "regularizer": None,
}
"""A small start, no regularizer and softmax: PyKEEN's defaults for ComplEx learn slowly."""


def pykeen_factory(graph: JointGraph, facts: Triples, *, inverses: bool) -> Any:
    """Return PyKEEN's form of facts ``(n, 3)``, some of a graph's."""
    from pykeen.triples import CoreTriplesFactory

    return CoreTriplesFactory(
        np.unique(facts, axis=0),
        num_entities=graph.n_entities,
        num_relations=graph.n_relations,
        create_inverse_triples=inverses,
    )


def pykeen_model(factory: Any, width: int, options: Mapping[str, Any]) -> Any:
    """Return PyKEEN's ComplEx of so many real numbers a row."""
    from pykeen.models import ComplEx

    return ComplEx(triples_factory=factory, embedding_dim=width // 2, random_seed=0, **options)


def pykeen_trained(
    factory: Any,
    width: int,
    negatives: int | None,
    batch_size: int,
    options: Mapping[str, Any],
    *,
    epochs: int,
    callbacks: Any = None,
) -> None:
    """Train PyKEEN's ComplEx by Adagrad: by drawn negatives, or against all entities."""
    from pykeen.training import LCWATrainingLoop, SLCWATrainingLoop

    model = pykeen_model(factory, width, options)
    common = {
        "model": model,
        "triples_factory": factory,
        "optimizer": "adagrad",
        "optimizer_kwargs": {"lr": 0.1},
    }
    loop = (
        LCWATrainingLoop(**common)
        if negatives is None
        else SLCWATrainingLoop(
            **common,
            negative_sampler="basic",
            negative_sampler_kwargs={"num_negs_per_pos": negatives},
        )
    )
    loop.train(
        triples_factory=factory,
        num_epochs=epochs,
        batch_size=batch_size,
        use_tqdm=False,
        callbacks=callbacks,
        pin_memory=False,
    )


class PykeenScorer:
    """A PyKEEN model with the methods of a kgraft scorer."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def score(
        self,
        anchors: Tensor,
        relations: Tensor,
        *,
        side: Side,
        candidates: Tensor | None = None,
        out: Tensor | None = None,  # noqa: ARG002 - PyKEEN has its own
    ) -> Tensor:
        """Score candidates as ``KgeModel.score`` does."""
        if side == "tail":
            scores: Tensor = self._model.predict_t(torch.stack([anchors, relations], dim=1))
        else:
            scores = self._model.predict_h(torch.stack([relations, anchors], dim=1))
        return scores if candidates is None else scores[:, candidates]

    def facts(self, facts: Triples) -> Any:
        """Return the scores of facts, ``(n,)``."""
        blocks = torch.from_numpy(facts.copy()).split(FACTS)
        return np.concatenate([self._model.predict_hrt(x)[:, 0].detach().numpy() for x in blocks])


def same_weights(model: Any, graph: JointGraph, width: int) -> KgeModel:
    """Return our ComplEx with PyKEEN's rows: its inverses are the conjugates."""
    tables = []
    for representation in (model.entity_representations[0], model.relation_representations[0]):
        rows = representation(indices=None).detach()
        tables.append(torch.cat([rows.real, rows.imag], dim=1))
    entities, relations = tables
    back = torch.cat([relations[:, : width // 2], -relations[:, width // 2 :]], dim=1)
    own = KgeModel.create(ModelSettings(width=width), graph.n_entities, graph.n_relations, seed=0)
    own.entities.copy_(entities)
    own.relations.copy_(torch.cat([relations, back]))
    return own


class EnoughError(Exception):
    """The time for training is over."""


def pykeen_curve(
    graph: JointGraph,
    width: int,
    negatives: int | None,
    mrr: Callable[[Any], float],
    minutes: float,
    clock: Callable[[], float] = time.perf_counter,
) -> list[tuple[float, float]]:
    """Return seconds of training by a clock and PyKEEN's validation MRR, about twelve times."""
    from pykeen.training import TrainingCallback

    curve: list[tuple[float, float]] = []

    class Watch(TrainingCallback):
        """Measures between batches, without counting the time of that."""

        def __init__(self) -> None:
            super().__init__()
            self.spent, self.begin = 0.0, clock()

        def post_batch(self, *_: Any, **__: Any) -> None:
            seconds = self.spent + clock() - self.begin
            if seconds < (len(curve) + 1) * 60 * minutes / 12:
                return
            curve.append((round(seconds, 1), round(mrr(PykeenScorer(self.model)), 4)))
            self.model.train()
            self.spent, self.begin = seconds, clock()
            if seconds >= 60 * minutes:
                raise EnoughError

    factory = pykeen_factory(graph, graph.triples, inverses=True)
    with suppress(EnoughError):
        pykeen_trained(
            factory, width, negatives, 512, PYKEEN_SUITED, epochs=10_000, callbacks=Watch()
        )
    return curve
