"""The reference page of ``collection.toml`` has every key, its values, its default, an example."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from kgraft.io.collection_file import CollectionFile, LinkSource, parse_collection_file
from kgraft.io.source import GraphSource, Split

PAGE = Path(__file__).parents[2] / "docs" / "collection.md"
TABLES: dict[str, type[BaseModel]] = {
    "At the top": CollectionFile,
    "`[[source]]`": GraphSource,
    "`split`": Split,
    "`[[links]]`": LinkSource,
}
OF_THEIR_OWN = {"source", "links"}
"""Keys of tables that have a part of the page each."""


def rows(heading: str) -> dict[str, list[str]]:
    """Return the cells beside each key in the table below a heading."""
    part = re.split(rf"^#+ {re.escape(heading)}$", PAGE.read_text(encoding="utf-8"), flags=re.M)[1]
    lines = part[: part.find("\n#")].splitlines()
    cells = [line.strip("|").split(" | ") for line in lines if line.startswith("| `")]
    return {key.strip(" `"): [x.strip() for x in more] for key, *more in cells}


KEYS = [(heading, name) for heading, table in TABLES.items() for name in table.model_fields]


@pytest.mark.parametrize("heading", TABLES)
def test_the_page_has_exactly_the_keys_that_are_read_in_their_order(heading: str) -> None:
    assert [*rows(heading)] == [x for x in TABLES[heading].model_fields if x not in OF_THEIR_OWN]


@pytest.mark.parametrize(("heading", "name"), [x for x in KEYS if x[1] not in OF_THEIR_OWN])
def test_values_default_and_example_are_those_that_are_read(heading: str, name: str) -> None:
    values, default, meaning, example = rows(heading)[name]
    field = TABLES[heading].model_fields[name]
    assert meaning
    if choices := words(field.annotation):
        assert re.findall(r'"(\w+)"', values) == choices
    if field.is_required():
        assert default == "required"
    elif field.default not in (None, ()):
        given = field.default if field.default != ("head", "relation", "tail") else [*ROLES]
        assert tomllib.loads(f"x = {default.strip('`')}")["x"] == given
    else:
        assert not default.startswith("`")
    found = tomllib.loads(example.strip("`"))
    assert [*found] == [name]
    assert validated(field, found[name]) != field.default


ROLES = ("head", "relation", "tail")


def words(annotation: Any) -> list[str]:
    """Return the words that a key may have, or nothing if it takes other values."""
    if get_origin(annotation) is Literal:
        return [*get_args(annotation)]
    return [x for part in get_args(annotation) for x in words(part)]


def validated(field: FieldInfo, value: Any) -> Any:
    """Return a value as the field reads it."""
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return TypeAdapter(kind).validate_python(value)


def test_the_example_of_the_page_is_a_collection() -> None:
    example = re.search(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)
    assert example is not None
    found = parse_collection_file(Path("collection.toml"), example[1])
    assert [x.name for x in found.source.values()] == ["mine", "wikidata"]


def test_the_page_is_linked() -> None:
    for page in ("README.md", "docs/alignment.md", "docs/glossary.md"):
        assert "collection.md" in (PAGE.parents[1] / page).read_text(encoding="utf-8"), page
