"""Made data of the examples shop, companies and library: small worlds that two sources describe.

A source states a part of what is true in its world. What the target does not state is in
``left-out.tsv`` beside it, to judge proposals by. Nothing is taken from elsewhere; names are drawn
from syllables.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

Fact = tuple[str, str, str]
Files = dict[str, str]

SYLLABLES = "ba ber da del do fen gar hol ka kel lin lo mar men na nor pa ral sa sten ti tor va wen"
COLOURS = ("black", "blue", "green", "grey", "red", "white", "yellow", "natural")
MATERIALS = ("oak", "beech", "steel", "glass", "cotton", "wool", "rattan", "clay")
KINDS = {
    "Table": ("dining room", "kitchen"),
    "Chair": ("dining room", "office"),
    "Lamp": ("bedroom", "office"),
    "Shelf": ("office", "living room"),
    "Rug": ("living room", "bedroom"),
    "Bowl": ("kitchen", "dining room"),
}
COUNTRIES = ("Austria", "Denmark", "Finland", "France", "Italy", "Poland", "Portugal", "Spain")
SECTORS = ("Brewing", "Dyeing", "Forestry", "Glazing", "Milling", "Printing", "Tanning", "Weaving")
SUBJECTS = ("Astronomy", "Beekeeping", "Cookery", "Geology", "Navigation", "Pottery", "Sagas")
LABEL = "http://www.w3.org/2000/01/rdf-schema#label"
SAME = "http://www.w3.org/2002/07/owl#sameAs"
XSD = "http://www.w3.org/2001/XMLSchema#"


class Draw:
    """Random choices that a seed repeats."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311

    def word(self) -> str:
        """Return a name of two or three syllables."""
        syllables = self.random.choices(SYLLABLES.split(), k=self.random.randint(2, 3))
        return "".join(syllables).capitalize()

    def words(self, n: int) -> list[str]:
        """Return different names."""
        found: dict[str, None] = {}
        while len(found) < n:
            found[self.word()] = None
        return list(found)

    def mostly(self, first: str, others: Sequence[str], share: float) -> str:
        """Return the first with a probability, else any of the others."""
        return first if self.random.random() < share else self.random.choice(others)

    def part(self, facts: Iterable[Fact], share: float) -> list[Fact]:
        """Return a share of some facts."""
        return [fact for fact in facts if self.random.random() < share]


def shop() -> Files:
    """Return a shop's products as a table, an open catalogue in RDF, and a table of links."""
    draw = Draw(1)
    makers = draw.words(24)
    seat = {maker: draw.random.choice(COUNTRIES) for maker in makers}
    stuff = {maker: draw.random.choice(MATERIALS) for maker in makers}
    true: list[Fact] = []
    for name in draw.words(260):
        kind, maker = draw.random.choice(list(KINDS)), draw.random.choice(makers)
        product = f"{name} {kind}"
        true += [
            (product, "category", kind),
            (product, "madeBy", maker),
            (product, "madeOf", draw.mostly(stuff[maker], MATERIALS, 0.8)),
            (product, "colour", draw.random.choice(COLOURS)),
            *((product, "suitableFor", room) for room in KINDS[kind]),
        ]
    true += [(maker, "basedIn", country) for maker, country in seat.items()]
    mine = draw.part(true, 0.65)
    called = {"category": "kind", "madeBy": "maker", "madeOf": "material", "basedIn": "country"}
    theirs = [(h, called[r], t) for h, r, t in draw.part(true, 0.8) if r in called]
    number = numbers({x for h, _, t in theirs for x in (h, t)}, draw, 1001)
    known = sorted({x for h, _, t in mine for x in (h, t)} & {*number})
    base = "https://catalogue.example/"
    links = [(x, f"{base}id/{number[x]}") for x in known if draw.random.random() < 0.7]
    return {
        "products.csv": table([("product", "property", "value"), *mine]),
        "sameas.csv": table([("left", "right"), *links]),
        "catalogue.ttl": catalogue(theirs, number),
        "left-out.tsv": tsv(sorted({*true} - {*mine})),
    }


