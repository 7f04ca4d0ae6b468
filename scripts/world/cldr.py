"""The Unicode CLDR, as the package babel carries it: territories, languages, scripts by code.

Entities are named ``kind/code``; relations are named for the CLDR tables that they come from,
since babel stores those tables without names for their columns.

Left out, and why:

- literals (dates, fractions, formats, translated names, exact population shares);
- languages that CLDR neither names in English nor counts in a territory nor has a locale for:
  some six thousand, each with only a likely script and territory;
- territory containment and measurement systems, which babel does not carry as tables;
- a first day of the week on which a territory's locales disagree: babel lets some Portuguese
  locales inherit Portugal's.
"""

from __future__ import annotations

from babel import localedata
from babel.core import Locale, get_global, parse_locale

from world.facts import SourceGraph, require

SHARES = ((50.0, "language_of_half"), (10.0, "language_of_tenth"), (0.0, "language_of_few"))
"""The least percentage of a territory's people who use a language, and the relation's name."""

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def read() -> SourceGraph:
    """Return the graph of CLDR."""
    require("babel", "2.18.0")
    graph = SourceGraph("cldr")
    locales = sorted(localedata.locale_identifiers())
    _add_territory_languages(graph)
    _add_currencies(graph)
    _add_zones(graph)
    _add_replacements(graph)
    _add_locales(graph, locales)
    _add_weeks(graph, locales)
    _add_likely_subtags(graph)
    _add_labels(graph)
    _add_identifiers(graph)
    return graph


def _add_territory_languages(graph: SourceGraph) -> None:
    for territory, languages in get_global("territory_languages").items():
        for tag, use in languages.items():
            language = _language(graph, tag)
            place = f"territory/{territory}"
            percent = use["population_percent"]
            share = next(relation for least, relation in SHARES if percent >= least)
            graph.facts.add((place, share, language))
            if use["official_status"]:
                graph.facts.add((place, f"{use['official_status']}_language", language))


def _language(graph: SourceGraph, tag: str) -> str:
    """Name a language; one in a given script (``zh_Hant``) is tied to both."""
    code, *script = tag.split("_")
    if script:
        graph.facts.add((f"language/{tag}", "base_language", f"language/{code}"))
        graph.facts.add((f"language/{tag}", "language_script", f"script/{script[0]}"))
    return f"language/{tag}"


def _add_currencies(graph: SourceGraph) -> None:
    for territory, currencies in get_global("territory_currencies").items():
        for code, _, last, tender in currencies:
            relation = "territory_currency" if last is None else "former_territory_currency"
            relation = relation if tender else "territory_currency_unit"
            graph.facts.add((f"territory/{territory}", relation, f"currency/{code}"))


def _add_zones(graph: SourceGraph) -> None:
    for zone, territory in get_global("zone_territories").items():
        graph.facts.add((f"zone/{zone}", "zone_territory", f"territory/{territory}"))
    for zone, metazone in get_global("meta_zones").items():
        graph.facts.add((_zone(zone), "zone_metazone", f"metazone/{metazone}"))
    for windows, zone in get_global("windows_zone_mapping").items():
        graph.facts.add((f"windows_zone/{windows}", "windows_zone_mapping", _zone(zone)))


def _zone(name: str) -> str:
    """Name a zone as the table of territories does; other tables keep names now outdated."""
    if name not in get_global("zone_territories"):
        name = get_global("zone_aliases").get(name, name)
    return f"zone/{name}"


def _add_replacements(graph: SourceGraph) -> None:
    for old, successors in get_global("territory_aliases").items():
        # Three-letter and numeric codes are other codes for one territory, not its successors.
        if len(old) == 2 and old != "UK":
            for new in successors:
                graph.facts.add((f"territory/{old}", "territory_replaced_by", f"territory/{new}"))


def _add_locales(graph: SourceGraph, locales: list[str]) -> None:
    parents = get_global("parent_exceptions")
    for identifier in locales:
        locale = f"locale/{identifier}"
        language, territory, script, *_ = parse_locale(identifier)
        graph.facts.add((locale, "locale_language", f"language/{language}"))
        if territory:
            graph.facts.add((locale, "locale_territory", f"territory/{territory}"))
        if script:
            graph.facts.add((locale, "locale_script", f"script/{script}"))
        if parent := parents.get(identifier):
            graph.facts.add((locale, "parent_locale", f"locale/{parent}"))
        if not territory:
            digits = localedata.load(identifier)["default_numbering_system"]
            graph.facts.add((locale, "default_numbering_system", f"numbering_system/{digits}"))


def _add_weeks(graph: SourceGraph, locales: list[str]) -> None:
    for key in ("first_day", "weekend_start", "weekend_end"):
        days: dict[str, set[int]] = {}
        for identifier in locales:
            territory = parse_locale(identifier)[1]
            if territory:
                week = localedata.load(identifier)["week_data"]
                days.setdefault(territory, set()).add(week[key])
        for territory, found in days.items():
            if len(found) == 1:
                graph.facts.add((f"territory/{territory}", key, f"day/{DAYS[min(found)]}"))


def _add_likely_subtags(graph: SourceGraph) -> None:
    known = {entity for entity in graph.entities if entity.startswith("language/")}
    known |= {f"language/{code}" for code in Locale("en").languages}
    for tag, likely in get_global("likely_subtags").items():
        language, territory, script, *_ = parse_locale(likely)
        code, *rest = tag.split("_")
        if not rest and f"language/{code}" in known:
            graph.facts.add((f"language/{code}", "likely_script", f"script/{script}"))
            graph.facts.add((f"language/{code}", "likely_territory", f"territory/{territory}"))
        elif code == "und" and len(rest) == 1 and f"language/{language}" in known:
            kind = "script" if len(rest[0]) == 4 else "territory"
            graph.facts.add((f"{kind}/{rest[0]}", "likely_language", f"language/{language}"))


def _add_labels(graph: SourceGraph) -> None:
    english = Locale("en")
    names = {
        "territory": english.territories,
        "language": english.languages,
        "script": english.scripts,
        "currency": english.currencies,
    }
    for entity in graph.entities:
        kind, _, code = entity.partition("/")
        if kind in names and code in names[kind]:
            graph.labels[entity] = names[kind][code]
    for number, name in english.days["stand-alone"]["wide"].items():
        graph.labels[f"day/{DAYS[number]}"] = name


def _add_identifiers(graph: SourceGraph) -> None:
    kinds = {"territory": "country", "language": "language", "currency": "currency", "zone": "zone"}
    for entity in graph.entities:
        kind, _, code = entity.partition("/")
        if kind in kinds:
            graph.identifiers[kinds[kind], code] = entity
    for old, zone in get_global("zone_aliases").items():
        graph.aliases["zone", old] = f"zone/{zone}"
