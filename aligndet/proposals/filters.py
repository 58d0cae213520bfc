"""Which raw boxes become proposals: the paper's rule, 'ratio3size0008@0.5'.

The official text names the rule only by that string; the reading used here is SoCo's parser (ratio 3,
size 0.0 to 0.8, sides of 32 px or more) followed by suppression at IoU 0.5.

Suppression and the cap need a rank. A backend that can tell good boxes from bad gives a score; boxes without
one are ranked by a seeded shuffle of the sorted, unique boxes. Neither favours a size as such (ranking by
area would let one size swallow the others), and neither depends on the order in which a backend emits its
boxes, on the process or on the machine.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from aligndet.common.errors import InputError
from aligndet.common.image_table import encode_name
from aligndet.proposals.boxes import Array, area, suppress

RANKS = ("score", "random", "large", "small")


@dataclass(frozen=True)
class FilterOptions:
    """Options of the filter. Pixels are those of the image as read (after EXIF rotation).

    Attributes:
        min_ratio, max_ratio: bounds, inclusive, of width / height.
        min_size, max_size: bounds, inclusive, of sqrt(w * h) / sqrt(W * H).
        min_side: width and height are at least this many pixels.
        iou: suppress a box that overlaps a better one by more than this; 1 keeps all but duplicates.
        max_per_image: keep at most this many of the survivors, best first; 0 keeps all.
        rank: who is better: "score" (the backend's; where it has none: random), "random" (seeded, see the
            module), "large" or "small" (by area).
        seed: of the random rank.
        fallback: for an image that loses all its boxes, try the ratio rule alone, then min_side alone.
    """

    min_ratio: float = 1 / 3
    max_ratio: float = 3.0
    min_size: float = 0.0
    max_size: float = 0.8
    min_side: float = 32.0
    iou: float = 0.5
    max_per_image: int = 100
    rank: str = "score"
    seed: int = 0
    fallback: bool = True

    def __post_init__(self) -> None:
        if self.rank not in RANKS:
            raise InputError(f"filter option rank={self.rank!r}: expected one of {', '.join(RANKS)}")
        if not 0 < self.min_ratio <= self.max_ratio:
            raise InputError(
                f"filter options: need 0 < min_ratio <= max_ratio, got {self.min_ratio}, {self.max_ratio}"
            )
        if not 0 <= self.min_size <= self.max_size:
            raise InputError(
                f"filter options: need 0 <= min_size <= max_size, got {self.min_size}, {self.max_size}"
            )
        if not 0 <= self.iou <= 1:
            raise InputError(f"filter option iou={self.iou}: expected a number from 0 to 1")
        if self.max_per_image < 0 or self.min_side < 0:
            raise InputError("filter options max_per_image and min_side must not be negative")


def filter_boxes(
    boxes: Array, scores: Array | None, height: int, width: int, options: FilterOptions, name: str = ""
) -> tuple[Array, Array | None]:
    """Clip, deduplicate, filter, suppress and cap the raw boxes of one image.

    Args:
        boxes: (N, 4) xyxy, in any order.
        scores: (N,) higher is better, or None.
        height, width: of the image, in pixels.
        options: the rule.
        name: of the image; with options.seed it fixes the random rank.

    Returns:
        Boxes (K, 4) float32 xyxy, best first, and their scores (K,) or None.
    """
    rows = filter_rows(boxes, scores, height, width, options, name)
    chosen = None if scores is None else np.asarray(scores, dtype=np.float32)[rows]
    return clip(boxes, height, width)[rows], chosen


def filter_rows(
    boxes: Array, scores: Array | None, height: int, width: int, options: FilterOptions, name: str = ""
) -> Array:
    """As :func:`filter_boxes`, but gives the rows (K,) of `boxes` that are kept, best first."""
    boxes = clip(boxes, height, width)
    if scores is not None and len(scores) != len(boxes):
        raise ValueError(f"{name or 'image'}: {len(boxes)} boxes but {len(scores)} scores")
    rows = _unique(boxes, scores)
    boxes = boxes[rows]
    scores = None if scores is None else np.asarray(scores, dtype=np.float32)[rows]
    keep = _admitted(boxes, height, width, options)
    order = _rank(boxes, scores, options, name)
    order = order[keep[order]]
    return rows[order[suppress(boxes[order], options.iou, options.max_per_image)]]


def clip(boxes: Array, height: int, width: int) -> Array:
    """Boxes (N, 4) float32 xyxy cut off at the border of the image."""
    boxes = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
    return np.clip(boxes, 0, np.asarray([width, height, width, height], dtype=np.float32))


def _unique(boxes: Array, scores: Array | None) -> Array:
    """Rows of the sorted unique boxes with area; of duplicates the one with the best score."""
    rows: Array = np.arange(len(boxes))
    if scores is not None:
        rows = np.argsort(-np.asarray(scores, dtype=np.float32), kind="stable")
    rows = rows[area(boxes[rows]) > 0]
    return rows[np.unique(boxes[rows], axis=0, return_index=True)[1]]


def _admitted(boxes: Array, height: int, width: int, options: FilterOptions) -> Array:
    """Mask (N,) of the boxes that the first rule which admits any lets through."""
    w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    ratio = w.astype(np.float64) / h
    good_ratio = (ratio >= options.min_ratio) & (ratio <= options.max_ratio)
    size = np.sqrt(w.astype(np.float64) * h / (width * height))
    good_size = (size >= options.min_size) & (size <= options.max_size)
    good_side = (w >= options.min_side) & (h >= options.min_side)
    mask = good_ratio & good_size & good_side
    if options.fallback:
        for relaxed in (good_ratio, good_side):
            if not mask.any():
                mask = relaxed
    return mask


def _rank(boxes: Array, scores: Array | None, options: FilterOptions, name: str) -> Array:
    """Indices (N,), best first; ties are broken by the seeded shuffle."""
    shuffled = np.random.default_rng([options.seed, zlib.crc32(encode_name(name))]).permutation(len(boxes))
    if options.rank == "score" and scores is not None:
        return shuffled[np.argsort(-scores[shuffled], kind="stable")]
    if options.rank in ("large", "small"):
        sign = -1 if options.rank == "large" else 1
        return shuffled[np.argsort(sign * area(boxes)[shuffled], kind="stable")]
    return shuffled
