"""Late imports of libraries that an extra of kgraft installs."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from kgraft.errors import KgraftError


def import_extra(module: str, *, extra: str) -> ModuleType:
    """Import a module that only an extra installs.

    Raises:
        KgraftError: If it is not installed, with the command that installs it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise KgraftError(
            f"{module} cannot be imported ({error}). Install it: pip install 'kgraft[{extra}]'."
        ) from error
