"""A collection reads regular files below its directory, and others only where that is allowed."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from kgraft.errors import DataError
from kgraft.io.rdf import read_rdf
from kgraft.io.read_collection import read_collection
from kgraft.io.write_collection import write_collection

SHOP = """\
target = "mine"

[[source]]
name = "mine"
train = "mine.tsv"
valid = "valid.tsv"

[[source]]
name = "wiki"
train = "wiki.tsv"

[[links]]
left = "mine"
right = "wiki"
path = "same.tsv"
"""
FILES = {
    "shop.toml": SHOP,
    "mine.tsv": "lamp\tmadeOf\tglass\nchair\tmadeOf\twood\n",
    "valid.tsv": "lamp\tmadeOf\twood\n",
    "wiki.tsv": "Lamp\tmaterial\tGlass\n",
    "same.tsv": "lamp\tLamp\n",
}


def write(directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    for name, content in FILES.items():
        (directory / name).write_text(content)


@pytest.mark.parametrize("key", ["train", "valid", "labels", "attributes", "path"])
@pytest.mark.parametrize("way", ["up", "absolute", "link"])
def test_files_outside_of_the_directory_are_read_only_where_allowed(
    tmp_path: Path, key: str, way: str
) -> None:
    write(tmp_path / "deep")
    name = {"train": "mine.tsv", "valid": "valid.tsv", "path": "same.tsv"}.get(key, "labels.tsv")
    outside = tmp_path / "elsewhere" / name
    outside.parent.mkdir()
    column = "name\t" if key == "attributes" else ""
    outside.write_text(FILES.get(name, f"lamp\t{column}The lamp\n"))
    (tmp_path / "deep" / "link.tsv").symlink_to(outside)
    named = {"up": f"../elsewhere/{name}", "absolute": str(outside), "link": "link.tsv"}[way]
    shop = SHOP.replace(f'"{name}"', f"'{named}'")
    if key in ("labels", "attributes"):
        shop = shop.replace('valid = "', f"{key} = '{named}'\nvalid = \"")
    (tmp_path / "deep" / "shop.toml").write_text(shop)
    table = "links" if key == "path" else "source"
    told = rf"shop\.toml, line \d+: {table}\.1: .* lies outside .*--allow-outside"
    with pytest.raises(DataError, match=told):
        read_collection(tmp_path / "deep" / "shop.toml")
    found = read_collection(tmp_path / "deep" / "shop.toml", allow_outside=True)
    assert len(found.graphs["mine"].train) == 2


def test_a_layout_reads_no_file_outside_of_its_directory(tmp_path: Path) -> None:
    place = tmp_path / "data"
    (place / "kg").mkdir(parents=True)
    (tmp_path / "en-train.tsv").write_text("0\t0\t1\n1\t0\t0\n")
    (place / "kg" / "en-train.tsv").symlink_to("../../en-train.tsv")
    with pytest.raises(DataError, match=r"leads outside of .*--allow-outside"):
        read_collection(place)
    assert len(read_collection(place, allow_outside=True).graphs["en"].train) == 2


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices are of POSIX")
@pytest.mark.parametrize("key", ["train", "path"])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, key: str) -> None:
    name = {"train": "mine.tsv", "path": "same.tsv"}[key]
    write(tmp_path)
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match=f"{name}: this is no regular file"):
        read_collection(tmp_path / "shop.toml")


def test_a_base_may_be_any_collection_and_reads_below_its_own_directory(tmp_path: Path) -> None:
    write(tmp_path / "deep")
    (tmp_path / "more").mkdir()
    file = tmp_path / "more" / "collection.toml"
    file.write_text('base = "../deep/shop.toml"\n')
    assert list(read_collection(file).graphs) == ["mine", "wiki"]
    file.write_text('base = "../deep/mine.tsv"\n')
    with pytest.raises(DataError, match=r"line 1: base: \.\./deep/mine\.tsv lies outside"):
        read_collection(file)
    assert list(read_collection(file, allow_outside=True).graphs) == ["mine"]


def test_a_written_collection_says_that_it_names_files_outside(tmp_path: Path) -> None:
    write(tmp_path / "deep")
    (tmp_path / "more").mkdir()
    for place, says in ((tmp_path / "more", True), (tmp_path / "deep", False)):
        path = place / "collection.toml"
        write_collection(path, [tmp_path / "deep" / "mine.tsv"])
        assert ("--allow-outside" in path.read_text()) is says


def test_a_base_without_an_ending_is_a_directory_or_a_file_of_facts(tmp_path: Path) -> None:
    write(tmp_path / "deep")
    (tmp_path / "deep" / "shop.toml").rename(tmp_path / "deep" / "collection.toml")
    (tmp_path / "facts").write_text(FILES["mine.tsv"])
    (tmp_path / "more").mkdir()
    file = tmp_path / "more" / "collection.toml"
    file.write_text('base = "../deep"\n')
    assert list(read_collection(file).graphs) == ["mine", "wiki"]
    file.write_text('base = "../facts"\n')
    with pytest.raises(DataError, match=r"base: \.\./facts lies outside"):
        read_collection(file)


ENTITY = '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY e SYSTEM "{}">]>'
NAMING = {
    "jsonld": '{{"@context": "{}", "@id": "http://a.org/x", "r": "secret"}}',
    "jsonld list": '{{"@context": ["{}", {{"r": "http://a.org/r"}}], "@id": "http://a.org/x"}}',
    "jsonld import": '{{"@context": {{"@version": 1.1, "@import": "{}"}}, "@id": "http://a.org/x"}}',
    "rdfxml": ENTITY + "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' "
    "xmlns:a='http://a.org/'><rdf:Description rdf:about='http://a.org/x'><a:r>&e;</a:r>"
    "</rdf:Description></rdf:RDF>",
    "turtle": "@base <{0}> . @prefix owl: <http://www.w3.org/2002/07/owl#> .\n"
    "<http://a.org/x> owl:imports <{0}> ; <http://a.org/r> <#me> .",
}


@pytest.mark.filterwarnings("ignore:.*relative IRIs")
@pytest.mark.parametrize("kind", NAMING)
@pytest.mark.parametrize("scheme", ["http", "file"])
def test_a_document_is_read_without_those_that_it_names(
    tmp_path: Path, kind: str, scheme: str
) -> None:
    """Contexts, entities, bases and imports of other documents are never fetched or opened."""
    secret = tmp_path / "secret"
    secret.write_text('{"@context": {"r": "http://a.org/secret"}}')
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        web = f"http://127.0.0.1:{listener.getsockname()[1]}/secret"
        path = tmp_path / "mine"
        path.write_text(NAMING[kind].format(web if scheme == "http" else secret.as_uri()))
        try:
            batches = list(read_rdf(path, kind.split()[0], "scope"))  # type: ignore[arg-type]
            assert "a.org/secret" not in str([x.facts for x in batches])
            assert "@context" not in str([x.literals for x in batches])
        except DataError:
            assert kind not in ("turtle",)
        with pytest.raises(TimeoutError):
            listener.accept()
