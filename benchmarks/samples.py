"""Small texts in each format, and tokens of each for fuzzing."""

from __future__ import annotations

NAMES = ("http://a.org/resource/Bo_B", 'é, "x"', "_:b", "a#1", "x")

TSV = "head\trelation\ttail\na\tr\tb\nb\tr\tc\n"
CSV = 'subject,predicate,object\n"a, ""b""",r,"b\nc"\nb,r,c\n'
TURTLE = """@prefix : <http://a.org/> .
:a :r :b , [ :s "x"@en , "1"^^<http://www.w3.org/2001/XMLSchema#integer> ] ; :s ( :c :d ) .
<< :a :r :b >> :sure 0.9 .
"""
TRIG = TURTLE + ":g { :a :r :c . }\n"
XML = """<?xml version="1.0"?><!DOCTYPE r [<!ENTITY e "http://a.org/">]>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:a="&e;">
<rdf:Description rdf:about="&e;x"><a:r rdf:resource="&e;y"/><a:s xml:lang="en">t</a:s>
<a:t rdf:parseType="Collection"><rdf:Description rdf:about="&e;z"/></a:t></rdf:Description>
</rdf:RDF>
"""
JSONLD = """{"@context": {"r": {"@id": "http://a.org/r", "@type": "@id"}, "n": "http://a.org/n"},
"@graph": [{"@id": "http://a.org/a", "r": ["http://a.org/b", "_:c"], "n": {"@value": "x"}},
{"@id": "http://a.org/b", "@reverse": {"r": "http://a.org/c"}, "n": [1, 2.5, true, null]}]}
"""
ENTITY_BOMB = """<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">"""
RDF_WORDS = (
    b"<http://a.org/x>", b'"x"@en', b"^^<http://a.org/t>", b"@prefix p: <p> .", b"a ", b"[] ",
    b"<<",
    b">>", b"@base <http://b.org/> .", b"GRAPH ", b"{| :a :b |}", b"'''", b'"""', b"\\u0000",
    b"\\uD800", b"&e;", ENTITY_BOMB.encode(), b"]]>", b"<![CDATA[", b'rdf:parseType="Literal"',
    b'"@context": "http://a.org/c"', b'"@id": 1', b'"@graph": ', b'"@type": ', b'"@list": []',
)  # fmt: skip

LINK_FILES = {
    "links.tsv": "left\tright\tconfidence\n"
    f"{NAMES[4]}\t{NAMES[3]}\t0.5\n{NAMES[0]}\t{NAMES[2]}\t\n",
    "links.csv": "x,a#1\nx,x\n",
    "links.nt": f"<{NAMES[0]}> <http://www.w3.org/2002/07/owl#sameAs> <{NAMES[0]}> .\n",
    "links.sssom.tsv": (
        "#curie_map:\n#  a: http://a.org/resource/\n#  skos: http://www.w3.org/2004/02/skos/core#\n"
        "subject_id\tpredicate_id\tobject_id\tmapping_justification\tconfidence\n"
        "a:Bo_B\tskos:exactMatch\ta:Bo_B\tx\t0.9\nx\towl:sameAs\ta#1\tx\t\n"
    ),
    "cells.rdf": (
        '<rdf:RDF xmlns="http://knowledgeweb.semanticweb.org/heterogeneity/alignment"'
        ' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><Alignment><map><Cell>'
        f'<entity1 rdf:resource="{NAMES[0]}"/><entity2 rdf:resource="{NAMES[0]}"/>'
        "<relation>=</relation><measure>0.5</measure></Cell></map></Alignment></rdf:RDF>"
    ),
    "mappings.csv": (
        '\ufeff\n"#curie_map: {a: http://a.org/resource/, skos: http://x/}",,\n#object_type: x,\n'
        "subject_id,subject_type,predicate_id,predicate_modifier,object_id,confidence\n"
        'a:Bo_B,,"skos:exactMatch",,"a:Bo_B",0.9\nx,"a ""b"",\n",owl:sameAs,not,a#1\n'
        ",rdfs literal,owl:sameAs,,x,\nx,,owl:sameAs,,sssom:NoTermFound,1\n"
    ),
}

COLLECTION_TOML = """name = "two"
target = "mine"
[[source]]
name = "mine"
train = ["mine.tsv", "more.csv"]
split = { valid = 0.1, test = 0.1, seed = 1 }
labels = "labels.tsv"
[[source]]
name = "big"
train = "big.nt"
valid = "big.tsv"
blank_nodes = "drop"
[[source]]
name = "ids"
train = "ids.tsv"
entities = "names.txt"
relations = "names.txt"
columns = ["head", "relation", "tail"]
header = false
[[links]]
left = "mine"
right = "big"
path = "links.tsv"
confidence = 0.5
unknown = "skip"
[[links]]
left = "mine"
right = "ids"
match = "name"
kind = "entity"
"""
COLLECTION_FILES = {
    "collection.toml": COLLECTION_TOML,
    "mine.tsv": "a\tr\tb\nb\tr\tc\nc\tr\ta\na\ts\tc\n",
    "more.csv": "a,r,d\nd,s,a\n",
    "big.nt": "<http://a.org/x> <http://a.org/r> <http://a.org/y> .\n",
    "big.tsv": "http://a.org/x\thttp://a.org/s\thttp://a.org/y\n",
    "ids.tsv": "0\t0\t1\n1\t1\t2\n",
    "names.txt": "a\nb\nc\n",
    "labels.tsv": "a\tAnn\nb\tBob\n",
    "links.tsv": "a\thttp://a.org/x\n",
}
LAYOUT_FILES = {
    "kg/aa-train.tsv": "0\t0\t1\n1\t1\t2\n2\t0\t0\n",
    "kg/aa-val.tsv": "0\t1\t2\n",
    "kg/bb-train.tsv": "0\t0\t1\n3.0\t1\t2\n",
    "kg/bb-test.tsv": "1\t1\t3\n",
    "entity/aa.tsv": "http://a.org/resource/A_B\nb\tBee\nb\n",
    "relations.txt": "r\ns\n",
    "seed_alignlinks/aa-bb.tsv": "0.0\t0.0\n1\t3\n",
}
TOML_WORDS = (
    b'train = "../outside.tsv"', b'entities = "/etc/passwd"', b'labels = "../outside.tsv"',
    b"[[source]]\n", b"[[links]]\n", b'name = ""\n', b"split = {}", b"[model]\n", b"width = ",
    b"1e400", b"0x", b"inf",
    b"1979-05-27", b"[a.b.c]\n", b'train = "mine\\u0000.tsv"', b'path = "."', b'train = "case"',
)  # fmt: skip

QUESTIONS = f"head\trelation\ttail\n{NAMES[0]}\thttp://a.org/r\t\n\ts\t{NAMES[4]}\nX\t\tB\n"

VALUES = {
    "facts": [[0, 0, 1], [1, 0, 2]],
    "ids": {"a": 0, "b": 1, "c": 2},
    "other": {"a": 0, "b": 1, "c": 2},
    "relations": {"r": 0},
    "frame": {"head": ["a", "b"], "relation": ["r", "r"], "tail": ["b", "c"]},
}

MODEL_WORDS = (
    b'"../outside.tsv": {"bytes": 1, "sha256": ""}', b'"/etc/passwd": {}', b'"format": 2',
    b"[]", b"{}",
    b'"kind": "student"', b'"target": null', b'"entities": -1', b'"sources": []', b'"bytes": ',
)  # fmt: skip
