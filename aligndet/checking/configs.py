"""Check configs that a user names, each in a process of its own."""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from collections.abc import Iterator, Sequence

from aligndet.checking.check import PRELOAD, Settings, check_config
from aligndet.checking.processes import Died, each_in_a_process
from aligndet.checking.row import Row


def checked(
    configs: Sequence[str], settings: Settings, workers: int = 1, limit: float = 900.0
) -> Iterator[Row]:
    """Say of each config, as soon as it is known, whether box-domain pre-training serves its detector.

    One bad config ends no run: each is read, built and trained in a process of its own.

    Args:
        configs: files, or ``mmdet::folder/name.py``; each is checked once.
        settings: of each check.
        workers: processes at a time.
        limit: seconds for each config.
    """
    with tempfile.TemporaryDirectory(prefix="aligndet-check-") as folder:  # a killed process leaves its files
        check = functools.partial(check_config, settings=dataclasses.replace(settings, folder=folder))
        names = list(dict.fromkeys(configs))
        for config, result in each_in_a_process(check, names, workers, limit, PRELOAD):
            yield Row(config, reason=result.reason) if isinstance(result, Died) else result
