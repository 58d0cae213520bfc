"""Hierarchical grouping: the two most similar neighbouring regions become one, until one is left.

Uijlings et al., "Selective Search for Object Recognition", IJCV 2013, section 3.1, algorithm 1. Every region
that exists on the way, first regions included, gives a box.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aligndet.proposals.selective.heap import drop, push
from aligndet.proposals.selective.kernel import kernel
from aligndet.proposals.selective.similarity import fill_shares, similarity

Array = np.ndarray


class Hierarchy(NamedTuple):
    """All N = 2R - 1 regions of one grouping: the R first ones, then each merged one, the whole image last.

    Attributes:
        boxes: (N, 4) int32 xyxy.
        sizes: (N,) int32, pixels of the region (not of its box).
        parents: (N,) int32, the region it went into; N - 1 for the last one, itself.
        contours: (N,) float32, mean edge weight along the region's outline, in units of
            :data:`aligndet.proposals.selective.segment.STEPS`; the frame of the image does not count.
    """

    boxes: Array
    sizes: Array
    parents: Array
    contours: Array


class Neighbours(NamedTuple):
    """Who touches whom: one linked list of entries per region. An entry may name a region that has since been
    merged; :func:`root` tells into which. Entries of the two lists of a merged pair are used again."""

    head: Array  # (N,) int32, first entry of a region, or -1
    follow: Array  # (2P,) int32, next entry, or -1
    target: Array  # (2P,) int32, the neighbour
    length: Array  # (2P,) int64, pixel pairs along the common border
    strength: Array  # (2P,) int64, sum of their edge weights


@kernel
def root(home: Array, a: int) -> int:
    """The living region that `a` is part of; `home` (N,) int32 leads there and is shortened on the way."""
    while home[a] != a:
        home[a] = home[home[a]]
        a = home[a]
    return a


@kernel
def link(pairs: Array, lengths: Array, strengths: Array, total: int) -> Neighbours:
    """Neighbour lists from the borders of the first regions."""
    entries = 2 * pairs.shape[0]
    lists = Neighbours(
        np.full(total, -1, dtype=np.int32),
        np.empty(entries, dtype=np.int32),
        np.empty(entries, dtype=np.int32),
        np.empty(entries, dtype=np.int64),
        np.empty(entries, dtype=np.int64),
    )
    for e in range(entries):
        a, b = pairs[e >> 1, e & 1], pairs[e >> 1, 1 - (e & 1)]
        lists.target[e], lists.length[e], lists.strength[e] = b, lengths[e >> 1], strengths[e >> 1]
        lists.follow[e] = lists.head[a]
        lists.head[a] = e
    return lists


@kernel
def unite(lists: Neighbours, home: Array, seen: Array, child: int, t: int) -> None:
    """Move the entries of `child` to region `t`, one entry per neighbour.

    `seen` (N, 2) int32 tells for each region in whose list it was entered last, and by which entry.
    """
    e = lists.head[child]
    while e >= 0:
        later = lists.follow[e]
        other = root(home, lists.target[e])
        if other != t and seen[other, 0] == t:
            lists.length[seen[other, 1]] += lists.length[e]
            lists.strength[seen[other, 1]] += lists.strength[e]
        elif other != t:
            seen[other, 0], seen[other, 1] = t, e
            lists.target[e] = other
            lists.follow[e] = lists.head[t]
            lists.head[t] = e
        e = later


@kernel
def contour(lists: Neighbours, r: int) -> float:
    """Mean edge weight along the outline of region r; 0 where it has no neighbour."""
    length, strength = 0, 0
    e = lists.head[r]
    while e >= 0:
        length += lists.length[e]
        strength += lists.strength[e]
        e = lists.follow[e]
    return strength / length if length else 0.0


@kernel
def group(
    first_boxes: Array,
    first_sizes: Array,
    first_histograms: Array,
    pairs: Array,
    lengths: Array,
    strengths: Array,
    use: Array,
) -> Hierarchy:
    """Group the R regions of a segmentation until one is left.

    Args:
        first_boxes, first_sizes, first_histograms: of :func:`aligndet.proposals.selective.features.describe`.
        pairs, lengths, strengths: of :func:`aligndet.proposals.selective.features.borders`.
        use: (4,) float32, weights of colour, texture, size and fill in the similarity.
    """
    count = first_sizes.size
    total = 2 * count - 1
    bins = first_histograms.shape[1]
    boxes = np.empty((total, 4), dtype=np.int32)
    sizes = np.empty(total, dtype=np.int32)
    histograms = np.empty((total, bins), dtype=np.int32)
    shares = np.empty((total, bins), dtype=np.uint16)
    contours = np.zeros(total, dtype=np.float32)
    boxes[:count], sizes[:count], histograms[:count] = first_boxes, first_sizes, first_histograms
    area = float(first_sizes.sum())
    lists = link(pairs, lengths, strengths, total)
    for r in range(count):
        fill_shares(histograms[r], sizes[r], shares[r])
        contours[r] = contour(lists, r)
    keys = np.empty(4 * pairs.shape[0] + 4, dtype=np.float32)
    queue = np.empty((keys.size, 2), dtype=np.int32)
    used = 0
    for a, b in pairs:
        keys, queue = push(keys, queue, used, similarity(a, b, boxes, sizes, shares, area, use), a, b)
        used += 1
    home = np.arange(total).astype(np.int32)
    parents = home.copy()
    parents[:] = total - 1
    seen = np.full((total, 2), -1, dtype=np.int32)
    for t in range(count, total):
        a, b = queue[0]
        while home[a] != a or home[b] != b:  # one of them is part of a newer region
            drop(keys, queue, used)
            used -= 1
            a, b = queue[0]
        home[a] = home[b] = parents[a] = parents[b] = t
        sizes[t] = sizes[a] + sizes[b]
        for c in range(2):
            boxes[t, c] = min(boxes[a, c], boxes[b, c])
            boxes[t, 2 + c] = max(boxes[a, 2 + c], boxes[b, 2 + c])
        for i in range(bins):
            histograms[t, i] = histograms[a, i] + histograms[b, i]
        fill_shares(histograms[t], sizes[t], shares[t])
        unite(lists, home, seen, a, t)
        unite(lists, home, seen, b, t)
        contours[t] = contour(lists, t)
        e = lists.head[t]
        while e >= 0:
            o = lists.target[e]
            keys, queue = push(keys, queue, used, similarity(o, t, boxes, sizes, shares, area, use), o, t)
            used += 1
            e = lists.follow[e]
    return Hierarchy(boxes, sizes, parents, contours)
