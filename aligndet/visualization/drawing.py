"""Boxes, captions and montages on plain arrays. Images are (H, W, 3) uint8, BGR; boxes are xyxy in pixels."""

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np

from aligndet.common.errors import InputError

Colour = tuple[int, int, int]
GOLDEN_RATIO = 0.618033988749895


def instance_colour(instance_id: int) -> Colour:
    """A bright BGR colour for an instance id: the same in every picture, neighbours far apart in hue."""
    hue = (instance_id * GOLDEN_RATIO) % 1.0
    value = 1.0 if instance_id % 2 == 0 else 0.8
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.9, value)
    return round(255 * blue), round(255 * green), round(255 * red)


def draw_boxes(
    image: np.ndarray, boxes: np.ndarray, colours: Sequence[Colour], thickness: Sequence[int] | int = 2
) -> np.ndarray:
    """A copy of the image with the outlines of (n, 4) boxes, clipped to it; one colour per box."""
    canvas = np.ascontiguousarray(image).copy()
    height, width = canvas.shape[:2]
    widths = [thickness] * len(boxes) if isinstance(thickness, int) else thickness
    for box, colour, line in zip(np.asarray(boxes, dtype=np.float64), colours, widths, strict=True):
        left, top, right, bottom = np.round(box).astype(int)
        first = max(left, 0), max(top, 0)
        last = min(right, width) - 1, min(bottom, height) - 1
        cv2.rectangle(canvas, first, last, colour, line)
    return canvas


def caption(image: np.ndarray, text: str) -> np.ndarray:
    """The image with a white line of black text above it (20 pixels); the text shrinks to the width."""
    text = text.encode(errors="replace").decode()  # bytes of a file name that are no UTF-8
    strip = np.full((20, image.shape[1], 3), 255, np.uint8)
    (needed, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 1)
    size = min(0.42, (image.shape[1] - 8) / max(needed, 1))
    cv2.putText(strip, text, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([strip, image])


def fit(image: np.ndarray, long_side: int) -> np.ndarray:
    """The image shrunk (never enlarged) to a long side in pixels."""
    factor = min(1.0, long_side / max(image.shape[:2]))
    size = max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor))
    return image if factor == 1.0 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def montage(images: Sequence[np.ndarray], columns: int = 4, gap: int = 4) -> np.ndarray:
    """The images in a white grid, row by row, each at the upper left of a cell as large as the largest.

    Raises:
        InputError: no images.
    """
    if not images:
        raise InputError("nothing to show: no images")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for index, image in enumerate(images):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return canvas


def write_image(image: np.ndarray, path: str) -> None:
    """Write a picture; the format follows the name.

    Raises:
        InputError: the folder is missing or not writable.
    """
    if not cv2.imwrite(path, image):
        raise InputError(f"{path}: could not be written (does its folder exist?)")
