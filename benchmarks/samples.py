"""Small texts in each format, and tokens of each for fuzzing."""

from __future__ import annotations

NAMES = ("http://a.org/resource/Bo_B", 'é, "x"', "_:b", "a#1", "x")

TSV = "head\trelation\ttail\na\tr\tb\nb\tr\tc\n"
CSV = 'subject,predicate,object\n"a, ""b""",r,"b\nc"\nb,r,c\n'
HEADERS = {
    "csv_1": CSV,
    "tsv_1": TSV,
    "tsv_2": "id\tsubject\tpredicate\tobject\trelation\nu:1\ta\tr\tb\tRO:1\nu:2\tb\tr\tc\tRO:1\n",
    "csv_2": ":START_ID(Person),since:int,:TYPE,:END_ID(Person)\na,1,r,b\nb,,r,c\n",
    "csv_3": "Head,Tail,Relation Type\na,b,r\nb,c,r\n",
    "tsv_3": '"from"\t"to"\t"rel"\n"a"\t"b ""c"""\t"r"\n"b"\t"c"\t"r"\n',
    "txt_1": "2\n0 1 0\n1 2 0\n",
    "txt_2": '<a:a> <a:r> <a:b> .\n<a:b> <a:r> "c"@en .\n',
    "tsv_4": 'a\tr\tb\na\tsize\t"7"^^<a:int>\nb\tname\t"B \\u00e9"@en\n',
    "tsv_5": "a\towl:sameAs\tb\nb\tr\tc\nc\tr\ta\nx\thttp://dbpedia.org/ontology/wikiPageRedirects\ta\n",
}
"""Tables with headers of many kinds, by the ending and a number."""

HEADER_WORDS = (
    b"source\ttype\ttarget", b"subject,predicate,object", b"head", b":START_ID", b":TYPE",
    b":END_ID",
    b"node1;label;node2", b"relation", b"h\tr\tt", b'"@en', b'"^^<a:t>', b"owl:sameAs",
)  # fmt: skip

MAPS = [
    {"train.tsv": "2\n0\t1\t0\n1\t2\t1\n", "entities.txt": "3\nb\t1\na\t0\nc\t2\n",
     "relations.txt": "2\nr\t0\ns\t1\n"},
    {"train.tsv": "0\t0\t1\n1\t1\t2\n", "entities.txt": "2\tc\n0\ta\n1\tb\n",
     "relations.txt": "0\tr\n1\ts\n"},
    {"train.csv": "head,relation,tail\n0,0,1\n1,0,2.0\n", "relations.txt": "r\tThe R\n",
     "entities.txt": "id,name,label\n0,a,A\n1,b,\n2,\"c,d\",C\n"},
    {"train.txt": "3 \n0 1 0\n2 0 1\n", "entities.txt": "3 \na 0\nb b 1\n\nc 2\n",
     "relations.txt": "r\ns\n"},
]  # fmt: skip
"""Facts of numbers with lists of names and ids, as OpenKE, DGL-KE and others write them."""

BESIDE = {
    "entities": "entities.txt",
    "relations": "relations.txt",
    "labels": "labels.tsv",
    "attributes": "attributes",
}
"""Files beside that of facts, by their key."""

ATTRIBUTES = [
    {
        "train": "a\tr\tb\nb\tr\tc\n",
        "attributes": 'a\tname\tAnn\tB\nd\tname\t"D \\u00e9"@en\n'
        'a\tsize\t"7"^^xsd:int\nb\tnote\t\n',
    },
    {"train": "<a:a> <a:r> <a:b> .\n", "attributes": '<a:a> <a:n> "x"@en .\n<a:c> <a:n> "y" .\n'},
    {
        "train.csv": "s,p,o\na,r,b\n",
        "attributes": "entity\tvalue\tattribute\na\tx\tname\nb\ty\tname\n",
    },
    {"train": "0\tr\t1\n", "entities.txt": "a\nb\n", "attributes": "0\tn\tx\n1\tn\ty\n"},
]

