"""Size of an image without decoding it, and how large one may be."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import IO

from PIL import Image

from aligndet.common.errors import InputError

#: Set it to read images of more pixels than :data:`MOST`.
VARIABLE = "ALIGNDET_MAX_PIXELS"
MOST = 250_000_000  # decoded, 750 MB; every loading process holds one or two
_ORIENTATION = 0x0112
_as_it_is = Image.MAX_IMAGE_PIXELS
_lock = threading.Lock()


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

    Turned by EXIF orientation as OpenCV turns jpeg and png. In other kinds (tiff, webp) it depends on
    OpenCV's version: there the third value is False. None where the header cannot be read.
    """
    with _lock:
        Image.MAX_IMAGE_PIXELS = None  # our own limit counts
        try:
            with Image.open(stream) as image:
                width, height = image.size
                kind = image.format
                turned = kind in ("JPEG", "MPO", "PNG") and _turned(image)
        except Exception:  # a damaged header raises all kinds of errors; OpenCV will tell
            return None
        finally:
            Image.MAX_IMAGE_PIXELS = _as_it_is
    if turned:
        width, height = height, width
    return width, height, kind in ("JPEG", "MPO", "PNG", "BMP", "DIB", "PPM")


def _turned(image: Image.Image) -> bool:
    if "exif" not in image.info:
        return False
    exif = Image.Exif()  # image.getexif() would look into XMP too, which OpenCV does not
    exif.load(image.info["exif"])
    return 5 <= exif.get(_ORIENTATION, 1) <= 8
