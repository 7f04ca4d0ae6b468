"""A stand-in for a Neo4j server: its driver's calls, with the driver's own records and types."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar


class Neo4jOf:
    """A database of facts, whose driver answers the queries of a page.

    Args:
        facts: Its facts; names are the property ``name`` of nodes.
    """

    LOGIN: ClassVar = {"NEO4J": "neo4j://localhost", "USER": "neo4j", "PASSWORD": "secret"}

    def __init__(self, facts: Sequence[tuple[str, str, str]]) -> None:
        self._facts = facts
        self.proposed: list[dict[str, Any]] = []

    def driver(self, address: str, auth: tuple[str, str]) -> Neo4jOf:
        """Return the driver, as ``GraphDatabase.driver`` does."""
        assert (address, *auth) == tuple(self.LOGIN.values())
        return self

    def execute_query(self, query: str, **parameters: Any) -> Any:
        """Return all facts under the names that a query gives them, or keep rows given to it."""
        from neo4j import EagerResult, Record

        if "UNWIND $rows AS row" in query:
            used = {*re.findall(r"row\.(\w+)", query)}
            for row in parameters["rows"]:
                assert used <= {*row}
                # What Bolt can carry, of the types that such rows have.
                assert all(x is None or isinstance(x, str | float | int) for x in row.values())
                self.proposed.append(row)
            return EagerResult([], None, [])
        names = re.findall(r" AS (\w+)", query)
        assert len(names) == 3
        records = [Record(zip(names, fact, strict=True)) for fact in self._facts]
        return EagerResult(records, None, names)
