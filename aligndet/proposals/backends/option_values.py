"""From the text of ``--backend-options`` to what a parameter takes, and from there to what json can hold."""

from __future__ import annotations

import ast
import collections.abc
import enum
import inspect
import os
import types
import typing
from pathlib import Path, PurePath
from typing import Any

TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
ANYTHING = inspect.Parameter.empty
#: What an annotation of several values is read as; a tuple may have one type for each place.
CONTAINERS = {
    tuple: tuple,
    list: list,
    set: set,
    frozenset: frozenset,
    collections.abc.Set: frozenset,
    collections.abc.Sequence: list,
    collections.abc.MutableSequence: list,
    collections.abc.Collection: list,
    collections.abc.Iterable: list,
}
OPENING, CLOSING, QUOTES = "([{", ")]}", "'\""


def value_of(text: str, parameter: inspect.Parameter) -> Any:
    """Read a value as the parameter's annotation says, or its default's type, or as a Python literal.

    Raises:
        ValueError: it is none; the message says what was expected.
    """
    kind, default = _bare(parameter.annotation), parameter.default
    if kind is ANYTHING or (kind in CONTAINERS and isinstance(default, kind)):
        kind = _kind_of(default)
    return _read(text, kind)


def plain(value: Any) -> Any:
    """Turn an option's value into what json can hold, the same in every process."""
    if isinstance(value, enum.Enum):
        return value.name
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, collections.abc.Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(plain, value), key=str)
    name = getattr(value, "__qualname__", None)
    if name is not None:
        return f"{getattr(value, '__module__', '')}.{name}"
    text = str(value)
    return type(value).__qualname__ if " at 0x" in text else text


def _bare(kind: Any) -> Any:
    """The type that an annotation stands for, without ``Annotated``, ``Final``, ``InitVar`` and new names."""
    while True:
        if typing.get_origin(kind) in (typing.Annotated, typing.Final):
            kind = typing.get_args(kind)[0]
        elif isinstance(kind, typing.NewType):
            kind = kind.__supertype__
        elif isinstance(kind, typing.TypeVar):
            kind = kind.__bound__ or ANYTHING
        elif type(kind).__name__ == "TypeAliasType":  # the statement `type`, since Python 3.12
            kind = kind.__value__
        elif type(kind).__name__ == "InitVar":
            kind = kind.type
        elif kind is None:
            return types.NoneType
        else:
            unread = isinstance(kind, str) or not isinstance(kind, collections.abc.Hashable)
            return ANYTHING if unread or kind in (Any, object, typing.Final) else kind


def _kind_of(default: Any) -> Any:
    """The type that a default stands for; of a container with that of its items, where they have one."""
    if default is ANYTHING or default is None:
        return ANYTHING
    kind = type(default)
    if kind not in CONTAINERS:
        return kind
    items = {type(item) for item in default}
    if items == {int, float}:
        items = {float}
    item = items.pop() if len(items) == 1 else Any
    return types.GenericAlias(kind, (item, ...) if kind is tuple else (item,))


def _read(text: str, kind: Any) -> Any:
    kind = _bare(kind)
    if kind is ANYTHING:
        return _literal(text)
    origin, inner = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _one_of(text, inner)
    if origin is typing.Literal:
        return _choice(text, {str(value): value for value in inner})
    if origin in CONTAINERS:
        return _container(text, origin, inner)
    return _single(text, origin) if isinstance(origin, type) else _literal(text)


def _single(text: str, kind: type) -> Any:
    """One value of a class: a word, a number, a path, a member, or what its constructor makes of a text."""
    if kind is str:
        return text
    if kind is types.NoneType:
        return _choice(text, {"None": None})
    if kind is bool:
        if text.lower() not in TRUE + FALSE:
            raise ValueError("true or false")
        return text.lower() in TRUE
    if issubclass(kind, enum.Enum):
        named = {one.name: one for one in kind} | {str(one): one for one in kind}
        return _choice(text, {str(one.value): one for one in kind} | named)
    if kind is os.PathLike:
        return Path(text)
    if issubclass(kind, PurePath):
        return kind(text)
    value = text if issubclass(kind, (int, float, complex)) else _literal(text)
    if isinstance(value, kind):
        return value
    if issubclass(kind, collections.abc.Mapping):
        raise ValueError("a dictionary, such as {'a': 1}")
    make: Any = kind
    try:
        return make(value)
    except Exception as error:  # a constructor may raise anything
        raise ValueError(f"a value of type {kind.__name__}") from error


def _choice(text: str, values: dict[str, Any]) -> Any:
    if text not in values:
        raise ValueError(f"one of {', '.join(values)}" if len(values) > 1 else "".join(values))
    return values[text]


def _one_of(text: str, kinds: tuple[Any, ...]) -> Any:
    """The first of the types that the text can be read as, None before all and words last."""
    if text == "None" and types.NoneType in kinds:
        return None
    expected = []
    for kind in sorted((kind for kind in kinds if kind is not types.NoneType), key=lambda one: one is str):
        try:
            return _read(text, kind)
        except ValueError as error:
            expected.append(str(error))
    raise ValueError(" or ".join(expected))


def _container(text: str, origin: Any, inner: tuple[Any, ...]) -> Any:
    """``0.5,2.0`` or ``(0.5, 2.0)`` or ``[0.5, 2.0]``, nested or not."""
    items = _items(text)
    if origin is tuple and inner and inner[-1] is not Ellipsis:
        if len(items) != len(inner):
            raise ValueError(f"{len(inner)} values")
        kinds = list(inner)
    else:
        kinds = [inner[0] if inner else ANYTHING] * len(items)
    make: Any = CONTAINERS[origin]
    return make(_read(_unquoted(item), kind) for item, kind in zip(items, kinds, strict=True))


def _items(text: str) -> list[str]:
    """Split at the commas that stand outside of brackets and quotes."""
    inside = text.strip()
    if inside[:1] + inside[-1:] in ("()", "[]", "{}") and _closes_at_end(inside):
        inside = inside[1:-1]
    items, depth, quote = [""], 0, ""
    for sign in inside:
        depth += 0 if quote else (sign in OPENING) - (sign in CLOSING)
        quote = ("" if sign == quote else quote) if quote else (sign if sign in QUOTES else "")
        if sign == "," and not depth and not quote:
            items.append("")
        else:
            items[-1] += sign
    return [item.strip() for item in items if item.strip()]


def _closes_at_end(text: str) -> bool:
    """Whether the first bracket of a text is closed by its last sign: not so in ``(1, 2), (3, 4)``."""
    depth = 0
    for number, sign in enumerate(text):
        depth += (sign in OPENING) - (sign in CLOSING)
        if not depth:
            return number == len(text) - 1
    return False


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in QUOTES else text


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
