"""Check configs that a user names, each in a process of its own."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

from aligndet.checking.check import check_config
from aligndet.checking.processes import Died, each_in_a_process
from aligndet.checking.row import UNREADABLE, Row
from aligndet.checking.zoo import describe
from aligndet.common.machine import usable_cores


def check(
    configs: Sequence[str], workers: int = 1, limit: float = 900.0, imports: Sequence[str] = ()
) -> list[Row]:
    """Say of each config whether box-domain pre-training serves its detector; one bad config ends no run.

    Args:
        configs: files, ``mmdet::folder/name.py``, or names in mmdet's folder.
        workers: processes at a time.
        limit: seconds for each config.
        imports: modules of the user's that are imported first.

    Returns:
        A row for each config, in the order given.
    """
    rows = {row.config: row for row in checked(configs, workers, limit, imports)}
    return [rows[config] for config in configs]


def checked(
    configs: Sequence[str], workers: int = 1, limit: float = 900.0, imports: Sequence[str] = ()
) -> Iterator[Row]:
    """As :func:`check`, each row as soon as it is there; configs that cannot be read come first."""
    readable = []
    for config in dict.fromkeys(configs):
        model = describe(config)
        if model.status == UNREADABLE:
            yield Row(config, status=UNREADABLE, reason=model.reason)
        else:
            readable.append(config)
    threads = max(1, usable_cores() // workers) if workers > 1 else 0
    function = functools.partial(check_config, threads=threads)
    preload = [check_config.__module__, *imports]
    for config, result in each_in_a_process(function, readable, workers, limit, preload):
        yield Row(config, reason=result.reason) if isinstance(result, Died) else result
