"""Which images there are, and reading one as mmdet will read it later."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from aligndet.common.coco import bad_entry, stream_coco
from aligndet.common.errors import InputError
from aligndet.common.image_table import ImageTable

#: Names of files that list images by name, one on each line.
LIST_SUFFIXES = frozenset({".txt", ".lst"})
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})


class UnreadableImageError(Exception):
    """The file is missing, empty or no image; the message says which."""


def list_images(source: Path, image_root: Path | None = None) -> tuple[ImageTable, Path]:
    """List the images of a folder (recursively, sorted by name), of a COCO json or of a list of names.

    No image is opened. Sub-folders are read one at a time, links to folders are followed, but not to one
    above; hidden files and folders (``.thumbs/``, ``._1.jpg``) are passed over. A link to nowhere is listed,
    so that the report can say so. What cannot be listed (a sub-folder without permission, a name that stands
    twice) is noted in the table's ``skipped``.

    Args:
        source: folder; COCO json (its order and ids); or a text file with a name on each line.
        image_root: folder that file names are relative to; default: the folder itself; for a json the first
            of the usual places beside it (`../images`, `../<split>`, `images`, `.`, `..`) with images; for a
            list its own folder.

    Returns:
        The images, and the folder that their names are relative to.

    Raises:
        InputError: no such file or folder, no image in it, or it is no list of images.
    """
    source = Path(source)
    if source.is_dir():
        table, root = _of_folder(source, image_root or source)
    elif source.is_file() and source.suffix in LIST_SUFFIXES:
        table, root = _of_list(source, image_root)
    elif source.is_file():
        table = _of_coco(source)
        root = image_root or (_guess_root(source, table) if len(table) else source.parent)
    else:
        raise InputError(f"{source}: no such folder, COCO json or list of images")
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


def _of_folder(source: Path, root: Path) -> tuple[ImageTable, Path]:
    if not source.absolute().is_relative_to(root.absolute()):
        raise InputError(f"image root {root}: expected a folder that contains {source}")
    prefix = source.absolute().relative_to(root.absolute()).as_posix()
    table = ImageTable()
    _scan("" if prefix == "." else f"{prefix}/", os.fspath(source), frozenset(), table)
    return table, root


def _of_list(source: Path, image_root: Path | None) -> tuple[ImageTable, Path]:
    """The images that a text file names, in its order; absolute names are relative to what they share."""
    try:
        lines = source.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{source}: not a text file; expected the name of an image on each line") from error
    paths = [line.strip() for line in lines if line.strip()]
    root = image_root or source.parent
    if paths and all(os.path.isabs(path) for path in paths):
        root = image_root or Path(os.path.commonpath([os.path.dirname(path) for path in paths]))
        paths = [os.path.relpath(path, root) for path in paths]
    if paths and not any(os.path.lexists(os.path.join(root, path)) for path in paths[:20]):
        raise InputError(f"{source}: expected an image on each line; {paths[0][:80]} is not in {root}")
    table = ImageTable()
    for number, path in enumerate(paths, start=1):
        if os.path.isabs(path) or path.startswith(".."):
            raise InputError(f"{source}, line {number}: {path} is not below {root}")
        table.add(Path(path).as_posix(), number)
    return table.without_equal_names(), root


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
            images = [(key, entry) for entry in entries if (key := _key(entry))]
    except OSError as error:
        if not above:
            raise
        table.skip(name, f"folder cannot be read: {error.strerror or error}")
        return [], above
    images.sort(key=lambda pair: pair[0])  # "a.jpg" < "a/": the order of whole names
    return images, above | {(stat.st_dev, stat.st_ino)}


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


def _of_coco(path: Path) -> ImageTable:
    table = ImageTable()
    for key, place, value in stream_coco(path):
        if key == "images":
            try:
                table.add(str(value["file_name"]), int(value["id"]))
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise bad_entry(path, key, place, value, error) from error
    refuse_equal_ids(path, table)
    return table.without_equal_names()


def refuse_equal_ids(path: Path, table: ImageTable) -> None:
    """Refuse a file that gives two images one id.

    Raises:
        InputError: names the file and the id.
    """
    ids, counts = np.unique(np.array(table.ids, np.int64), return_counts=True)
    if len(ids) != len(table):
        raise InputError(f"{path}: image ids are not unique: {ids[counts > 1][0]} stands for several images")


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
        f"{source}: image {entries[0].file_name} is in none of {tried}; give the folder of its images"
    )
