"""Which boxes first: the order in which proposals are handed on, from geometry and contours alone.

Three cues, all without labels and without learned weights:

- support: how many boxes of all hierarchies agree with a box. An object that stands out comes back in many
  colour spaces, scales and similarities; an accidental union of regions comes once.
- contour: the mean strength of the edges along the outline of the box's region.
- tightness: the share of the box that its region fills.

Boxes come in two parts. The first HEAD are the best by support x tightness x contour^(1/4), for those who
take 50 or 100 of them. The rest follow by tightness^2 x contour x level^(1/2), so that a large budget also
covers what only one hierarchy saw. Both parts are thinned by IoU, which makes room for different boxes.
docs/proposals.md has the study behind this choice.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aligndet.proposals.selective.kernel import kernel
from aligndet.proposals.selective.overlap import close_pairs, support, thin

Array = np.ndarray

HEAD = 1000  # boxes of the first part
HEAD_IOU = 0.7  # boxes of the first part overlap by no more than this


class Pool(NamedTuple):
    """The different boxes of all hierarchies, with the best of each cue over their copies.

    Attributes:
        boxes: (N, 4) int32 xyxy, sorted by area.
        tightness: (N,) float32, 0 to 1, region size / box area.
        contours: (N,) float32, mean edge weight along the outline.
        levels: (N,) float32, 0 to 1, when the region came to be: 0 for a first region, 1 for the whole image.
    """

    boxes: Array
    tightness: Array
    contours: Array
    levels: Array


@kernel
def combine(boxes: Array, cues: Array) -> tuple[Array, Array]:
    """Unique boxes, sorted by area, then corners.

    Args:
        boxes: (M, 4) int32 xyxy, sides below 65536.
        cues: (M, C) float32.

    Returns:
        boxes (N, 4) int32 and the maximum of each cue over copies (N, C) float32.
    """
    keys = np.empty(boxes.shape[0], dtype=np.uint64)
    areas = np.empty(boxes.shape[0], dtype=np.int64)
    for i in range(boxes.shape[0]):
        keys[i] = (
            (np.uint64(boxes[i, 0]) << np.uint64(48))
            | (np.uint64(boxes[i, 1]) << np.uint64(32))
            | (np.uint64(boxes[i, 2]) << np.uint64(16))
            | np.uint64(boxes[i, 3])
        )
    order = np.argsort(keys, kind="mergesort")
    first = np.empty(order.size, dtype=np.int64)
    best = np.empty(cues.shape, dtype=np.float32)
    used = 0
    for n in range(order.size):
        i = order[n]
        if n == 0 or keys[i] != keys[order[n - 1]]:
            first[used] = i
            areas[used] = np.int64(boxes[i, 2] - boxes[i, 0]) * np.int64(boxes[i, 3] - boxes[i, 1])
            best[used] = cues[i]
            used += 1
        for c in range(cues.shape[1]):
            best[used - 1, c] = max(best[used - 1, c], cues[i, c])
    by_area = np.argsort(areas[:used], kind="mergesort")
    return boxes[first[by_area]], best[by_area]


def rank(pool: Pool, limit: int, overlap: float) -> Array:
    """Indices of at most `limit` boxes of the pool, best first; 0 means no limit.

    No two of them have an IoU above `overlap`, which is at least HEAD_IOU.
    """
    limit = limit or len(pool.boxes)
    near = close_pairs(pool.boxes)
    contour = pool.contours + 1  # a region without any contrast is still a region
    agreed = support(*near) * pool.tightness * np.sqrt(np.sqrt(contour))
    sound = pool.tightness**2 * contour * np.sqrt(pool.levels + 0.01)
    taken = np.zeros(len(pool.boxes), dtype=np.bool_)
    head = thin(np.argsort(-agreed, kind="stable"), *near, HEAD_IOU, min(HEAD, limit), taken)
    tail = thin(np.argsort(-sound, kind="stable"), *near, overlap, limit - len(head), taken)
    return np.concatenate([head, tail])
