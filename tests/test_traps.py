"""Input that was made, or has happened, to make a reader crash, hang, or take all memory."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from safetensors.torch import load_file, save_file

from kgraft.errors import DataError, ModelDirectoryError, SettingsError
from kgraft.io import tabular
from kgraft.io.columnar import read_columnar
from kgraft.io.dataset_layout import read_layout
from kgraft.io.interchange import from_arrays
from kgraft.io.rdf import read_rdf
from kgraft.io.read_collection import read_collection
from kgraft.io.tabular import read_columns
from kgraft.model.directory import MANIFEST, load_model, save_model
from kgraft.model.trained_model import TrainedModel
from kgraft.model.weight_files import INDEX, WEIGHTS, write_weights
from kgraft.settings import TrainSettings
from kgraft.system import files, memory
from kgraft.system.files import open_bytes, read_bytes
from kgraft.toml_settings import parse_toml, read_settings

# --------------------------------------------------------------------------------------- files


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress)])
def test_what_becomes_many_times_its_size_is_a_trap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, pack
) -> None:
    path = tmp_path / f"a.tsv{ending}"
    path.write_bytes(pack(bytes(1 << 24)))
    with open_bytes(path) as stream:
        assert len(stream.read()) == 1 << 24
    monkeypatch.setattr(files, "UNSUSPECTED", 1 << 20)
    with (
        pytest.raises(DataError, match="more than 200 times the file's size"),
        open_bytes(path) as stream,
    ):
        stream.read()


def test_what_does_not_fit_into_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("a\tr\tb\n")
    column = pa.array(["a"] * 100).dictionary_encode()
    pa.parquet.write_table(
        pa.table({"h": column, "r": column, "t": column}), tmp_path / "a.parquet"
    )
    assert sum(map(len, read_columnar(tmp_path / "a.parquet"))) == 100
    monkeypatch.setattr(memory, "available", lambda: 3)
    for read in (lambda: read_bytes(path), lambda: read_columns(path, "hrt")):
        with pytest.raises(DataError, match=r"and 0\.0 are free"):
            read()
    monkeypatch.setattr(memory, "available", lambda: 16 * 300 - 1)
    with pytest.raises(DataError, match=r"a\.parquet: the content takes .* of memory or more"):
        list(read_columnar(tmp_path / "a.parquet"))


# -------------------------------------------------------------------------------------- readers


def test_a_line_that_does_not_end_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabular, "LONGEST_LINE", 1 << 20)
    for ending in ("tsv", "csv"):
        path = tmp_path / f"a.{ending}"
        path.write_bytes(b"a" * (1 << 20))
        with pytest.raises(DataError, match="line 1: the line is longer than 1 MiB"):
            read_columns(path, "hrt")


def test_blank_lines_without_end_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabular, "MOST_BLANK", 10)
    path = tmp_path / "a.tsv"
    path.write_bytes(b"\n" * 10 + b"a\tr\tb\n")
    assert len(read_columns(path, "hrt")) == 1
    path.write_bytes(b"\n" * 11 + b"a\tr\tb\n")
    with pytest.raises(DataError, match="line 11: more than 10 lines are blank"):
        read_columns(path, "hrt")


def test_arrow_with_offsets_outside_its_text_is_told(tmp_path: Path) -> None:
    table = pa.table({role: ["a", "b"] for role in ("head", "relation", "tail")})
    with pa.ipc.new_file(tmp_path / "a.arrow", table.schema) as file:
        file.write_table(table)
    whole, outside = (b"".join(x.to_bytes(4, "little") for x in (0, 1, y)) for y in (2, 1 << 30))
    content = (tmp_path / "a.arrow").read_bytes()
    assert whole in content
    (tmp_path / "a.arrow").write_bytes(content.replace(whole, outside))
    with pytest.raises(DataError, match="not whole Parquet or Arrow data"):
        list(read_columnar(tmp_path / "a.arrow"))


@pytest.mark.parametrize("ending", ["arrow", "parquet"])
def test_metadata_that_is_no_text_does_not_matter(tmp_path: Path, ending: str) -> None:
    path, said = tmp_path / f"a.{ending}", {b"ARRO\x99": b"\xf3"}
    fields = [pa.field(name, pa.string(), metadata=said) for name in ("head", "relation", "tail")]
    table = pa.table([["a"], ["r"], ["b"]], schema=pa.schema(fields, metadata=said))
    if ending == "parquet":
        pa.parquet.write_table(table, path)
    else:
        with pa.ipc.new_file(path, table.schema) as file:
            file.write_table(table)
    assert next(read_columnar(path)).rows() == [("a", "r", "b")]


@pytest.mark.parametrize("ending", ["arrow", "parquet"])
def test_a_column_whose_name_is_no_text_is_told(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    table = pa.table({role: ["a", "b"] for role in ("head", "relation", "tail")})
    if ending == "parquet":
        pa.parquet.write_table(table, path, store_schema=False)
    else:
        with pa.ipc.new_file(path, table.schema) as file:
            file.write_table(table)
    path.write_bytes(path.read_bytes().replace(b"head", b"\x98ead"))
    with pytest.raises(DataError, match="not whole Parquet or Arrow data"):
        list(read_columnar(path))


@pytest.mark.parametrize("kind", ["parquet", "delta", "arrow"])
def test_a_cell_that_is_repeated_is_not_written_out_beyond_all_measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(files, "UNSUSPECTED", 1 << 20)
    for size, n, is_trap in ((10, 1000, False), (100_000, 1000, True)):
        names = pa.array([0] * n, pa.int32())
        column = pa.DictionaryArray.from_arrays(names, pa.array(["a" * size]))
        table = pa.table(dict.fromkeys(("head", "relation", "tail"), column))
        path = tmp_path / f"a{size}.{'arrow' if kind == 'arrow' else 'parquet'}"
        if kind == "arrow":
            how = pa.ipc.IpcWriteOptions(compression="zstd")
            with pa.ipc.new_file(path, table.schema, options=how) as file:
                file.write_table(table)
        elif kind == "parquet":
            pa.parquet.write_table(table, path)
        else:
            plain = pa.table([x.cast(pa.string()) for x in table.columns], table.schema.names)
            delta = dict.fromkeys(table.schema.names, "DELTA_BYTE_ARRAY")
            pa.parquet.write_table(plain, path, use_dictionary=False, column_encoding=delta)
        assert path.stat().st_size < 1 << 20
        if is_trap:
            with pytest.raises(DataError, match="more than 200 times the file's size"):
                list(read_columnar(path))
        else:
            assert sum(map(len, read_columnar(path))) == n


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a." * 1_000_000 + "a = 1", "a key has more than 20 parts"),
        ('"a" . ' * 30 + "a = 1", "a key has more than 20 parts"),
        ("[" + "a." * 30 + "a]", "a key has more than 20 parts"),
        ("a." * 10 + "a = 1", None),
        ("text = '" + "a." * 15 + "'", None),
    ],
)
def test_a_key_of_many_parts_is_refused(text: str, problem: str | None) -> None:
    if problem is None:
        assert parse_toml(text)
    else:
        with pytest.raises(ValueError, match=problem):
            parse_toml(text)


def test_a_collection_of_very_many_sources_is_refused_before_it_is_read(tmp_path: Path) -> None:
    tables = (f'[[source]]\nname = "s{x}"\ntrain = "a.tsv"\n' for x in range(257))
    path = tmp_path / "collection.toml"
    path.write_text("".join(tables))
    with pytest.raises(DataError, match=r"collection\.toml: there are 257 sources, and 256 are"):
        read_collection(path)


def test_a_long_prefix_is_not_written_out_beyond_all_measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "UNSUSPECTED", 1 << 20)
    path = tmp_path / "a.ttl"
    for length, is_trap in ((20, False), (50_000, True)):
        facts = "".join(f"p:{x} p:r p:{x + 1} .\n" for x in range(1000))
        path.write_text(f"@prefix p: <http://a.org/{'a' * length}/> .\n{facts}")
        if is_trap:
            with pytest.raises(DataError, match="more than 200 times the file's size"):
                list(read_rdf(path, "turtle", "scope"))
        else:
            assert sum(len(x.facts) for x in read_rdf(path, "turtle", "scope")) == 1000


@pytest.mark.parametrize(("deep", "is_trap"), [(1000, False), (11_000, True)])
def test_rdf_xml_that_is_nested_very_deep_is_refused(
    tmp_path: Path, deep: int, is_trap: bool
) -> None:
    path = tmp_path / "a.rdf"
    inner = "<a:r><rdf:Description>" * (deep // 2), "</rdf:Description></a:r>" * (deep // 2)
    path.write_text(
        f"<rdf:RDF {ABOUT}><rdf:Description rdf:about='http://a.org/x'>{''.join(inner)}"
        "</rdf:Description></rdf:RDF>"
    )
    if is_trap:
        with pytest.raises(DataError, match="elements are nested more than 10,000 deep"):
            list(read_rdf(path, "rdfxml", "scope"))
    else:
        assert sum(len(x.facts) for x in read_rdf(path, "rdfxml", "scope")) == deep // 2


ABOUT = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:a="http://a.org/"'


@pytest.mark.parametrize(
    ("declared", "trap"),
    [
        ('<!ENTITY e "http://a.org/">', False),
        ('<!ENTITY e "&#104;i">', False),
        ('<!ENTITY l "ha"><!ENTITY e "&l;&l;">', True),
        (f'<!ENTITY e "{"a" * 280}">', False),
        (f'<!ENTITY e "{"a" * 300}">', True),
        (f'{" " * ((1 << 20) - 40)}<!ENTITY l "ha"><!ENTITY e "&l;&l;">', True),
    ],
    ids=["abbreviation", "character", "nested", "shorter", "long", "across pieces"],
)
def test_xml_entities_are_abbreviations(tmp_path: Path, declared: str, trap: bool) -> None:
    path = tmp_path / "a.rdf"
    path.write_text(
        f"<?xml version='1.0'?><!DOCTYPE r [{declared}]><rdf:RDF {ABOUT}>"
        "<rdf:Description rdf:about='http://a.org/x'><a:r>&e;</a:r></rdf:Description></rdf:RDF>"
    )
    if trap:
        with pytest.raises(DataError, match="an XML entity is made of other entities, or is long"):
            list(read_rdf(path, "rdfxml", "scope"))
    else:
        [batch] = read_rdf(path, "rdfxml", "scope")
        assert len(batch.literals) == 1


@pytest.mark.parametrize("largest", [2**31, 2**63 - 1])
def test_ids_far_beyond_what_is_there_make_no_names(tmp_path: Path, largest: int) -> None:
    (tmp_path / "kg").mkdir()
    (tmp_path / "kg" / "aa-train.tsv").write_text(f"0\t0\t{largest}\n")
    with pytest.raises(DataError, match=f"the largest id is {largest:,}, where there are 2 in all"):
        read_layout(tmp_path)
    with pytest.raises(DataError, match="Number from 0 without gaps"):
        from_arrays("g", [[0, 0, largest]])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a = " + "[" * 100_000, "nested too deeply"),
        ("a = " + "9" * 10_000, "limit"),
        ("#" * ((1 << 22) + 1), "longer than 4,194,304 characters"),
    ],
    ids=["deep", "number", "long"],
)
def test_toml_that_nobody_writes_is_refused(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ValueError, match=why):
        parse_toml(text)
    with pytest.raises(SettingsError, match=why):
        read_settings(TrainSettings, tmp_path / "a.toml")


# --------------------------------------------------------------------------------------- models


@pytest.fixture
def kept(student: TrainedModel, tmp_path: Path) -> Path:
    """A student's directory."""
    save_model(student, tmp_path / "model")
    return tmp_path / "model"


