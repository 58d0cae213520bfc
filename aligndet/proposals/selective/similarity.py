"""How alike two regions are: equations 2 to 6 of Uijlings et al., "Selective Search", IJCV 2013.

Histograms are compared as whole numbers, so that no sum depends on the order of its terms and results are the
same on every processor.
"""

from __future__ import annotations

import numpy as np

from aligndet.proposals.selective.features import COLOR_BINS, TEXTURE_BINS
from aligndet.proposals.selective.kernel import kernel

Array = np.ndarray

ONE = 16384  # a histogram of shares sums to this (or a little less, for rounding down), per channel


@kernel
def fill_shares(histogram: Array, size: int, out: Array) -> None:
    """Counts of a region of `size` pixels -> shares, in units of 1 / ONE, into `out` (bins,) uint16."""
    factor = np.float32(ONE) / np.float32(size)
    for i in range(histogram.size):
        out[i] = np.uint16(np.float32(histogram[i]) * factor)


@kernel
def intersection(first: Array, second: Array) -> np.int32:
    """Histogram intersection of shares (bins,) uint16, in units of 1 / ONE."""
    total = np.int32(0)
    for i in range(first.size):
        total += np.int32(min(first[i], second[i]))
    return total


@kernel
def similarity(
    a: int, b: int, boxes: Array, sizes: Array, shares: Array, area: float, use: Array
) -> np.floating:
    """Similarity of regions a and b, from 0 to the sum of `use`.

    Args:
        boxes, sizes, shares: of all regions: (N, 4) int32 xyxy, (N,) int32 pixels, (N, bins) uint16.
        area: of the image, in pixels.
        use: (4,) float32, the weights of colour, texture, size and fill; a term of weight 0 is not computed.
    """
    value = np.float32(0)
    colors = shares.shape[1] - TEXTURE_BINS
    if use[0] > 0:
        whole = np.float32(ONE * (colors // COLOR_BINS))
        value += use[0] * np.float32(intersection(shares[a, :colors], shares[b, :colors])) / whole
    if use[1] > 0:
        value += use[1] * np.float32(intersection(shares[a, colors:], shares[b, colors:])) / np.float32(ONE)
    both = np.float32(sizes[a] + sizes[b])
    if use[2] > 0:
        value += use[2] * (np.float32(1) - both / np.float32(area))
    if use[3] > 0:
        w = max(boxes[a, 2], boxes[b, 2]) - min(boxes[a, 0], boxes[b, 0])
        h = max(boxes[a, 3], boxes[b, 3]) - min(boxes[a, 1], boxes[b, 1])
        gap = np.float32(w) * np.float32(h) - both
        value += use[3] * (np.float32(1) - gap / np.float32(area))
    return value
