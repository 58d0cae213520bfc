"""torchrun that gives its processes time to save: ``python -m aligndet.training.launch`` with its options.

A signal that asks to end goes to every process; each finishes its step, they save, and the exit status is the
signal's. Other statuses are those of the process that failed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from aligndet.common.signals import PATIENCE, STATUS

#: What torchrun reads from the environment: signals that it passes on, and seconds that it then waits.
ENVIRONMENT = {
    "TORCHELASTIC_SIGNALS_TO_HANDLE": "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1",
    "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(int(PATIENCE)),
}


def main(words: Sequence[str]) -> int:
    """Start processes, and wait for them; the exit status.

    Args:
        words: options of torchrun, then the program and its own.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    try:
        torchrun(list(words))
    except SignalException as stopped:
        number = int(stopped.sigval)
        return STATUS.get(number, 128 + number)
    except ChildFailedError as failed:
        codes = [failure.exitcode for failure in failed.failures.values()]
        return next((code for code in codes if code > 0), 1)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
