"""The class that a part of an mmdet config builds."""

from __future__ import annotations

from typing import Any

from mmdet.registry import MODELS


def ancestry(config: Any) -> tuple[type, ...]:
    """List the class that a config builds and its ancestors, nearest first, if it is registered."""
    kind = config.get("type")
    return getattr(MODELS.get(kind) if isinstance(kind, str) else kind, "__mro__", ())
