"""Which images there are, and reading one as mmdet will read it later."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from aligndet.common.errors import InputError
from aligndet.common.json_stream import stream_object
from aligndet.proposals.image_table import ImageTable

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})


class UnreadableImageError(Exception):
    """The file is missing, empty or no image; the message says which."""


def list_images(source: Path, image_root: Path | None = None) -> tuple[ImageTable, Path]:
    """All images of a folder (recursively, sorted by name) or of a COCO json (its order and ids).

    No file is opened. Sub-folders are read one at a time (hidden ones are not), links to folders are
    followed, and memory is that of an :class:`.image_table.ImageTable`. What cannot be listed (a sub-folder
    without permission, a name that a json has twice) is noted in its ``skipped``.

    Args:
        source: folder or COCO json.
        image_root: folder that file names are relative to; default: the folder itself, or for a json the
            first of the usual places beside it (`../images`, `../<split>`, `images`, `.`, `..`) with images.

    Raises:
        InputError: `source` does not exist or its image folder is not found.
        InputError: no image in it, or not a COCO json.
    """
    if source.is_dir():
        root = image_root or source
        if not source.absolute().is_relative_to(root.absolute()):
            raise InputError(f"image root {root}: expected a folder that contains {source}")
        prefix = source.absolute().relative_to(root.absolute()).as_posix()
        table = ImageTable()
        _scan("" if prefix == "." else f"{prefix}/", os.fspath(source), frozenset(), table)
    elif source.is_file():
        table = _read_coco(source)
        root = image_root or (_guess_root(source, table) if len(table) else source.parent)
    else:
        raise InputError(f"{source}: no such folder or COCO json")
    if not len(table):
        raise InputError(f"{source}: no image found; expected files ending in {', '.join(sorted(SUFFIXES))}")
    return table, root


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


def _scan(name: str, path: str, above: frozenset[tuple[int, int]], table: ImageTable) -> None:
    """Add the images below folder `name` (ending in "/"), in the order of their whole names."""
    entries, above = _entries(name, path, above, table)
    for key, entry in entries:
        if key.endswith("/"):
            _scan(f"{name}{key}", entry.path, above, table)
        else:
            table.add(f"{name}{key}", len(table) + 1)


def _entries(
    name: str, path: str, above: frozenset[tuple[int, int]], table: ImageTable
) -> tuple[list[tuple[str, os.DirEntry[str]]], frozenset[tuple[int, int]]]:
    """Images and sub-folders (their key ends in "/") of one folder, sorted; none where it cannot be read."""
    try:
        stat = os.stat(path)
        if (stat.st_dev, stat.st_ino) in above:
            return [], above  # a link to a folder above it
        with os.scandir(path) as entries:
            found = [(key, entry) for entry in entries if (key := _key(entry))]
    except OSError as error:
        if not above:
            raise
        table.skip(name, f"folder cannot be read: {error.strerror or error}")
        return [], above
    found.sort(key=lambda pair: pair[0])  # "a.jpg" < "a/": the order of whole names
    return found, above | {(stat.st_dev, stat.st_ino)}


def _key(entry: os.DirEntry[str]) -> str:
    """An image's name, a folder's with "/", nothing for what is neither."""
    try:
        if entry.is_dir():
            return "" if entry.name.startswith(".") else f"{entry.name}/"
    except OSError:
        return f"{entry.name}/"
    image = os.path.splitext(entry.name)[1].lower() in SUFFIXES and not entry.name.startswith(".")
    # a link to nowhere is listed, so that the report can say so; a pipe is not, it would block
    return entry.name if image and (entry.is_file() or entry.is_symlink()) else ""


def _read_coco(path: Path) -> ImageTable:
    table = ImageTable()
    try:
        for key, value in stream_object(path):
            if key == "images":
                table.add(str(value["file_name"]), int(value["id"]))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: expected a COCO json with a list 'images' of {{id, file_name}}; got {error!r}"
        ) from error
    if len(np.unique(np.array(table.ids))) != len(table):
        raise InputError(f"{path}: image ids are not unique")
    return table.without_equal_names()


def _guess_root(source: Path, entries: ImageTable) -> Path:
    """The first usual place that holds any of the first few images (one of them may be missing)."""
    split = source.stem.split("_")[-1]
    places = [source.parent.parent / "images", source.parent.parent / split, source.parent / "images"]
    places += [source.parent, source.parent.parent]
    for place in places:
        if any((place / entry.file_name).is_file() for entry in entries[:20]):
            return place
    tried = ", ".join(str(place) for place in places)
    raise InputError(
        f"{source}: image {entries[0].file_name} is in none of {tried}; give the folder with --image-root"
    )
