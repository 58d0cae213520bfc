"""Graph segmentation of Felzenszwalb and Huttenlocher, "Efficient Graph-Based Image Segmentation", IJCV 2004.

Pixels are vertices, joined to their 8 neighbours; an edge weighs the distance of its two colours. Edges are
visited from light to heavy, and one joins its two components when it is no heavier than the inner difference
of either plus k / its size (their equations 3 and 4). Weights are rounded to 1/16 grey level, so that a
counting sort orders them, and one sort serves all scales k of a colour space.
"""

from __future__ import annotations

import cv2
import numpy as np

from aligndet.proposals.selective.kernel import kernel

Array = np.ndarray

STEPS = 16  # weight units per grey level
HEAVIEST = 256 * STEPS  # weights are below this; a heavier edge counts as this heavy


def smooth(image: Array, sigma: float) -> Array:
    """Blur (H, W, C) uint8 by a Gaussian of `sigma` pixels: (H, W, C) uint16, 1/STEPS grey level."""
    fine = np.multiply(image, STEPS, dtype=np.uint16)
    blurred = cv2.GaussianBlur(fine, (0, 0), sigma) if sigma > 0 else fine
    return np.ascontiguousarray(blurred.reshape(image.shape))


@kernel
def weigh_edges(image: Array) -> Array:
    """Weights (H, W, 4) uint16 of the edges from each pixel to its right, lower, lower right and lower left.

    Edges that would leave the image weigh HEAVIEST.
    """
    height, width, channels = image.shape
    weights = np.full((height, width, 4), HEAVIEST, dtype=np.uint16)
    for y in range(height):
        for x in range(width):
            for side in range(4):
                ny = y + (side > 0)
                nx = x + (1, 0, 1, -1)[side]
                if ny >= height or nx >= width or nx < 0:
                    continue
                total = np.float32(0)
                for c in range(channels):
                    d = np.float32(image[y, x, c]) - np.float32(image[ny, nx, c])
                    total += d * d
                weights[y, x, side] = min(int(np.sqrt(total) + np.float32(0.5)), HEAVIEST - 1)
    return weights


@kernel
def sort_edges(weights: Array) -> Array:
    """Edge numbers (E,) int32 = 4 * pixel + side, from light to heavy; those of one weight in image order."""
    flat = weights.reshape(-1)
    start = np.zeros(HEAVIEST + 1, dtype=np.int32)
    for e in range(flat.size):
        start[flat[e]] += 1
    total = 0
    for w in range(HEAVIEST):
        start[w], total = total, total + start[w]
    order = np.empty(total, dtype=np.int32)
    for e in range(flat.size):
        w = flat[e]
        if w < HEAVIEST:
            order[start[w]] = e
            start[w] += 1
    return order


@kernel
def find(parent: Array, a: int) -> int:
    """Root of `a`, halving the path on the way."""
    while parent[a] != a:
        parent[a] = parent[parent[a]]
        a = parent[a]
    return a


@kernel
def join_components(weights: Array, order: Array, k: float, min_size: int) -> Array:
    """Segment: labels (H, W) int32, 0 .. R-1 in order of first appearance.

    Args:
        weights, order: of :func:`weigh_edges` and :func:`sort_edges`.
        k: scale of observation, in grey levels times pixels; larger gives larger components.
        min_size: components of fewer pixels are joined to the neighbour behind their lightest edge.
    """
    height, width = weights.shape[:2]
    flat = weights.reshape(-1)
    scale = np.float32(k * STEPS)
    parent = np.arange(height * width, dtype=np.int32)
    size = np.ones(height * width, dtype=np.int32)
    limit = np.full(height * width, scale, dtype=np.float32)  # inner difference + k / size
    step = np.array([1, width, width + 1, width - 1], dtype=np.int32)
    between = np.empty_like(order)
    refused = 0
    for e in order:
        a = find(parent, e >> 2)
        b = find(parent, (e >> 2) + step[e & 3])
        if a == b:
            continue
        w = np.float32(flat[e])
        if w <= limit[a] and w <= limit[b]:
            if size[a] < size[b]:
                a, b = b, a
            parent[b] = a
            size[a] += size[b]
            limit[a] = w + scale / np.float32(size[a])
        else:
            between[refused] = e
            refused += 1
    for e in between[:refused]:
        a = find(parent, e >> 2)
        b = find(parent, (e >> 2) + step[e & 3])
        if a != b and (size[a] < min_size or size[b] < min_size):
            if size[a] < size[b]:
                a, b = b, a
            parent[b] = a
            size[a] += size[b]
    return number(parent, height, width)


@kernel
def number(parent: Array, height: int, width: int) -> Array:
    """Labels (height, width) int32 of the roots, 0 .. R-1 in order of first appearance."""
    names = np.full(height * width, -1, dtype=np.int32)
    labels = np.empty((height, width), dtype=np.int32)
    count = 0
    for y in range(height):
        for x in range(width):
            root = find(parent, y * width + x)
            if names[root] < 0:
                names[root] = count
                count += 1
            labels[y, x] = names[root]
    return labels
