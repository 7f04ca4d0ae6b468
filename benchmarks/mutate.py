"""Seeded damage to files: changes of bytes, lines and tokens of a format."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import pyarrow as pa

Files = dict[str, bytes]
"""The files of a directory by their names."""

LONGEST = 1 << 16
"""Largest size of a damaged file in bytes."""

WORDS = (
    b"", b"\0", b"\n", b"\r", b"\r\n", b"\t", b" ", b'"', b"'", b",", b";", b":", b"#", b"\\",
    b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", "é".encode(), "\u202e".encode(),
    "\U0001f600".encode(),
    b"-1", b"0", b"1", b"2147483648", b"9223372036854775807", b"9223372036854775808",
    b"18446744073709551616", b"1e309", b"-1e-400", b"nan", b"inf", b"0.5", b"3.0", b"null", b"true",
    b"[", b"]", b"{", b"}", b"(", b")", b"<", b">", b"=", b"_:", b"_", b"@", b"^^", b".", b"..",
    b"../outside.tsv", b"../../etc/passwd", b"/etc/passwd", b"/dev/zero", b"case", b"%00", b"%",
    b"head\trelation\ttail", b"left\tright\tconfidence", b"[" * 5000, b"{" * 5000, b'{"a":' * 2000,
    b"a=[" * 2000, b"<a>" * 2000, b"( " * 3000, b"9" * 5000, b"a" * 20000,
    b"\n" * 5000, b"\t" * 5000,
)  # fmt: skip
"""Tokens that are put where they do not belong."""


def mutated(seeds: Sequence[Files], draw: Random, words: Sequence[bytes]) -> Files:
    """Return one of the seeds with some damage to some of its files."""
    files = dict(draw.choice(seeds))
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        name = draw.choice(sorted(files))
        other = draw.choice(seeds).get(name, files[name])
        files[name] = _inside(
            name, files[name], lambda x, y=other: _damaged(x, y, draw, words), draw
        )
    if draw.random() < 0.02:
        del files[draw.choice(sorted(files))]
    return files


def _inside(name: str, content: bytes, change: Callable[[bytes], bytes], draw: Random) -> bytes:
    """Damage content before its compression, mostly, and sometimes after it."""
    ending = name.rpartition(".")[2]
    packers: Mapping[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
        "gz": (gzip.decompress, lambda x: gzip.compress(x, 1)),
        "bz2": (bz2.decompress, lambda x: bz2.compress(x, 1)),
        "zst": (_unzstd, lambda x: pa.Codec("zstd").compress(x, asbytes=True)),
    }
    if ending not in packers or draw.random() < 0.3:
        return change(content)
    unpack, pack = packers[ending]
    try:
        plain = unpack(content)
    except (OSError, EOFError, ValueError, zlib.error, pa.ArrowException):
        return change(content)
    return pack(change(plain))


def _unzstd(content: bytes) -> bytes:
    with pa.input_stream(pa.BufferReader(content), compression="zstd") as stream:
        return bytes(stream.read())


def _damaged(content: bytes, other: bytes, draw: Random, words: Sequence[bytes]) -> bytes:
    """Return content after one change."""
    size = len(content)
    begin = draw.randint(0, size)
    end = min(size, begin + draw.choice((0, 1, 1, 2, 4, 16, 100, size)))
    kind = draw.randrange(9)
    if kind == 0 and size:
        place = min(begin, size - 1)
        middle = bytes([content[place] ^ 1 << draw.randrange(8)])
        begin, end = place, place + 1
    elif kind == 1:
        middle = bytes(draw.randrange(256) for _ in range(draw.choice((1, 2, 4, 8))))
    elif kind == 2:
        middle = b""
    elif kind == 3:
        middle = content[begin:end] * draw.choice((2, 3, 50))
    elif kind == 4:
        start = draw.randint(0, len(other))
        middle = other[start : start + draw.choice((1, 4, 32, 400))]
    elif kind == 5:
        return content[:begin]
    elif kind == 6:
        lines = content.split(b"\n")
        draw.shuffle(lines)
        return b"\n".join(lines[: draw.randint(0, len(lines))])
    else:
        middle = draw.choice(words)
    return (content[:begin] + middle + content[end:])[:LONGEST]


def with_true_manifest(files: Files) -> Files:
    """Return a model directory's files with a manifest of their sizes and digests."""
    try:
        manifest = json.loads(files["manifest.json"])
        for name in manifest["files"]:
            content = files.get(name, b"")
            digest = hashlib.sha256(content).hexdigest()
            manifest["files"][name] = {"bytes": len(content), "sha256": digest}
        return {**files, "manifest.json": json.dumps(manifest).encode()}
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return files


def changed_json(seeds: Sequence[Files], draw: Random, words: Sequence[bytes]) -> Files:
    """Return one of the seeds, files of JSON, with a value changed; seldom damaged as bytes are."""
    files = dict(draw.choice(seeds))
    name = draw.choice(sorted(files))
    try:
        value = json.loads(files[name])
        for _ in range(draw.choice((1, 1, 1, 2, 3))):
            value = _changed_value(value, draw, words)
        return files | {name: json.dumps(value).encode()[:LONGEST]}
    except ValueError:
        return files


def _changed_value(value: Any, draw: Random, words: Sequence[bytes]) -> Any:
    """Change a random part of a value."""
    if isinstance(value, dict | list) and value and draw.random() < 0.9:
        keys = sorted(value) if isinstance(value, dict) else range(len(value))
        key = draw.choice(keys)
        changed: Any = value.copy()
        way = draw.random()
        if way < 0.05:
            del changed[key]
        elif way < 0.1 and isinstance(changed, list):
            changed += [changed[key]] * draw.choice((1, 2, 300))
        else:
            changed[key] = _changed_value(value[key], draw, words)
        return changed
    if isinstance(value, str) and draw.random() < 0.8:
        text = value.encode()
        return _damaged(text, text, draw, words).decode("utf-8", "replace")
    word = draw.choice(words).decode("utf-8", "replace")
    return draw.choice(
        (None, True, 0, -1, 1 << 70, 1e300, 0.5, "", word, [], {}, [value], {"x": value}, [[[]]])
    )
