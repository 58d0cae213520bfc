"""The class that a part of an mmdet config builds, and whose class it is.

A name alone says little: libraries with a scope of their own have a RetinaHead and a FCOSHead too, which may
be other things. So names stand for classes here, and classes are compared.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import mmdet.models
from mmdet.registry import MODELS
from mmengine.registry import Registry

T = TypeVar("T")


def ancestry(config: Any, registry: Registry = MODELS) -> tuple[type, ...]:
    """List the class that a config builds and its ancestors, nearest first, if it is registered.

    A name is looked up as building it would: in the scope of the config, or in the default scope.

    Args:
        config: of a part of a model.
        registry: of mmdet, for that kind of part.
    """
    kind = config.get("type")
    if isinstance(kind, str):
        with registry.switch_scope_and_registry(config.get("_scope_")) as scoped:
            kind = scoped.get(kind)
    return getattr(kind, "__mro__", ())


def is_mmdets(cls: Any) -> bool:
    """Say whether a class is mmdet's own, and no namesake from elsewhere."""
    return isinstance(cls, type) and cls.__module__.partition(".")[0] == "mmdet"


def class_named(name: str | type) -> type | None:
    """Return the class that a name stands for, or None where there is none (yet).

    Args:
        name: ``RetinaHead`` and ``mmdet.RetinaHead`` are mmdet's own class, or where mmdet has none of that
            name, what is registered under it with mmdet; ``mylib.RetinaHead`` is that of the scope
            ``mylib``; ``mylib.heads.RetinaHead`` is that of the module ``mylib.heads``. A class is itself.
    """
    if isinstance(name, type):
        return name
    place, _, bare = name.rpartition(".")
    if place in ("", MODELS.scope):
        own = getattr(mmdet.models, bare, None)
        return own if is_mmdets(own) else MODELS.module_dict.get(bare)
    registry = getattr(MODELS.parent, "children", {}).get(place)
    registered = registry.module_dict.get(bare) if registry else None
    return registered or getattr(sys.modules.get(place), bare, None)


def nearest(classes: Iterable[type], table: Mapping[Any, T]) -> T | None:
    """Return the entry of the first class that a key of ``table`` stands for.

    Keys are read as by :func:`class_named`. Where two stand for one class, the later counts.
    """
    entries = {class_named(key): entry for key, entry in table.items()}
    return next((entries[cls] for cls in classes if cls in entries), None)


def full_name(cls: type) -> str:
    """Name a class with its module, as an import would."""
    return f"{cls.__module__}.{cls.__qualname__}"
