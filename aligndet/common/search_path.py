"""Where Python looks for the user's own modules."""

from __future__ import annotations

import os
import sys


def put_current_folder_last() -> None:
    """Let modules of the current folder be imported, behind all others.

    ``python -m`` puts that folder first, and a user's ``ssl.py`` or ``types.py`` would be imported instead of
    Python's own. Processes that this one starts do not put it first either. A folder that PYTHONPATH names
    stays where it is.
    """
    here = os.getcwd()
    if not sys.flags.safe_path and sys.path and sys.path[0] in ("", here):
        del sys.path[0]
    allow_current_folder()
    os.environ["PYTHONSAFEPATH"] = "1"


def allow_current_folder() -> None:
    """Let modules of the current folder be found, behind all others."""
    here = os.getcwd()
    if "" not in sys.path and here not in sys.path:
        sys.path.append(here)
