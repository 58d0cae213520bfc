"""Boxes that do not look at the image: what a search has to beat, and a start where no search works."""

from __future__ import annotations

import math
import zlib

import numpy as np

from aligndet.common.errors import InputError
from aligndet.common.image_table import encode_name
from aligndet.proposals.backends.registry import Backend


def random_backend(
    count: int = 300, min_size: float = 0.1, max_size: float = 0.8, max_ratio: float = 3.0, seed: int = 0
) -> Backend:
    """Boxes at random places, of random size and shape, the same for an image's name in every run.

    Args:
        count: boxes per image.
        min_size, max_size: bounds of sqrt(w h) / sqrt(W H), drawn uniformly in the logarithm.
        max_ratio: w / h is drawn uniformly in the logarithm from 1 / max_ratio to max_ratio.
        seed: another seed gives other boxes.

    Raises:
        InputError: bounds the wrong way round.
    """
    if not 0 < min_size <= max_size <= 1 or max_ratio < 1 or count < 1:
        raise InputError(
            "backend random: need 0 < min_size <= max_size <= 1, max_ratio >= 1 and count >= 1, got "
            f"{min_size}, {max_size}, {max_ratio}, {count}"
        )

    def search(image: np.ndarray, name: str) -> tuple[np.ndarray, None]:
        height, width = image.shape[:2]
        rng = np.random.default_rng([seed, zlib.crc32(encode_name(name))])
        size = np.exp(rng.uniform(math.log(min_size), math.log(max_size), count)) * math.sqrt(width * height)
        shape = np.exp(rng.uniform(-math.log(max_ratio), math.log(max_ratio), count) / 2)
        sides = np.stack([(size * shape).clip(1, width), (size / shape).clip(1, height)], axis=1)
        corner = rng.random((count, 2)) * (np.array([width, height]) - sides)
        return np.concatenate([corner, corner + sides], axis=1).astype(np.float32), None

    search.takes_name = True  # type: ignore[attr-defined]
    return search


def grid_backend(levels: int = 3, overlap: float = 0.5, ratio: float = 2.0) -> Backend:
    """A pyramid of regular grids: at level l, boxes of the image's area over 4 ** l, in three shapes.

    Args:
        levels: 1 to this; a box's level is its row in the `levels` column.
        overlap: share of a box that the next box in its row covers too.
        ratio: shapes are w / h = 1 / ratio, 1 and ratio, relative to the image's own shape.

    Raises:
        InputError: an option out of range.
    """
    if levels < 1 or not 0 <= overlap < 1 or ratio < 1:
        raise InputError(
            "backend grid: need levels >= 1, 0 <= overlap < 1 and ratio >= 1, got "
            f"{levels}, {overlap}, {ratio}"
        )
    shapes = sorted({1 / ratio, 1.0, ratio})

    def search(image: np.ndarray) -> tuple[np.ndarray, None, np.ndarray]:
        height, width = image.shape[:2]
        boxes, numbers = [], []
        for level in range(1, levels + 1):
            for shape in shapes:
                w = min(width, width / 2**level * math.sqrt(shape))
                h = min(height, height / 2**level / math.sqrt(shape))
                x, y = np.meshgrid(_places(width, w, overlap), _places(height, h, overlap))
                corner = np.stack([x.ravel(), y.ravel()], axis=1)
                boxes.append(np.concatenate([corner, corner + np.array([w, h])], axis=1))
                numbers.append(np.full(len(corner), level))
        return np.concatenate(boxes).astype(np.float32), None, np.concatenate(numbers)

    return search


def _places(length: float, side: float, overlap: float) -> np.ndarray:
    """Starts of boxes of one side along a length: evenly spread, from border to border."""
    count = math.ceil((length - side) / (side * (1 - overlap)) - 1e-6) + 1
    return np.linspace(0, length - side, max(1, count))
