"""Statements of sameness in a graph's own facts: names that mean one entity, or one relation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from kgraft.graph.spelling import Spelling, normal_form
from kgraft.graph.vocabulary import Rows, Vocabulary

Kind = Literal["entity", "relation"]

Pairs = NDArray[np.int64]
"""``(n, 2)``: two rows that mean the same."""

Treatment = Literal["links", "drop", "facts"]
"""``links``: statements of sameness link and merge entities; ``drop``: they are left out;
``facts``: they are facts as others."""

SameNames = Mapping[Kind, pl.DataFrame]
"""Pairs of names that mean the same, String columns left and right, by kind."""

OWL: Final = "http://www.w3.org/2002/07/owl#"
SKOS: Final = "http://www.w3.org/2004/02/skos/core#"
_WIKIDATA: Final = "http://www.wikidata.org/prop/direct/"
NORMALIZED: Final = "http://www.wikidata.org/prop/direct-normalized/"
"""Wikidata's external ids as IRIs."""

_OF_CLASSES: Final = ("equivalentClass", "P1709")
_OF_RELATIONS: Final = ("equivalentProperty", "P1628")

_LOCAL_NAMES: Final = {
    OWL: ("sameAs", "sameIndividualAs", "equivalentClass", "equivalentProperty"),
    SKOS: ("exactMatch",),
    "http://schema.org/": ("sameAs",),
    _WIKIDATA: ("P2888", "P2959", "P1709", "P1628"),
    NORMALIZED: ("P2888",),
    "http://dbpedia.org/ontology/": ("wikiPageRedirects",),
    "https://w3id.org/biolink/vocab/": ("same_as", "exact_match"),
}
"""Predicates of sameness by namespace."""

_PREFIXES: Final = {
    OWL: ("owl",),
    SKOS: ("skos",),
    "http://schema.org/": ("schema", "sdo", "sch"),
    _WIKIDATA: ("wdt",),
    NORMALIZED: ("wdtn",),
    "http://dbpedia.org/ontology/": ("dbo", "dbpedia-owl"),
    "https://w3id.org/biolink/vocab/": ("biolink",),
}

_BARE: Final = ("sameas", "exactmatch", "p2888")
"""Names without a namespace, in lower case without ``_``, ``-`` and spaces."""


def _with_both_schemes(iri: str) -> tuple[str, str]:
    rest = iri.partition("://")[2]
    return f"http://{rest}", f"https://{rest}"


def _iris(kind: Kind) -> tuple[str, ...]:
    foreign = _OF_RELATIONS if kind == "entity" else _OF_CLASSES
    return tuple(
        iri
        for space, names in _LOCAL_NAMES.items()
        for name in names
        if name not in foreign
        for iri in _with_both_schemes(space + name)
    )


SAME: Final[Mapping[Kind, tuple[str, ...]]] = {
    "entity": _iris("entity"),
    "relation": (f"{OWL}equivalentProperty", *_iris("relation")),
}
"""IRIs of predicates of sameness, the one to write first."""

_SPELLINGS: Final = frozenset(
    {*SAME["entity"], *SAME["relation"]}
    | {
        f"{prefix}{mark}{name}"
        for space, prefixes in _PREFIXES.items()
        for prefix in prefixes
        for name in _LOCAL_NAMES[space]
        for mark in (":", "__")
    }
)


_PAIRS: Final = {"left": pl.String, "right": pl.String, "inside": pl.Boolean}


@dataclass(frozen=True, eq=False)
class Identities:
    """A graph's statements of sameness, which are no facts.

    Args:
        pairs: Names that mean the same, String columns left and right, distinct: statements of
            which at most one end is an entity, or a relation, of facts; and, where the Boolean
            ``inside`` says so, an entity of facts with one that is merged into it.
        entities: Further names of the graph's entities, String columns name and meant, distinct
            by name.
        relations: Further names of its relations, likewise.
        stated: Number of statements.
        merged: Number of entities of facts that have become one with another.
        spelling: Comparison of the names with those of other graphs.
    """

    pairs: pl.DataFrame
    entities: pl.DataFrame
    relations: pl.DataFrame
    stated: int
    merged: int
    spelling: Spelling = "exact"

    def further(self, kind: Kind) -> pl.DataFrame:
        """Return the further names of entities, or of relations."""
        return self.entities if kind == "entity" else self.relations

    def meant(self, names: pl.Series, kind: Kind, spelling: Spelling = "exact") -> pl.Series:
        """Return names with further names replaced by the names that they mean, ``(n,)``."""
        further = self.further(kind)
        names = names.cast(pl.String)
        if further.is_empty():
            return names
        if spelling == "exact":
            return names.replace(further["name"], further["meant"])
        forms = further.select("meant", form=normal_form(further["name"]))
        forms = forms.filter(pl.col("meant").n_unique().over("form") == 1).unique("form")
        found = normal_form(names).replace_strict(
            forms["form"], forms["meant"], default=None, return_dtype=pl.String
        )
        return found.fill_null(names)


