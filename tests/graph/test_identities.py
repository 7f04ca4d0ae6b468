"""Statements of sameness: told from facts, and names that mean one entity."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from kgraft.graph.assemble import FactRows, assemble
from kgraft.graph.identities import is_identity
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary


def graph_of(facts: str, **options: object) -> KnowledgeGraph:
    """Make a graph of facts such as ``a r b, b = c``, where ``=`` is ``owl:sameAs``."""
    rows = [fact.replace("=", "owl:sameAs").split() for fact in facts.split(",")]
    entities = Vocabulary.of(dict.fromkeys(x for h, _, t in rows for x in (h, t)))
    relations = Vocabulary.of(dict.fromkeys(r for _, r, _ in rows))
    triples = [[entities.row(h), relations.row(r), entities.row(t)] for h, r, t in rows]
    pieces = {"train": [FactRows(np.array(triples))]}
    options.setdefault("identities", "links")
    return assemble("g", entities, relations, pieces, **options)  # type: ignore[arg-type]


def facts_of(graph: KnowledgeGraph) -> str:
    rows = graph.to_frame().select("head", "relation", "tail").rows()
    return ", ".join(" ".join(row) for row in rows)


def meant(graph: KnowledgeGraph) -> dict[str, str]:
    assert graph.identities is not None
    return dict(graph.identities.entities.rows())


def leading_out(graph: KnowledgeGraph) -> list[tuple[str, ...]]:
    assert graph.identities is not None
    rows = graph.identities.pairs.filter(~pl.col("inside"))
    return rows.select("left", "right").rows()


@pytest.mark.parametrize(
    "relation",
    [
        *("http://www.w3.org/2002/07/owl#sameAs", "<http://www.w3.org/2002/07/owl#sameAs>"),
        *("owl:sameAs", "owl__sameAs", "sameAs", "same_as", "biolink:same_as"),
        *("http://www.w3.org/2004/02/skos/core#exactMatch", "skos:exactMatch", "exactMatch"),
        *("http://schema.org/sameAs", "https://schema.org/sameAs", "schema:sameAs"),
        *("http://www.wikidata.org/prop/direct/P2888", "wdt:P2888", "P2888"),
        *("http://www.wikidata.org/prop/direct-normalized/P646", "wdtn:P646"),
        "http://dbpedia.org/ontology/wikiPageRedirects",
    ],
)
def test_predicates_of_sameness_in_each_spelling(relation: str) -> None:
    assert is_identity(pl.Series([relation])).all()


@pytest.mark.parametrize(
    "relation",
    [
        *("http://www.w3.org/2002/07/owl#differentFrom", "owl:inverseOf", "same", "samePlaceAs"),
        *("skos:closeMatch", "http://www.w3.org/2004/02/skos/core#broadMatch", "P31"),
        *("http://www.wikidata.org/prop/direct/P31", "schema:about", "http://x.org/sameAs"),
    ],
)
def test_other_relations_are_none(relation: str) -> None:
    assert not is_identity(pl.Series([relation])).any()


def test_a_redirect_is_a_further_name() -> None:
    graph = graph_of("q1 r q5, q900 = q1")
    assert facts_of(graph) == "q1 r q5"
    assert graph.entities.names.to_list() == ["q1", "q5"]
    assert graph.relations.names.to_list() == ["r"]
    assert meant(graph) == {"q900": "q1"}
    assert graph.rows(pl.Series(["q900", "q1", "q7"])).tolist() == [0, 0, -1]
    assert graph.identities is not None
    assert (graph.identities.stated, graph.identities.merged) == (1, 0)


def test_entities_with_facts_become_one_under_the_name_with_most_facts() -> None:
    graph = graph_of("a r b, c r d, c s b, c = a, d r c")
    assert facts_of(graph) == "c r b, c r d, c s b, d r c"
    assert meant(graph) == {"a": "c"}
    assert graph.identities is not None
    assert graph.identities.merged == 1
    assert graph.duplicates == 0


def test_facts_that_merging_makes_equal_are_repeats() -> None:
    graph = graph_of("a r b, c r b, a r d, a = c")
    assert (facts_of(graph), graph.duplicates) == ("a r b, a r d", 1)


def test_chains_of_redirects_are_followed_but_not_circles() -> None:
    graph = graph_of("a r b, x = y, y = a, v = w, w = v")
    assert meant(graph) == {"x": "a", "y": "a"}
    assert leading_out(graph) == [("x", "y"), ("y", "a"), ("v", "w"), ("w", "v")]
    merged = graph_of("a r b, c r b, c = x, x = a")
    assert facts_of(merged) == "a r b"
    assert meant(merged) == {"c": "a", "x": "a"}


def test_two_entities_like_a_third_name_stay_two() -> None:
    graph = graph_of("a r b, c r b, a = x, c = x")
    assert facts_of(graph) == "a r b, c r b"
    assert meant(graph) == {}
    assert leading_out(graph) == [("a", "x"), ("c", "x")]


def test_a_class_that_a_blank_node_defines_keeps_the_fact() -> None:
    graph = graph_of("a r b, a owl:equivalentClass _:f#1, _:f#1 s b, a owl:equivalentClass c")
    assert facts_of(graph) == "a r b, a owl:equivalentClass _:f#1, _:f#1 s b"
    assert meant(graph) == {"c": "a"}


def test_equal_relations_become_one() -> None:
    graph = graph_of("a p b, a p c, b q c, p owl:equivalentProperty q")
    assert facts_of(graph) == "a p b, a p c, b p c"
    assert graph.relations.names.to_list() == ["p"]
    assert graph.rows(pl.Series(["q", "z"]), "relation").tolist() == [0, -1]
    assert leading_out(graph) == []


def test_statements_may_be_dropped_or_kept_as_facts() -> None:
    facts = "a r b, x = a"
    dropped = graph_of(facts, identities="drop")
    assert (facts_of(dropped), meant(dropped), leading_out(dropped)) == ("a r b", {}, [])
    kept = graph_of(facts, identities="facts")
    assert facts_of(kept) == "a r b, x owl:sameAs a"
    assert kept.identities is None


def test_labels_and_literals_follow_their_entity() -> None:
    attributes = pl.DataFrame(
        {
            "entity": [0, 2, 2, 3],
            "attribute": ["l"] * 4,
            "value": ["A", "X", "Y", "Z"],
            "datatype": ["d"] * 4,
            "language": pl.Series([None] * 4, dtype=pl.String),
        }
    )
    labels = pl.Series([None, "B", "X", "Z", None])
    graph = graph_of("a r b, x = a, z = v", labels=labels, attributes=attributes)
    assert graph.entities.names.to_list() == ["a", "b", "z"]
    assert graph.labels is not None
    assert graph.labels.to_list() == ["X", "B", "Z"]
    assert graph.attributes is not None
    assert graph.attributes["entity"].to_list() == [0, 0, 0, 2]


def test_numbered_names_keep_their_rows() -> None:
    graph = graph_of("a r b, x = a, c r b, c = a, c r c", fixed=True)
    assert graph.entities.names.to_list() == ["a", "b", "x", "c"]
    assert facts_of(graph) == "c r b, c r c"
    assert graph.duplicates == 1
    assert graph.rows(graph.entities.names).tolist() == [3, 1, 3, 3]
