"""A collection is read from a TOML file, a DBP-5L directory, memory, or the package."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from kgraft.errors import DataError, KgraftWarning, UnknownNameError
from kgraft.io.read_collection import read_collection
from kgraft.linking.collection import Collection, collect
from kgraft.linking.links import Links

SHOP = """\
name = "shop"
description = "What a shop sells."
target = "mine"

[[source]]
name = "mine"
train = "mine.tsv"
valid = "valid.tsv"

[[source]]
name = "wiki"
train = ["wiki/1.csv", "wiki/2.csv"]
columns = ["tail", "head", "relation"]

[[links]]
left = "mine"
right = "wiki"
path = "same.tsv"
confidence = 0.5
"""
FILES = {
    "shop.toml": SHOP,
    "mine.tsv": "lamp\tmadeOf\tglass\nchair\tmadeOf\twood\n",
    "valid.tsv": "lamp\tmadeOf\twood\n",
    "wiki/1.csv": "Glass,Lamp,material\n",
    "wiki/2.csv": "Wood,Chair,material\n",
    "same.tsv": "lamp\tLamp\t\nwood\tWood\t0.75\n",
}


def read(write, text: str = SHOP, **files: str) -> Collection:
    """Read the shop, with another description and other files."""
    return read_collection(write({**FILES, "shop.toml": text, **files}) / "shop.toml")


def refused(write, text: str, line: int | None, *parts: str) -> None:
    """Check that a collection file is refused with path, line, and words of problem and remedy."""
    with pytest.raises(DataError) as caught:
        read(write, text)
    assert str(caught.value.path).endswith("shop.toml")
    assert caught.value.line == line
    for part in parts:
        assert part in str(caught.value)


# -------------------------------------------------------------------------------------- TOML files


def test_a_toml_file_names_graphs_links_and_target(write) -> None:
    shop = read(write)
    assert (shop.name, shop.target, shop.description) == ("shop", "mine", "What a shop sells.")
    assert list(shop.graphs) == ["mine", "wiki"]
    mine, wiki = shop.graphs.values()
    assert shop.target_graph is mine
    assert shop.backgrounds() == ["wiki"]
    assert (len(mine.train), len(mine.valid)) == (2, 1)
    assert wiki.entities.names_of(wiki.train[:, 0]) == ["Chair", "Lamp"]
    (links,) = shop.links
    assert (links.left, links.right, links.kind, links.provenance) == (
        "mine", "wiki", "entity", "same.tsv",
    )  # fmt: skip
    assert mine.entities.names_of(links.pairs[:, 0]) == ["lamp", "wood"]
    assert wiki.entities.names_of(links.pairs[:, 1]) == ["Lamp", "Wood"]
    assert links.confidence.tolist() == [0.5, 0.75]


def test_paths_are_taken_from_the_file_whatever_the_working_directory(
    write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write({f"deep/{name}": content for name, content in FILES.items()})
    monkeypatch.chdir(tmp_path)
    assert len(read_collection("deep/shop.toml").graphs["wiki"].train) == 2
    # An absolute path stays what it is, and a way up leads up.
    for named in (str(tmp_path / "deep" / "mine.tsv"), "../deep/mine.tsv"):
        write({"deep/shop.toml": SHOP.replace('"mine.tsv"', f"'{named}'")})
        assert len(read_collection("deep/shop.toml").graphs["mine"].train) == 2


@pytest.mark.parametrize(
    ("named", "problem"),
    [
        ('"mine\\u0000.tsv"', "no file has such a name"),
        ('"/dev/zero"\nformat = "tsv"', "this is no regular file"),
    ],
)
def test_what_is_no_file_is_told(write, named: str, problem: str) -> None:
    directory = write({**FILES, "shop.toml": SHOP.replace('"mine.tsv"', named)})
    with pytest.raises(DataError, match=problem):
        read_collection(directory / "shop.toml", allow_outside=True)


def test_a_directory_with_a_collection_file_gives_it_its_name(write) -> None:
    text = SHOP.replace('name = "shop"\n', "").replace('target = "mine"\n', "")
    directory = write({**FILES, "collection.toml": text})
    shop = read_collection(directory)
    assert shop.name == directory.name
    assert shop.target is None
    assert shop.backgrounds() == ["mine", "wiki"]


def test_lists_of_names_and_links_by_row_number(write) -> None:
    directory = write(
        {
            "a.tsv": "0\t0\t1\n",
            "names.txt": "x\ny\nz\n",
            "relations.txt": "r\n",
            "labels.tsv": "x\tThe X\n",
            "links.tsv": "2.0\t0.0\n",
            "b.tsv": "p r q\n".replace(" ", "\t"),
            "c.toml": """
