"""Facts from a SPARQL endpoint, page by page, into a file of N-Triples; an interrupted run goes on.

Pages are ordered by head, relation and tail, so that they neither overlap nor leave out facts while
the data stay the same. An endpoint may give fewer rows than asked for; the end is an empty page.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from http.client import HTTPException
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import pyoxigraph as ox

from kgraft.errors import DataError, KgraftError
from kgraft.system.outputs import write_atomically

EVERYTHING: Final = "?head ?relation ?tail"
"""The pattern of all facts."""

VARIABLES: Final = ("head", "relation", "tail")

LONGEST_ANSWER: Final = 256 << 20
"""Bytes of the longest page that is read."""

TRIES: Final = 6
"""Attempts at a page."""

SMALLEST_PAGE: Final = 100
"""Rows of a page below which it is not halved."""

LONGEST_WAIT: Final = 300.0
"""Seconds that an endpoint may ask to wait for."""

_PROLOGUE = re.compile(r"(?:\s*(?:PREFIX\s+[^\s:]*:\s*<[^>]*>|BASE\s*<[^>]*>|#[^\n]*\n))*", re.I)


@dataclass(frozen=True)
class Fetched:
    """Progress of a fetch.

    Args:
        rows: Rows that the endpoint has given, the offset of the next page.
        facts: Facts in the file.
        left_out: Rows left out: with a blank node, whose name no other page knows, or a literal as
            head or relation.
        size: Bytes of the file.
        done: True once the last page is in it.
    """

    rows: int = 0
    facts: int = 0
    left_out: int = 0
    size: int = 0
    done: bool = False


def fetch(
    endpoint: str,
    path: Path,
    *,
    pattern: str = EVERYTHING,
    page: int = 10_000,
    limit: int | None = None,
    interval: float = 1.0,
    timeout: float = 120.0,
    tell: Callable[[str], None] = lambda _: None,
    wait: Callable[[float], None] = time.sleep,
) -> Fetched:
    """Write the facts that match a pattern to a file of N-Triples.

    A run that was stopped goes on after its last whole page. A page that the endpoint cannot answer
    in time is asked for again at half the size.

    Args:
        endpoint: Address of the endpoint, http or https.
        path: The file to write, ending in ``.nt``.
        pattern: The inside of a WHERE, which binds ``?head``, ``?relation`` and ``?tail``; PREFIX
            declarations may precede it.
        page: Rows to ask for at a time.
        limit: Maximum number of rows; by default all.
        interval: Least seconds from one request to the next.
        timeout: Seconds to wait for an answer.
        tell: Receives a line for each page.
        wait: Sleeps for some seconds.

    Raises:
        DataError: If the address or the pattern is none, the file exists, another fetch is kept
            beside it, or the endpoint gives something else than an answer.
        KgraftError: If the endpoint does not answer.
    """
    part, state = progress_of(path)
    if path.exists() and not part.exists():
        state.unlink(missing_ok=True)  # It ended, but for this.
    _check(endpoint, path, pattern)
    asked = {"endpoint": endpoint, "pattern": pattern, "limit": limit}
    found = _kept(state, part, asked)
    if found.rows:
        tell(f"goes on after {found.rows:,} rows of before")
    source = _Endpoint(endpoint, pattern, interval, timeout, wait)
    path.parent.mkdir(parents=True, exist_ok=True)
    with part.open("ab") as file:
        file.truncate(found.size)  # A page that was cut off.
        earlier: list[Any] = []
        while not found.done:
            left = page if limit is None else min(page, limit - found.rows)
            rows, page = source.rows(found.rows, left, page) if left > 0 else ([], page)
            if rows and rows == earlier:
                raise DataError(
                    f"{endpoint} gives the same page again, as if it knew no OFFSET",
                    remedy="Ask for all rows at once: --page",
                )
            earlier = rows
            facts = [x for row in rows if (x := _fact(row)) is not None]
            file.write(ox.serialize(facts, format=ox.RdfFormat.N_TRIPLES))  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
            found = Fetched(
                found.rows + len(rows),
                found.facts + len(facts),
                found.left_out + len(rows) - len(facts),
                file.tell(),
                not rows,
            )
            with write_atomically(state) as temporary:
                temporary.write_text(json.dumps({**asked, "progress": asdict(found)}))
            if rows:
                tell(f"{found.facts:,} facts")
    part.replace(path)
    state.unlink()
    return replace(found, size=path.stat().st_size)


@dataclass
class _Endpoint:
    """An endpoint that is asked at most every ``interval`` seconds."""

    address: str
    pattern: str
    interval: float
    timeout: float
    wait: Callable[[float], None]
    last: float = float("-inf")

    def rows(self, offset: int, size: int, page: int) -> tuple[list[Any], int]:
        """Return the rows of a page, and the size to ask for from now on."""
        problem = ""
        for attempt in range(TRIES):
            self.wait(max(0.0, self.last + self.interval - time.monotonic()))
            self.last = time.monotonic()
            try:
                return list(self._answer(offset, size)), page
            except HTTPError as error:
                text = error.read(2000).decode("utf-8", "replace")
                problem = f"status {error.code}: {' '.join(text.split())[:200]}"
                if error.code < 500 and error.code != 429:
                    raise DataError(
                        f"{self.address} refuses the query ({problem})",
                        remedy="Check address and pattern, which binds ?head, ?relation and ?tail",
                    ) from error
                pause, too_slow = _pause(error.headers, attempt), error.code != 429
            except (OSError, HTTPException) as error:
                problem, pause = str(error) or type(error).__name__, 2.0**attempt
                too_slow = isinstance(error, TimeoutError)
            if too_slow and size > SMALLEST_PAGE:
                size = page = max(SMALLEST_PAGE, size // 2)
            if attempt < TRIES - 1:
                self.wait(pause)
        raise KgraftError(
            f"{self.address} does not answer ({problem}). The facts of before are kept: the same "
            "command goes on."
        )

    def _answer(self, offset: int, size: int) -> Iterator[Any]:
        """Yield the rows of one request."""
        given = _PROLOGUE.match(self.pattern)
        prologue = given[0] if given else ""
        names = " ".join(f"?{x}" for x in VARIABLES)
        query = (
            f"{prologue}\nSELECT DISTINCT {names} WHERE {{ {self.pattern[len(prologue) :]}\n}} "
            f"ORDER BY {names} LIMIT {size} OFFSET {offset}"
        )
        request = Request(  # noqa: S310 - http or https, as checked
            self.address,
            urlencode({"query": query}).encode(),
            {
                "Accept": "application/sparql-results+json",
                "Content-Type": "application/x-www-form-urlencoded",
                "User-Agent": f"kgraft/{version('kgraft')}",
            },
        )
        with build_opener(_SameHost).open(request, timeout=self.timeout) as answer:
            body = answer.read(LONGEST_ANSWER + 1)
        if len(body) > LONGEST_ANSWER:
            raise DataError(
                f"{self.address}: a page has more than {LONGEST_ANSWER >> 20} MiB",
                remedy="Ask for fewer rows at a time: --page",
            )
        try:
            solutions: Any = ox.parse_query_results(body, ox.QueryResultsFormat.JSON)
            if {x.value for x in solutions.variables} != {*VARIABLES}:
                raise ValueError("the variables are others than those asked for")
            for row in solutions:
                yield tuple(row[name] for name in VARIABLES)
        except (SyntaxError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError(
                f"{self.address} gives no results of SPARQL ({error})",
                remedy="Name the address of the endpoint itself, not of a page about it",
            ) from error


class _SameHost(HTTPRedirectHandler):
    """Follows redirects within a host, with the query again; refuses others, and weaker ones."""

    def redirect_request(
        self,
        req: Request,
        fp: Any,  # noqa: ARG002
        code: int,  # noqa: ARG002
        msg: str,  # noqa: ARG002
        headers: Any,  # noqa: ARG002
        newurl: str,
    ) -> Request:
        """Return the request to follow with."""
        here, there = urlsplit(req.full_url), urlsplit(newurl)
        secured = (here.scheme, there.scheme) == ("http", "https") and not (here.port or there.port)
        same = (here.scheme, here.port) == (there.scheme, there.port) or secured
        if not same or here.hostname != there.hostname:
            raise DataError(
                f"{req.full_url} sends the query on to {newurl!r}, another host, port or scheme",
                remedy="Give that address, if you know it",
            )
        return Request(newurl, req.data, dict(req.headers))  # noqa: S310 - as the first one


def _check(endpoint: str, path: Path, pattern: str) -> None:
    """Refuse an address, a file or a pattern that cannot be."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise DataError(
            f"{endpoint!r} is no address of an endpoint",
            remedy="Give one that begins with https:// or http://",
        )
    if path.suffix != ".nt":
        raise DataError("facts are written as N-Triples", remedy="Name a .nt file", path=path)
    if path.exists():
        raise DataError("the file exists", remedy="Name another one, or delete it", path=path)
    if missing := [x for x in VARIABLES if not re.search(rf"[?$]{x}\b", pattern)]:
        raise DataError(
            f"the pattern does not bind ?{missing[0]}",
            remedy=f"Write it with ?head, ?relation and ?tail, as {EVERYTHING!r}",
        )


