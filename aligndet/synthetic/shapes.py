"""Shapes as level functions: f(x, y) <= 0 inside, in units where the object's radius is about 1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Array = np.ndarray
Level = Callable[[Array, Array], Array]


def disc(x: Array, y: Array) -> Array:
    return np.hypot(x, y) - 0.95


def box(x: Array, y: Array) -> Array:
    return np.maximum(np.abs(x), np.abs(y)) - 0.8


def triangle(x: Array, y: Array) -> Array:
    sides = [x * np.cos(a) + y * np.sin(a) for a in np.pi / 2 + np.arange(3) * 2 * np.pi / 3]
    return np.maximum.reduce(sides) - 0.55


def star(x: Array, y: Array) -> Array:
    angle = np.abs((np.arctan2(y, x) * 5 / (2 * np.pi)) % 1 - 0.5) * 2  # 0 between two tips, 1 at a tip
    return np.hypot(x, y) - (0.42 + 0.6 * angle**1.3)


def ring(x: Array, y: Array) -> Array:
    return np.abs(np.hypot(x, y) - 0.7) - 0.26


def cross(x: Array, y: Array) -> Array:
    x, y = np.abs(x), np.abs(y)
    return np.maximum(np.maximum(x, y) - 0.95, np.minimum(x, y) - 0.32)


def crescent(x: Array, y: Array) -> Array:
    return np.maximum(np.hypot(x, y) - 0.95, 0.75 - np.hypot(x - 0.5, y))


def flower(x: Array, y: Array) -> Array:
    return np.hypot(x, y) - (0.74 + 0.24 * np.cos(6 * np.arctan2(y, x)))


SHAPES: dict[str, Level] = {
    "disc": disc,
    "box": box,
    "triangle": triangle,
    "star": star,
    "ring": ring,
    "cross": cross,
    "crescent": crescent,
    "flower": flower,
}
CLASSES: tuple[str, ...] = tuple(SHAPES)
