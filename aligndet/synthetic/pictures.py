"""Single pictures of any shape, number of channels and kind of file, with the boxes of their objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from aligndet.common.files import write_bytes
from aligndet.synthetic.scene import mask_boxes, render_scene

Array = np.ndarray

LEAST_OBJECTS = 3  # of a picture
LEAST_SIDE = 8  # of an object, pixels
LEAST_SIZE = 64  # of a picture's shorter side, pixels: objects of a smaller one cannot be seen
#: Numbers of channels that a file of this kind can hold.
HOLDS = {".png": (1, 3, 4), ".tif": (1, 3, 4), ".jpg": (1, 3)}


@dataclass(frozen=True)
class Picture:
    """A picture that was written.

    Attributes:
        file_name: relative to the folder.
        width, height: pixels.
        boxes: (N, 4) int, xyxy in pixels, tight around the visible pixels of each object.
    """

    file_name: str
    width: int
    height: int
    boxes: Array


def write_pictures(
    out: Path, shapes: Sequence[tuple[int, int]], channels: int = 3, suffix: str = ".png", seed: int = 0
) -> list[Picture]:
    """Write a picture of each shape, each with at least three objects; equal arguments give equal bytes.

    Args:
        out: folder to write into.
        shapes: width and height of each, pixels.
        channels: 1 is grey, 3 is BGR, 4 adds one that is blurred grey, as a sensor of low resolution has it.
        suffix: kind of file, a key of :data:`HOLDS`.
        seed: of everything.

    Raises:
        ValueError: a file of this kind holds no such number of channels, or a shape is too small.
    """
    pictures = []
    for number, (width, height) in enumerate(shapes):
        image, boxes = _cut(width, height, [seed, number])
        name = f"{number:06d}{suffix}"
        write_bytes(out / name, encode(with_channels(image, channels), suffix), durable=False)
        pictures.append(Picture(name, width, height, boxes))
    return pictures


def encode(image: Array, suffix: str) -> bytes:
    """Give the bytes of a file with this image, (H, W) or (H, W, C) uint8.

    Raises:
        ValueError: a file of this kind holds no such number of channels.
    """
    channels = image.shape[2] if image.ndim == 3 else 1
    if channels not in HOLDS.get(suffix, ()):
        raise ValueError(f"no {suffix} file of {channels} channels can be written; there are {HOLDS}")
    quality = [cv2.IMWRITE_JPEG_QUALITY, 92] if suffix == ".jpg" else []
    return bytes(cv2.imencode(suffix, image, quality)[1].tobytes())


def with_channels(image: Array, channels: int) -> Array:
    """Give (H, W, 3) uint8 BGR another number of channels: (H, W) for one, else (H, W, channels)."""
    grey: Array = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)  # (H, W, 3) -> (H, W)
    if channels == 1:
        return grey
    more = [cv2.GaussianBlur(grey, (0, 0), 1.0 + number) for number in range(channels - 3)]
    return np.dstack([image[..., :channels], *more])  # (H, W, channels)


def _cut(width: int, height: int, seed: list[int]) -> tuple[Array, Array]:
    """Cut an image (height, width, 3) and its boxes (N, 4) out of a square scene with enough objects."""
    if min(width, height) < LEAST_SIZE:
        raise ValueError(f"{width} x {height}: generated pictures need sides of at least {LEAST_SIZE} pixels")
    attempt = 0
    while True:
        scene = render_scene(max(width, height), np.random.default_rng([*seed, attempt]))
        masks = scene.masks[:, :height, :width]  # (M, S, S) -> (M, height, width)
        boxes = mask_boxes(masks[masks.any(axis=(1, 2))])  # (M', 4)
        boxes = boxes[(boxes[:, 2:] - boxes[:, :2]).min(axis=1) >= LEAST_SIDE]  # (N, 4)
        if len(boxes) >= LEAST_OBJECTS:
            return scene.image[:height, :width], boxes
        attempt += 1
