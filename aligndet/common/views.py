"""The data preprocessor of a model that looks at two views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Options of preprocessors and of batch augmentations that pad labels of pixels, which proposals have not.
OF_PIXEL_LABELS = ("pad_mask", "pad_seg")


def preprocessor_of_views(preprocessor: dict[str, Any] | None) -> dict[str, Any]:
    """Make a preprocessor for all views from that of a detector, which sees one image.

    What it pads beside images (masks, semantic maps) is not there, and not padded.
    """
    inner = without_pixel_labels(preprocessor or {"type": "mmdet.DetDataPreprocessor"})
    return {"type": "mmdet.MultiBranchDataPreprocessor", "data_preprocessor": inner}


def without_pixel_labels(part: Any) -> Any:
    """Copy a part of a preprocessor's config with every option of :data:`OF_PIXEL_LABELS` set to False."""
    if isinstance(part, Mapping):
        plain = {k: False if k in OF_PIXEL_LABELS else without_pixel_labels(v) for k, v in part.items()}
        return type(part)(plain)  # type: ignore[call-arg]
    if isinstance(part, (list, tuple)):
        return type(part)(without_pixel_labels(value) for value in part)
    return part
