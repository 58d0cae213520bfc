"""From the text of ``--backend-options`` to what a factory's parameter takes."""

from __future__ import annotations

import ast
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
ANYTHING = inspect.Parameter.empty


def parameters_of(factory: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters that options can be given for; annotations are types where they can be read."""
    try:
        signature = inspect.signature(factory, eval_str=True)
    except Exception:  # an annotation that only a type checker can read
        signature = inspect.signature(factory)
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {name: one for name, one in signature.parameters.items() if one.kind not in variadic}


def value_of(text: str, parameter: inspect.Parameter) -> Any:
    """Read a value as the parameter's annotation says, or its default's type, or as a Python literal.

    Raises:
        ValueError: it is none; the message says what was expected.
    """
    kind, default = parameter.annotation, parameter.default
    if kind is ANYTHING or isinstance(kind, str):
        kind = ANYTHING if default in (ANYTHING, None) else type(default)
    if kind in (tuple, list) and isinstance(default, tuple | list) and default:
        return kind(_items(text, type(default[0])))
    return _read(text, kind)


def _read(text: str, kind: Any) -> Any:
    if kind in (ANYTHING, Any, object):
        return _literal(text)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _one_of(text, inner)
    if kind is bool:
        if text.lower() not in TRUE + FALSE:
            raise ValueError("true or false")
        return text.lower() in TRUE
    container = origin or kind
    if container in (tuple, list):
        return container(_items(text, inner[0] if inner else ANYTHING))
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError as error:
            raise ValueError(f"a value of type {kind.__name__}") from error
    return text if kind is str else _literal(text)


def _one_of(text: str, kinds: tuple[Any, ...]) -> Any:
    if text == "None" and type(None) in kinds:
        return None
    named = [kind for kind in kinds if kind is not type(None)]
    for kind in named:
        try:
            return _read(text, kind)
        except ValueError:
            continue
    raise ValueError(f"a value of type {' or '.join(getattr(kind, '__name__', str(kind)) for kind in named)}")


def _items(text: str, kind: Any) -> list[Any]:
    """``0.5,2.0`` or ``(0.5, 2.0)`` or ``[0.5, 2.0]``."""
    inside = text.strip()
    if inside[:1] + inside[-1:] in ("()", "[]"):
        inside = inside[1:-1]
    return [_read(item.strip(), kind) for item in inside.split(",") if item.strip()]


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