def progress_of(path: Path) -> tuple[Path, Path]:
    """Return the files of a fetch that has not ended: of the facts so far, and of its state."""
    part, state = (path.with_name(f".{path.name}.fetch.{x}") for x in ("nt", "json"))
    return part, state


def _kept(state: Path, part: Path, asked: Mapping[str, Any]) -> Fetched:
    """Return the progress of an earlier fetch of the same facts."""
    if not (state.exists() and part.exists()):
        part.unlink(missing_ok=True)
        return Fetched()
    try:
        about = json.loads(state.read_text(encoding="utf-8"))
        found = Fetched(**about.pop("progress"))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            "the progress of an earlier fetch is damaged", remedy="Delete it", path=state
        ) from error
    if about != asked:
        raise DataError(
            f"another fetch is kept here, of {about.get('endpoint')}",
            remedy="Give the same address, pattern and limit again, or delete it",
            path=state,
        )
    return found


def _fact(row: tuple[Any, Any, Any]) -> ox.Triple | None:
    """Return a row as a fact, ``None`` if no other page could name its ends."""
    head, relation, tail = row
    named = isinstance(head, ox.NamedNode) and isinstance(relation, ox.NamedNode)
    if not (named and isinstance(tail, ox.NamedNode | ox.Literal)):
        return None
    return ox.Triple(head, relation, tail)


def _pause(headers: Any, attempt: int) -> float:
    """Return the seconds that an endpoint asks to wait for, or twice those of before."""
    asked = str(headers.get("Retry-After", ""))
    return min(float(asked), LONGEST_WAIT) if asked.isdecimal() else 2.0**attempt
