"""What regions are compared by: colour and texture codes per pixel, counted into one histogram per region.

Uijlings et al., "Selective Search for Object Recognition", IJCV 2013, section 3.2: 25 bins per colour
channel. Their texture, Gaussian derivatives in 8 directions in 10 bins each, is reduced here to one code per
pixel of the grey image: 8 directions of the gradient times 4 strengths. That is one count per pixel, not 24.
"""

from __future__ import annotations

import numpy as np

from aligndet.proposals.selective.kernel import kernel

Array = np.ndarray

COLOR_BINS = 25
DIRECTIONS = 8
STRENGTHS = 4
TEXTURE_BINS = DIRECTIONS * STRENGTHS


@kernel
def color_codes(image: Array) -> Array:
    """(H, W, C) uint8 -> (H, W, C) uint8, the bin of each channel; channel c's bins start at 0."""
    out = np.empty_like(image)
    flat, target = image.reshape(-1), out.reshape(-1)
    for i in range(flat.size):
        target[i] = (flat[i] * COLOR_BINS) >> 8
    return out


@kernel
def texture_codes(gray: Array) -> Array:
    """(H, W) uint16 in units of 1/16 grey level -> (H, W) uint8, direction * STRENGTHS + strength.

    Direction is that of the central difference, over the full circle; strength has borders at 2, 6 and 18
    grey levels per pixel.
    """
    height, width = gray.shape
    out = np.empty((height, width), dtype=np.uint8)
    for y in range(height):
        up, down = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            left, right = max(x - 1, 0), min(x + 1, width - 1)
            dx = np.int32(gray[y, right]) - np.int32(gray[y, left])
            dy = np.int32(gray[down, x]) - np.int32(gray[up, x])
            ax, ay = abs(dx), abs(dy)
            strength = max(ax, ay)
            level = (strength > 64) + (strength > 192) + (strength > 576)
            octant = (dx < 0) * 4 + (dy < 0) * 2 + (ay > ax)
            out[y, x] = octant * STRENGTHS + level
    return out


@kernel
def describe(labels: Array, count: int, colors: Array, texture: Array) -> tuple[Array, Array, Array]:
    """Count the codes of each region.

    Args:
        labels: (H, W) int32, 0 .. count - 1.
        colors: (H, W, C) uint8 of :func:`color_codes`.
        texture: (H, W) uint8 of :func:`texture_codes`.

    Returns:
        boxes (count, 4) int32 xyxy, sizes (count,) int32 in pixels, and
        histograms (count, C * COLOR_BINS + TEXTURE_BINS) int32.
    """
    height, width, channels = colors.shape
    bins = channels * COLOR_BINS
    boxes = np.empty((count, 4), dtype=np.int32)
    boxes[:, 0], boxes[:, 1], boxes[:, 2:] = width, height, 0
    sizes = np.zeros(count, dtype=np.int32)
    histograms = np.zeros((count, bins + TEXTURE_BINS), dtype=np.int32)
    for y in range(height):
        for x in range(width):
            r = labels[y, x]
            sizes[r] += 1
            boxes[r, 0] = min(boxes[r, 0], x)
            boxes[r, 1] = min(boxes[r, 1], y)
            boxes[r, 2] = max(boxes[r, 2], x + 1)
            boxes[r, 3] = y + 1
            for c in range(channels):
                histograms[r, c * COLOR_BINS + colors[y, x, c]] += 1
            histograms[r, bins + texture[y, x]] += 1
    return boxes, sizes, histograms


@kernel
def borders(labels: Array, count: int, weights: Array) -> tuple[Array, Array, Array]:
    """Which regions touch, over how many pixel pairs, and how strong the edges between them are.

    Args:
        labels: (H, W) int32, 0 .. count - 1.
        weights: (H, W, 4) uint16 of :func:`aligndet.proposals.selective.segment.weigh_edges`.

    Returns:
        pairs (P, 2) int32, first < second, in a fixed order; lengths (P,) int32, how many horizontal and
        vertical pixel pairs; strengths (P,) int64, the sum of their edge weights.
    """
    height, width = labels.shape
    start = np.zeros(count + 1, dtype=np.int32)
    for y in range(height):
        for x in range(width):
            a = labels[y, x]
            if x + 1 < width and labels[y, x + 1] != a:
                start[min(a, labels[y, x + 1]) + 1] += 1
            if y + 1 < height and labels[y + 1, x] != a:
                start[min(a, labels[y + 1, x]) + 1] += 1
    for r in range(count):
        start[r + 1] += start[r]
    total = start[count]
    others = np.empty(total, dtype=np.int32)
    strength = np.empty(total, dtype=np.int32)
    fill = start.copy()
    for y in range(height):
        for x in range(width):
            a = labels[y, x]
            for side in range(2):
                ny, nx = y + side, x + 1 - side
                if ny < height and nx < width and labels[ny, nx] != a:
                    b = labels[ny, nx]
                    spot = fill[min(a, b)]
                    fill[min(a, b)] += 1
                    others[spot] = max(a, b)
                    strength[spot] = weights[y, x, side]
    return sum_up(start, others, strength, count)


@kernel
def sum_up(start: Array, others: Array, strength: Array, count: int) -> tuple[Array, Array, Array]:
    """One entry per pair of regions from one per pixel pair, sorted by first region; see :func:`borders`.

    Region a has the pixel pairs start[a] to start[a + 1]: `others`, its neighbours, and `strength` (int32).
    """
    pairs = np.empty((others.size, 2), dtype=np.int32)
    lengths = np.zeros(others.size, dtype=np.int32)
    strengths = np.zeros(others.size, dtype=np.int64)
    place = np.full(count, -1, dtype=np.int32)
    used = 0
    for a in range(count):
        first = used
        for i in range(start[a], start[a + 1]):
            b = others[i]
            if place[b] < first:
                place[b] = used
                pairs[used, 0], pairs[used, 1] = a, b
                used += 1
            lengths[place[b]] += 1
            strengths[place[b]] += strength[i]
    return pairs[:used], lengths[:used], strengths[:used]
