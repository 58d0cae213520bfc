"""Write a config as Python that reads back as the same objects: classes stay classes, by import.

mmengine's own text turns ``type=GIoULoss`` into ``'mmdet.models.GIoULoss'``, which its registries do not
find, and what is no literal into what Python cannot read. The text here is in mmengine's new style where a
value has to be imported, else in the old one; ``Config.fromfile`` and ``Config.fromstring`` read both.
"""

from __future__ import annotations

import enum
import functools
import importlib
import keyword
import math
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.config.lazy import LazyAttr, LazyObject

from aligndet.common.errors import InputError

#: Characters of a line.
WIDTH = 110
INDENT = " " * 4


class WrittenConfig(Config):
    """Holds a config whose text, which mmengine puts into checkpoints, reads back as the same objects."""

    @classmethod
    def of(cls, config: Config) -> WrittenConfig:
        """Share what a config holds."""
        written = cls.__new__(cls)
        written.__setstate__(config.__getstate__())
        return written

    @property
    def pretty_text(self) -> str:
        """As :func:`config_text`."""
        return config_text(self)


def config_text(config: Config) -> str:
    """Write a config as Python.

    Raises:
        InputError: a value can be written neither as a literal nor as an import; names its key.
    """
    content = sections(config)
    writer = _Writer(set(content))
    lines = [f"{key} = {writer.text(value, key, len(key) + 3)}" for key, value in content.items()]
    head = [*sorted(writer.imports.values()), ""] if writer.imports else []
    return "\n".join([*head, *lines, ""])


def sections(config: Config) -> dict[str, Any]:
    """A config's keys and values, unbuilt, without modules, functions and names that helped to make it."""
    helpers = (types.FunctionType, types.ModuleType)
    imported = getattr(config, "_imported_names", ())
    return {
        key: value
        for key, value in raw(config).items()
        if isinstance(key, str)
        and key.isidentifier()
        and key not in imported
        and not isinstance(value, helpers)
    }


def raw(config: Config | Mapping[str, Any]) -> dict[str, Any]:
    """A config's keys and values, with what it imports as it is written: nothing is imported by looking."""
    holder = config._cfg_dict if isinstance(config, Config) else config
    return dict(dict.items(holder)) if isinstance(holder, dict) else dict(holder)


class _Writer:
    """Writes values, and collects what they import.

    Args:
        taken: names that an import must not have: the config's keys.
    """

    def __init__(self, taken: set[str]) -> None:
        self.taken = taken
        self.imports: dict[str, str] = {}  # name in the config -> import statement

    def text(self, value: Any, place: str, column: int, depth: int = 0) -> str:
        """Write a value: on one line where it fits behind ``column``, else a line for each part."""
        if isinstance(value, Mapping):
            opening, parts, closing = self._mapping(raw(value), place, depth)
        elif isinstance(value, (list, tuple)) and type(value) in (list, tuple):
            parts = [self.text(v, f"{place}.{n}", 0, depth + 1) for n, v in enumerate(value)]
            opening, closing = ("[", "]") if isinstance(value, list) else ("(", ")")
        else:
            return self._leaf(value, place)
        comma = "," if isinstance(value, tuple) and len(value) == 1 else ""
        inline = f"{opening}{', '.join(parts)}{comma}{closing}"
        if "\n" not in inline and column + len(inline) + depth * len(INDENT) <= WIDTH:
            return inline
        inner, outer = INDENT * (depth + 1), INDENT * depth
        return "\n".join([opening, *(f"{inner}{part}," for part in parts), f"{outer}{closing}"])

    def _mapping(self, value: dict[Any, Any], place: str, depth: int) -> tuple[str, list[str], str]:
        value = _without_partial(value)
        words = all(isinstance(k, str) and k.isidentifier() and not keyword.iskeyword(k) for k in value)
        parts = []
        for key, item in value.items():
            name = f"{key}=" if words else f"{key!r}: "
            parts.append(name + self.text(item, f"{place}.{key}", len(name) + 1, depth + 1))
        return ("dict(", parts, ")") if words else ("{", parts, "}")

    def _leaf(self, value: Any, place: str) -> str:
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float) and not math.isfinite(value):
            return f'float("{value}")'
        if (
            value is None
            or value is ...
            or type(value) in (bool, int, float, complex, str, bytes, range, set)
        ):
            return repr(value)
        if isinstance(value, str):
            return repr(str(value))
        if isinstance(value, Path):
            return repr(str(value))
        expression = self._imported(value)
        if expression is None:
            raise InputError(
                f"config {place}: {str(value)[:80]} can be written neither as a value nor as an import, so "
                "the config could not be read back; give it a name in a module of yours and import that"
            )
        return expression

    def _imported(self, value: Any) -> str | None:
        """The expression of an object that has a name in a module; None where it has none."""
        if isinstance(value, (LazyAttr, LazyObject)):
            return self._lazy(value)
        if isinstance(value, enum.Enum):
            kind = self._imported(type(value))
            return kind and f"{kind}.{value.name}"
        if isinstance(value, type) and value.__module__ == "builtins":
            return value.__name__
        for module, path in _addresses(value):
            if _found_at(module, path) is value:
                return self._from(module, path.split(".")[0], path.split(".")[1:])
        return None

    def _lazy(self, value: LazyAttr | LazyObject) -> str:
        """The expression of what a config in the new style imports."""
        names: list[str] = []
        while isinstance(value, LazyAttr):
            names.insert(0, value.name)
            value = value.source
        if isinstance(value._module, str) and value._imported:
            return self._from(value._module, value._imported, names)
        modules = [value._module] if isinstance(value._module, str) else list(value._module)
        for module in modules:
            self.imports.setdefault(module, f"import {module}")
        top = modules[0] if isinstance(value._module, str) else modules[0].split(".")[0]
        return ".".join([top, *names])

    def _from(self, module: str, name: str, rest: list[str]) -> str:
        for alias in (name, f"{module.replace('.', '_')}_{name}"):
            statement = f"from {module} import {name}" + (f" as {alias}" if alias != name else "")
            if alias not in self.taken and self.imports.setdefault(alias, statement) == statement:
                return ".".join([alias, *rest])
        raise InputError(f"config: the key {module.replace('.', '_')}_{name} has the name of an import")


def _without_partial(value: dict[Any, Any]) -> dict[Any, Any]:
    """A dict whose ``type`` is a partial class with keywords, as a dict of that class."""
    kind = value.get("type")
    if not isinstance(kind, functools.partial) or kind.args:
        return value
    return _without_partial({**kind.keywords, **value, "type": kind.func})


def _addresses(value: Any) -> list[tuple[str, str]]:
    """Modules, and names in them, where an object may be found."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if isinstance(module, str) and isinstance(name, str):
        return [(module, name), (module.split(".")[0], name), ("torch.nn.functional", name)]
    text = str(value)  # torch.float16
    return [(text.rpartition(".")[0], text.rpartition(".")[2])] if text.isascii() and "." in text else []


def _found_at(module: str, path: str) -> Any:
    if module == "__main__" or not all(part.isidentifier() for part in f"{module}.{path}".split(".")):
        return None
    try:
        found: Any = importlib.import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError):
        return None
    return found
