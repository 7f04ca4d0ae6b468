"""The probability that each stated fact of a target is wrong, judged without the fact itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.special import expit, logit

from kgraft.errors import KgraftError
from kgraft.graph.grouped_index import Ints
from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.known_facts import KnownFacts
from kgraft.inference.fact_counts import FactCounts, Floats, JudgedFacts
from kgraft.inference.left_out import LeftOut, train_without
from kgraft.inference.monotone_regression import MonotoneRegression
from kgraft.inference.names import ModelNames
from kgraft.inference.planted_facts import plant_facts
from kgraft.model.trained_model import TrainedModel
from kgraft.system.progress import Listener

SIGNS: Mapping[str, int] = MappingProxyType(
    {
        "kind_head": -1,
        "kind_tail": -1,
        "stated": -1,
        "unstated": 1,
        "second_tail": 1,
        "second_head": 1,
        "rival_tail": 1,
        "rival_head": 1,
        "joined": -1,
        "loop": 1,
        "rank_tail": 1,
        "rank_head": 1,
        "range_rank_tail": 1,
        "range_rank_head": 1,
        "relation_share": -1,
        "confidence_tail": -1,
        "probability_tail": -1,
        "confidence_head": -1,
        "probability_head": -1,
    }
)
"""The evidence on a fact: 1 where more of it tells against the fact, -1 where for it."""

FOLDS = 3
"""Parts of the facts, each judged by vectors and rules that are left without it."""

MAX_PLANTED = 50_000
"""Maximum number of planted facts; else one for each stated fact, and at least ``MIN_PLANTED``."""

MIN_PLANTED = 5_000

ROUNDS = 4
"""Fits; after each, facts count as right by their probability in the one before."""

WRONG = 0.1
"""Share of wrong facts that all fits but the last result suppose, rather too large."""

LARGEST_SHARE, LEAST_SHARE = 0.3, 1e-3
"""Bounds of the estimated share of wrong facts."""


@dataclass(frozen=True, eq=False)
class JudgedGraph:
    """A target's facts with the evidence on each.

    Args:
        facts: Its distinct facts of all splits, int64 ``(m, 3)``, in the model's rows.
        probability: Probability that each is wrong, ``(m,)``.
        features: Evidence by name, ``(m,)`` each.
        parts: The part of each feature in the log odds of being wrong, ``(m, f)``.
    """

    facts: Triples
    probability: Floats
    features: Mapping[str, Floats]
    parts: Floats


def judge(
    model: TrainedModel, target: str, *, seed: int = 0, listener: Listener | None = None
) -> JudgedGraph:
    """Judge all facts of a target, as the module says.

    Args:
        model: A model of the target.
        target: Its name.
        seed: Seed of the folds, of what is planted, and of vectors.
        listener: Receives progress.

    Raises:
        KgraftError: If there are too few facts, or all that could be made of its names are stated.
    """
    graph, draw = model.graph, np.random.default_rng(seed)
    own = ModelNames(model, target).own_facts
    others = graph.facts_of([name for name in graph.sources if name != target])
    fold = draw.permutation(len(own)) % FOLDS
    n_entities = model.kge.n_entities
    models = train_without(graph, own, others, fold, n_entities, seed=seed, listener=listener)
    known = KnownFacts(graph.triples, *model.held_out.values())
    entities = graph.part(target).entity_rows
    n_planted = min(max(len(own), MIN_PLANTED), MAX_PLANTED)
    planted = plant_facts(own, others, entities, graph.n_relations, known, draw, n_planted)
    # A fold is judged by the others, which need right and wrong facts.
    if len(own) < FOLDS or len(np.unique(fold[planted.base])) < 2:
        raise KgraftError(
            f"{target!r} is too small to check: facts are judged by others of the same names, "
            "right ones that it states and wrong ones that are made, and it has too few."
        )
    every = np.arange(len(own))
    absent = np.where(planted.replaces, planted.base, -1)
    judged = [
        JudgedFacts(own, every, fold),
        JudgedFacts(planted.facts, absent, fold[planted.base]),
    ]
    fixed = _by_left_out(LeftOut(model, own, known, fold, models), judged)
    weights = np.ones(len(own))
    for _ in range(ROUNDS):
        counts = FactCounts(own, others, graph.n_entities, graph.n_relations, weights)
        features = [
            {**counts.features(x), **known_part}
            for x, known_part in zip(judged, fixed, strict=True)
        ]
        rows = [np.stack([x[name] for name in SIGNS], axis=1) for x in features]
        odds, parts = _judge_by_folds(rows, [x.fold for x in judged], weights)
        weights = 1 - expit(odds + logit(WRONG))
    return JudgedGraph(own, expit(odds + logit(_share_of_wrong(odds))), features[0], parts)


def _by_left_out(left_out: LeftOut, judged: Sequence[JudgedFacts]) -> list[dict[str, Floats]]:
    """Return the evidence by vectors and rules for some sets of facts, which share its cost."""
    whole = JudgedFacts(
        *(
            np.concatenate([getattr(x, name) for x in judged])
            for name in ("facts", "absent", "fold")
        )
    )
    found = {**left_out.vector_features(whole), **left_out.rule_features(whole)}
    ends = np.cumsum([len(x) for x in judged])[:-1]
    parts = [np.split(values, ends) for values in found.values()]
    return [dict(zip(found, of_one, strict=True)) for of_one in zip(*parts, strict=True)]


def _judge_by_folds(
    rows: list[Floats], folds: list[Ints], weights: Floats
) -> tuple[Floats, Floats]:
    """Return log odds of planted against stated, and their parts, each fold by the others."""
    stated, planted = rows
    odds, parts = np.zeros(len(stated)), np.zeros_like(stated)
    for number in np.unique(folds[0]).tolist():
        use, use_planted, here = folds[0] != number, folds[1] != number, folds[0] == number
        n_planted = int(use_planted.sum())
        equal = weights[use].sum() / max(n_planted, 1)
        fitted = MonotoneRegression(list(SIGNS.values())).fit(
            np.concatenate([stated[use], planted[use_planted]]),
            np.repeat([0.0, 1.0], [use.sum(), n_planted]),
            np.append(weights[use], np.full(n_planted, equal)),
        )
        odds[here], parts[here] = fitted.log_odds(stated[here]), fitted.parts(stated[here])
    return odds, parts


def _share_of_wrong(odds: Floats) -> float:
    """Return the share of wrong facts under which its own estimate is the same."""
    share = WRONG
    for _ in range(100):
        mean = expit(odds + logit(share)).mean()
        share = float(np.clip(mean, LEAST_SHARE, LARGEST_SHARE))
    return share
