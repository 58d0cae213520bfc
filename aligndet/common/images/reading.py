"""Reading an image as mmdet's loader does, with what a person should know about it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from aligndet.common.images.header import header_size, too_large
from aligndet.common.images.stamps import stamp_of

#: Grey levels of the 256 that an image of 16 bits uses at least; fewer are nearly one colour in training.
LEAST_LEVELS = 64


class UnreadableImageError(Exception):
    """The file is missing, empty, too large or no image; the message says which."""


@dataclass(frozen=True, eq=False)
class Picture:
    """An image as training sees it.

    Attributes:
        pixels: (H, W, 3) uint8 BGR.
        stamp: see :func:`.stamps.stamp_of`.
        note: what is odd about it; empty for most.
    """

    pixels: np.ndarray
    stamp: int
    note: str = ""


def read_image(path: Path) -> np.ndarray:
    """Decode to (H, W, 3) uint8 BGR, turned by its EXIF orientation.

    This is what mmcv's default (`imread` with flag "color" on its cv2 backend) does with the same bytes, so
    boxes found here fit the pixels that training sees. Grey, 16-bit and alpha images come out as 3 channels.

    Raises:
        UnreadableImageError: with the reason.
    """
    return _decode(_bytes(path))


def open_image(path: Path) -> Picture:
    """As :func:`read_image`, with the stamp of the file and a note on what training will see.

    Raises:
        UnreadableImageError: with the reason.
    """
    data = _bytes(path)
    pixels = _decode(data)
    return Picture(pixels, stamp_of(data), _note(data, pixels))


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels as training sees them; decoded only where the header does not tell.

    Raises:
        UnreadableImageError: missing, no image, or larger than :func:`most_pixels`.
    """
    if not path.is_file():
        raise UnreadableImageError("no such file")
    size = header_size(path)
    if size is not None and (reason := too_large(*size[:2])):
        raise UnreadableImageError(reason)
    if size is not None and size[2]:
        return size[:2]
    height, width = read_image(path).shape[:2]
    return width, height


def refuse_too_large(path: Path) -> None:
    """Look at an image's header before a library decodes it.

    Raises:
        UnreadableImageError: it has more pixels than :func:`.header.most_pixels`.
    """
    size = header_size(path)
    if size is not None and (reason := too_large(*size[:2])):
        raise UnreadableImageError(reason)


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableImageError(error.strerror or str(error)) from error
    if not data:
        raise UnreadableImageError("file is empty")
    return data


def _decode(data: bytes) -> np.ndarray:
    size = header_size(io.BytesIO(data))
    if size is not None and (reason := too_large(*size[:2])):
        raise UnreadableImageError(reason)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        mend = ""
        if "MAX_IMAGE" in str(error.err):
            mend = "; cut it into tiles, or raise OpenCV's own limit, OPENCV_IO_MAX_IMAGE_PIXELS"
        raise UnreadableImageError(f"OpenCV cannot decode it: {error.err}{mend}") from error
    if image is None:
        raise UnreadableImageError("OpenCV cannot decode it")
    return image


def _note(data: bytes, pixels: np.ndarray) -> str:
    """What is odd about an image: 16 bits of which training sees next to nothing, or several pages."""
    head = data[:26]
    tiff = head.startswith((b"II*\0", b"MM\0*"))
    if (head.startswith(b"\x89PNG") and head[24:25] == b"\x10") or tiff:
        dark = _dark(data, pixels)
        if dark:
            return dark
    return _pages(data) if tiff else ""


def _dark(data: bytes, pixels: np.ndarray) -> str:
    low, high = int(pixels.min()), int(pixels.max())
    if high - low >= LEAST_LEVELS:
        return ""
    whole = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR)
    if whole is None or whole.dtype == np.uint8 or whole.max() == whole.min():
        return ""
    return (
        f"16-bit image with values from {whole.min():.6g} to {whole.max():.6g}, of which training sees "
        f"{high - low + 1} grey levels of 256: stretch such images to 8 bits first"
    )


def _pages(data: bytes) -> str:
    try:
        with Image.open(io.BytesIO(data)) as image:
            pages = getattr(image, "n_frames", 1)
    except Exception:  # the note is a courtesy; the first page was read
        return ""
    return f"holds {pages} pages, of which training sees the first: cut it into files" if pages > 1 else ""
