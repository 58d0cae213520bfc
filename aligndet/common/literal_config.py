"""The config that stands as text in a checkpoint: read as literals, and never executed.

Such a text is Python, and mmengine runs it to read it. Here it is parsed: names are bound to numbers, texts,
lists and dicts, as every config that a run was saved with is written. ``from mmdet.models import ATSS``, in
the new style, names a class and imports nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from aligndet.common.errors import InputError

if TYPE_CHECKING:
    from mmengine.config import Config

#: Longest text that is parsed; those of mmdet's configs have some thousand characters.
LONGEST = 2_000_000


class HeldCodeError(InputError):
    """Says that a config's text holds more than literals."""


class Named(str):
    """Names what a config imports, with its module: ``mmdet.models.detectors.ATSS``; nothing is imported."""

    __slots__ = ()


def parse_literals(text: str) -> Config:
    """Read a config's text.

    Raises:
        HeldCodeError: it holds what would have to be run; names the line.
        SyntaxError: it is no Python.
    """
    from mmengine.config import Config

    if len(text) > LONGEST:
        raise HeldCodeError(f"it has {len(text)} characters; expected at most {LONGEST}")
    try:
        tree = ast.parse(text)
    except (RecursionError, MemoryError, ValueError) as error:  # nested too deep, or with a null byte
        raise HeldCodeError(f"it cannot be parsed ({type(error).__name__})") from error
    names: dict[str, Any] = {}
    content: dict[str, Any] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and all(isinstance(t, ast.Name) for t in statement.targets):
            value = _value(statement.value, names)
            content.update({target.id: value for target in statement.targets if isinstance(target, ast.Name)})
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            names.update(_imported(statement))
        elif not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            raise _held(statement)
    try:
        return Config(content)
    except (KeyError, TypeError, RecursionError) as error:  # a key that mmengine keeps for itself
        raise HeldCodeError(f"it is no config ({error})") from error


def _imported(statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Named]]:
    module = (getattr(statement, "module", None) or "") if isinstance(statement, ast.ImportFrom) else None
    for each in statement.names:
        if module is None:
            top = each.name.split(".")[0]
            yield each.asname or top, Named(each.name if each.asname else top)
        else:
            yield each.asname or each.name, Named(f"{module}.{each.name}")


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """The value of an expression of literals."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, ast.Attribute) and isinstance(above := _value(node.value, names), Named):
        return Named(f"{above}.{node.attr}")
    if isinstance(node, (ast.List, ast.Tuple)):
        values = [_value(item, names) for item in node.elts]
        return values if isinstance(node, ast.List) else tuple(values)
    if isinstance(node, ast.Set):
        return {_hashable(_value(item, names), item) for item in node.elts}
    if isinstance(node, ast.Dict) and all(node.keys):
        pairs = zip(node.keys, node.values, strict=True)
        return {_hashable(_value(k, names), k): _value(v, names) for k, v in pairs if k is not None}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        value = _value(node.operand, names)
        if isinstance(value, (int, float, complex)):
            return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.Call):
        return _call(node, names)
    raise _held(node)


def _hashable(value: Any, node: ast.expr) -> Any:
    """A value, where it may be in a set or the key of a dict."""
    try:
        hash(value)
    except TypeError as error:
        raise _held(node) from error
    return value


def _call(node: ast.Call, names: Mapping[str, Any]) -> Any:
    """``dict(a=1)``, ``float('inf')``, ``set()`` and ``range(3)``: what configs call to write a value."""
    function = node.func.id if isinstance(node.func, ast.Name) and node.func.id not in names else ""
    words = {word.arg: _value(word.value, names) for word in node.keywords if word.arg}
    values = [_value(value, names) for value in node.args]
    if function == "dict" and len(words) == len(node.keywords) and len(values) < 2:
        first = values[0] if values else {}
        if isinstance(first, dict):
            return {**first, **words}
    if not node.keywords:
        if function == "float" and len(values) == 1 and isinstance(values[0], (str, int, float)):
            return float(values[0])
        if function == "set" and not values:
            return set()
        if function == "range" and 1 <= len(values) <= 3 and all(type(value) is int for value in values):
            return range(*values)
    raise _held(node)


def _held(node: ast.stmt | ast.expr) -> HeldCodeError:
    return HeldCodeError(f"line {node.lineno} holds code; expected numbers, texts, lists and dicts")
