"""How the loops of this package are compiled: without the GIL, and once per machine.

numba keeps compiled code in NUMBA_CACHE_DIR, or beside the source, or, where that is read-only, in the user's
cache folder. Where none of these can be written (a container with a read-only root and no home), a private
folder under the system's temporary folder is taken; failing that, each process compiles for itself.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba import config

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile with numba: releases the GIL, no fast-math (results do not depend on the processor)."""
    try:
        return cast(F, numba.njit(nogil=True, cache=True)(function))
    except RuntimeError:  # numba found no writable place for its cache
        folder = private_folder(Path(tempfile.gettempdir()))
        if folder is None:
            return cast(F, numba.njit(nogil=True)(function))
        setattr(config, "CACHE_DIR", str(folder))  # noqa: B010, the module makes its attributes as it runs
        return cast(F, numba.njit(nogil=True, cache=True)(function))


def private_folder(parent: Path) -> Path | None:
    """A cache folder under `parent` that only this user can write, or None.

    Cached code is executed when it is loaded, so a folder that another user owns or may write is refused.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = parent / f"aligndet-numba-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return None
    mine = not hasattr(os, "getuid") or status.st_uid == user
    closed = os.name == "nt" or not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    usable = stat.S_ISDIR(status.st_mode) and mine and closed and os.access(folder, os.W_OK)
    return folder if usable else None
