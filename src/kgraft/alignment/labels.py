"""Evidence by names and literals: shared keys, and labels spelt alike."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
import polars as pl
import scipy.sparse as sp
from anyascii import anyascii
from rapidfuzz import fuzz, process

from kgraft.alignment.candidates import rank_in_group
from kgraft.alignment.nodes import Floats, Ints, Nodes
from kgraft.alignment.settings import LabelSettings
from kgraft.graph.grouped_index import changes
from kgraft.io.rdf import RDFS_LABEL, SKOS_LABEL

ROWS = 4096
"""Labels whose products are in memory at once."""

ALIASES = (RDFS_LABEL, SKOS_LABEL, "http://www.w3.org/2004/02/skos/core#altLabel")
"""Attributes whose values are names."""

SHORTEST = 4
"""Minimum number of characters of a value; many entities share shorter ones."""

IDENTIFYING, MIN_VALUES, MIN_LENGTH = 0.99, 20, 6
"""Share of an attribute's values in a graph that are one entity's from which on they are
identifiers, of this many values at least; and the length of one. Years and the like are shorter."""

SCHEMA = {"node": pl.Int64, "key": pl.String, "probability": pl.Float64}
"""Columns of keys: its node, the key, and the probability that sharing it makes nodes the same."""

CANDIDATES = 5
"""Labels of another graph that a label is compared with, those with most rare groups shared."""

_REMARK: Final = re.compile(r"\s*[(\[(【][^()\[\]()【】]*[)\])】]\s*$")
_WORDS: Final = re.compile(r"[a-z0-9]+")
_DIGITS: Final = re.compile(r"\d+")
_PARTS: Final = re.compile(r"[/#:]")


@dataclass(frozen=True, eq=False)
class Names:
    """Evidence by names and literals.

    Args:
        keys: Each key in words.
        weights: Nodes and the square roots of the evidence of their keys, ``(n, k)``.
        alike: Pairs of nodes whose labels are spelt alike, or whose vectors are near, ``(p, 2)``.
        similarity: Of labels, from 0 to 1; nan for vectors, ``(p,)``.
        probability: That they are the same, ``(p,)``.
        unlike: Evidence subtracted from a pair without any by names.
    """

    keys: Sequence[str]
    weights: sp.csr_array
    alike: Ints
    similarity: Floats
    probability: Floats
    unlike: float

    def of_clusters(self, clusters: Ints) -> tuple[sp.csr_array, sp.csr_array]:
        """Return clusters and their keys ``(c, k)``, and evidence for pairs of clusters."""
        size = int(clusters.max(initial=-1)) + 1
        found = self.weights.tocoo()
        keys = _largest(clusters[found.row], found.col, found.data, (size, found.shape[1]))
        one, other = clusters[self.alike].T
        rows, columns = np.concatenate([one, other]), np.concatenate([other, one])
        weight = np.tile(-np.log1p(-self.probability), 2)
        return keys, _largest(rows, columns, weight, (size, size))

    @classmethod
    def masked(cls, n_nodes: int) -> Names:
        """Return no evidence."""
        none = np.empty((0, 2), dtype=np.int64)
        empty = np.empty(0)
        return cls((), sp.csr_array((n_nodes, 0), dtype=np.float64), none, empty, empty, 0.0)


def names_of(nodes: Nodes, settings: LabelSettings, only: int | None = None) -> Names:
    """Compare names, labels and literals of all nodes.

    Keys are the normal forms of labels, with and without a remark in brackets, of aliases and of
    the endings of names, and other values of attributes, of at most ``settings.max_entities``
    entities of one graph.

    Args:
        nodes: All entities.
        settings: Weights of names.
        only: A graph's index: only its names are compared with those of others.
    """
    if not settings.use:
        return Names.masked(len(nodes))
    texts = [nodes.label(node) for node in range(len(nodes))]
    literals = _literals(nodes)
    found = [
        _keys(nodes, texts, settings),
        _aliases(literals, settings),
        _values(literals, nodes, settings),
    ]
    keys = pl.concat(found)
    keys = keys.group_by("node", "key").agg(pl.col("probability").max())
    source = pl.Series(nodes.source_of)
    keys = keys.with_columns(source=source.gather(keys["node"]))
    of_graph = keys.group_by("key", "source").agg(n=pl.len())
    compared = pl.len() > 1 if only is None else (pl.col("source") == only).any()
    usable = of_graph.group_by("key").agg(
        most=pl.col("n").max(), graphs=pl.len(), compared=compared
    )
    usable = usable.filter(
        pl.col("graphs") > 1, pl.col("most") <= settings.max_entities, pl.col("compared")
    )
    usable = usable.sort("key").with_row_index("column")
    keys = keys.join(usable, on="key").sort("node", "column")
    weight = np.sqrt(-np.log1p(-keys["probability"].to_numpy()))
    weights = sp.csr_array(
        (weight, (keys["node"].to_numpy(), keys["column"].to_numpy().astype(np.int64))),
        shape=(len(nodes), len(usable)),
    )
    alike, similarity = _alike(nodes, texts, settings, only)
    probability = 1 / (1 + np.exp(-settings.slope * (similarity - settings.midpoint)))
    return Names(usable["key"].to_list(), weights, alike, similarity, probability, settings.unlike)


def _keys(nodes: Nodes, texts: Sequence[str], settings: LabelSettings) -> pl.DataFrame:
    """Return keys of labels and names."""
    rows: list[tuple[int, str, float]] = []
    names = [name for graph in nodes.graphs for name in graph.entities.names.to_list()]
    for node, (text, name) in enumerate(zip(texts, names, strict=True)):
        forms = {normal_form(ending): settings.similar for ending in endings(name)}
        forms.setdefault(normal_form(without_remark(text)), settings.similar)
        forms[normal_form(text)] = settings.same
        rows += [(node, form, probability) for form, probability in forms.items() if form]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _literals(nodes: Nodes) -> pl.DataFrame:
    """Return node, attribute and value of all literals."""
    frames = [
        graph.attributes.select(pl.col("entity").alias("node") + first, "attribute", "value")
        for graph, first in zip(nodes.graphs, nodes.first[:-1].tolist(), strict=True)
        if graph.attributes is not None
    ]
    none = {"node": pl.Int64, "attribute": pl.String, "value": pl.String}
    return pl.concat([pl.DataFrame(schema=none), *frames])


def _aliases(literals: pl.DataFrame, settings: LabelSettings) -> pl.DataFrame:
    """Return keys of values that are names, in any language."""
    found = literals.filter(pl.col("attribute").is_in(ALIASES))
    forms = [normal_form(value) for value in found["value"].to_list()]
    keys = found.select("node", key=pl.Series(forms, dtype=pl.String), probability=settings.similar)
    return keys.filter(pl.col("key") != "").cast(pl.Schema(SCHEMA))


def _values(literals: pl.DataFrame, nodes: Nodes, settings: LabelSettings) -> pl.DataFrame:
    """Return keys of other values; one of ``d`` entities has a ``d``-th of its probability."""
    values = literals.filter(~pl.col("attribute").is_in(ALIASES)).select(
        "node", "attribute", value=pl.col("value").str.strip_chars().str.to_lowercase()
    )
    values = values.filter(pl.col("value").str.len_chars() >= SHORTEST).unique()
    source = pl.Series(nodes.source_of).gather(values["node"])
    values = values.with_columns(source=source)
    values = values.with_columns(identifies=_identifies(values))
    values = values.group_by("node", "source", "value").agg(pl.col("identifies").any())
    values = values.with_columns(n=pl.len().over("value", "source"))
    values = values.with_columns(most=pl.col("n").max().over("value"))
    probability = pl.when("identifies").then(settings.identifier).otherwise(settings.value)
    return values.select(
        "node",
        key=pl.lit("= ") + pl.col("value"),
        probability=probability / pl.col("most").cast(pl.Float64),
    )


def _identifies(values: pl.DataFrame) -> pl.Series:
    """Return which values are of an attribute that gives hardly any two entities the same one."""
    of_value = values.group_by("source", "attribute", "value").agg(n=pl.len())
    of_attribute = of_value.group_by("source", "attribute").agg(
        share=(pl.col("n") == 1).mean(), n=pl.len()
    )
    good = of_attribute.filter(pl.col("share") >= IDENTIFYING, pl.col("n") >= MIN_VALUES)
    joined = values.join(
        good.with_columns(is_good=True),
        on=("source", "attribute"),
        how="left",
        maintain_order="left",
    )
    long_enough = values["value"].str.len_chars() >= MIN_LENGTH
    return joined["is_good"].fill_null(value=False) & long_enough


def _alike(
    nodes: Nodes, texts: Sequence[str], settings: LabelSettings, only: int | None
) -> tuple[Ints, Floats]:
    """Return pairs of nodes of two graphs with labels spelt alike, and their similarity."""
    forms = [normal_form(without_remark(text)) for text in texts]
    digits = [numbers(form) for form in forms]
    found, similar = [], []
    grams = _grams(nodes, forms, settings)
    for one, other in combinations(range(len(nodes.graphs)), 2):
        if only not in (None, one, other):
            continue
        pairs = _lookups(grams, nodes.first, one, other)
        pairs = np.array(
            [(x, y) for x, y in pairs.tolist() if digits[x] == digits[y] and forms[x] != forms[y]],
            dtype=np.int64,
        ).reshape(-1, 2)
        left, right = ([forms[node] for node in column] for column in pairs.T.tolist())
        ratio = process.cpdist(left, right, scorer=fuzz.ratio)
        sorted_ratio = process.cpdist(left, right, scorer=fuzz.token_sort_ratio)
        likeness = np.maximum(ratio, sorted_ratio).astype(np.float64) / 100
        good = likeness >= settings.min_similarity
        found.append(pairs[good])
        similar.append(likeness[good])
    return np.concatenate(found), np.concatenate(similar)


def _grams(nodes: Nodes, forms: Sequence[str], settings: LabelSettings) -> sp.csr_array:
    """Return nodes and the rarest groups of three letters in their labels, weighted by rarity.

    Groups of more than ``settings.max_entities`` labels of one graph are left out.
    """
    sources = nodes.source_of.tolist()
    counts: Counter[tuple[str, int]] = Counter()
    for form, source in zip(forms, sources, strict=True):
        counts.update((gram, source) for gram in _groups(form))
    most: dict[str, int] = {}
    for (gram, _), count in counts.items():
        most[gram] = max(most.get(gram, 0), count)
    number: dict[str, int] = {}
    rows, columns, weights = [], [], []
    for node, form in enumerate(forms):
        usable = [gram for gram in _groups(form) if most[gram] <= settings.max_entities]
        for gram in sorted(usable, key=lambda gram: (most[gram], gram))[: settings.trigrams]:
            rows.append(node)
            columns.append(number.setdefault(gram, len(number)))
            weights.append(most[gram] ** -0.25)
    shape = (len(forms), len(number))
    return sp.csr_array((np.array(weights, dtype=np.float64), (rows, columns)), shape=shape)


def _groups(form: str) -> set[str]:
    padded = f" {form} "
    return {padded[start : start + 3] for start in range(len(padded) - 2)}


def _lookups(grams: sp.csr_array, first: Ints, one: int, other: int) -> Ints:
    """Return the pairs of nodes of two graphs that share most rare groups, from either side."""
    left, right = (grams[first[place] : first[place + 1]] for place in (one, other))
    shift = np.array([first[one], first[other]])
    pairs = np.concatenate([_nearest(left, right), _nearest(right, left)[:, ::-1]])
    return np.unique(pairs + shift, axis=0)


def _nearest(left: sp.csr_array, right: sp.csr_array) -> Ints:
    found = list(_nearest_rows(left, right.T.tocsr()))
    return np.concatenate(found) if found else np.empty((0, 2), dtype=np.int64)


def _nearest_rows(left: sp.csr_array, turned: sp.csr_array) -> Iterator[Ints]:
    for start in range(0, left.shape[0], ROWS):
        product = (left[start : start + ROWS] @ turned).tocoo()
        order = np.lexsort((product.col, -product.data, product.row))
        rows = product.row[order].astype(np.int64)
        best = rank_in_group(rows) < CANDIDATES
        columns = product.col[order][best].astype(np.int64)
        yield np.stack([rows[best] + start, columns], axis=1)


def _largest(rows: Ints, columns: Ints, values: Floats, shape: tuple[int, int]) -> sp.csr_array:
    """Return a sparse matrix of the largest value at each position."""
    order = np.lexsort((-values, columns, rows))
    rows, columns, values = rows[order], columns[order], values[order]
    new = changes(rows, columns) if len(rows) else np.empty(0, dtype=np.bool_)
    return sp.csr_array((values[new], (rows[new], columns[new])), shape=shape)


def normal_form(text: str) -> str:
    """Return the words of a text in small Latin letters and digits, one space apart.

    ``Ηνωμένα_Αραβικά Εμιράτα!`` gives ``inomena aravika emirata``; a text without letters or digits
    gives an empty one.
    """
    plain = unicodedata.normalize("NFKC", text).casefold().replace("_", " ")
    if not plain.isascii():
        plain = anyascii(plain).lower()
    return " ".join(_WORDS.findall(plain))


def without_remark(text: str) -> str:
    """Return a label without a remark in brackets at its end, as ``(film)``."""
    return _REMARK.sub("", text.replace("_", " ")) or text


def endings(name: str) -> list[str]:
    """Return the parts of a name or IRI from each of its separators on, the longest first.

    ``ex:zone/Asia/Tokyo`` gives itself, ``zone/Asia/Tokyo``, ``Asia/Tokyo`` and ``Tokyo``.
    """
    path = re.sub(r"^\w+://[^/]*/", "", name)
    return [path, *(path[place.end() :] for place in _PARTS.finditer(path))]


def numbers(text: str) -> tuple[str, ...]:
    """Return the numbers in a text; labels that differ in them name different things."""
    return tuple(_DIGITS.findall(text))