[[source]]
name = "a"
train = "a.tsv"
entities = "names.txt"
relations = "relations.txt"
labels = "labels.tsv"
[[source]]
name = "b"
train = "b.tsv"
[[links]]
left = "a"
right = "b"
path = "links.tsv"
ids = true
""",
        }
    )
    found = read_collection(directory / "c.toml")
    assert found.graphs["a"].entities.names.to_list() == ["x", "y", "z"]
    assert found.graphs["a"].label(0) == "The X"
    assert found.links[0].pairs.tolist() == [[2, 0]]


def test_relation_links_and_links_by_name(write) -> None:
    text = (
        SHOP + '\n[[links]]\nleft = "mine"\nright = "wiki"\nkind = "relation"\npath = "rel.tsv"\n'
        '[[links]]\nleft = "wiki"\nright = "mine"\nmatch = "name"\nconfidence = 0.25\n'
    )
    files = {"rel.tsv": "madeOf\tmaterial\n", "wiki/2.csv": "wood,Chair,material\nWood,Wood,x\n"}
    _, relations, by_name = read(write, text, **files).links
    assert (relations.kind, relations.pairs.tolist()) == ("relation", [[0, 0]])
    wiki = by_name.pairs[:, 0]
    assert (by_name.left, by_name.confidence.tolist()) == ("wiki", [0.25])
    assert read(write, text, **files).graphs["wiki"].entities.names_of(wiki) == ["wood"]


def test_unknown_entities_are_skipped_when_the_file_says_so(write) -> None:
    bad = {"same.tsv": "lamp\tLamp\nsofa\tSofa\n"}
    with pytest.raises(DataError, match=r"same\.tsv, line 2: 'mine' has no entity 'sofa'"):
        read(write, **bad)
    with pytest.warns(KgraftWarning, match=r"same\.tsv, line 2: 1 of 2 links"):
        shop = read(write, SHOP + 'unknown = "skip"\n', **bad)
    assert len(shop.links[0]) == 1


def test_a_target_without_links_trains_alone_with_a_warning(write) -> None:
    text = SHOP[: SHOP.index("[[links]]")]
    says = r"shop\.toml, line 3: the target 'mine' has no links\. kgraft graft finds some"
    with pytest.warns(KgraftWarning, match=says):
        shop = read(write, text)
    assert shop.links == ()
    # Without a target nothing is missing; a target chosen later is told then.
    unaimed = read(write, text.replace('target = "mine"\n', ""))
    with pytest.warns(KgraftWarning, match="the target 'wiki' has no links"):
        assert unaimed.with_target("wiki").target == "wiki"


@pytest.mark.parametrize(
    ("old", "new", "line", "parts"),
    [
        ('"shop"', '"shop', 1, ("not well-formed TOML", "quotes")),
        ("[[links]]", "[[links]", 15, ("not well-formed TOML", "[[source]] and [[links]]")),
        ("confidence = 0.5\n", "x = {a = 1", 19, ("not well-formed TOML", "quotes")),
        ("target", "trget", 3, ("trget: there is no such setting", "Mend")),
        ("valid =", "vald =", 5, ("source.1.vald: there is no such setting", "Mend")),
        (', "relation"]', "]", 10, ("source.2: columns must name 'relation' exactly once",)),
        ('train = "mine.tsv"\n', "", 5, ("source.1.train: Field required",)),
        ("= 0.5", "= 1.5", 15, ("links.1.confidence:", "less than or equal to 1")),
        ("= 0.5", '= 1\nkind = "thing"', 15, ("links.1.kind:", "'entity' or 'relation'")),
        ('path = "same.tsv"\n', "", 15, ("links.1: give either path or match",)),
        ("= 0.5", '= 1\nmatch = "name"', 15, ("links.1: give either path or match",)),
        ('right = "wiki"', 'right = "mine"\nids = true', 15, ("links.1: links of 'mine' with it",)),
        ('right = "wiki"', 'right = "wikki"', 15, ("links.1.right: no source is", "mine, wiki")),
        ('left = "mine"', 'left = "main"', 15, ("links.1.left: no source is called 'main'",)),
        ('target = "mine"', 'target = "main"', 3, ("target: no source is called", "mine, wiki")),
        ('name = "wiki"', 'name = "mine"', 10, ("source.2.name: two sources are called 'mine'",)),
        ("[[links]]", "[links]", 15, ("links: write it as tables in two brackets",)),
    ],
)
def test_a_bad_collection_file_is_refused_with_line_and_remedy(
    write, old: str, new: str, line: int, parts: tuple[str, ...]
) -> None:
    assert old in SHOP
    refused(write, SHOP.replace(old, new, 1), line, *parts)


def test_a_file_without_sources_and_inline_tables_are_refused_without_a_line(write) -> None:
    refused(write, 'name = "x"\n', None, "there is no source")
    refused(write, "", None, "there is no source")
    twice = 'source = [{name = "a", train = "mine.tsv"}, {name = "a", train = "mine.tsv"}]\n'
    refused(write, twice, None, "source.2.name: two sources are called 'a'")


def test_a_collection_file_is_utf8(write) -> None:
    directory = write({"c.toml": b'name = "x"\ndescription = "\xff"\n', "bom.toml": b""})
    with pytest.raises(DataError, match=r"c\.toml, line 2: the line is not UTF-8\. Convert"):
        read_collection(directory / "c.toml")
    write({**FILES, "bom.toml": b"\xef\xbb\xbf" + SHOP.replace("\n", "\r\n").encode()})
    assert read_collection(directory / "bom.toml").name == "shop"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("same.tsv", "", r"same\.tsv: the file holds no rows"),
        ("same.tsv", "lamp\n", r"same\.tsv, line 1: expected 2 columns.*Repair"),
        ("mine.tsv", "", r"mine\.tsv: the file holds no rows"),
        ("wiki/2.csv", "Wood,Chair\n", r"2\.csv, line 1: expected 3 columns.*found 2"),
    ],
)
def test_a_bad_file_of_a_collection_names_itself(write, name: str, content: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read(write, **{name: content})


def test_missing_files_are_told(write, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.tsv: there is no such file\. Check the path"):
        read(write, SHOP.replace("same.tsv", "gone.tsv"))
    says = r"nothing: there is no such file or directory\. Name a collection\.toml, .* world"
    with pytest.raises(DataError, match=says):
        read_collection(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    says = r"empty: this directory holds no collection\.toml, no kg/XX-train\.tsv, and no .* Name"
    with pytest.raises(DataError, match=says):
        read_collection(tmp_path / "empty")


# ------------------------------------------------------------------------- the layout of DBP-5L

LAYOUT = {
    "relations.txt": "p\nq\n",
    "kg/aa-train.tsv": "0\t0\t1\n",
    "kg/bb-train.tsv": "0\t1\t1\n1\t0\t2\n",
    "kg/cc-train.tsv": "1\t1\t0\n",
}


def test_a_layout_directory_is_a_collection(write) -> None:
    links = {"seed_alignlinks/aa-bb.tsv": "0.0\t2.0\n", "seed_alignlinks/cc-aa.tsv": "1\t0\n"}
    directory = write({**LAYOUT, **links})
    found = read_collection(directory)
    assert (found.name, found.target) == (directory.name, None)
    assert list(found.graphs) == ["aa", "bb", "cc"]
    # The sides of cc-aa stay as its name says: 1 is of cc, 0 is of aa.
    assert [(x.left, x.right, x.pairs.tolist()) for x in found.links] == [
        ("aa", "bb", [[0, 2]]),
        ("cc", "aa", [[1, 0]]),
    ]
    assert found.with_target("bb").backgrounds() == ["aa", "cc"]


def test_a_layout_directory_without_links_is_fine(write) -> None:
    directory = write(LAYOUT)
    assert read_collection(directory).links == ()
    (directory / "seed_alignlinks").mkdir()
    assert read_collection(directory).links == ()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "aa-bb.tsv: the file holds no rows. Check that it was written completely"),
        ("0\t0\n1\n", "aa-bb.tsv, line 2: expected 2 columns separated by tabs, found 1. Repair"),
        ("0\t0\n1\t3\n", "aa-bb.tsv, line 2: the entity of bb is 3, outside 0 to 2. Check"),
        ("0\t0\n1\tnan\n", "aa-bb.tsv, line 2: the entity of bb is 'nan', not a whole number"),
        ("0\t0\n1\t0.5\n", "aa-bb.tsv, line 2: the entity of bb is '0.5', not a whole number"),
    ],
)
def test_a_bad_link_file_of_a_layout_is_refused(write, content: str, says: str) -> None:
    entities = {"entity/aa.tsv": "x\ny\n", "entity/bb.tsv": "u\nv\nw\n"}
    directory = write({**LAYOUT, **entities, "seed_alignlinks/aa-bb.tsv": content})
    with pytest.raises(DataError, match=re.escape(says)):
        read_collection(directory)
    # Nor is an empty one taken for a graph without links when there are no lists of entities.
    for name in entities:
        (directory / name).unlink()
    if not content:
        with pytest.raises(DataError, match=re.escape(says)):
            read_collection(directory)


@pytest.mark.skipif("KGRAFT_DATA" not in os.environ, reason="KGRAFT_DATA names no folder of data")
def test_dbp5l() -> None:
    found = read_collection(Path(os.environ["KGRAFT_DATA"]) / "dbp5l")
    assert found.name == "dbp5l"
    assert list(found.graphs) == ["el", "en", "es", "fr", "ja"]
    assert len(found.links) == 10
    # All links of el and en happen to join equal ids; those of es and en do not.
    (swapped,) = (x for x in found.links if x.between("es", "en"))
    assert (swapped.left, swapped.right, len(swapped)) == ("es", "en", 4_812)
    for name, column in (("es", 0), ("en", 1)):
        assert swapped.pairs[:, column].max() < len(found.graphs[name].entities)


# ----------------------------------------------------------------------------- memory and package


def test_the_embedded_collection_yields_to_a_file_of_its_name(
    write, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = read_collection("world")
    assert (world.name, world.target) == ("world", "countryinfo")
    directory = write({f"world/{name}": content for name, content in FILES.items()})
    (directory / "world" / "shop.toml").rename(directory / "world" / "collection.toml")
    monkeypatch.chdir(directory)
    assert read_collection("world").name == "shop"


def test_collecting_graphs_in_memory(graph_of, links_of) -> None:
    a, b = graph_of("a", "x r y"), graph_of("b", "u r v")
    found = collect([a, b], [links_of(a, b, "x=u")], target="b", name="two", description="Two.")
    assert (found.name, found.description) == ("two", "Two.")
    assert found.target_graph is b
    assert found.with_target(None) is found
    assert found.with_target("a").target_graph is a
    assert found.with_target("a").links is found.links


def test_what_cannot_be_collected_is_refused(graph_of, links_of) -> None:
    a, b, c = (graph_of(name, "x r y") for name in "abc")
    with pytest.raises(DataError, match="two sources are called 'a'"):
        collect([a, b, a])
    with pytest.raises(DataError, match=r"'c', which is no source\. Name one of a, b"):
        collect([a, b], [links_of(a, c, "x=x")])
    sure = np.ones(1, dtype=np.float32)
    for pair, kind, says in (
        ([0, 2], "entity", "entity links of 'a' and 'b' have a row of 'b' outside 0 to 1"),
        ([-1, 0], "entity", "'a' outside 0 to 1"),
        ([0, 1], "relation", "'b' outside 0 to 0"),
    ):
        with pytest.raises(DataError, match=says):
            collect([a, b], [Links("a", "b", np.array([pair]), sure, kind)])


def test_targets_are_sources(graph_of) -> None:
    a = graph_of("a", "x r y")
    with pytest.raises(UnknownNameError, match="no source is called 'z'; there are a"):
        collect([a], target="z")
    with pytest.raises(UnknownNameError, match="no source is called 'z'; there are a"):
        collect([a]).with_target("z")
    with pytest.raises(UnknownNameError, match="names no target; choose one of a, b"):
        _ = collect([a, graph_of("b", "x r y")]).target_graph
    assert collect([a]).target_graph is a


def test_a_graph_without_others_is_alone_on_purpose(graph_of) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert collect([graph_of("a", "x r y")], target="a").backgrounds() == []


def test_empty_links_do_not_count(graph_of, links_of) -> None:
    a, b, c = (graph_of(name, "x r y") for name in "abc")
    none, others = links_of(a, b, ""), links_of(b, c, "x=x")
    with pytest.warns(KgraftWarning, match="the target 'a' has no links"):
        collect([a, b, c], [none, others], target="a")
