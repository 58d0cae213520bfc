"""Which images there are, and reading one as mmdet will read it later."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})


@dataclass(frozen=True)
class ImageEntry:
    """One image to search: its COCO id, and its file name relative to the image root (forward slashes)."""

    id: int
    file_name: str


class UnreadableImageError(Exception):
    """The file is missing, empty or no image; the message says which."""


def list_images(source: Path, image_root: Path | None = None) -> tuple[list[ImageEntry], Path]:
    """All images of a folder (recursively, sorted by name) or of a COCO json (its order and ids).

    Args:
        source: folder or COCO json.
        image_root: folder that file names are relative to; default: the folder itself, or for a json the
            first of the usual places beside it (`../images`, `../<split>`, `images`, `.`, `..`) with images.

    Raises:
        FileNotFoundError: `source` does not exist or its image folder is not found.
        ValueError: no image in it, or not a COCO json.
    """
    if source.is_dir():
        root = image_root or source
        if not source.absolute().is_relative_to(root.absolute()):
            raise ValueError(f"image root {root}: expected a folder that contains {source}")
        files = (path.absolute() for path in source.rglob("*") if _is_image(path))
        found = sorted(path.relative_to(root.absolute()).as_posix() for path in files)
        entries = [ImageEntry(number, name) for number, name in enumerate(found, start=1)]
    elif source.is_file():
        entries = _read_coco(source)
        root = image_root or (_guess_root(source, entries) if entries else source.parent)
    else:
        raise FileNotFoundError(f"{source}: no such folder or COCO json")
    if not entries:
        raise ValueError(f"{source}: no image found; expected files ending in {', '.join(sorted(SUFFIXES))}")
    return entries, root


def read_image(path: Path) -> np.ndarray:
    """Decode to (H, W, 3) uint8 BGR, turned by its EXIF orientation.

    This is what mmcv's default (`imread` with flag "color" on its cv2 backend) does with the same bytes, so
    boxes found here fit the pixels that training sees. Grey, 16-bit and alpha images come out as 3 channels.

    Raises:
        UnreadableImageError: with the reason.
    """
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise UnreadableImageError(error.strerror or str(error)) from error
    if not data.size:
        raise UnreadableImageError("file is empty")
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise UnreadableImageError(f"OpenCV cannot decode it: {error.err}") from error
    if image is None:
        raise UnreadableImageError("OpenCV cannot decode it")
    return image


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _read_coco(path: Path) -> list[ImageEntry]:
    try:
        images = json.loads(path.read_text(encoding="utf-8"))["images"]
        entries = [ImageEntry(int(image["id"]), str(image["file_name"])) for image in images]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: expected a COCO json with a list 'images' of {{id, file_name}}; got {error!r}"
        ) from error
    if len({entry.id for entry in entries}) != len(entries):
        raise ValueError(f"{path}: image ids are not unique")
    return entries


def _guess_root(source: Path, entries: list[ImageEntry]) -> Path:
    """The first usual place that holds any of the first few images (one of them may be missing)."""
    split = source.stem.split("_")[-1]
    places = [source.parent.parent / "images", source.parent.parent / split, source.parent / "images"]
    places += [source.parent, source.parent.parent]
    for place in places:
        if any((place / entry.file_name).is_file() for entry in entries[:20]):
            return place
    tried = ", ".join(str(place) for place in places)
    raise FileNotFoundError(
        f"{source}: image {entries[0].file_name} is in none of {tried}; give the folder with --image-root"
    )
