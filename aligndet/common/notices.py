"""Warnings of our own: shown at once, kept in the log, and part of a run's result."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TextIO

#: Warnings of a run that are shown; the others are in its log.
MOST_WARNINGS = 20
_runs: list[list[str]] = []
_shown: list[TextIO] = []


def warn(text: str) -> None:
    """Tell a warning of ours, once in a run: it is shown although output is captured, and it is in the log.

    Warnings of libraries never come here, so that a clean run shows none.
    """
    told = _runs[-1] if _runs else []
    if text in told:
        return
    told.append(text)
    print(f"warning: {text}", file=sys.stderr, flush=True)
    if _shown and len(told) <= MOST_WARNINGS:
        more = "; further warnings are in the log" if len(told) == MOST_WARNINGS else ""
        print(f"warning: {text}{more}", file=_shown[-1], flush=True)


@contextlib.contextmanager
def warnings_of_a_run() -> Iterator[list[str]]:
    """Collect what :func:`warn` tells in this process."""
    told: list[str] = []
    _runs.append(told)
    try:
        yield told
    finally:
        _runs.remove(told)


@contextlib.contextmanager
def shown_on(stream: TextIO | None) -> Iterator[None]:
    """Show the warnings of :func:`warn` on a stream, too; None shows them nowhere else."""
    if stream:
        _shown.append(stream)
    try:
        yield
    finally:
        if stream:
            _shown.remove(stream)
