"""One picture: a cluttered ground, objects on it from far to near, light, and a camera's imperfections."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from aligndet.synthetic.ground import paint_ground
from aligndet.synthetic.shapes import CLASSES, SHAPES
from aligndet.synthetic.textures import TEXTURES, value_noise

Array = np.ndarray
Window = tuple[slice, slice]  # rows, columns

OBJECTS = (3, 9)  # objects tried per picture, inclusive
RADIUS = (0.06, 0.26)  # of the picture's side; drawn log-uniformly
LEAST_VISIBLE = 0.55  # share of an object's pixels that nearer ones and the border leave visible
FAVOURITE = 0.6  # chance that an object has its class's own texture
HUE_SPREAD = 50.0  # degrees around the class's own hue; neighbours are 45 apart


@dataclass(frozen=True)
class Scene:
    """A rendered picture and its truth.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        masks: (N, H, W) bool, the visible pixels of each object, which are disjoint.
        boxes: (N, 4) int, xyxy in pixels, tight around the visible pixels (x2, y2 are edges).
        labels: (N,) int, index into CLASSES.
    """

    image: Array
    masks: Array
    boxes: Array
    labels: Array


@dataclass(frozen=True)
class _Patch:
    """One object on its own small canvas: where it goes, colours (h, w, 3) and opacity (h, w), 0 to 1."""

    x: int
    y: int
    color: Array
    alpha: Array


def render_scene(size: int, rng: np.random.Generator) -> Scene:
    """Draw one picture of size x size pixels; the same generator state gives the same picture."""
    canvas = paint_ground(size, rng)
    masks: list[Array] = []
    labels: list[int] = []
    whole: list[int] = []
    for _ in range(rng.integers(OBJECTS[0], OBJECTS[1] + 1)):
        label = int(rng.integers(len(CLASSES)))
        patch = _object(label, size, rng)
        mask = _place_mask(patch, size)
        area = int((patch.alpha > 0.5).sum())
        if not _fits(mask, area, masks, whole):
            continue
        _shade(canvas, patch, rng)
        _paste(canvas, patch)
        masks = [other & ~mask for other in masks] + [mask]
        labels.append(label)
        whole.append(area)
    image = _photograph(canvas, rng)
    stack = np.stack(masks) if masks else np.zeros((0, size, size), bool)
    return Scene(image, stack, mask_boxes(stack), np.asarray(labels, dtype=np.int64))


def mask_boxes(masks: Array) -> Array:
    """Tight boxes (N, 4) int xyxy of non-empty masks (N, H, W)."""
    columns: Array = np.logical_or.reduce(masks, axis=1)
    rows: Array = np.logical_or.reduce(masks, axis=2)
    height, width = masks.shape[1:]
    x1, y1 = columns.argmax(axis=1), rows.argmax(axis=1)
    x2, y2 = width - columns[:, ::-1].argmax(axis=1), height - rows[:, ::-1].argmax(axis=1)
    return np.stack([x1, y1, x2, y2], axis=1)


def _fits(mask: Array, area: int, others: list[Array], whole: list[int]) -> bool:
    """Whether the new object and all that lie under it stay visible enough."""
    if mask.sum() < LEAST_VISIBLE * area:
        return False
    return all((m & ~mask).sum() >= LEAST_VISIBLE * w for m, w in zip(others, whole, strict=True))


def _object(label: int, size: int, rng: np.random.Generator) -> _Patch:
    """An object of a class with random size, place, turn, stretch, texture, colours and light."""
    radius = size * np.exp(rng.uniform(*np.log(RADIUS)))
    center = rng.uniform(-0.3 * radius, size + 0.3 * radius, 2)
    reach = int(np.ceil(radius * 1.3)) + 2
    x0, y0 = (np.round(center) - reach).astype(int)
    ys, xs = np.mgrid[0 : 2 * reach + 1, 0 : 2 * reach + 1].astype(np.float32)
    turn, stretch = rng.uniform(0, 2 * np.pi), np.exp(rng.uniform(-0.22, 0.22))
    dx, dy = (xs + x0 - center[0]) / radius, (ys + y0 - center[1]) / radius
    x = (np.cos(turn) * dx + np.sin(turn) * dy) * stretch
    y = (np.cos(turn) * dy - np.sin(turn) * dx) / stretch
    level = SHAPES[CLASSES[label]](x, y)
    alpha = np.clip(0.5 - level * radius, 0, 1)
    color = _surface(label, x, y, radius, rng) * _light(dx, dy, level, rng)
    return _Patch(int(x0), int(y0), np.clip(color, 0, 1), alpha)


def _surface(label: int, x: Array, y: Array, radius: float, rng: np.random.Generator) -> Array:
    """Colours (h, w, 3) of an object's surface before light falls on it."""
    names = list(TEXTURES)
    name = names[label % len(names)] if rng.random() < FAVOURITE else names[rng.integers(len(names))]
    periods = min(rng.uniform(1.0, 2.6), radius / 5)  # per radius; a period is never under 5 pixels
    angle = rng.uniform(0, np.pi)
    u = periods * (np.cos(angle) * x + np.sin(angle) * y)
    v = periods * (np.cos(angle) * y - np.sin(angle) * x)
    mix = TEXTURES[name](u, v, rng)[..., None]
    hue = 360 * label / len(CLASSES) + rng.normal(0, HUE_SPREAD)
    first = _color(hue, rng.uniform(0.35, 0.95), rng.uniform(0.45, 1.0))
    second = _color(hue + rng.normal(0, 30), rng.uniform(0.1, 0.9), rng.uniform(0.15, 0.95))
    return first * (1 - mix) + second * mix