def name(directory: Path, changed: str) -> None:
    """Let the manifest name a file as it is now."""
    manifest = json.loads((directory / MANIFEST).read_text())
    content = (directory / changed).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    manifest["files"][changed] = {"bytes": len(content), "sha256": digest}
    (directory / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize("outside", ["../secret", "a/../../secret", "..", "", "deep/a"])
def test_a_manifest_names_no_file_outside_its_directory(kept: Path, outside: str) -> None:
    manifest = json.loads((kept / MANIFEST).read_text())
    manifest["files"][outside] = {"bytes": 1, "sha256": ""}
    (kept / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ModelDirectoryError, match=r"names .*, which is no file in this directory"):
        load_model(kept)


def test_an_absolute_path_in_a_manifest_is_refused(kept: Path) -> None:
    manifest = json.loads((kept / MANIFEST).read_text())
    manifest["files"][str(kept.with_name("secret"))] = {}
    (kept / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ModelDirectoryError, match="which is no file in this directory"):
        load_model(kept)


def test_a_manifest_that_leaves_a_file_out_vouches_for_nothing(kept: Path) -> None:
    manifest = json.loads((kept / MANIFEST).read_text())
    manifest["files"] = {}
    (kept / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ModelDirectoryError, match="was changed or cut off"):
        load_model(kept)


def test_weights_that_are_no_numbers_are_refused(kept: Path) -> None:
    weights = load_file(kept / "weights.safetensors")
    weights["relations"][0, 0] = float("nan")
    save_file(weights, kept / "weights.safetensors")
    name(kept, "weights.safetensors")
    with pytest.raises(ModelDirectoryError, match="no finite numbers"):
        load_model(kept)


def test_rules_about_rows_that_are_not_there_are_refused(kept: Path) -> None:
    rules = pa.parquet.read_table(kept / "rules.parquet").to_pylist()
    schema = pa.parquet.read_schema(kept / "rules.parquet")
    rules[0]["relation"] = 1_000
    pa.parquet.write_table(pa.Table.from_pylist(rules, schema), kept / "rules.parquet")
    name(kept, "rules.parquet")
    with pytest.raises(ModelDirectoryError, match="a relation of a rule lies outside"):
        load_model(kept)


def test_a_manifest_nested_without_end_is_refused(kept: Path) -> None:
    (kept / MANIFEST).write_text('{"format": ' + "[" * 100_000)
    with pytest.raises(ModelDirectoryError, match="cannot be read"):
        load_model(kept)


@pytest.mark.parametrize("outside", ["../secret.safetensors", "/etc/passwd", "deep/a.safetensors"])
def test_an_index_of_shards_leads_nowhere(kept: Path, outside: str) -> None:
    """Shards are the files that the manifest names, whatever their index says."""
    whole = load_model(kept).kge
    tensors = load_file(kept / WEIGHTS)
    (kept / WEIGHTS).unlink()
    row = tensors["entities"].shape[1] * tensors["entities"].itemsize
    write_weights(tensors, kept, shard_bytes=50 * row)
    manifest = json.loads((kept / MANIFEST).read_text())
    del manifest["files"][WEIGHTS]
    (kept / MANIFEST).write_text(json.dumps(manifest))
    index = json.loads((kept / INDEX).read_text())
    index["weight_map"] = dict.fromkeys(index["weight_map"], outside)
    (kept / INDEX).write_text(json.dumps(index))
    for file in kept.glob("weights*"):
        name(kept, file.name)
    assert len([*kept.glob("weights-*")]) > 1
    assert load_model(kept).kge.entities.equal(whole.entities)
    manifest = json.loads((kept / MANIFEST).read_text())
    manifest["files"]["weights-../../secret.safetensors"] = {"bytes": 1, "sha256": ""}
    (kept / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ModelDirectoryError):
        load_model(kept)
