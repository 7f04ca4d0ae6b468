"""``python -m kgraft``: the command line."""

from kgraft_command import main

main()
