"""The package countryinfo as a graph: countries, capitals and regions by their English names.

Relations are the record's own keys. Languages, currencies and time zones go by the codes that the
records give, since countryinfo has no names for them.

Left out, and why:

- literals (area, population, demonym, spellings, translations, dialling codes, web domains);
- ``provinces``: nearly each name occurs once, so nothing could be held out, and those that recur
  ("Western", "Central") mean another place in each country;
- ``data_no_iso``: places without a code of their own, which nothing else refers to;
- a second record of one alpha-3 code (Curaçao, Palestine and the Vatican have two): the fuller
  record stays;
- borders with codes that no record has (Kosovo, as KOS and XKX) and the language ``rs`` of
  Serbia, which is no ISO 639 code;
- a capital that is really three (Bonaire, Sint Eustatius and Saba).
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

from world.facts import SourceGraph, plain, require

Record = dict[str, Any]

CODE_LISTS = {"currencies": "currency", "languages": "language", "timezoneNames": "zone"}
"""Keys that list codes, and the kind of identifier that the codes are."""

REGIONS = ("region", "subregion", "intermediateregion")

NOT_A_LANGUAGE = "rs"

HOMONYMS = {"Norfolk Island"}
"""Countries whose capital shares its name with another's (Kingston, Jamaica); the record's
coordinates cannot tell, as they are Jamaica's."""


def read() -> SourceGraph:
    """Return the graph of countryinfo."""
    require("countryinfo", "1.0.1")
    records = _records()
    graph = SourceGraph("countryinfo")
    for record in records.values():
        _add_regions(graph, record)
        _add_codes(graph, record)
        _add_borders(graph, record, records)
    countries = {str(record["name"]) for record in records.values()}
    for record in records.values():
        _add_capital(graph, record, countries)
    return graph


def _records() -> dict[str, Record]:
    """Return one record for each alpha-3 code: the one with the most keys filled in."""
    folder = files("countryinfo") / "data"
    found = [
        json.loads(entry.read_text(encoding="utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".json")
    ]
    # From the emptiest to the fullest, so that the fullest is what a code keeps.
    found.sort(key=lambda record: (sum(map(bool, record.values())), record["name"]))
    by_code = {record["ISO"]["alpha3"]: record for record in found}
    return dict(sorted(by_code.items()))


def _add_regions(graph: SourceGraph, record: Record) -> None:
    country = record["name"]
    graph.identifiers["country", record["ISO"]["alpha2"]] = country
    for key in REGIONS:
        if region := record.get(key):
            graph.facts.add((country, key, region))
            graph.identifiers["continent", plain(region)] = region


def _add_codes(graph: SourceGraph, record: Record) -> None:
    country = record["name"]
    for key, kind in CODE_LISTS.items():
        for code in record.get(key) or ():
            if code != NOT_A_LANGUAGE:
                graph.facts.add((country, key, code))
                graph.identifiers[kind, code] = code
    for offset in record.get("timezones") or ():
        if offset:
            # Two records write UTC+11 for what the others write UTC+11:00.
            whole = re.fullmatch(r"UTC[+−]\d\d", offset)
            graph.facts.add((country, "timezones", f"{offset}:00" if whole else offset))


def _add_borders(graph: SourceGraph, record: Record, records: dict[str, Record]) -> None:
    for code in record.get("borders") or ():
        if neighbour := records.get(code):
            graph.facts.add((record["name"], "borders", neighbour["name"]))


def _add_capital(graph: SourceGraph, record: Record, countries: set[str]) -> None:
    country, name = record["name"], record.get("capital")
    if isinstance(name, list):  # the one record that lists its one capital
        (name,) = name
    if not name or "/" in name:
        return
    # A city named as a country is (Luxembourg, Singapore) would be one entity with it.
    shared = name in countries or country in HOMONYMS
    city = f"{name} ({country})" if shared else name
    if shared and country == name:
        city = f"{name} (capital)"
    graph.facts.add((country, "capital", city))
    graph.identifiers["city", f"{record['ISO']['alpha2']}/{plain(name)}"] = city