def catalogue(facts: Sequence[Fact], number: Mapping[str, int]) -> str:
    """Return facts in Turtle, each subject with its label and what is said of it."""
    blocks: dict[str, list[str]] = {name: [f'rdfs:label "{name}"@en'] for name in number}
    for head, relation, tail in facts:
        blocks[head].append(f"p:{relation} id:{number[tail]}")
    lines = [
        "@prefix id: <https://catalogue.example/id/> .",
        "@prefix p: <https://catalogue.example/property/> .",
        "@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .",
        "",
    ]
    lines += [f"id:{number[name]} {' ; '.join(said)} ." for name, said in blocks.items()]
    return "\n".join(lines) + "\n"


def companies() -> Files:
    """Return a list of customers in Turtle, with numbers, dates and texts, and a register."""
    draw = Draw(2)
    towns = {town: draw.random.choice(COUNTRIES) for town in draw.words(40)}
    true: list[Fact] = [(town, "inCountry", country) for town, country in towns.items()]
    firms, numbers_of = [f"{word} {form(draw)}" for word in draw.words(220)], {}
    sector_of = {firm: draw.random.choice(SECTORS) for firm in firms}
    for firm in firms:
        staff = int(10 ** draw.random.uniform(0.5, 4))
        size = "small" if staff < 50 else "medium" if staff < 500 else "large"
        founded = draw.random.randint(1870, 2020)
        age = "old house" if founded < 1920 else "grown" if founded < 1980 else "young"
        numbers_of[firm] = staff, f"{founded}-{draw.random.randint(1, 12):02}-15", age
        true += [
            (firm, "hasSeat", draw.random.choice(list(towns))),
            (firm, "sector", sector_of[firm]),
            (firm, "sizeClass", size),
        ]
        peers = [x for x in firms if x != firm and sector_of[x] == sector_of[firm]]
        true += [(firm, "buysFrom", peer) for peer in draw.random.sample(peers, 2)]
    mine = draw.part(true, 0.65)
    named = sorted({x for h, _, t in mine for x in (h, t)})
    called = {"hasSeat": "headquarters", "sector": "industry", "inCountry": "country"}
    theirs = [(h, called.get(r, r), t) for h, r, t in draw.part(true, 0.75) if r != "sizeClass"]
    # The register states who sells to whom: the other way round.
    theirs = [(t, "sellsTo", h) if r == "buysFrom" else (h, r, t) for h, r, t in theirs]
    number = numbers({x for h, _, t in theirs for x in (h, t)}, draw, 500001)
    base, other = "http://customers.example/", "https://register.example/"
    lines = [
        f"@prefix : <{base}vocabulary/> .",
        f"@prefix owl: <{SAME.partition('#')[0]}#> .",
        f"@prefix rdfs: <{LABEL.partition('#')[0]}#> .",
        f"@prefix xsd: <{XSD}> .",
        "",
    ]
    for name in named:
        said = [f'rdfs:label "{name}"']
        if name in numbers_of:
            workers, since, age = numbers_of[name]
            said += [f":employees {workers}", f':founded "{since}"^^xsd:date', f':age "{age}"']
        if name in number and draw.random.random() < 0.5:
            said.append(f"owl:sameAs <{other}{number[name]}>")
        said += [f":{r} <{iri(base, t)}>" for h, r, t in mine if h == name]
        lines.append(f"<{iri(base, name)}> {' ; '.join(said)} .")
    triples = [
        (f"{other}{number[h]}", f"{other}p/{r}", f"{other}{number[t]}") for h, r, t in theirs
    ]
    labels = [f'<{other}{number[x]}> <{LABEL}> "{x.upper()}" .' for x in number]
    left_out = [
        (iri(base, h), f"{base}vocabulary/{r}", iri(base, t)) for h, r, t in {*true} - {*mine}
    ]
    return {
        "customers.ttl": "\n".join(lines) + "\n",
        "register.nt": "".join(f"<{h}> <{r}> <{t}> .\n" for h, r, t in triples)
        + "".join(f"{x}\n" for x in labels),
        "left-out.tsv": tsv(sorted(left_out)),
    }


def form(draw: Draw) -> str:
    """Return the legal form at the end of a firm's name."""
    return draw.random.choice(("AG", "Ltd", "& Sons", "S.A."))


