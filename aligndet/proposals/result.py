"""What was found in one image."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


def _no_boxes() -> np.ndarray:
    return np.zeros((0, 4), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class ImageProposals:
    """Proposals of one image, or why it was skipped.

    Attributes:
        width, height: in pixels, after EXIF rotation.
        boxes: (n, 4) float32 xyxy in pixels, best first.
        scores: (n,) float32, higher is better, or None.
        levels: (n,) int16 place in the search's hierarchy, or None.
        clusters: (n,) int32 pseudo-classes, or None.
        skipped: the reason; empty for an image that was searched.
        stamp: of the image's file, see :func:`aligndet.common.images.stamp_of`.
        note: what is odd about the image; empty for most.
    """

    width: int = 0
    height: int = 0
    boxes: np.ndarray = field(default_factory=_no_boxes)
    scores: np.ndarray | None = None
    levels: np.ndarray | None = None
    clusters: np.ndarray | None = None
    skipped: str = ""
    stamp: int = 0
    note: str = ""
