"""Arithmetic of boxes. Every box here is xyxy in pixels; x2 and y2 are edges, so width is x2 - x1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Array = np.ndarray


def area(boxes: Array) -> Array:
    """Areas (N,) of boxes (N, 4) xyxy; a box turned inside out has area 0."""
    return np.clip(boxes[:, 2] - boxes[:, 0], 0, None) * np.clip(boxes[:, 3] - boxes[:, 1], 0, None)


def iou_matrix(first: Array, second: Array) -> Array:
    """Intersection over union (N, M) of boxes (N, 4) and (M, 4), xyxy. Empty boxes have IoU 0."""
    corner = np.maximum(first[:, None, :2], second[None, :, :2])
    far = np.minimum(first[:, None, 2:], second[None, :, 2:])
    side = np.clip(far - corner, 0, None)
    both = side[..., 0] * side[..., 1]
    union = area(first)[:, None] + area(second)[None, :] - both
    return np.divide(both, union, out=np.zeros_like(both, dtype=np.float64), where=union > 0)


def suppress(boxes: Array, iou: float, limit: int = 0) -> Array:
    """Greedy non-maximum suppression in the order given.

    Args:
        boxes: (N, 4) xyxy, best first.
        iou: a box goes when it overlaps a kept, better one by more than this.
        limit: stop after this many kept boxes; 0 means no limit.

    Returns:
        Indices (K,) of the kept boxes, in order. Memory is linear in N: one row of IoUs at a time.
    """
    kept: list[int] = []
    alive = np.arange(len(boxes))
    while len(alive) and not (limit and len(kept) >= limit):
        best, rest = alive[0], alive[1:]
        kept.append(int(best))
        alive = rest[iou_matrix(boxes[best : best + 1], boxes[rest])[0] <= iou]
    return np.asarray(kept, dtype=np.int64)


def recall(proposals: Sequence[Array], truths: Sequence[Array], iou: float = 0.5) -> float:
    """Share of true boxes that some proposal of the same image overlaps by `iou` or more.

    Args:
        proposals: one (N_i, 4) xyxy array per image.
        truths: one (M_i, 4) xyxy array per image, in the same order.

    Returns:
        A number from 0 to 1; nan when there is no true box at all.
    """
    if len(proposals) != len(truths):
        raise ValueError(
            f"recall needs one entry per image: {len(proposals)} proposals, {len(truths)} truths"
        )
    hits = total = 0
    for boxes, truth in zip(proposals, truths, strict=True):
        total += len(truth)
        if len(boxes) and len(truth):
            hits += int((iou_matrix(truth, boxes).max(axis=1) >= iou).sum())
    return hits / total if total else float("nan")