def library() -> Files:
    """Return a town library's books in JSON-LD, a national one's in N-Quads, and no links."""
    draw = Draw(3)
    authors, houses = draw.words(60), draw.words(18)
    person = {name: f"{draw.word()} {name}" for name in authors}
    subject_of = {name: draw.random.choice(SUBJECTS) for name in authors}
    house_of = {name: draw.random.choice(houses) for name in authors}
    true: list[Fact] = []
    title, isbn = {}, {}
    for n in range(240):
        book, author = f"book/{n + 1}", draw.random.choice(authors)
        subject = draw.mostly(subject_of[author], SUBJECTS, 0.85)
        # Some titles are those of several books, which only their numbers tell apart.
        title[book] = draw.random.choice((f"On {subject}", f"{draw.word()}: {subject} for all"))
        isbn[book] = f"978-{n % 10}-{10000 + 37 * n}-{n % 100:02}-{n * 7 % 10}"
        true += [
            (book, "author", f"person/{author}"),
            (book, "about", f"subject/{subject}"),
            (book, "publisher", f"house/{draw.mostly(house_of[author], houses, 0.8)}"),
        ]
    true += [(f"person/{x}", "writesAbout", f"subject/{y}") for x, y in subject_of.items()]
    mine = draw.part(true, 0.6)
    theirs = draw.part(true, 0.85)
    label = {**title, **{f"person/{x}": y for x, y in person.items()}}
    town, nation = "http://library.example/", "https://national.example/"
    number = numbers({x for h, _, t in theirs for x in (h, t)}, draw, 70001)
    called = {"author": "creator", "about": "subject", "publisher": "publishedBy"}
    graph = f"<{nation}catalogue>"
    quads = [
        f"<{nation}{number[h]}> <{nation}terms/{called.get(r, r)}> <{nation}{number[t]}> {graph} ."
        for h, r, t in theirs
    ]
    for name, place in number.items():
        shown = label.get(name, name.partition("/")[2])
        if name.startswith("person/"):  # Family name first, as catalogues do.
            shown = ", ".join(reversed(shown.split()))
        quads.append(f'<{nation}{place}> <{LABEL}> "{shown}" {graph} .')
        if name in isbn:
            quads.append(f'<{nation}{place}> <{nation}terms/isbn> "{isbn[name]}" {graph} .')
    pairs = [
        (town + x, f"{nation}{number[x]}")
        for x in sorted({x for y in mine for x in y[::2]})
        if x in number
    ]
    left_out = [(town + h, f"{town}terms/{r}", town + t) for h, r, t in {*true} - {*mine}]
    return {
        "books.jsonld": books(town, mine, label, isbn),
        "national.nq": "\n".join(quads) + "\n",
        "same.tsv": tsv(pairs),
        "left-out.tsv": tsv(sorted(left_out)),
    }


def books(
    base: str, facts: Sequence[Fact], label: Mapping[str, str], isbn: Mapping[str, str]
) -> str:
    """Return facts in JSON-LD, one node a thing."""
    nodes: dict[str, dict[str, Any]] = {}
    for head, relation, tail in facts:
        for name in (head, tail):
            shown = label.get(name, name.partition("/")[2])
            about = nodes.setdefault(name, {"@id": name, "label": shown})
            if name in isbn:
                about["isbn"] = isbn[name]
        nodes[head][relation] = [*nodes[head].get(relation, []), {"@id": tail}]
    context = {"@base": base, "@vocab": f"{base}terms/", "label": LABEL}
    lines = ",\n".join(json.dumps(nodes[name]) for name in sorted(nodes))
    return f'{{"@context": {json.dumps(context)}, "@graph": [\n{lines}\n]}}\n'


def numbers(names: Iterable[str], draw: Draw, first: int) -> dict[str, int]:
    """Return a number for each name, in a drawn order."""
    ordered = sorted(names)
    draw.random.shuffle(ordered)
    return {name: place for place, name in enumerate(ordered, start=first)}


def iri(base: str, name: str) -> str:
    """Return the IRI of a name."""
    return f"{base}id/{quote(name.replace(' ', '_'))}"


def table(rows: Iterable[Sequence[str]]) -> str:
    """Return rows separated by commas."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def tsv(rows: Iterable[Sequence[str]]) -> str:
    """Return rows separated by tabs."""
    return "".join("\t".join(row) + "\n" for row in rows)


EXAMPLES = {"shop": shop, "companies": companies, "library": library}
