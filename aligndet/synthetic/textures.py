"""Textures: scalar fields in 0 to 1 that mix two colours of a surface."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

Array = np.ndarray
Texture = Callable[[Array, Array, np.random.Generator], Array]


def value_noise(height: int, width: int, cell: float, rng: np.random.Generator) -> Array:
    """Smooth noise (H, W) float32 in 0 to 1 whose blobs are about `cell` pixels wide."""
    rows, columns = max(2, round(height / cell) + 1), max(2, round(width / cell) + 1)
    grid = rng.random((rows, columns), dtype=np.float32)
    return np.clip(cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)


def cloud(height: int, width: int, cell: float, rng: np.random.Generator) -> Array:
    """Three octaves of noise (H, W) in 0 to 1: half as wide and half as strong each time."""
    total = np.zeros((height, width), dtype=np.float32)
    for k in range(3):
        total += value_noise(height, width, max(cell / 2**k, 2.0), rng) / 2**k
    return total / 1.75


def _wave(phase: Array, rng: np.random.Generator) -> Array:
    """A periodic field between a sine and a square wave, period 1."""
    sharp = rng.uniform(1.0, 5.0)
    return 0.5 + 0.5 * np.clip(sharp * np.sin(2 * np.pi * (phase + rng.random())), -1, 1)


def stripes(u: Array, v: Array, rng: np.random.Generator) -> Array:
    return _wave(u, rng)


def checker(u: Array, v: Array, rng: np.random.Generator) -> Array:
    return np.abs(_wave(u * 0.7, rng) - _wave(v * 0.7, rng))


def dots(u: Array, v: Array, rng: np.random.Generator) -> Array:
    bumps = np.cos(2 * np.pi * u) * np.cos(2 * np.pi * v)
    return np.clip(4 * (bumps - rng.uniform(0.2, 0.5)) + 0.5, 0, 1)


def rings(u: Array, v: Array, rng: np.random.Generator) -> Array:
    return _wave(np.hypot(u, v), rng)


def speckle(u: Array, v: Array, rng: np.random.Generator) -> Array:
    height, width = u.shape
    return np.clip(2.2 * cloud(height, width, 8, rng) - 0.6, 0, 1)


def smooth(u: Array, v: Array, rng: np.random.Generator) -> Array:
    return np.clip(0.5 + 0.12 * u, 0, 1)


TEXTURES: dict[str, Texture] = {
    "stripes": stripes,
    "checker": checker,
    "dots": dots,
    "rings": rings,
    "speckle": speckle,
    "smooth": smooth,
}
