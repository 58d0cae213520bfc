"""What classes of a config can be given, read from their signatures."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Any

_NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def arguments_of(kind: type) -> tuple[dict[str, Parameter], bool]:
    """Collect the keyword arguments of a class by name, and say whether it takes any other.

    Those that it hands on to its ancestors count: ``DINO(*args, dn_cfg=None, **kwargs)`` takes whatever
    ``DeformableDETR`` takes, and ``dn_cfg``.
    """
    found: dict[str, Parameter] = {}
    for base in kind.__mro__:
        if "__init__" not in vars(base) or base is object:
            continue
        own = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]  # without self
        for option in own:
            if option.kind in _NAMED:
                found.setdefault(option.name, option)
        if not any(option.kind is Parameter.VAR_KEYWORD for option in own):
            return found, False
    return found, True


def options_of(kind: type) -> dict[str, Parameter]:
    """Collect the keyword arguments of a class by name."""
    return arguments_of(kind)[0]


def required(function: Callable[..., Any]) -> set[str]:
    """Name the arguments of a method that have no default, ``self`` left out."""
    own = list(inspect.signature(function).parameters.values())[1:]
    return {option.name for option in own if option.kind in _NAMED and option.default is Parameter.empty}
