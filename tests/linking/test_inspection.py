"""What inspect says of a collection, in numbers and in words."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
from rich.console import Console

from kgraft.cli.inspection import in_words, show
from kgraft.io.read_collection import read_collection
from kgraft.linking.collection import Collection, collect
from kgraft.linking.inspection import Inspection, LinkReport, SourceReport, inspect


def rendered(found: Inspection) -> str:
    stream = io.StringIO()
    show(found, Console(file=stream, width=200))
    return stream.getvalue()


def test_numbers_of_a_small_collection(tiny: Collection) -> None:
    found = inspect(tiny)
    assert (found.name, found.target) == ("tiny", "mine")
    assert (found.joint_entities, found.joint_relations) == (6, 3)
    assert found.sources == (
        SourceReport(
            "mine", entities=5, unused_entities=0, relations=2, train=3, valid=1, test=4,
            attributes=0, duplicates=0, similar_names=0, linked_share=0.6, covered_share=0.25,
            unseen_test=2,
        ),
        SourceReport(
            "big", entities=4, unused_entities=0, relations=2, train=3, valid=0, test=0,
            attributes=0, duplicates=0, similar_names=0, linked_share=0.75, covered_share=None,
        ),
    )  # fmt: skip
    assert found.links == (LinkReport("mine", "big", entities=3, relations=0, shared_names=0),)
    assert found.conflicts == ()


def test_it_is_plain_data_for_json(tiny: Collection) -> None:
    data = json.loads(json.dumps(inspect(tiny).as_dict()))
    assert data["sources"][0]["covered_share"] == 0.25
    (links,) = data["links"]
    assert (links["left"], links["right"]) == ("mine", "big")
    counts = ("entities", "relations", "shared_names", "similar_names", "without_facts")
    assert [links[name] for name in counts] == [3, 0, 0, 0, 0]


def test_it_prints_sizes_links_and_shares(tiny: Collection) -> None:
    text = rendered(inspect(tiny))
    assert "tiny: 2 sources, 6 entities and 3 relations when joined; the target is mine" in text
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines()]
    assert ["mine", "5", "2", "3", "1", "4", "60.0%", "25.0%"] in cells
    assert ["big", "4", "2", "3", "0", "0", "75.0%", "-"] in cells
    assert ["mine", "big", "3", "0"] in cells
    assert "links left out because of conflicts: 0." in text
    assert "match" not in text


def test_unused_entities_duplicates_and_literals_are_told(write) -> None:
    same = "<http://x/a> <http://x/r> <http://x/b> .\n"
    literal = '<http://x/a> <http://x/size> "1" .\n'
    directory = write(
        {
            "a.nt": 3 * same + 2 * literal,
            "names.txt": "x\ny\nz\n",
            "b.tsv": "0\tr\t1\n",
            "c.toml": '[[source]]\nname = "a"\ntrain = "a.nt"\n'
            '[[source]]\nname = "b"\ntrain = "b.tsv"\nentities = "names.txt"\n',
        }
    )
    found = inspect(read_collection(directory / "c.toml"))
    a, b = found.sources
    assert (a.duplicates, a.attributes, a.unused_entities) == (2, 2, 0)
    assert (b.duplicates, b.attributes, b.unused_entities) == (0, 0, 1)
    text = rendered(found)
    assert "a has repeated facts dropped: 2; literals kept as attributes: 2." in text
    assert "b has entities that no fact mentions: 1." in text


def test_held_out_facts_with_a_name_without_training_facts_are_counted(graph_of, links_of) -> None:
    a = graph_of("a", "x r y", test="y r x, z r x, x q y, z q z")
    (report,) = inspect(collect([a])).sources
    assert (report.unseen_valid, report.unseen_test) == (0, 3)
    says = "held-out facts with an entity or a relation that no training fact has: 0 of valid, 3 of"
    assert says in rendered(inspect(collect([a])))
    # Facts of linked entities and relations of one name are learned from too.
    b = graph_of("b", "Z q v")
    assert inspect(collect([a, b], [links_of(a, b, "z=Z")])).sources[0].unseen_test == 0


def test_links_are_counted_by_pair_and_kind(graph_of, links_of) -> None:
    a, b, c = (graph_of(name, f"{name}1 {name}r {name}2") for name in "abc")
    found = inspect(
        collect(
            [a, b, c],
            [
                links_of(b, a, "b1=a1"),
                links_of(a, b, "a2=b2"),
                links_of(a, b, "ar=br", "relation"),
                links_of(b, c, "b1=c1"),
            ],
        )
    )
    assert found.links == (LinkReport("a", "b", 2, 1, 0), LinkReport("b", "c", 1, 0, 0))
    assert [x.linked_share for x in found.sources] == [1.0, 1.0, 0.5]


def test_shared_names_without_links_get_a_hint(graph_of, links_of) -> None:
    a, b = graph_of("a", "x r y, y r z"), graph_of("b", "x r y, y r q")
    found = inspect(collect([a, b], [links_of(a, b, "x=x")]))
    assert found.links == (LinkReport("a", "b", 1, 0, shared_names=1),)
    text = rendered(found)
    assert "names of entities in both a and b that no link joins: 1" in text
    assert 'add [[links]] with match = "name"' in text
    # Two sources without any link are told too.
    assert inspect(collect([a, b])).links == (LinkReport("a", "b", 0, 0, shared_names=2),)


def test_conflicts_are_counted_and_told_in_words(graph_of, links_of) -> None:
    a, b = graph_of("a", "rome in italy"), graph_of("b", "Rome in Italy, Rome_NY in [USA]")
    found = inspect(collect([a, b], [links_of(a, b, "rome=Rome rome=Rome_NY:0.5")]))
    assert len(found.conflicts) == 1
    text = rendered(found)
    assert "links left out because of conflicts: 1." in text
    assert (
        "a:rome = b:Rome_NY (confidence 0.5) would join Rome and Rome_NY, two of b: "
        "better supported links decide against it"
    ) in text
    (tie, _) = inspect(collect([a, b], [links_of(a, b, "rome=Rome rome=[USA]")])).conflicts
    assert in_words(tie) == (
        "a:rome = b:Rome (confidence 1) would join Rome and [USA], two of b: it contradicts links "
        "as sure as itself, which were left out too"
    )


def test_the_first_ten_conflicts_are_shown(graph_of, links_of) -> None:
    a = graph_of("a", ", ".join(f"x{i} r y" for i in range(6)))
    b = graph_of("b", ", ".join(f"p{i} r q{i}" for i in range(6)))
    pairs = " ".join(f"x{i}=p{i} x{i}=q{i}" for i in range(6))
    found = inspect(collect([a, b], [links_of(a, b, pairs)]))
    assert len(found.conflicts) == 12
    text = rendered(found)
    assert text.count("would join") == 10
    assert "and 2 more (--json lists them all)" in text
    assert len(found.as_dict()["conflicts"]) == 12


def test_a_single_source(graph_of) -> None:
    found = inspect(collect([graph_of("a", "x r y", test="y r x")]))
    assert found.links == ()
    assert (found.sources[0].linked_share, found.sources[0].covered_share) == (0.0, 0.0)
    assert "a" in rendered(found)


@pytest.mark.skipif("KGRAFT_DATA" not in os.environ, reason="KGRAFT_DATA names no folder of data")
def test_dbp5l() -> None:
    found = inspect(read_collection(Path(os.environ["KGRAFT_DATA"]) / "dbp5l"))
    assert found.joint_entities == 29_440
    assert found.conflicts == ()
    shares = {x.name: round(x.covered_share or 0, 3) for x in found.sources}
    assert shares == {"el": 0.786, "en": 0.320, "es": 0.618, "fr": 0.609, "ja": 0.672}
    links = {(x.left, x.right): x.entities for x in found.links}
    assert len(links) == 10
    assert links["en", "es"] == 4_812


def test_one_of_a_kind_is_not_many(graph_of) -> None:
    one = collect([graph_of("a", "x r x")], name="c")
    assert repr(inspect(one)).startswith(
        "<Inspection of c: 1 source, 1 joint entity, 1 joint relation, 0 conflicts>"
    )
    assert repr(one) == "\n  ".join(
        (
            "<Collection c: 1 graph",
            "<KnowledgeGraph a: 1 entity, 1 relation, facts: 1 train, 0 valid, 0 test>>",
        )
    )
    assert rendered(inspect(one)).startswith("c: 1 source, 1 entity and 1 relation\n")
