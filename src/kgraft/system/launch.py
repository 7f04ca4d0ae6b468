"""Start of several workers of one command on this machine, by torch.distributed's launcher."""

from __future__ import annotations

import logging
import os
import sys
import uuid
from collections.abc import Sequence

from kgraft.system.cores import usable_cores
from kgraft.system.messages import FAILED, SIGNALLED


def launch(count: int, arguments: Sequence[str]) -> int:
    """Run ``kgraft`` in several processes, as ``torchrun --standalone`` does; return the status.

    Args:
        count: Number of processes.
        arguments: Those of the command line. Each process shows its own messages.
    """
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // count)))
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.1,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "kgraft", *arguments)
    except ChildFailedError as error:
        statuses = [failure.exitcode for failure in error.failures.values()]
        return max(FAILED, *statuses)
    except SignalException as stop:
        return SIGNALLED + int(stop.sigval)
    return 0
