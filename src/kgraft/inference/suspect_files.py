"""Files of facts that are probably wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import polars as pl
import pyarrow as pa

from kgraft.errors import DataError
from kgraft.inference.check import SuspectFact
from kgraft.io.named_facts import ROLES
from kgraft.io.write_graph import check_cells
from kgraft.system.files import compression_of, content_ending
from kgraft.system.outputs import write_atomically

SCHEMA = {
    **dict.fromkeys(ROLES, pl.String),
    "error_probability": pl.Float64,
    "evidence": pl.String,
}
"""Columns: the three names, the probability to be wrong, and the evidence, as ``a; b``."""

ENDINGS = (".parquet", ".tsv", ".json")


def check_ending(path: Path) -> None:
    """Refuse a file whose ending selects no format.

    Raises:
        DataError: If the ending is not one of ``ENDINGS``.
    """
    ending = content_ending(path)
    if ending not in ENDINGS or (ending == ".parquet" and compression_of(path)):
        raise DataError(
            f"checked facts cannot be written as {path.suffix or 'a file without an ending'!r}",
            remedy=f"End the name with {', '.join(ENDINGS)}, the last two perhaps with .gz or .zst",
            path=path,
        )


def write_suspects(facts: Sequence[SuspectFact], path: Path) -> None:
    """Write facts to a file, which appears whole, in the format of its ending.

    Parquet and TSV have the columns of ``SCHEMA``; JSON has the fields of ``SuspectFact``.

    Raises:
        DataError: If the ending is another one, or a name cannot be written to a TSV file.
    """
    check_ending(path)
    rows = [(x.head, x.relation, x.tail, x.error_probability, "; ".join(x.evidence)) for x in facts]
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    with write_atomically(path) as temporary:
        if content_ending(path) == ".parquet":
            frame.write_parquet(temporary)
            return
        with pa.output_stream(str(temporary), compression=compression_of(path)) as stream:
            if content_ending(path) == ".json":
                text = json.dumps([asdict(x) for x in facts], indent=1, ensure_ascii=False)
                stream.write((text + "\n").encode())
                return
            check_cells(frame.select(ROLES))
            # Labels in the evidence may hold what ends a cell.
            plain = frame.with_columns(pl.col("evidence").str.replace_all(r"[\t\r\n]", " "))
            stream.write(plain.write_csv(separator="\t", quote_style="never").encode())
