"""The entry point of ``kgraft``: a signal that comes while modules load ends in a sentence.

It is a module of its own, so that handlers are set before anything of the package is imported.
"""

from __future__ import annotations

import os
import signal
from types import FrameType


def main() -> None:
    """Run the command line."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # One that is ignored, as nohup has it, stays so.
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)
    from kgraft.cli.main import app

    app()


def _stop(number: int, _: FrameType | None) -> None:
    # Nothing has begun, or all is done. An exception could be caught by whatever is being loaded.
    os.write(2, b"Stopped.\n")
    os._exit(128 + number)


if __name__ == "__main__":
    main()
