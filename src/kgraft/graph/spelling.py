"""Spelling of names: a normal form that leaves out differences which nobody sees or means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal
from urllib.parse import unquote

import polars as pl

Spelling = Literal["exact", "normal"]
"""``exact``: names are equal if all their characters are; ``normal``: if their normal forms are."""

_UNSEEN: Final = "[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
_HYPHENS: Final = "[\u2010\u2011]"

_HTTP: Final = r"^(?i:https?://(?:www\.)?)([^/?#]*)"

_PAGES: Final = (
    (
        r"^http://(?:m\.)?wikidata\.org/(?:wiki|entity)/(?:Special:EntityData/|Property:)?([QPL]\d+)$",
        "http://wikidata.org/entity/${1}",
    ),
    (r"^http://((?:\w+\.)?dbpedia\.org)/(?:page|data)/", "http://${1}/resource/"),
)


def _decoded(names: pl.Series) -> pl.Series:
    encoded = names.str.contains("%[0-9A-Fa-f]{2}").fill_null(value=False)
    if not encoded.any():
        return names
    # ``scatter`` writes into the series that it is called on.
    return names.clone().scatter(encoded.arg_true(), [_unquoted(x) for x in names.filter(encoded)])


def _unquoted(name: str) -> str:
    try:
        return unquote(name, errors="strict")
    except UnicodeDecodeError:
        return name


def _composed(names: pl.Series) -> pl.Series:
    return names.str.normalize("NFC")


def _seen(names: pl.Series) -> pl.Series:
    bare = names.str.replace_all(_UNSEEN, "").str.replace_all(_HYPHENS, "-")
    return bare.str.replace_all(r"\s+", " ").str.strip_chars()


def _addresses(names: pl.Series) -> pl.Series:
    bare = names.str.replace(r"^<(\w[\w+.-]*:[^<>]*)>$", "${1}")
    rest = bare.str.replace(_HTTP, "").str.replace(r"/+$", "")
    host = bare.str.extract(_HTTP).str.to_lowercase()
    iris = ("http://" + host + rest).fill_null(bare)
    for pattern, page in _PAGES:
        iris = iris.str.replace(pattern, page)
    return iris


_DIFFERENCES: Final[dict[str, Callable[[pl.Series], pl.Series]]] = {
    "percent-encoding": _decoded,
    "spaces and invisible characters": _seen,
    "composed letters (NFC and NFD)": _composed,
    "the form of an address (https, www., a slash at the end)": _addresses,
}


def normal_form(names: pl.Series, leave: str | None = None) -> pl.Series:
    """Return each name's normal form, String ``(n,)``.

    It is percent-decoded, in NFC (Unicode Standard Annex 15), without characters that are not seen,
    with one plain space for any white space between words and none around. An IRI has no angle
    brackets, the scheme http, a lower-case host without ``www.``, and no slash at the end; a page
    of Wikidata or DBpedia about an entity is the entity.

    Args:
        names: String series.
        leave: One of the differences of ``differences``, which the form then keeps.
    """
    for difference, without in _DIFFERENCES.items():
        if difference != leave:
            names = without(names)
    return names


def differences(one: str, other: str) -> list[str]:
    """Return in words how two names of one normal form differ."""
    pair = pl.Series([one, other])
    return [x for x in _DIFFERENCES if normal_form(pair, leave=x).n_unique() > 1]


def first_of_form(names: pl.Series) -> pl.Series:
    """Return for each name the row of the first one of the same normal form, Int64 ``(n,)``.

    A blank node, and a name of nothing visible, is its own.
    """
    own = names.str.starts_with("_:")
    forms = pl.DataFrame({"form": normal_form(names)}).with_row_index("row")
    first = pl.col("row").first().over("form")
    rows = forms.select(pl.when(own | (pl.col("form") == "")).then("row").otherwise(first))
    return rows.to_series().cast(pl.Int64)
