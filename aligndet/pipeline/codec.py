"""Dataclasses of plain data to JSON and back."""

from __future__ import annotations

import dataclasses
import math
import types
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

#: Metadata of a request's field that changes how fast work is done, and not what comes out of it.
NOT_DECISIVE = {"decisive": False}


def decisive(request: Any) -> dict[str, Any]:
    """The fields of a request that decide its result, as plain data."""
    items = [item for item in dataclasses.fields(request) if item.metadata.get("decisive", True)]
    return {item.name: as_plain(getattr(request, item.name)) for item in items}


def as_plain(value: Any) -> Any:
    """Turn dataclasses, paths and tuples into what JSON can hold; numbers that are not finite become None.

    Example:
        >>> as_plain((1, float("nan"), {"a": (2,)}))
        [1, None, {'a': [2]}]
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): as_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [as_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int, bool)):
        return value
    return value.item() if hasattr(value, "item") else str(value)


def from_plain(kind: type[T], data: dict[str, Any]) -> T:
    """Make a dataclass of what :func:`as_plain` made of it; keys that it does not have are left out."""
    hints = get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: _typed(hints[name], data[name]) for name in names if name in data})


def _typed(hint: Any, value: Any) -> Any:
    """Give a JSON value the type that the dataclass names."""
    if get_origin(hint) in (Union, types.UnionType):
        hint = next((arg for arg in get_args(hint) if arg is not type(None)), hint)
    if value is None:
        return None
    if get_origin(hint) is tuple:
        inner = get_args(hint)[0]
        return tuple(_typed(inner, item) for item in value)
    if dataclasses.is_dataclass(hint):
        return from_plain(hint, value)  # type: ignore[arg-type]
    return float(value) if hint is float else value
