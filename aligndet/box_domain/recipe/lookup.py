"""The class that a ``type`` of a user's config means: a name in its scope, or the class itself."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from mmengine.config.lazy import LazyAttr, LazyObject
from mmengine.registry import Registry


def class_of(node: Mapping[str, Any], registry: Registry) -> type | None:
    """Look up what a dict of a config builds, in the present default scope; None where it is not registered.

    Args:
        node: with a ``type``, and maybe a ``_scope_``.
        registry: one of mmengine's roots.
    """
    kind = type_of(node)
    if isinstance(kind, str):
        try:
            with registry.switch_scope_and_registry(node.get("_scope_")) as scoped:
                kind = scoped.get(kind)
        except (ImportError, RuntimeError):
            return None
    return kind if inspect.isclass(kind) else None


def names_of(node: Mapping[str, Any], registry: Registry) -> list[str]:
    """Names of the class that a dict builds and of its bases, nearest first; else what its ``type`` says."""
    kind = class_of(node, registry)
    if kind is not None:
        return [base.__name__ for base in kind.__mro__ if base is not object]
    return [name_of(node)]


def of_library(node: Mapping[str, Any], registry: Registry) -> bool:
    """Whether a dict builds a class of OpenMMLab's."""
    kind = class_of(node, registry)
    return kind is not None and kind.__module__.split(".")[0] in ("mmcv", "mmdet", "mmengine")


def type_of(node: Mapping[str, Any]) -> Any:
    """The ``type`` of a dict: a name, or what a config in the new style imports."""
    kind = node.get("type")
    return kind.build() if isinstance(kind, (LazyObject, LazyAttr)) else kind


def name_of(node: Mapping[str, Any]) -> str:
    """Name a ``type`` without its scope or module."""
    kind = type_of(node)
    return str(getattr(kind, "__name__", kind)).rpartition(".")[2]
