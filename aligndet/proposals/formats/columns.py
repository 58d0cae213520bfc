"""From lists of images and boxes, in any order, to a :class:`ProposalStore` in memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from aligndet.common.image_table import ImageTable
from aligndet.proposals.store import ProposalStore

Array = np.ndarray
BLOCK = 1 << 15  # boxes turned into arrays at once


class BoxTable:
    """Boxes and scores in file order, each with the key (id or row) of its image."""

    def __init__(self) -> None:
        self._done: list[tuple[Array, Array, Array]] = []
        self._fresh()

    def _fresh(self) -> None:
        self._keys, self._xywh, self._scores = array("q"), array("d"), array("d")

    def add(self, key: int, xywh: Sequence[float], score: float | None = None) -> None:
        """One more box, xywh in pixels.

        Raises:
            ValueError, TypeError: not four numbers.
        """
        x, y, w, h = xywh
        self._xywh.extend((x, y, w, h))
        self._keys.append(key)
        self._scores.append(np.nan if score is None else score)
        if len(self._keys) >= BLOCK:
            self._flush()

    def _flush(self) -> None:
        xywh = np.array(self._xywh, np.float64).reshape(-1, 4)
        corners = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1).astype(np.float32)
        self._done.append((np.array(self._keys, np.int64), corners, np.array(self._scores, np.float32)))
        self._fresh()

    def columns(self) -> tuple[Array, Array, Array]:
        """Keys (B,), boxes (B, 4) float32 xyxy, and scores (B,)."""
        self._flush()
        keys, boxes, scores = (np.concatenate(parts) for parts in zip(*self._done, strict=True))
        self._done = []
        return keys, boxes, scores


def gather(
    images: ImageTable,
    rows: Array,
    boxes: Array,
    scores: Array,
    labels: Array | None,
    info: Mapping[str, Any],
    skipped: Iterable[Mapping[str, str]] = (),
) -> ProposalStore:
    """Put boxes under their images, in file order within an image, and leave out what is no box.

    Args:
        images: the images.
        rows: (B,) the image of each box.
        boxes: (B, 4) float32 xyxy.
        scores: (B,) nan where a box has none.
        labels: (B,) pseudo-classes from 0, or None.
        info: of the store; the number of boxes left out is added.
        skipped: of the store.
    """
    columns: dict[str, Array | None] = dict(images.columns())
    sizes = columns["sizes"]
    assert sizes is not None
    keep = _solid(boxes, sizes[rows])
    if len(rows) > 1 and (rows[1:] < rows[:-1]).any():
        order = np.argsort(rows, kind="stable")
        order = order[keep[order]]
    else:
        order = np.flatnonzero(keep)
    lost = len(rows) - len(order)
    if lost or len(rows) != len(boxes) or (order[1:] < order[:-1]).any():
        rows, boxes, scores = rows[order], boxes[order], scores[order]
        labels = None if labels is None else labels[order]
    offsets = np.zeros(len(images) + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=len(images)), out=offsets[1:])
    columns |= {"boxes": boxes, "offsets": offsets, "clusters": labels}
    columns["scores"] = None if np.isnan(scores).all() else scores
    noted = {**info, "boxes_left_out": lost} if lost else info
    return ProposalStore(columns, noted, skipped=[dict(row) for row in skipped])


def _solid(boxes: Array, sizes: Array) -> Array:
    """Mask (B,) of boxes with finite corners, sides of a pixel or more and some part inside the image."""
    known = sizes[:, 0] >= 0
    far = np.where(known[:, None], sizes, np.inf)
    inside = np.minimum(boxes[:, 2:], far) > np.maximum(boxes[:, :2], 0)
    large = boxes[:, 2:] - boxes[:, :2] >= 1
    return (np.isfinite(boxes[:, :2]) & np.isfinite(boxes[:, 2:]) & inside & large).all(axis=1)