@dataclass(frozen=True, eq=False)
class TakenOut:
    """A graph's facts apart from its statements of sameness.

    Args:
        is_fact: Mask of the facts, bool ``(n,)``.
        entities: The entities that are left.
        relations: The relations that are left.
        entity_rows: New row of each former entity, or -1.
        relation_rows: New row of each former relation, or -1.
        identities: The statements.
        predicates: Their predicates.
    """

    is_fact: NDArray[np.bool_]
    entities: Vocabulary
    relations: Vocabulary
    entity_rows: Rows
    relation_rows: Rows
    identities: Identities
    predicates: tuple[str, ...]

    def moved(self, facts: Rows) -> Rows:
        """Return facts in the new rows, ``(n, 3)``."""
        rows = (self.entity_rows, self.relation_rows, self.entity_rows)
        return np.stack([to[column] for to, column in zip(rows, facts.T, strict=True)], axis=1)


def is_identity(relations: pl.Series) -> NDArray[np.bool_]:
    """Mask the names of relations of sameness, as IRI, CURIE or bare, bool ``(n,)``."""
    names = relations.str.strip_chars("<> ")
    bare = names.str.to_lowercase().str.replace_all("[ _-]", "")
    mask = (
        names.is_in(list(_SPELLINGS))
        | bare.is_in(list(_BARE))
        | names.str.contains(f"^https?://{NORMALIZED[7:]}P\\d+$")
        | names.str.contains(r"^wdtn:P\d+$")
    )
    return mask.to_numpy()


def take_out(
    entities: Vocabulary,
    relations: Vocabulary,
    facts: Rows,
    *,
    treatment: Treatment = "links",
    described: Rows | None = None,
    further: SameNames | None = None,
    fixed: bool = False,
) -> TakenOut | None:
    """Take the statements of sameness out of facts, and merge the entities that they make one.

    Entities that have facts become one where a statement joins them, or leads from one to the
    other over names without facts, each with a single statement (redirects). The one with most
    facts as head gives its name. Names without facts that lead to one entity only are further
    names of it. Two entities that are the same as a third name, which has no facts, stay two.

    Args:
        entities: Entities.
        relations: Relations.
        facts: Facts and statements, ``(n, 3)``.
        treatment: Treatment of the statements.
        described: Rows of entities that have literals; they stay, also without facts.
        further: Further pairs of names that mean the same.
        fixed: Keep all names and rows.

    Returns:
        The parts; None if there is no such statement.
    """
    is_same = is_identity(relations.names) & (treatment != "facts")
    if not is_same.any() and not further:
        return None
    more = further or {}
    stated = is_same[facts[:, 1]] & ~_defines(entities, relations, facts)
    heads, used_relations, tails = facts[~stated].T
    ends = facts[stated][:, [0, 2]]
    touched = np.zeros(len(entities), dtype=np.bool_)
    touched[ends] = True
    if described is not None:
        touched[described] = False
    ends = _distinct(ends)
    n_stated = len(ends)
    if treatment == "drop":
        ends = ends[:0]
    # As head, a fact counts more than all facts together.
    counts = np.bincount(np.append(heads, tails), minlength=len(entities))
    counts += np.bincount(heads, minlength=len(entities)) * (2 * len(heads) + 1)
    of_entities = _Names.of(entities, ends, counts, more.get("entity"))
    names = entities.names
    rows = relations.rows(names)[ends]
    counts = np.bincount(used_relations, minlength=len(relations))
    joined = rows[(rows >= 0).all(axis=1)]
    of_relations = _Names.of(relations, joined, counts, more.get("relation"))

    is_inside = (of_entities.used[ends]).all(axis=1) | (rows >= 0).all(axis=1)
    shown = np.where(of_entities.used, of_entities.meant, np.arange(len(of_entities.used)))
    left, right = (names.gather(column) for column in shown[ends[~is_inside]].T)
    leading_out = pl.DataFrame({"left": left, "right": right, "inside": False}, schema=_PAIRS)
    new_entities, entity_rows = of_entities.kept(touched, fixed=fixed)
    new_relations, relation_rows = of_relations.kept(is_same, fixed=fixed)
    return TakenOut(
        ~stated,
        new_entities,
        new_relations,
        entity_rows,
        relation_rows,
        Identities(
            pl.concat([leading_out.unique(maintain_order=True), of_entities.merged()]),
            of_entities.further(),
            of_relations.further(),
            n_stated,
            len(of_entities.merged()),
        ),
        tuple(relations.names_of(np.unique(facts[stated][:, 1]))),
    )


def _defines(entities: Vocabulary, relations: Vocabulary, facts: Rows) -> NDArray[np.bool_]:
    """Mask the statements that define a class or relation by a blank node, ``(n,)``."""
    defining = relations.names.str.contains(r"[:#/_]equivalent(Class|Property)>?$").to_numpy()
    is_blank = entities.names.str.starts_with("_:").to_numpy()
    mask: NDArray[np.bool_] = defining[facts[:, 1]] & is_blank[facts[:, [0, 2]]].any(axis=1)
    return mask


