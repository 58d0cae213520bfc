"""The ground that objects lie on: two or three materials, and clutter that belongs to no class."""

from __future__ import annotations

import cv2
import numpy as np

from aligndet.synthetic.textures import TEXTURES, cloud, value_noise

Array = np.ndarray


def paint_ground(size: int, rng: np.random.Generator) -> Array:
    """A ground (size, size, 3) float32 BGR in 0 to 1."""
    canvas = _material(size, rng)
    for _ in range(rng.integers(1, 3)):
        border = value_noise(size, size, size / 2.5, rng) - rng.uniform(0.35, 0.65)
        alpha = np.clip(border * size / 3, 0, 1)[..., None]
        canvas += alpha * (_material(size, rng) - canvas)
    _clutter(canvas, rng)
    return canvas


def _dull_color(rng: np.random.Generator) -> Array:
    """A colour (3,) as grounds have it: any hue, seldom saturated."""
    value = rng.uniform(0.15, 0.85)
    return (value + rng.normal(0, 0.12, 3)).clip(0.02, 0.98).astype(np.float32)


def _material(size: int, rng: np.random.Generator) -> Array:
    """Cloudy, and half the time with a faint regular texture of its own."""
    first, second = _dull_color(rng), _dull_color(rng)
    mix = cloud(size, size, rng.uniform(size / 16, size / 3), rng)[..., None] * rng.uniform(0.3, 0.9)
    canvas = first * (1 - mix) + second * mix
    if rng.random() < 0.5:
        texture = list(TEXTURES.values())[rng.integers(len(TEXTURES))]
        angle, period = rng.uniform(0, np.pi), rng.uniform(6, 24)
        ys, xs = np.mgrid[0:size, 0:size].astype(np.float32) / period
        u, v = np.cos(angle) * xs + np.sin(angle) * ys, np.cos(angle) * ys - np.sin(angle) * xs
        canvas += rng.uniform(-0.15, 0.15) * (texture(u, v, rng)[..., None] - 0.5)
    return np.clip(canvas, 0, 1).astype(np.float32)


def _clutter(canvas: Array, rng: np.random.Generator) -> None:
    """Leaves, sticks and pebbles: irregular pieces and strokes in colours near those of the ground."""
    size = len(canvas)
    for _ in range(rng.integers(10, 40)):
        x, y = rng.integers(0, size, 2)
        near = canvas[y, x] + rng.normal(0, 0.18, 3)
        color = tuple(float(c) for c in near.clip(0, 1))
        reach = size * np.exp(rng.uniform(np.log(0.01), np.log(0.09)))
        if rng.random() < 0.4:
            end = rng.normal([x, y], 3 * reach).astype(int)
            cv2.line(canvas, (int(x), int(y)), (int(end[0]), int(end[1])), color, int(rng.integers(1, 4)))
        else:
            angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(4, 9)))
            spokes = reach * rng.uniform(0.4, 1.0, len(angles))
            points = np.stack([x + spokes * np.cos(angles), y + spokes * np.sin(angles)], axis=1)
            cv2.fillPoly(canvas, [points.round().astype(np.int32)], color, cv2.LINE_AA)
