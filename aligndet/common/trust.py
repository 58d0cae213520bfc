"""Whether files may run code: they may not, unless the user said ``--trust``.

The answer stands in the environment of the process, so that torch, in whatever library, and every process
that is started meanwhile (loader workers, stages, runs of a comparison, ranks) hold to it, too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

#: Set to 1, ``torch.load`` reads tensors and plain data alone, even where it is called with the contrary.
FORCED = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
#: Set to 1, it would take code where the call does not say; with both set it refuses to load anything.
CONTRARY = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
#: Set to 1 under :func:`trusting`.
TRUSTED = "ALIGNDET_TRUST_FILES"

#: What mends a refusal.
TRUST = "give --trust if you trust where it comes from"


def trusted() -> bool:
    """Whether files may run code here: inside :func:`trusting`, and in processes that were started there."""
    return os.environ.get(TRUSTED) == "1"


def forced() -> bool:
    """Whether files must not run code here: inside :func:`files_run_no_code`, and in what it started."""
    return os.environ.get(FORCED) == "1"


@contextmanager
def trusting(trust: bool = True) -> Iterator[None]:
    """Let files run the code that they hold, as ``--trust`` asks for; with False, they may not."""
    with _environment({TRUSTED: "1" if trust else None, FORCED: None if trust else "1", CONTRARY: None}):
        yield


@contextmanager
def files_run_no_code() -> Iterator[None]:
    """Let no library read a file of weights in a way that runs code, unless this process is trusting."""
    with trusting(trusted()):
        yield


def refusal(error: BaseException) -> str:
    """Say in one line what torch's reader refused, inside of whatever library; empty for other errors."""
    if type(error).__name__ != "UnpicklingError" or not (held := re.search(r"GLOBAL ([\w.]+)", str(error))):
        return ""
    return f"a file of weights holds Python objects ({held[1][:100]}) that can run code when read; {TRUST}"


@contextmanager
def _environment(values: dict[str, str | None]) -> Iterator[None]:
    """Set variables, or take them away, for as long as this lasts."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
