"""Train the ComplEx of one tool, and save its rows from time to time.

Run by ``rivals.py`` in a process of its own and by the interpreter that has the tool, so it imports
nothing of ours but for kgraft itself.

Usage: python benchmarks/rival_tools.py TOOL GRAPH.npz DIRECTORY '{"width": 200, ...}'

``GRAPH.npz`` has ``train (n, 3)``, ``n_entities``, ``n_relations``. Options: ``width`` (real
numbers of a row), ``seconds``, ``clock``, ``threads``, ``looks`` and settings of the tool.
``DIRECTORY`` gets a file ``NUMBER.npz`` for each look: ``seconds`` of training before it,
``entities``, ``relations`` and ``inverses`` (real parts, then imaginary ones), and ``peak.json`` at
the end.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

Rows = tuple[Tensor, Tensor, Tensor]
"""Rows of entities, of relations, and of inverse relations."""


class EnoughError(Exception):
    """The time for training is over."""


FIRST_LOOK = 0.005
"""Share of the time at the first look; that of each later one is the same multiple of it."""


class Clock:
    """Counts seconds of training by a clock, without those of looks, from its making on."""

    def __init__(self, directory: Path, options: Mapping[str, Any]) -> None:
        self._directory = directory
        limit, looks = options["seconds"], options["looks"]
        self._times = [limit * FIRST_LOOK ** (1 - x / (looks - 1)) for x in range(looks)]
        self._now: Callable[[], float] = getattr(time, options["clock"])
        self._saved, self._spent = 0, 0.0
        self.start()

    def start(self) -> None:
        """Begin to count, after what is no training."""
        self._begin = self._now()

    def look(self, rows: Callable[[], Rows]) -> None:
        """Save rows if it is time for that.

        Raises:
            EnoughError: If it was the last look.
        """
        seconds = self._spent + self._now() - self._begin
        if seconds < self._times[self._saved]:
            return
        names = ("entities", "relations", "inverses")
        found = {
            name: part.detach().float().numpy() for name, part in zip(names, rows(), strict=True)
        }
        np.savez(self._directory / f"{self._saved}.npz", seconds=seconds, **found)
        # A slow epoch may have passed several looks.
        self._saved = sum(x <= seconds for x in self._times)
        self._spent = seconds
        if self._saved == len(self._times):
            raise EnoughError
        self.start()


def kgraft(graph: Mapping[str, Any], clock: Clock, options: Mapping[str, Any]) -> None:
    """Train kgraft's, by the default settings of ``kgraft train`` but for the width."""
    from itertools import count

    from kgraft.linking.joint_graph import JointGraph
    from kgraft.model.kge import KgeModel
    from kgraft.pipeline.embeddings import make_sampler, make_trainer
    from kgraft.settings import TrainSettings

    settings = TrainSettings.model_validate({"model": {"width": options["width"]}})
    n_entities, n_relations = int(graph["n_entities"]), int(graph["n_relations"])
    clock.start()
    facts = graph["train"]
    joint = JointGraph({}, n_entities, n_relations, facts, np.zeros(len(facts), np.int16))
    model = KgeModel.create(settings.model, n_entities, n_relations, seed=0)
    trainer = make_trainer(model, settings)
    sampler = make_sampler(joint, settings.training, n_entities=n_entities)

    def rows() -> Rows:
        return model.entities, *model.relations.split(n_relations)

    for number in count():
        trainer.begin_epoch(min(1.0, number / settings.training.epochs))
        for _ in trainer.train_epoch(sampler, number):
            clock.look(rows)


def pykeen(graph: Mapping[str, Any], clock: Clock, options: Mapping[str, Any]) -> None:
    """Train PyKEEN's, by Adagrad and cross-entropy: against drawn entities, or against all."""
    from peers import PYKEEN_SUITED, pykeen_trained
    from pykeen.training import TrainingCallback
    from pykeen.triples import CoreTriplesFactory

    def rows_of(model: Any) -> Rows:
        found = []
        for part in (model.entity_representations[0], model.relation_representations[0]):
            rows = part(indices=None).detach()
            found.append(torch.cat([rows.real, rows.imag], dim=1))
        entities, relations = found  # each inverse relation follows its relation
        return entities, relations[0::2], relations[1::2]

    class Look(TrainingCallback):
        def post_batch(self, *_: Any, **__: Any) -> None:
            clock.look(lambda: rows_of(self.model))

    clock.start()
    sizes = {"num_entities": int(graph["n_entities"]), "num_relations": int(graph["n_relations"])}
    factory = CoreTriplesFactory(graph["train"], **sizes, create_inverse_triples=True)
    pykeen_trained(
        factory,
        options["width"],
        options.get("negatives"),
        512,
        PYKEEN_SUITED,
        epochs=10_000,
        callbacks=Look(),
    )


