"""A command of ``aligndet`` as a function of its words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from aligndet.cli.main import main


def command(name: str) -> Callable[[Iterable[Any]], int]:
    """``command("labels split")(["train.json", "out"])`` is ``aligndet labels split train.json out``."""
    return lambda words: main([*name.split(), *map(str, words)])
