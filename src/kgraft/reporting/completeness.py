"""Section of the report on facts to add: completeness by relation, and the check of labels."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from kgraft.inference.names import ModelNames
from kgraft.linking.completeness import Basis
from kgraft.model.trained_model import TrainedModel
from kgraft.reporting.page import Macros, percent

FIRST = 12
"""Relations that are shown at once."""

MAX_RELATIONS = 500
"""The maximum number of relations in the whole table."""

KINDS = {
    "overall": "no other source, and fewer than two know both entities",
    "linked": "no other source, though two or more know both entities",
    "by_one": "one other source",
    "by_several": "two or more other sources",
}
"""The sources that state a candidate, in words, by the names of
``kgraft.linking.completeness.SHARES``."""

_BASES: dict[Basis, str] = {
    "sources": "overlap of other sources",
    "source": "overlap with one source",
    "none": "nothing: at least these",
    "given": "given",
}


def facts_to_add(model: TrainedModel, templates: Macros) -> Markup:
    """Return the section of a model that has a probability of facts."""
    names, fitted = ModelNames(model), model.fact_probability
    if fitted is None:
        raise ValueError("the model gives no probabilities of facts")
    rows = np.unique(names.part.relation_rows)
    n = np.bincount(names.own_facts[:, 1], minlength=model.graph.n_relations)[rows]
    known = fitted.completeness
    missing = n / known.overall[rows] - n
    table = [
        [
            names.relation_label(int(rows[x])),
            f"{n[x]:,}",
            percent(float(known.overall[rows[x]])),
            f"{missing[x]:,.0f}",
            _BASES[known.basis[rows[x]]],
        ]
        for x in np.argsort(-missing, kind="stable")[:MAX_RELATIONS].tolist()
    ]
    checks = [
        [KINDS[x.kind], *(f"{y:,.0f}" for y in x.numbers)] for x in fitted.checks if x.candidates
    ]
    return templates.facts_to_add(
        words=known.in_words(names.source, rows.tolist()),
        first=table[:FIRST],
        more=table[FIRST:],
        left_out=max(len(rows) - MAX_RELATIONS, 0),
        checks=checks,
        lower=any(known.basis[x] == "none" for x in rows.tolist()),
    )
