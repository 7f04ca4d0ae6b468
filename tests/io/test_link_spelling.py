"""Links whose names a graph spells otherwise are matched where asked to, else advice is given."""

from __future__ import annotations

import warnings

import pytest
from linked_pair import as_text, read, refused

from kgraft.cli.inspection import remarks
from kgraft.errors import DataError, KgraftWarning
from kgraft.io.read_collection import read_collection
from kgraft.linking.inspection import inspect

SAME = "http://www.w3.org/2002/07/owl#sameAs"

OTHERWISE = {
    "l.tsv": "https://el/a\thttp://en/A\nhttp://el/%62\thttp://www.en/B\nboth \tboth\n",
    "l.csv": "right,left\nhttp://en/A,https://el/a\nhttp://www.en/B,http://el/b\n both,both\n",
    "l.nt": f"<http://en/A> <{SAME}> <https://el/a> .\n<http://el/%62> <{SAME}> <https://en/B> .\n"
    f"<urn:kgraft:both%20> <{SAME}> <urn:kgraft:both> .\n",
    "l.sssom.tsv": "subject_id\tpredicate_id\tobject_id\n"
    f"https://el/a\t{SAME}\thttp://en/A\nhttp://en/B/\t{SAME}\thttp://el/b\n"
    f"both\t{SAME}\tboth\u200b\n",
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_names_match_by_their_normal_form(write, name: str) -> None:
    path = write({name: OTHERWISE[name]}) / name
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        links = read(path, spelling="normal")
    assert sorted(as_text(links)) == ["a=A:1", "b=B:1", "both=both:1"]


@pytest.mark.parametrize("name", OTHERWISE)
def test_the_advice_names_the_setting_and_the_difference(write, name: str) -> None:
    path = write({name: OTHERWISE[name]}) / name
    advice = r'Set spelling = "normal", which ignores .* as in .*: links match then, 3 of these 3'
    with pytest.raises(DataError, match=advice + r', or set unknown = "skip"'):
        read(path)
    with pytest.warns(KgraftWarning, match=r"3 of 3 links .* were left out\. " + advice):
        assert len(read(path, unknown="skip")) == 0


@pytest.mark.parametrize(
    ("table", "how", "advice"),
    [
        ("http://en/A\thttp://el/a\n", {}, "Exchange left and right: links match then, 1 of"),
        ("http://el/in\thttp://en/IN\n", {}, 'Set kind = "relation": links match then, 1 of'),
        ("http://el/a\thttp://en/A\n", {"kind": "relation"}, 'Set kind = "entity"'),
        ("0\t1\n2\t2\n", {}, "Set ids = true if these are row numbers, as 'el' has names"),
        ("http://el/q\thttp://en/Q\n", {}, "Mend the name, give the facts or attributes"),
    ],
)
def test_the_advice_is_the_change_by_which_links_match(write, table: str, how, advice) -> None:
    refused(write({"l.tsv": table}) / "l.tsv", 1, advice, **how)


def shop(left: str, right: str, links: str = "") -> dict[str, str | bytes]:
    return {
        "mine.tsv": left,
        "other.nt": right,
        "c.toml": '[[source]]\nname = "mine"\ntrain = "mine.tsv"\n'
        f'[[source]]\nname = "other"\ntrain = "other.nt"\n{links}',
    }


CITIES = "http://x/Orle\u0301ans\tin\thttp://x/France\nhttp://x/N%C3%AEmes\tin\thttp://x/France\n"
TOWNS = (
    "<https://x/Orl\u00e9ans> <http://schema.org/in> <http://x/France> .\n"
    "<http://x/N\u00eemes> <in> <http://x/France> .\n".replace("<in>", "<http://y/in>")
)


def test_names_in_both_match_by_their_normal_form(write) -> None:
    table = '[[links]]\nleft = "mine"\nright = "other"\nmatch = "name"\n'
    directory = write(shop(CITIES, TOWNS, table))
    assert len(read_collection(directory / "c.toml").links[0]) == 1
    write(shop(CITIES, TOWNS, table + 'spelling = "normal"\n'))
    assert len(read_collection(directory / "c.toml").links[0]) == 3


def test_inspect_counts_names_that_a_normal_form_would_match(write) -> None:
    directory = write(shop(CITIES + "a\thttps://www.y/in\tb\n", TOWNS))
    found = inspect(read_collection(directory / "c.toml"))
    (link,) = found.links
    assert (link.shared_names, link.similar_names, link.similar_relations) == (1, 2, 1)
    told = [line for line in remarks(found) if "spelling" in line]
    assert len(told) == 2
    assert "names of entities in both mine and other" in told[0]
    assert ", but for their spelling: 2;" in told[0]
    assert 'match = "name" and spelling = "normal"' in told[0]
    assert 'match = "name", kind = "relation" and spelling = "normal"' in told[1]


def test_a_source_may_have_one_name_for_each_form(write) -> None:
    table = "Orle\u0301ans\tin\tFrance\nOrl\u00e9ans\tin \tFrance\u00a0\nLyon\tin\tFrance\n"
    text = '[[source]]\nname = "mine"\ntrain = "m.tsv"\nlabels = "l.tsv"\n'
    files = {"m.tsv": table, "c.toml": text, "l.tsv": "Orl%C3%A9ans\tthe town\n"}
    directory = write(files)
    source = inspect(read_collection(directory / "c.toml")).sources[0]
    assert (source.entities, source.relations, source.train) == (5, 2, 3)
    assert source.similar_names == 3
    assert any("differ from another in spelling only" in line for line in source.oddities())
    write({"c.toml": text + 'spelling = "normal"\n'})
    collection = read_collection(directory / "c.toml")
    graph = collection.graphs["mine"]
    assert graph.entities.names.to_list() == ["France", "Lyon", "Orle\u0301ans"]
    assert graph.relations.names.to_list() == ["in"]
    assert graph.train.tolist() == [[1, 0, 0], [2, 0, 0]]
    assert (graph.label(2), graph.duplicates) == ("the town", 1)
    assert inspect(collection).sources[0].similar_names == 0


def test_attributes_follow_their_entity(write) -> None:
    rdf = '<https://x/a> <http://x/r> <http://x/b> .\n<http://x/a> <http://x/size> "1" .\n'
    text = '[[source]]\nname = "m"\ntrain = "m.nt"\nspelling = "normal"\n'
    graph = read_collection(write({"m.nt": rdf, "c.toml": text}) / "c.toml").graphs["m"]
    assert graph.entities.names.to_list() == ["http://x/a", "http://x/b"]
    assert graph.attributes is not None
    assert graph.attributes["entity"].to_list() == [0]


def test_lists_of_names_are_exact(write) -> None:
    text = '[[source]]\nname = "m"\ntrain = "m.tsv"\nentities = "e.txt"\nspelling = "normal"\n'
    with pytest.raises(DataError, match="with lists of entities or relations, spelling is exact"):
        read_collection(write({"c.toml": text}) / "c.toml")
