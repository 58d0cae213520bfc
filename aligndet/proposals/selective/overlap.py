"""Which boxes overlap by more than half, found once; support and suppression are read from that."""

from __future__ import annotations

import numpy as np

from aligndet.proposals.selective.kernel import kernel

Array = np.ndarray

LEAST = 0.5  # pairs of smaller IoU are left out; :func:`overlaps` has this number worked in


@kernel
def overlaps(corners: Array, area: Array, i: int, stop: int, out: Array) -> None:
    """Mark in `out` (N,) uint8 which boxes j, i < j < stop, overlap box i by more than LEAST.

    Plain arithmetic over columns, `corners` (4, N) float32, which the compiler turns into vector
    instructions. IoU above 1/2 is an intersection above a third of both areas together.
    """
    x1, y1, x2, y2 = corners[0], corners[1], corners[2], corners[3]
    left, top, right, bottom, own = x1[i], y1[i], x2[i], y2[i], area[i]
    zero, three = np.float32(0), np.float32(3)
    for j in range(i + 1, stop):
        w = max(min(right, x2[j]) - max(left, x1[j]), zero)
        h = max(min(bottom, y2[j]) - max(top, y1[j]), zero)
        out[j] = w * h * three > own + area[j]


@kernel
def close_pairs(boxes: Array) -> tuple[Array, Array, Array]:
    """Pairs of boxes whose IoU is above LEAST, as a sparse matrix without its diagonal.

    Args:
        boxes: (N, 4) int32 xyxy, sorted by area.

    Returns:
        start (N + 1,) int64; the entries of row i are start[i] to start[i + 1] of the other two, which are
        the other box (E,) int32 and the IoU (E,) float32.
    """
    n = boxes.shape[0]
    corners = np.empty((4, n), dtype=np.float32)
    for c in range(4):
        corners[c] = boxes[:, c]
    area = (corners[2] - corners[0]) * (corners[3] - corners[1])
    pairs = np.empty((16 * n + 16, 2), dtype=np.int32)
    start = np.zeros(n + 1, dtype=np.int64)
    mask = np.zeros(n, dtype=np.uint8)
    used = 0
    stop = 0
    for i in range(n):
        while stop < n and area[stop] < 2 * area[i]:  # at twice the area, IoU is 1/2 at most
            stop += 1
        overlaps(corners, area, i, stop, mask)
        if used + n > pairs.shape[0]:
            pairs = np.concatenate((pairs, np.empty_like(pairs)))
        for j in range(i + 1, stop):
            if mask[j]:
                pairs[used, 0], pairs[used, 1] = i, j
                start[i + 1] += 1
                start[j + 1] += 1
                used += 1
    return rows(boxes, pairs[:used], np.cumsum(start))


@kernel
def rows(boxes: Array, pairs: Array, start: Array) -> tuple[Array, Array, Array]:
    """Fill the rows of the sparse matrix of :func:`close_pairs`."""
    place = start[:-1].copy()
    other = np.empty(2 * pairs.shape[0], dtype=np.int32)
    iou = np.empty(2 * pairs.shape[0], dtype=np.float32)
    for p in range(pairs.shape[0]):
        a, b = pairs[p, 0], pairs[p, 1]
        w = np.float32(min(boxes[a, 2], boxes[b, 2]) - max(boxes[a, 0], boxes[b, 0]))
        h = np.float32(min(boxes[a, 3], boxes[b, 3]) - max(boxes[a, 1], boxes[b, 1]))
        sizes = np.float32(0)
        for r in (a, b):
            sizes += np.float32(boxes[r, 2] - boxes[r, 0]) * np.float32(boxes[r, 3] - boxes[r, 1])
        other[place[a]], other[place[b]] = b, a
        iou[place[a]] = iou[place[b]] = w * h / (sizes - w * h)
        place[a] += 1
        place[b] += 1
    return start, other, iou


@kernel
def support(start: Array, other: Array, iou: Array) -> Array:
    """Sum of squared IoUs with the boxes that overlap by more than LEAST, itself included: (N,) float32."""
    out = np.ones(start.size - 1, dtype=np.float32)
    for i in range(out.size):
        for e in range(start[i], start[i + 1]):
            out[i] += iou[e] * iou[e]
    return out


@kernel
def thin(
    order: Array, start: Array, other: Array, iou: Array, most: float, limit: int, taken: Array
) -> Array:
    """Greedy non-maximum suppression.

    Args:
        order: indices, best first.
        start, other, iou: of :func:`close_pairs`.
        most: a box goes when a taken one overlaps it by more than this; not below LEAST.
        limit: stop at this many.
        taken: (N,) bool, boxes that were taken before; those found now are added.

    Returns:
        Indices of the boxes taken now, in order.
    """
    found = np.empty(order.size, dtype=np.int64)
    used = 0
    for i in order:
        if used == limit:
            break
        free = not taken[i]
        for e in range(start[i], start[i + 1]):
            free = free and not (taken[other[e]] and iou[e] > most)
        if free:
            taken[i] = True
            found[used] = i
            used += 1
    return found[:used]
