"""Links to names that a graph does not have, in one file or in several."""

from __future__ import annotations

import re
import warnings

import pytest

from kgraft.errors import KgraftWarning
from kgraft.io.read_collection import read_collection


def test_links_that_are_skipped_are_told_once(write) -> None:
    """Also of several files, and of one that is read for several pairs of graphs."""
    names = ("mine", "wiki", "third")
    text = "".join(f'[[source]]\nname = "{x}"\ntrain = "{x}.tsv"\n' for x in names)
    for left, right, path in (
        ("mine", "wiki", "one.tsv"),
        ("mine", "third", "one.tsv"),
        ("third", "wiki", "two.tsv"),
    ):
        ends = f'left = "{left}"\nright = "{right}"\npath = "{path}"\n'
        text += f'[[links]]\n{ends}unknown = "skip"\n'
    files = {
        "mine.tsv": "lamp\tmadeOf\twood\n",
        "wiki.tsv": "Lamp\tmaterial\tWood\n",
        "third.tsv": "Z\tr\tY\n",
        "one.tsv": "lamp\tLamp\nwood\tZ\nlamp\tno one\n",
        "two.tsv": "Z\tLamp\nno\tWood\nnone\tWood\n",
    }
    with pytest.warns(KgraftWarning, match="links name") as caught:
        found = read_collection(write({**files, "c.toml": text}) / "c.toml")
    assert [len(x) for x in found.links] == [1, 1, 1]
    (warning,) = caught
    assert re.search(
        r"^3 of 6 links name entities .*: 2 of 3 in .*two\.tsv, as 'no'; 1 of 3 in .*one\.tsv, "
        r"as 'no one'\. ",
        str(warning.message),
    )
    files = {**files, "one.tsv": "lamp\tLamp\nwood\tZ\n", "two.tsv": "Z\tLamp\n"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_collection(write({**files, "c.toml": text}) / "c.toml")
    assert [len(x) for x in found.links] == [1, 1, 1]
