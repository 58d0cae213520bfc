"""Size of an image without decoding it, and how large one may be."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from PIL import Image

from aligndet.common.errors import InputError

#: Set it to read images of more pixels than :data:`MOST`.
VARIABLE = "ALIGNDET_MAX_PIXELS"
MOST = 250_000_000  # decoded, 750 MB; every loading process holds one or two
_ORIENTATION = 0x0112
TURNED = ("JPEG", "MPO", "PNG")  # kinds that OpenCV of any version turns by EXIF
_as_it_is = Image.MAX_IMAGE_PIXELS
_lock, _openers = threading.Lock(), 0


def most_pixels() -> int:
    """The most pixels of an image that is read: :data:`MOST`, or what ``ALIGNDET_MAX_PIXELS`` says.

    Raises:
        InputError: the variable is no whole number above 0.
    """
    text = os.environ.get(VARIABLE, "")
    if not text:
        return MOST
    if not text.isascii() or not text.isdigit() or not int(text):
        raise InputError(f"{VARIABLE}={text}: expected a number of pixels, such as 1000000000")
    return int(text)


def too_large(width: int, height: int) -> str:
    """Why an image of this size is not read, and what mends it; empty where it is."""
    most = most_pixels()
    if width * height <= most:
        return ""
    return (
        f"{width}x{height} px are more than {most} pixels: cut it into tiles, shrink it, or raise the limit "
        f"({VARIABLE}={width * height})"
    )


def header_size(stream: Path | IO[bytes]) -> tuple[int, int, bool] | None:
    """Width and height in pixels that a file's header gives, and whether training sees just these.

    Turned by EXIF orientation as OpenCV turns jpeg and png. The third value is False where only decoding
    tells: in other kinds (tiff, webp) it depends on OpenCV's version, and EXIF data may be damaged. None
    where the header cannot be read.
    """
    try:
        with _of_any_size(), Image.open(stream) as image:
            width, height = image.size
            kind = image.format
            orientation = _orientation(image) if kind in TURNED else 1
    except Exception:  # a damaged header raises all kinds of errors; OpenCV will tell
        return None
    if orientation >= 5:
        width, height = height, width
    return width, height, orientation > 0 and kind in (*TURNED, "BMP", "DIB", "PPM")


@contextmanager
def _of_any_size() -> Iterator[None]:
    """Lift Pillow's own limit, because ours counts, for as long as any thread opens an image."""
    global _openers
    with _lock:
        _openers += 1
        Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        with _lock:
            _openers -= 1
            if not _openers:
                Image.MAX_IMAGE_PIXELS = _as_it_is


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 0 where it is not one of these, or EXIF data do not name it."""
    if "exif" not in image.info:
        return 1
    exif = Image.Exif()  # image.getexif() would look into XMP too, which OpenCV does not
    exif.load(image.info["exif"])
    value = exif.get(_ORIENTATION, 0)
    return value if isinstance(value, int) and 1 <= value <= 8 else 0
