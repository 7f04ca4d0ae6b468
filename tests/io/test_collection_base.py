"""A collection may add to another one, its base."""

from __future__ import annotations

import re
import warnings

import pytest

from kgraft.errors import DataError, KgraftWarning
from kgraft.io.read_collection import read_collection

SOURCES = """\
name = "shop"
description = "What a shop sells."
target = "mine"

[[source]]
name = "mine"
train = "mine.tsv"

[[source]]
name = "wiki"
train = "wiki.csv"

"""
LINKS = """\
[[links]]
left = "mine"
right = "wiki"
path = "same.tsv"
"""
MORE = """\
base = "shop.toml"

[[source]]
name = "third"
train = "third.tsv"

[[links]]
left = "third"
right = "wiki"
match = "name"
"""
FILES = {
    "shop.toml": SOURCES + LINKS,
    "mine.tsv": "lamp\tmadeOf\tglass\nchair\tmadeOf\twood\n",
    "wiki.csv": "Lamp,material,Glass\nChair,material,Wood\n",
    "same.tsv": "lamp\tLamp\nwood\tWood\n",
    "more/c.toml": MORE.replace("shop", "../shop"),
    "more/third.tsv": "Lamp\tis\tX\n",
}


def test_a_collection_adds_to_another_one(write) -> None:
    found = read_collection(write(FILES) / "more" / "c.toml")
    assert (found.name, found.target, found.description) == ("shop", "mine", "What a shop sells.")
    assert [*found.graphs] == ["mine", "wiki", "third"]
    assert [(x.left, x.right, len(x)) for x in found.links] == [
        ("mine", "wiki", 2),
        ("third", "wiki", 1),
    ]


def test_the_links_of_a_base_can_be_left_out(write) -> None:
    text = f"base_links = false\nname = 'x'\ntarget = 'third'\n{FILES['more/c.toml']}"
    found = read_collection(write({**FILES, "more/c.toml": text}) / "more" / "c.toml")
    assert (found.name, found.target) == ("x", "third")
    assert [(x.left, x.right) for x in found.links] == [("third", "wiki")]


def test_only_the_last_collection_says_that_its_target_has_no_links(write) -> None:
    alone = {**FILES, "shop.toml": SOURCES}
    directory = write({**alone, "c.toml": f'base = "shop.toml"\n{LINKS}'})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read_collection(directory / "c.toml").links[0]) == 2
    write({**alone, "c.toml": 'base = "shop.toml"\n'})
    with pytest.warns(KgraftWarning, match="has no links") as caught:
        read_collection(directory / "c.toml")
    assert len(caught) == 1


@pytest.mark.parametrize("base", ["c.toml", ".", "../{0}/c.toml", "d.toml"])
def test_a_collection_is_not_its_own_base(write, base: str) -> None:
    directory = write({**FILES, "collection.toml": 'base = "c.toml"\n', "d.toml": 'base = "."\n'})
    write({**FILES, "c.toml": f'\nbase = "{base.format(directory.name)}"\n'})
    with pytest.raises(DataError, match="is this collection, or adds to it"):
        read_collection(directory / "c.toml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('base = "nothing"\n', "nothing: there is no such file or directory"),
        (f'base = "{"x" * 300}"\n', "x: there is no such file or directory"),
        ('base = "a\\u0000b"\n', "there is no such file or directory"),
        ('base = "shop.toml"\n[[source]]\nname = "wiki"\ntrain = "mine.tsv"\n', "two sources"),
        ("base_links = false\n", "there is no source. Give tables [[source]], or name another"),
    ],
)
def test_a_bad_base_is_refused(write, text: str, says: str) -> None:
    directory = write({**FILES, "c.toml": text})
    with pytest.raises(DataError, match=re.escape(says)):
        read_collection(directory / "c.toml")