def _distinct(pairs: Pairs) -> Pairs:
    columns = {"left": pairs[:, 0], "right": pairs[:, 1]}
    found = pl.DataFrame(columns).unique(maintain_order=True)
    return found.to_numpy().astype(np.int64).reshape(-1, 2)


@dataclass(frozen=True, eq=False)
class _Names:
    """Names of one kind, and the names that they mean.

    Args:
        vocabulary: The graph's own names, the first of all.
        names: All names, String ``(n,)``.
        used: Mask of own names that facts use.
        meant: Row of the name that each one means, ``(n,)``; its own by default.
    """

    vocabulary: Vocabulary
    names: pl.Series
    used: NDArray[np.bool_]
    meant: Rows

    @classmethod
    def of(
        cls, vocabulary: Vocabulary, pairs: Pairs, counts: Rows, further: pl.DataFrame | None
    ) -> _Names:
        """Merge names by pairs of rows, and by further pairs of names."""
        names = vocabulary.names
        if further is not None:
            both = pl.concat([further["left"], further["right"].rename("left")])
            names = pl.concat([names.rename("left"), both]).unique(maintain_order=True)
            rows = Vocabulary(names).rows(both).reshape(2, -1).T
            pairs = _distinct(np.concatenate([pairs, rows]))
            counts = np.append(counts, np.zeros(len(names) - len(counts), dtype=np.int64))
        used = counts > 0
        return cls(vocabulary, names, used, _meant(pairs, counts))

    def merged(self) -> pl.DataFrame:
        """Return the used names that mean another, as ``Identities.pairs``."""
        rows = np.flatnonzero(self.used & (self.meant != np.arange(len(self.meant))))
        left, right = self.names.gather(self.meant[rows]), self.names.gather(rows)
        return pl.DataFrame({"left": left, "right": right, "inside": True}, schema=_PAIRS)

    def further(self) -> pl.DataFrame:
        """Return the names that mean another, String columns name and meant."""
        rows = np.flatnonzero(self.meant != np.arange(len(self.meant)))
        meant = self.names.gather(self.meant[rows])
        return pl.DataFrame({"name": self.names.gather(rows), "meant": meant})

    def kept(self, removable: NDArray[np.bool_], *, fixed: bool) -> tuple[Vocabulary, Rows]:
        """Return the own names that are left, and the new row of each own name, or -1.

        Args:
            removable: Mask of own names to remove where no fact uses them.
            fixed: Keep all names and their rows.
        """
        n = len(self.vocabulary)
        meant = self.meant[:n]
        if fixed:
            return self.vocabulary, meant
        stays = (meant == np.arange(n)) & (self.used[:n] | ~removable)
        new = np.where(stays, np.cumsum(stays) - 1, -1)
        return Vocabulary(self.vocabulary.names.filter(pl.Series(stays))), new[meant]


def _meant(pairs: Pairs, counts: Rows) -> Rows:
    """Return the row that each of ``n`` rows means.

    Args:
        pairs: Rows that mean the same, the left one perhaps a former name of the right one.
        counts: Weight of each row, 0 where no fact uses it, ``(n,)``.
    """
    n = len(counts)
    own, used = np.arange(n), counts > 0
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    left, right = pairs.T
    # Follow unused rows, each with a single pair to the right.
    leads = own.copy()
    n_right = np.bincount(left, minlength=n)
    single = ~used[left] & (n_right[left] == 1)
    leads[left[single]] = right[single]
    for _ in range(n.bit_length()):
        nearer, leads = leads, leads[leads]
        if np.array_equal(nearer, leads):
            break
    joined = np.stack([left, leads[right]], axis=1)[used[left] & used[leads[right]]]
    group = _components(n, joined)
    best = np.lexsort((own, -counts, group))
    first = best[np.flatnonzero(np.diff(group[best], prepend=-1))]
    meant = first[group]
    # Unused rows mean the one used row that they lead to, in either direction.
    unused = _components(n, pairs[~used[pairs].any(axis=1)])
    between = pairs[used[left] != used[right]]
    turned = np.where(used[between[:, :1]], between, between[:, ::-1])
    found = (
        pl.DataFrame({"group": unused[turned[:, 1]], "meant": meant[turned[:, 0]]})
        .group_by("group")
        .agg(pl.col("meant").min(), only=pl.col("meant").n_unique() == 1)
        .filter("only")
    )
    of_group = np.full(n, -1, dtype=np.int64)
    of_group[found["group"].to_numpy()] = found["meant"].to_numpy()
    return np.where(~used & (of_group[unused] >= 0), of_group[unused], meant)


def _components(n: int, pairs: Pairs) -> Rows:
    ones = np.ones(len(pairs), dtype=np.int8)
    joined = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return np.asarray(connected_components(joined, directed=False)[1], dtype=np.int64)
