"""What classes of a config can be given, read from their signatures."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Any

_NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def options_of(cls: type) -> dict[str, Parameter]:
    """Collect the options of a class by name, with those that it hands on to its ancestors.

    ``DINO(*args, dn_cfg=None, **kwargs)`` takes whatever ``DeformableDETR`` takes, and ``dn_cfg``.
    """
    found: dict[str, Parameter] = {}
    for kind in cls.__mro__:
        if "__init__" not in vars(kind):
            continue
        own = list(inspect.signature(vars(kind)["__init__"]).parameters.values())[1:]  # without self
        for option in own:
            if option.kind in _NAMED:
                found.setdefault(option.name, option)
        if not any(option.kind is Parameter.VAR_KEYWORD for option in own):
            break
    return found


def required(function: Callable[..., Any]) -> set[str]:
    """Name the arguments of a method that have no default, ``self`` left out."""
    own = list(inspect.signature(function).parameters.values())[1:]
    return {option.name for option in own if option.kind in _NAMED and option.default is Parameter.empty}
