"""What command-line tools have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable


def answer(work: Callable[[], str]) -> int:
    """Do a tool's work and print what it says; bad input is one line on stderr and exit status 1."""
    try:
        text = work()
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(text)
    return 0
