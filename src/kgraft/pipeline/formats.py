"""Formats in which a run's directory stores the results of stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import polars as pl
import torch
from torch import Tensor

from kgraft.model.calibration import Calibration
from kgraft.model.evidence import WAYS
from kgraft.model.fact_probability import FactProbability
from kgraft.model.frequency_prior import FrequencyPrior
from kgraft.model.kge import KgeModel
from kgraft.pipeline.fit_calibration import FittedCalibration
from kgraft.pipeline.fit_ensemble import FittedEnsemble, HeldOutWeights
from kgraft.pipeline.run import Format, Stored
from kgraft.rules.pseudo_facts import PseudoFacts
from kgraft.rules.rules import SCHEMA, Rules
from kgraft.training.loop import EpochMetrics, Fit

Tensors = Mapping[str, Tensor]


def _pack_rules(rules: Rules) -> Stored:
    columns = {
        name: torch.from_numpy(rules.frame[name].fill_null(-1).to_numpy().copy()) for name in SCHEMA
    }
    return columns, {"n_relations": rules.n_relations}


def _unpack_rules(tensors: Tensors, about: Mapping[str, Any]) -> Rules:
    frame = pl.DataFrame({name: tensors[name].numpy() for name in SCHEMA}, schema=SCHEMA)
    rows = [name for name, kind in SCHEMA.items() if kind == pl.Int32]
    absent = [pl.when(pl.col(name) >= 0).then(name).alias(name) for name in rows]
    return Rules(frame.with_columns(absent), about["n_relations"])


RULES = Format(_pack_rules, _unpack_rules)


def weights_of(rules: Rules) -> Format[Rules]:
    """Return the format of mined rules with weights: their weights alone."""

    def pack(weighted: Rules) -> Stored:
        return {"weight": torch.from_numpy(weighted.frame["weight"].to_numpy().copy())}, {}

    def unpack(tensors: Tensors, _: Mapping[str, Any]) -> Rules:
        return rules.with_weights(tensors["weight"].numpy())

    return Format(pack, unpack)


PSEUDO_FACTS = Format[PseudoFacts](
    lambda x: (
        {
            "triples": torch.from_numpy(x.triples),
            "probabilities": torch.from_numpy(x.probabilities),
        },
        {},
    ),
    lambda tensors, _: PseudoFacts(tensors["triples"].numpy(), tensors["probabilities"].numpy()),
)


def embeddings_of(model: KgeModel) -> Format[Fit]:
    """Return the format of a training's outcome: the model's tensors, and the log."""

    def unpack(tensors: Tensors, about: Mapping[str, Any]) -> Fit:
        model.copy_from(tensors)
        return Fit(**{**about, "current": EpochMetrics(**about["current"])})

    return Format(lambda outcome: (model.tensors(), asdict(outcome)), unpack)


def _pack_ensemble(fitted: FittedEnsemble) -> Stored:
    tensors = {"weights": fitted.weights}
    tensors |= {f"reciprocal_ranks.{by}": x for by, x in fitted.reciprocal_ranks.items()}
    if fitted.held_out is not None:
        tensors |= {
            "held_out.both": fitted.held_out.both,
            "held_out.vectors": fitted.held_out.vectors,
        }
    if fitted.prior is not None:
        tensors |= fitted.prior.tensors()
    return tensors, {}


def _unpack_ensemble(tensors: Tensors, _: Mapping[str, Any]) -> FittedEnsemble:
    held_out = prior = None
    names = {by: f"reciprocal_ranks.{by}" for by in WAYS}
    ranks = {by: tensors[name] for by, name in names.items() if name in tensors}
    if "held_out.both" in tensors:
        held_out = HeldOutWeights(tensors["held_out.both"], tensors["held_out.vectors"])
    if "prior.entities" in tensors:
        prior = FrequencyPrior(tensors["prior.entities"], tensors["prior.relations"])
    return FittedEnsemble(tensors["weights"], ranks, held_out, prior)


ENSEMBLE = Format(_pack_ensemble, _unpack_ensemble)


def fact_probability_of(n_relations: int) -> Format[FactProbability | None]:
    """Return the format of the probability of facts."""

    def unpack(_: Tensors, about: Mapping[str, Any]) -> FactProbability | None:
        return FactProbability.from_dict(about, n_relations) if about else None

    return Format(lambda x: ({}, {} if x is None else x.as_dict()), unpack)


CALIBRATION = Format[FittedCalibration](
    lambda x: (
        {},
        {"errors": dict(x.errors), "points": {by: c.points for by, c in x.calibration.items()}},
    ),
    lambda _, about: FittedCalibration(
        {
            by: Calibration(tuple((share, odds) for share, odds in points))
            for by, points in about["points"].items()
        },
        about["errors"],
    ),
)