def dicee(graph: Mapping[str, Any], clock: Clock, options: Mapping[str, Any]) -> None:
    """Train dicee's, with inverse relations, by its own trainer."""
    import tempfile
    from types import SimpleNamespace

    import tiktoken

    # It would download a tokenizer that this model does not use.
    tiktoken.get_encoding = lambda _: SimpleNamespace(n_vocab=1, encode=lambda _: [0])

    from dicee.abstracts import AbstractCallback
    from dicee.config import Namespace
    from dicee.executer import Execute
    from dicee.trainer import dice_trainer

    order: dict[str, Any] = {}

    def rows_of(model: Any) -> Rows:
        entities, relations = model.entity_embeddings.weight, model.relation_embeddings.weight
        if not order:
            kept = [
                (run.knowledge_graph.entity_to_idx, "e", "", graph["n_entities"]),
                (run.knowledge_graph.relation_to_idx, "r", "", graph["n_relations"]),
                (run.knowledge_graph.relation_to_idx, "r", "_inverse", graph["n_relations"]),
            ]
            for number, (index, letter, end, size) in enumerate(kept):
                known = _index_of(index)
                order[str(number)] = [known.get(f"{letter}{x}{end}", 0) for x in range(int(size))]
        return entities[order["0"]], relations[order["1"]], relations[order["2"]]

    class Look(AbstractCallback):
        def on_fit_start(self, *_: Any) -> None:
            clock.start()

        def on_train_epoch_end(self, _: Any, model: Any) -> None:
            clock.look(lambda: rows_of(model))

    with tempfile.TemporaryDirectory() as directory:
        lines = [f"e{h}\tr{r}\te{t}\n" for h, r, t in graph["train"].tolist()]
        Path(directory, "train.txt").write_text("".join(lines), encoding="utf-8")
        given = {"embedding_dim": options["width"], "num_epochs": 10_000, **options["dicee"]}
        settings = Namespace()
        places = {"dataset_dir": directory, "storage_path": directory, "eval_model": "None"}
        vars(settings).update(places | given)
        own = dice_trainer.get_callbacks
        dice_trainer.get_callbacks = lambda args: [*own(args), Look()]
        run = Execute(settings)
        run.start()


def _index_of(index: Any) -> dict[str, int]:
    """Return dicee's positions by name, from whichever form its version keeps them in."""
    if isinstance(index, Mapping):
        return dict(index)
    column = next(name for name in index.columns if name in ("entity", "relation"))
    return {name: place for place, name in enumerate(index[column])}


def torchkge(graph: Mapping[str, Any], clock: Clock, options: Mapping[str, Any]) -> None:
    """Train TorchKGE's, by its loader of negatives and its logistic loss."""
    from torchkge.data_structures import KnowledgeGraph
    from torchkge.models import ComplExModel
    from torchkge.utils import LogisticLoss
    from torchkge.utils.training import TrainDataLoader

    head, relation, tail = torch.from_numpy(graph["train"]).T.contiguous()
    n_entities, n_relations = int(graph["n_entities"]), int(graph["n_relations"])
    names = {x: x for x in range(n_entities)}
    kg = KnowledgeGraph(
        kg={"heads": head, "relations": relation, "tails": tail},
        ent2ix=names,
        rel2ix={x: x for x in range(n_relations)},
    )
    clock.start()
    torch.manual_seed(0)
    model = ComplExModel(options["width"] // 2, n_entities, n_relations)
    optimizer = torch.optim.Adam(model.parameters(), lr=options["learning_rate"])
    loss = LogisticLoss()
    loader = TrainDataLoader(kg, batch_size=options["batch_size"], sampling_type="bern")

    def rows() -> Rows:
        re_entity, im_entity = model.re_ent_emb.weight, model.im_ent_emb.weight
        re, im = model.re_rel_emb.weight, model.im_rel_emb.weight
        return (
            torch.cat([re_entity, im_entity], 1),
            torch.cat([re, im], 1),
            torch.cat([re, -im], 1),
        )

    while True:
        for batch in loader:
            optimizer.zero_grad()
            ends = (batch[name] for name in ("h", "t", "r", "nh", "nt"))
            loss(*model(*ends)).backward()
            optimizer.step()
            clock.look(rows)


TOOLS = {"kgraft": kgraft, "pykeen": pykeen, "dicee": dicee, "torchkge": torchkge}


def main() -> None:
    tool, graph, directory, given = sys.argv[1:]
    options = json.loads(given)
    torch.set_num_threads(options["threads"])
    clock = Clock(Path(directory), options)
    with suppress(EnoughError):
        TOOLS[tool](np.load(graph), clock, options)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    Path(directory, "peak.json").write_text(json.dumps({"peak_mib": round(peak, 1)}))


if __name__ == "__main__":
    main()
