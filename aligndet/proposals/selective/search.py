"""Selective search: segment in several colour spaces and scales, group each by several similarities, rank.

Uijlings, van de Sande, Gevers and Smeulders, "Selective Search for Object Recognition", IJCV 2013. Their
section 4 chooses the strategies; which ones are used here, and what each gave, is in docs/proposals.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from aligndet.proposals.selective.features import borders, color_codes, describe, texture_codes
from aligndet.proposals.selective.group import Hierarchy, group
from aligndet.proposals.selective.rank import Pool, combine, rank
from aligndet.proposals.selective.segment import join_components, smooth, sort_edges, weigh_edges

Array = np.ndarray

COLOR_SPACES = ("lab", "hsv", "bgr", "rgi", "gray")

# weights of colour, texture, size and fill
SIMILARITIES = {"ctsf": (1, 1, 1, 1), "tsf": (0, 1, 1, 1), "s": (0, 0, 1, 0), "f": (0, 0, 0, 1)}


@dataclass(frozen=True)
class SearchOptions:
    """What is searched.

    Attributes:
        side: the longer side of the copy that is searched, in pixels; smaller images are not enlarged.
        colors: colour spaces, of COLOR_SPACES.
        scales: k of the segmentation, see :func:`aligndet.proposals.selective.segment.join_components`.
        similarities: names, of SIMILARITIES.
        sigma: of the Gaussian blur before the segmentation, in pixels of the copy.
        min_size: smallest first region, in pixels of the copy.
        limit: most boxes per image, the best; 0 keeps all.
        overlap: no two boxes have an IoU above this; from 0.7 to 1.
    """

    side: int = 320
    colors: tuple[str, ...] = ("lab", "hsv")
    scales: tuple[float, ...] = (50.0, 100.0, 200.0)
    similarities: tuple[str, ...] = ("ctsf", "tsf", "s", "f")
    sigma: float = 0.8
    min_size: int = 20
    limit: int = 1500
    overlap: float = 0.85


MODES = {
    "single": SearchOptions(side=320, colors=("lab",), scales=(100.0,), limit=320),
    "fast": SearchOptions(),
    "quality": SearchOptions(
        side=512, colors=("lab", "hsv", "bgr"), scales=(50.0, 150.0), limit=5300, overlap=0.9
    ),
}


class Found(NamedTuple):
    """What a search gives, best first, no box twice.

    Attributes:
        boxes: (N, 4) float32 xyxy, in pixels of the image.
        levels: (N,) int16, 0 to 1000: thousandths of the merging that were done when the box's region came to
            be; 0 is a first region, 1000 the whole image.
    """

    boxes: Array
    levels: Array


def selective_search(image: Array, options: SearchOptions) -> Found:
    """Search one image (H, W, 3) uint8 BGR.

    The same image and options give the same bytes, in any thread and any process.
    """
    height, width = image.shape[:2]
    small = shrink(image, options.side)
    pool = gather(list(hierarchies(small, options)))
    order = rank(pool, options.limit, options.overlap)
    scale = np.asarray([width / small.shape[1], height / small.shape[0]] * 2, dtype=np.float32)
    levels = np.rint(pool.levels[order] * 1000).astype(np.int16)
    return Found(pool.boxes[order].astype(np.float32) * scale, levels)


def shrink(image: Array, side: int) -> Array:
    """A copy whose longer side has at most `side` pixels, or the image itself, rows in memory order."""
    height, width = image.shape[:2]
    factor = side / max(height, width)
    if factor >= 1:
        return np.ascontiguousarray(image)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def hierarchies(image: Array, options: SearchOptions) -> Iterator[Hierarchy]:
    """One hierarchy per colour space, scale and similarity."""
    gray = convert(image, "gray")
    texture = texture_codes(smooth(gray, options.sigma)[..., 0])
    uses = [np.asarray(SIMILARITIES[name], dtype=np.float32) for name in options.similarities]
    for name in options.colors:
        colored = convert(image, name)
        weights = weigh_edges(smooth(colored, options.sigma))
        order = sort_edges(weights)
        codes = color_codes(colored)
        for k in options.scales:
            labels = join_components(weights, order, float(k), options.min_size)
            count = int(labels.max()) + 1
            described = describe(labels, count, codes, texture)
            touching = borders(labels, count, weights)
            for use in uses:
                yield group(*described, *touching, use)


def convert(image: Array, name: str) -> Array:
    """(H, W, 3) uint8 BGR, contiguous -> (H, W, C) uint8 in the named colour space."""
    if name == "bgr":
        return image
    if name == "rgi":  # chromaticity of red and green, and intensity
        total = image.sum(axis=2, dtype=np.int32)
        red, green = (image[..., c].astype(np.int32) * 255 // np.maximum(total, 1) for c in (2, 1))
        return np.stack([red, green, total // 3], axis=2).astype(np.uint8)
    codes = {"lab": cv2.COLOR_BGR2Lab, "hsv": cv2.COLOR_BGR2HSV, "gray": cv2.COLOR_BGR2GRAY}
    return cv2.cvtColor(image, codes[name]).reshape(*image.shape[:2], -1)


def gather(trees: list[Hierarchy]) -> Pool:
    """The different boxes of the hierarchies of one image, and their cues."""
    rows = []
    for tree in trees:
        total = len(tree.sizes)
        first = (total + 1) // 2
        born = np.maximum(np.arange(total) - first + 1, 0) / max(first - 1, 1)
        side = tree.boxes[:, 2:] - tree.boxes[:, :2]
        tightness = tree.sizes / (side[:, 0] * side[:, 1])
        rows.append(np.stack([tightness, tree.contours, born], axis=1))
    cues = np.concatenate(rows).astype(np.float32)
    boxes, best = combine(np.concatenate([tree.boxes for tree in trees]), cues)
    return Pool(boxes, *np.ascontiguousarray(best.T))
