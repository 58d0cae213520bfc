"""The data preprocessor of a model that looks at two views."""

from __future__ import annotations

from typing import Any


def preprocessor_of_views(preprocessor: dict[str, Any] | None) -> dict[str, Any]:
    """Make a preprocessor for all views from that of a detector, which sees one image."""
    inner = preprocessor or {"type": "mmdet.DetDataPreprocessor"}
    return {"type": "mmdet.MultiBranchDataPreprocessor", "data_preprocessor": inner}