OPENEA_FILES = {
    "rel_triples_1": "http://a.org/x\thttp://a.org/r\thttp://a.org/y\na\tr\tb\n",
    "rel_triples_2": "http://b.org/x\thttp://b.org/r\thttp://b.org/y\n",
    "attr_triples_1": 'a\tname\tAnn\tB\nc\tname\t"C \\"c\\""@en\na\tsize\t"7"^^<a:int>\n',
    "attr_triples_2": '<http://b.org/x> <a:name> "x" .\n<http://b.org/z> <a:name> "z"@fr .\n',
    "ent_links": "http://a.org/x\thttp://b.org/x\na\thttp://b.org/y\nc\thttp://b.org/z\n",
}
OPENEA_FOLDS = {
    **{name: text for name, text in OPENEA_FILES.items() if name.startswith("rel_")},
    "721_5fold/1/train_links": "http://a.org/x\thttp://b.org/x\n",
    "721_5fold/1/test_links": "a\thttp://b.org/y\n",
}

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

MAPPINGS = [
    {
        "l.sssom.tsv": "subject_id\tpredicate_id\tpredicate_modifier\tobject_id\n"
        "a:Bo_B\tskos:exactMatch\t\ta:Bo_B\nx\towl:sameAs\tNot\ta#1\n",
        "l.sssom.yml": "curie_map:\n  a: http://a.org/resource/\nobject_type: owl class\n",
    },
    {
        "l.ttl": "@prefix owl: <http://www.w3.org/2002/07/owl#> .\n"
        "@prefix s: <https://w3id.org/sssom/> .\n"
        f"[] a owl:Axiom ; owl:annotatedSource <{NAMES[0]}> ; owl:annotatedProperty owl:sameAs ;\n"
        f' owl:annotatedTarget <{NAMES[0]}> ; s:confidence 0.5 ; s:predicate_modifier "Not" .\n'
        f"<{NAMES[0]}> owl:sameAs <{NAMES[0]}> .\n",
    },
    {
        "l": "subject\tobject\tpredicate\tscore\nx \tx\towl:sameAs\t1\n"
        f"{NAMES[0]}/\tx\towl:sameAs\t\n"
    },
    {"l": f"https://www.a.org/resource/Bo%5FB\t{NAMES[0]}\nx\u00a0\tx\na%231\ta#1\n"},
    {"l.csv": '"source","target","weight"\n"x","x","0.5"\n"a#1","a#1",""\n'},
]
"""Files of links with a header of their own, in RDF, without an ending, spelt otherwise."""

LINK_WORDS = (
    b"Not", b"sssom:NoTermFound", b"rdfs literal", b"predicate_id", b"curie_map:", b"owl:sameAs",
    b"subject_id\tobject_id", b"skos:exactMatch", b"%41", b"\xc2\xa0", b"https://www.",
    b"#object_type: ",
)  # fmt: skip

COLLECTION_TOML = """name = "two"
target = "mine"
[[source]]
name = "mine"
train = ["mine.tsv", "more.csv"]
split = { valid = 0.1, test = 0.1, seed = 1 }
labels = "labels.tsv"
attributes = ["values.tsv", "more.nt"]
spelling = "normal"
[[source]]
name = "big"
train = "big.nt"
valid = "big.tsv"
blank_nodes = "drop"
malformed = "skip"
identities = "links"
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
spelling = "normal"
[[links]]
left = "mine"
right = "mine"
path = "redirects.nt"
malformed = "skip"
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
    "links.tsv": "a\thttps://a.org/x\n",
    "values.tsv": 'a\tname\tAnn\ne\tname\t"E"@en\n',
    "more.nt": '<a:f> <a:name> "F" .\n',
    "redirects.nt": "<a:old> <http://www.w3.org/2002/07/owl#sameAs> <a:f> .\n",
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
    b'attributes = "../outside.tsv"', b'spelling = "normal"', b'base = "collection.toml"',
    b'base = "world"',
    b'identities = "facts"', b'malformed = "skip"', b'right = "mine"',
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
