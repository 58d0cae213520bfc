"""Walk a road from the command line: what goes wrong is one line, and an interruption can be resumed."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

from aligndet.road.stage import StageError


def run(walk: Callable[[], object]) -> int:
    """Walk, and return the exit status: 0, 1 after an error, 130 after an interruption."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the command under way, too
    try:
        walk()
    except (StageError, ValueError, OSError) as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on where this one stopped", file=sys.stderr)
        return 130
    return 0
