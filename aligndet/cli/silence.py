"""How commands load and use libraries: what these print stays off the screen."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def libraries_silent(args: argparse.Namespace) -> Iterator[TextIO]:
    """Drop output of what is done inside, unless ``--verbose`` is asked.

    Yields:
        a stream to the screen, for what is to be told meanwhile.
    """
    with contextlib.ExitStack() as around:
        screen = sys.stdout
        if not args.verbose:
            from aligndet.common.console import captured

            folder = around.enter_context(tempfile.TemporaryDirectory())
            screen = around.enter_context(captured(Path(folder) / "log.txt"))
        yield screen
