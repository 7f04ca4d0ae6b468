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

_SCHEME: Final = r"^(?i:https?://(?:www\.)?)"

_PAGES: Final = (
    (
        r"^http://(?:m\.)?wikidata\.org/(?:wiki|entity)/(?:Special:EntityData/|Property:)?([QPL]\d+)$",
        "http://wikidata.org/entity/${1}",
    ),
    (r"^http://((?:\w+\.)?dbpedia\.org)/(?:page|data)/", "http://${1}/resource/"),
)
_MAY_BE_PAGE: Final = "/wiki/|/page/|/data/|//m\\."


def _where(
    names: pl.Series, pattern: str, change: Callable[[pl.Series], pl.Series | list[str]]
) -> pl.Series:
    """Change the names that hold a pattern."""
    found = names.str.contains(pattern).fill_null(value=False)
    if not found.any():
        return names
    # ``scatter`` writes into the series that it is called on.
    return names.clone().scatter(found.arg_true(), change(names.filter(found)))


def _decoded(names: pl.Series) -> pl.Series:
    return _where(names, "%[0-9A-Fa-f]{2}", lambda encoded: [_unquoted(x) for x in encoded])


def _unquoted(name: str) -> str:
    try:
        return unquote(name, errors="strict")
    except UnicodeDecodeError:
        return name


def _seen(names: pl.Series) -> pl.Series:
    def without(names: pl.Series) -> pl.Series:
        bare = names.str.replace_all(_UNSEEN, "").str.replace_all(_HYPHENS, "-")
        return bare.str.replace_all(r"\s+", " ").str.strip_chars()

    return _where(names, r"\s|[^\x00-\x7f]", without)


def _composed(names: pl.Series) -> pl.Series:
    return _where(names, r"[^\x00-\x7f]", lambda letters: letters.str.normalize("NFC"))


def _addresses(names: pl.Series) -> pl.Series:
    return _where(names, r"^<?(?i:https?://)|^<.*>$", _plain_addresses)


def _plain_addresses(names: pl.Series) -> pl.Series:
    bare = _where(names, "^<", lambda x: x.str.replace(r"^<(\w[\w+.-]*:[^<>]*)>$", "${1}"))
    iris = _where(bare, _SCHEME, lambda x: x.str.replace(_SCHEME, "http://"))
    iris = _where(iris, r"^http://[^/?#]*[A-Z]", _lower_host)
    iris = _where(iris, "^http://.*/$", lambda x: x.str.strip_chars_end("/"))
    return _where(iris, _MAY_BE_PAGE, _entities)


def _lower_host(iris: pl.Series) -> pl.Series:
    host = iris.str.extract("^([^/]*//[^/?#]*)")
    return host.str.to_lowercase() + iris.str.slice(host.str.len_chars())


def _entities(pages: pl.Series) -> pl.Series:
    for pattern, entity in _PAGES:
        pages = pages.str.replace(pattern, entity)
    return pages


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
    of Wikidata or DBpedia about an entity is the entity. A name of nothing visible has the form "".

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
