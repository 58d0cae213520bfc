"""Which images there are: of a folder, a list of names, a pattern, or a COCO json."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from aligndet.common.errors import InputError
from aligndet.common.image_table import ImageTable
from aligndet.common.images.folders import add_folder
from aligndet.common.images.kinds import SUFFIXES, is_hidden
from aligndet.common.images.outside import MEND, is_outside, outside_allowed, refuse_outside
from aligndet.common.labels.coco import read_coco_tables
from aligndet.common.labels.images import image_entries
from aligndet.common.notices import warn

#: Names of files that list images by name, one on each line.
LIST_SUFFIXES = frozenset({".txt", ".lst"})


def list_images(source: Path, image_root: Path | None = None) -> tuple[ImageTable, Path]:
    """List the images of a folder (recursively, sorted by name), a pattern, a list of names or a COCO json.

    No image is opened, but for files whose ending does not tell. Links are followed once, and not to what
    lies in the folder anyway; hidden files and folders (``.thumbs/``, ``._1.jpg``) and thumbnails
    (``@eaDir``) are passed over. A link to nowhere is listed, so that the report can say so. What cannot be
    listed (a sub-folder without permission, a name that stands twice) is noted in the table's ``skipped``,
    images of other kinds (``.heic``) in its ``others``.

    Args:
        source: folder; pattern (``photos/**/*.jpg``); COCO json (its order and ids); or a text file with a
            name on each line.
        image_root: folder that file names are relative to; default: the folder itself; for a pattern what
            stands before its first wildcard; for a json the first of the usual places beside it
            (`../images`, `../<split>`, `images`, `.`, `..`) with images; for a list its own folder.

    Returns:
        The images, and the folder that their names are relative to.

    Raises:
        InputError: no such file or folder, no image in it, it is no list of images, or it names images that
            lie outside of their folder (:func:`.outside.allowing_outside`).
    """
    source = Path(source)
    if source.is_dir():
        table, root = _of_folder(source, image_root or source)
    elif source.is_file() and source.suffix in LIST_SUFFIXES:
        table, root = _of_list(source, image_root)
    elif source.is_file():
        table = _of_coco(source)
        root = image_root or (_guess_root(source, table) if len(table) else source.parent)
        refuse_outside((entry.file_name for entry in table), root, source)
    elif glob.has_magic(os.fspath(source)):
        table, root = _of_pattern(source, image_root)
    else:
        raise InputError(f"{source}: no such folder, COCO json or list of images")
    if not len(table):
        others = f"; {table.left_out()}" if table.others else ""
        expected = ", ".join(sorted(SUFFIXES))
        raise InputError(f"{source}: no image found; expected files ending in {expected}{others}")
    return table, root


def _of_folder(source: Path, root: Path) -> tuple[ImageTable, Path]:
    if not source.absolute().is_relative_to(root.absolute()):
        raise InputError(f"image root {root}: expected a folder that contains {source}")
    prefix = source.absolute().relative_to(root.absolute()).as_posix()
    table = ImageTable()
    try:
        add_folder(source, "" if prefix == "." else f"{prefix}/", table)
    except OSError as error:
        raise InputError(f"{source}: the folder cannot be read: {error.strerror or error}") from error
    return table, root


def _of_pattern(source: Path, image_root: Path | None) -> tuple[ImageTable, Path]:
    """Images that fit a pattern, sorted; names are relative to what stands before its first wildcard."""
    fixed = []
    for part in source.parts:
        if glob.has_magic(part):
            break
        fixed.append(part)
    root = image_root or Path(*fixed)
    table = ImageTable()
    for path in sorted(glob.glob(os.fspath(source), recursive=True)):
        name = os.path.relpath(path, root)
        known = os.path.splitext(name)[1].lower() in SUFFIXES
        if known and os.path.isfile(path) and not any(is_hidden(part) for part in Path(name).parts):
            if name.startswith(".."):
                raise InputError(f"{source}: {path} is not below {root}")
            table.add(Path(name).as_posix(), len(table) + 1)
    return table, root


def _of_list(source: Path, image_root: Path | None) -> tuple[ImageTable, Path]:
    """The images that a text file names, in its order; absolute names are relative to what they share."""
    paths = _lines(source)
    root = image_root or source.parent
    if paths and all(os.path.isabs(path) for path in paths):
        root = image_root or Path(os.path.commonpath([os.path.dirname(path) for path in paths]))
        paths = [os.path.relpath(path, root) for path in paths]
    if paths and not any(os.path.lexists(os.path.join(root, path)) for path in paths[:20]):
        raise InputError(f"{source}: expected an image on each line; {paths[0][:80]} is not in {root}")
    table = ImageTable()
    for number, path in enumerate(paths, start=1):
        if is_outside(path, root) and not outside_allowed():
            raise InputError(f"{source}, line {number}: {path} is not below {root}; {MEND}")
        table.add(Path(path).as_posix(), number)
    return table.without_equal_names(), root


def _lines(source: Path) -> list[str]:
    """The lines of a list; names in it are bytes of any kind, as the file system's are."""
    data = source.read_bytes()
    if b"\0" in data:
        raise InputError(f"{source}: not a text file; expected the name of an image on each line")
    text = os.fsdecode(data.removeprefix(b"\xef\xbb\xbf"))
    return [line.strip() for line in text.replace("\r", "\n").split("\n") if line.strip()]


def _of_coco(path: Path) -> ImageTable:
    tables = read_coco_tables(path, ("images",), boxes=False)
    names, ids = image_entries(tables)
    notes = list(tables.notes)
    for note in notes:
        if note.kind == "refused":
            raise InputError(f"{path}: {note}")
    if notes:
        warn(f"{path}: {'; '.join(f'{note.kind}: {note}' for note in notes)}")
    table = ImageTable()
    for name, number in zip(names, ids, strict=True):
        table.add(name, number)
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
        f"{source}: image {entries[0].file_name} is in none of {tried}; give the folder of its images"
    )
