"""Keep what libraries print while they load and build off the screen."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def libraries_silent(args: argparse.Namespace) -> Iterator[TextIO]:
    """Drop all output of what is done inside, unless ``--verbose`` asks for it.

    Yields:
        a stream to the screen, for what is to be told meanwhile.
    """
    from aligndet.common.console import captured

    if args.verbose:
        yield sys.stdout
        return
    with tempfile.TemporaryDirectory() as folder, captured(Path(folder) / "log.txt") as screen:
        yield screen