def _light(dx: Array, dy: Array, level: Array, rng: np.random.Generator) -> Array:
    """Light (h, w, 1) on a slightly rounded object: one bright side, darker towards the edge."""
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0.0, 0.3)
    slope = strength * (np.cos(angle) * dx + np.sin(angle) * dy)
    rim = rng.uniform(0, 0.35) * np.clip(1 + level / 0.15, 0, 1)
    return (1 + slope - rim)[..., None]


def _color(hue: float, saturation: float, value: float) -> Array:
    """BGR (3,) in 0 to 1 from hue in degrees, saturation and value in 0 to 1."""
    pixel = np.array([[[hue % 360, saturation, value]]], dtype=np.float32)
    return cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0]


def _window(patch: _Patch, size: int, dx: int = 0, dy: int = 0) -> tuple[Window, Window]:
    """Where a patch, moved by (dx, dy), lies in the picture, and which part of the patch that is."""
    h, w = patch.alpha.shape
    x, y = patch.x + dx, patch.y + dy
    x1, y1, x2, y2 = (int(np.clip(v, 0, size)) for v in (x, y, x + w, y + h))
    return (slice(y1, y2), slice(x1, x2)), (slice(y1 - y, y2 - y), slice(x1 - x, x2 - x))


def _place_mask(patch: _Patch, size: int) -> Array:
    mask = np.zeros((size, size), bool)
    there, here = _window(patch, size)
    mask[there] = patch.alpha[here] > 0.5
    return mask


def _shade(canvas: Array, patch: _Patch, rng: np.random.Generator) -> None:
    """The soft shadow that an object throws on what lies under it."""
    reach = max(1, patch.alpha.shape[0] // 12)
    dx, dy = (int(v) for v in rng.integers(-reach, reach + 1, 2))
    blur = cv2.GaussianBlur(patch.alpha, (0, 0), reach * 0.7)
    there, here = _window(patch, len(canvas), dx, dy)
    canvas[there] *= 1 - rng.uniform(0.1, 0.5) * blur[here][..., None]


def _paste(canvas: Array, patch: _Patch) -> None:
    there, here = _window(patch, len(canvas))
    alpha = patch.alpha[here][..., None]
    canvas[there] += alpha * (patch.color[here] - canvas[there])


def _photograph(canvas: Array, rng: np.random.Generator) -> Array:
    """Uneven light over the whole picture, a little blur, noise; to uint8."""
    size = len(canvas)
    light = 0.75 + 0.5 * value_noise(size, size, size / 2, rng)[..., None]
    picture: Array = cv2.GaussianBlur(canvas * light, (0, 0), rng.uniform(0.3, 0.8))
    noise: Array = rng.normal(0, rng.uniform(0.005, 0.03), picture.shape)
    picture = picture + noise
    return np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
