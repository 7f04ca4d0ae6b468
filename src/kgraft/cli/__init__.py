"""The command line."""

from kgraft.cli.main import main

__all__ = ["main"]
