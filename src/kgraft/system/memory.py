"""The memory that is free, and what cannot fit into it, refused before any of it is taken."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from kgraft.errors import DataError, KgraftError
from kgraft.settings import OptimizerName, TrainSettings

COPIES = 2
"""Of the tables: the rows, and the best state so far."""

OF_OPTIMIZER: Mapping[OptimizerName, int] = {"adagrad": 1, "rowwise_adagrad": 0, "adam": 2}
"""Tables of the same size that an optimizer remembers."""

BYTES = {"float32": 4, "bfloat16": 2}
"""Of a number in the table of entities; all else is in float32."""

OF_A_FACT = 250
"""About the bytes that a fact takes while it is learned from: read, joined, indexed both ways."""

OF_A_FACT_ON_GPU = 40
"""About the bytes that its index takes there, from both sides."""

GROUP = Path("/sys/fs/cgroup")
"""Where Linux says what a container may take."""


def bytes_of_run(settings: TrainSettings, n_entities: int, n_relations: int, n_facts: int) -> int:
    """Return about the bytes that a run takes at the most.

    Args:
        settings: The model's and its training's.
        n_entities: Entity rows.
        n_relations: Relations, inverses not counted.
        n_facts: Facts of its graph.
    """
    return _bytes_of_rows(settings, n_entities, n_relations) + OF_A_FACT * n_facts


def _bytes_of_rows(settings: TrainSettings, n_entities: int, n_relations: int) -> int:
    """Return about the bytes that rows take while they are trained."""
    remembered = OF_OPTIMIZER[settings.training.optimizer] * BYTES["float32"]
    of_entity = COPIES * BYTES[settings.model.tables] + remembered
    of_relation = COPIES * BYTES["float32"] + remembered
    numbers = of_entity * n_entities + of_relation * 2 * n_relations
    return numbers * settings.model.width


def require(settings: TrainSettings, n_entities: int, n_relations: int, n_facts: int) -> None:
    """Refuse a run that cannot fit into this machine's memory, before any of it is taken.

    Args:
        settings: As in ``bytes_of_run``, and so are the others.
        n_entities: Entity rows.
        n_relations: Relations.
        n_facts: Facts.

    Raises:
        KgraftError: If it needs more than there is.
    """
    asked = bytes_of_run(settings, n_entities, n_relations, n_facts)
    free = available()
    if free is not None and asked > free:
        about = f"memory for {n_entities:,} entities of width {settings.model.width}"
        raise _too_much(asked, f"{about} and {n_facts:,} facts", free, "take a larger machine")


def require_on_gpu(
    settings: TrainSettings, n_entities: int, n_relations: int, n_facts: int, *, free: int
) -> None:
    """Refuse a run whose rows and facts cannot fit into a GPU's memory.

    Args:
        settings: As in ``require``, and so are the next three.
        n_entities: Entity rows.
        n_relations: Relations.
        n_facts: Facts.
        free: Bytes that are free there.

    Raises:
        KgraftError: If they need more than is free there.
    """
    asked = _bytes_of_rows(settings, n_entities, n_relations) + OF_A_FACT_ON_GPU * n_facts
    if asked > free:
        about = f"the GPU's memory for {n_entities:,} entities of width {settings.model.width}"
        raise _too_much(asked, f"{about} and {n_facts:,} facts", free, "train on the CPU")


def _too_much(asked: int, of: str, free: int, or_else: str) -> KgraftError:
    return KgraftError(
        f"this run needs about {asked / 2**30:,.1f} GiB of {of}, and {free / 2**30:,.1f} are free. "
        "Lower model.width, set training.optimizer to rowwise_adagrad or model.tables to bfloat16, "
        f"leave out sources, or {or_else}."
    )


def require_for_file(path: Path, size: int) -> None:
    """Refuse a file whose content cannot fit into this machine's memory.

    Args:
        path: The file.
        size: The least bytes that its content takes.

    Raises:
        DataError: If that is more than there is.
    """
    free = available()
    if free is not None and size > free:
        raise DataError(
            f"the content takes {size / 2**30:,.1f} GiB of memory or more, and "
            f"{free / 2**30:,.1f} are free",
            remedy="Give less of it, RDF, which is read piece by piece, or a larger machine",
            path=path,
        )


def available() -> int | None:
    """Return the bytes of memory that are free for this process, or ``None`` if nothing tells."""
    found = [value for value in (_of_machine(), _of_group()) if value is not None]
    return max(0, min(found)) if found else None


def peak() -> int | None:
    """Return the most bytes that this process has held, or ``None`` if the system cannot say."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _of_machine() -> int | None:
    try:
        about = Path("/proc/meminfo").read_text(encoding="ascii")
        return 1024 * _value(about, "MemAvailable:")
    except (OSError, ValueError):
        return None


def _of_group() -> int | None:
    """Return what a container's limit leaves, files that are merely kept in memory not counted."""
    try:
        limit, used, about = (
            (GROUP / f"memory.{name}").read_text(encoding="ascii")
            for name in ("max", "current", "stat")
        )
        return int(limit) - int(used) + _value(about, "inactive_file")
    except (OSError, ValueError):
        return None


def _value(text: str, name: str) -> int:
    """Return the number that follows a name at the begin of a line."""
    for line in text.splitlines():
        key, *values = line.split()
        if key == name:
            return int(values[0])
    raise ValueError(f"no line begins with {name}")
