"""``python -m kgraft``: the command line."""

from kgraft.cli.main import main

main()
