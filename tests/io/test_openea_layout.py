"""A directory in the layout of OpenEA is a collection; its files can also be given one by one."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kgraft.cli.main import app
from kgraft.errors import DataError, KgraftWarning
from kgraft.io.openea_layout import is_openea
from kgraft.io.read_collection import read_collection
from kgraft.linking.collection import Collection

LEFT, RIGHT = "http://l.org/", "http://r.org/"
FILES = {
    "rel_triples_1": f"{LEFT}a\t{LEFT}p\t{LEFT}b\n{LEFT}c\t{LEFT}p\t{LEFT}b\n",
    "rel_triples_2": f"{RIGHT}A\t{RIGHT}q\t{RIGHT}B\n",
    "attr_triples_1": f'{LEFT}d\t{LEFT}name\t"Four"@en\n{LEFT}a\t{LEFT}name\tOne\n',
    "attr_triples_2": f"{RIGHT}A\t{RIGHT}name\tOne\n",
    "ent_links": f"{LEFT}a\t{RIGHT}A\n{LEFT}b\t{RIGHT}B\n{LEFT}d\t{RIGHT}D\n",
}
FOLDS = {
    "721_5fold/1/train_links": f"{LEFT}a\t{RIGHT}A\n",
    "721_5fold/1/valid_links": f"{LEFT}b\t{RIGHT}B\n",
    "721_5fold/1/test_links": f"{LEFT}d\t{RIGHT}D\n",
    "721_5fold/2/train_links": f"{LEFT}q\t{RIGHT}Q\n",
}


def made(directory: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    return directory


def read(directory: Path) -> Collection:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_collection(directory)


def linked(collection: Collection) -> list[tuple[str, str]]:
    left, right = collection.graphs.values()
    return [
        (left.entities.name(one)[-1], right.entities.name(other)[-1])
        for links in collection.links
        for one, other in links.pairs.tolist()
    ]


@pytest.mark.parametrize("more", [{}, FOLDS])
def test_a_directory_is_a_collection(tmp_path: Path, more: dict[str, str]) -> None:
    directory = made(tmp_path / "EN_FR_15K_V1", FILES | more)
    assert is_openea(directory)
    collection = read(directory)
    assert (collection.name, collection.target) == ("EN_FR_15K_V1", None)
    assert list(collection.graphs) == ["EN", "FR"]
    left, right = collection.graphs.values()
    assert [name[-1] for name in left.entities.names] == ["a", "b", "c", "d"]
    assert [name[-1] for name in right.entities.names] == ["A", "B", "D"]
    assert (len(left.train), len(right.train)) == (2, 1)
    assert left.attributes is not None
    assert left.attributes["value"].to_list() == ["One", "Four"]
    assert linked(collection) == [("a", "A"), ("b", "B"), ("d", "D")]


def test_parts_of_the_links_where_the_whole_is_missing(tmp_path: Path) -> None:
    files = {name: text for name, text in FILES.items() if name.startswith("rel_")}
    collection = read(made(tmp_path / "x", files | FOLDS))
    assert list(collection.graphs) == ["1", "2"]
    assert linked(collection) == [("a", "A"), ("b", "B"), ("d", "D")]
    assert [links.provenance for links in collection.links] == [
        "train_links", "valid_links", "test_links"
    ]  # fmt: skip
    assert linked(read(made(tmp_path / "y", files))) == []


def test_labels_are_kept_for_entities_with_more_than_links(tmp_path: Path) -> None:
    label = f"{RIGHT}A\thttp://www.w3.org/2000/01/rdf-schema#label\tThe A\n"
    directory = made(tmp_path / "D_W", FILES | {"attr_triples_2": label})
    graph = read(directory).graphs["W"]
    assert [graph.label(row) for row in range(3)] == ["The A", f"{RIGHT}B", f"{RIGHT}D"]


def test_a_directory_of_one_graph_is_refused(tmp_path: Path) -> None:
    directory = made(tmp_path / "x", {"rel_triples_1": FILES["rel_triples_1"]})
    with pytest.raises(DataError, match="no rel_triples_1 and rel_triples_2"):
        read_collection(directory)


def test_a_file_without_an_ending_is_a_graph_or_a_collection(tmp_path: Path) -> None:
    directory = made(tmp_path / "x", FILES)
    assert len(read(directory / "rel_triples_1").graphs["rel_triples_1"].train) == 2
    (directory / "toml").write_text(
        '\n[[source]]\nname = "g"\ntrain = "rel_triples_1"\nattributes = []\n'
    )
    assert list(read(directory / "toml").graphs) == ["g"]


def test_init_writes_a_collection_from_the_files(tmp_path: Path) -> None:
    directory = made(tmp_path / "D_W", FILES)
    files = [str(directory / name) for name in FILES]
    made_one = CliRunner().invoke(app, ["init", *files, "-o", str(directory / "c.toml")])
    assert made_one.exit_code == 0, made_one.output
    text = (directory / "c.toml").read_text()
    assert 'attributes = "attr_triples_1"' in text
    assert 'unknown = "skip"' in text  # The second graph has nothing about D.
    with pytest.warns(match="1 of 3 links"):
        collection = read_collection(directory / "c.toml")
    assert list(collection.graphs) == ["rel_triples_1", "rel_triples_2"]
    assert linked(collection) == [("a", "A"), ("b", "B")]
    other = made(tmp_path, {"attr_triples_3": "a\tb\tc\n"}) / "attr_triples_3"
    refused = CliRunner().invoke(
        app, ["init", files[0], str(other), "-o", str(tmp_path / "d.toml")]
    )
    assert refused.exit_code == 1
    assert "no graph has these attributes by its number" in refused.output


def test_a_directory_reads_no_file_outside_of_it(tmp_path: Path) -> None:
    directory = made(tmp_path / "D_W", FILES)
    (directory / "ent_links").rename(tmp_path / "ent_links")
    (directory / "ent_links").symlink_to("../ent_links")
    with pytest.raises(DataError, match=r"leads outside of .*--allow-outside"):
        read_collection(directory)
    assert len(linked(read_collection(directory, allow_outside=True))) == 3


def named_one_by_one(directory: Path, more: str) -> Path:
    made(directory, FILES)
    sources = "".join(
        f'[[source]]\nname = "{name}"\ntrain = "rel_triples_{n}"\n{more}\n'
        for n, name in enumerate("lr", 1)
    )
    links = '[[links]]\nleft = "l"\nright = "r"\npath = "ent_links"\nunknown = "skip"\n'
    (directory / "c.toml").write_text(f'target = "l"\n{sources}{links}')
    return directory / "c.toml"


def test_attributes_beside_the_facts_come_with_them(tmp_path: Path) -> None:
    with pytest.warns(KgraftWarning) as caught:
        collection = read_collection(named_one_by_one(tmp_path, ""))
    assert "attr_triples_1: read as the attributes of 'l'" in str(caught[0].message)
    attributes = collection.graphs["l"].attributes
    assert attributes is not None
    assert attributes["value"].to_list() == ["One", "Four"]
    assert f"{LEFT}d" in collection.graphs["l"].entities.names.to_list()


def test_attributes_beside_the_facts_can_be_left_out(tmp_path: Path) -> None:
    with pytest.warns(KgraftWarning, match="1 of 3 links name entities"):
        collection = read_collection(named_one_by_one(tmp_path, "attributes = []"))
    assert collection.graphs["l"].attributes is None


def test_attributes_beside_may_not_lead_outside(tmp_path: Path) -> None:
    path = named_one_by_one(tmp_path / "c", "")
    (tmp_path / "c" / "attr_triples_1").rename(tmp_path / "elsewhere")
    (tmp_path / "c" / "attr_triples_1").symlink_to(tmp_path / "elsewhere")
    with (
        pytest.warns(KgraftWarning, match="attributes of"),
        pytest.raises(DataError, match="attr_triples_1 lies outside"),
    ):
        read_collection(path)
