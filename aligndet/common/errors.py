"""The one error type for a question that is wrong, and the nearest name to a mistyped one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Says that a file, entry, option or config key is wrong, what was expected, and how to mend it.

    The command line prints its text as one line and ends with exit status 2; every other error is a failure
    of the work, with exit status 1.
    """


def nearest(name: str, choices: Iterable[str]) -> str:
    """Suggest the nearest of ``choices`` as `` (did you mean 'x'?)``; empty where nothing is near."""
    close = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""
