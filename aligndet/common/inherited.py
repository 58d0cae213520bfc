"""Settings of a command that all processes it starts share: they stand in the environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def inherited(name: str, value: str | None) -> Iterator[None]:
    """Set a variable of the environment, for this process and those it starts; None leaves it as it is."""
    before = os.environ.get(name)
    if value is not None:
        os.environ[name] = value
    try:
        yield
    finally:
        if before is not None:
            os.environ[name] = before
        elif value is not None:
            os.environ.pop(name, None)
