"""The command ``inspect``."""

from __future__ import annotations

from kgraft.cli.console import out, print_json
from kgraft.cli.options import AllowOutsideOption, CollectionArgument, JsonOption
from kgraft.system.messages import report_errors


def inspect(
    collection: CollectionArgument,
    allow_outside: AllowOutsideOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what is in a collection: sizes, links, conflicts, and what the sources share."""
    with report_errors():
        from kgraft.cli.inspection import show
        from kgraft.io.read_collection import read_collection
        from kgraft.linking.inspection import inspect as inspect_collection

        found = inspect_collection(read_collection(collection, allow_outside=allow_outside))
        if as_json:
            print_json(found.as_dict())
        else:
            show(found, out)
