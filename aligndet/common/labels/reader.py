"""The one reader of labels, which every command uses."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from aligndet.common import notices
from aligndet.common.errors import InputError
from aligndet.common.images.outside import MEND, outside, outside_allowed
from aligndet.common.json_stream import is_packed, open_text
from aligndet.common.labels.coco import read_coco_tables
from aligndet.common.labels.file import LabelFile
from aligndet.common.labels.kinds import Kind, kind_of
from aligndet.common.labels.mend import mend
from aligndet.common.labels.report import Note, Notes
from aligndet.common.labels.sizes import find_sizes, only_folder
from aligndet.common.labels.voc import read_voc_tables
from aligndet.common.labels.yolo import read_yolo_tables


def read_labels(
    path: Path | str, images: Path | str | None = None, split: str = "", proposals: bool = False
) -> LabelFile:
    """Read labels of any kind that is known, and tell what was mended and left out in a line.

    Args:
        path: COCO json (``.json``, ``.json.gz``); YOLO: ``data.yaml``, or a folder of txt files; Pascal VOC:
            a folder of xml files, a folder with ``Annotations`` in it, or a list in its ``ImageSets``.
        images: folder of the images. Sizes that the file does not have are read from them; YOLO always needs
            them, and finds them where YOLO does.
        split: ``train`` or ``val`` of labels that hold several; empty takes all that there are.
        proposals: boxes are those of a search: they may repeat, have no class and reach over the edge.

    Raises:
        InputError: the first thing that has two meanings, or none: file, entry, field, what was expected and
            the command that mends it.
    """
    labels = inspect_labels(path, images, split, proposals)
    refuse(path, labels.report.refused)
    if labels.report.line() and not proposals:
        notices.warn(labels.report.line())
    return labels


def refuse(path: Path | str, refused: list[Note]) -> None:
    """Raise the first of the notes on what is refused, if there is any; see :func:`read_labels`."""
    if not refused:
        return
    more = f", and {len(refused) - 1} more kinds of fault" if len(refused) > 1 else ""
    option = refused[0].mend
    mend = f"; mend: aligndet labels convert {path} OUT.json {option}" if option else ""
    raise InputError(f"{path}: {refused[0]}{more}; see all: aligndet labels check {path}{mend}")


def inspect_labels(
    path: Path | str, images: Path | str | None = None, split: str = "", proposals: bool = False
) -> LabelFile:
    """As :func:`read_labels`, with what is refused in the report, and without a word.

    Raises:
        InputError: no such file, or one that cannot be read as labels.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder; expected labels")
    folder = only_folder(images)
    labels = _read(path, folder, split, proposals, _state(path))
    return labels if folder is None else _inside(labels, folder)


def _inside(labels: LabelFile, folder: Path) -> LabelFile:
    """Refuse, in the report, names that lead out of the folder of images."""
    notes = Notes()
    for row, name in outside(labels.names, folder):
        what = f"has 'file_name' {name}, outside of {folder}; expected a name in it: {MEND}"
        notes.refuse(what, f"images[{int(labels.image_places[row])}]", mend="")
    if not list(notes):
        return labels
    report = replace(labels.report, notes=[*labels.report.notes, *notes])
    return replace(labels, report=report, sound=False)


def _state(path: Path) -> tuple[int, int] | None:
    """What changes when a file is written again; a folder is read anew."""
    if path.is_dir():
        return None
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def _read(
    path: Path, images: Path | None, split: str, proposals: bool, state: tuple[int, int] | None
) -> LabelFile:
    if state is None or proposals:
        return _read_now(path, images, split, proposals)
    if kind_of(path) is Kind.COCO:  # has no splits; images are asked only for what it lacks
        split, plain = "", _kept(path, None, "", state, os.getcwd(), outside_allowed())
        if plain.sound and (plain.sizes > 0).all():
            return plain
    return _kept(path, images, split, state, os.getcwd(), outside_allowed())


@lru_cache(maxsize=4)
def _kept(
    path: Path, images: Path | None, split: str, state: tuple[int, int], folder: str, outside: bool
) -> LabelFile:
    """Labels that several checks of one command read; what follows ``split`` tells when they are others."""
    return _read_now(path, images, split, False)


def _read_now(path: Path, images: Path | None, split: str, proposals: bool) -> LabelFile:
    kind = kind_of(path)
    if kind is Kind.YOLO:
        tables = read_yolo_tables(path, images, split)
    elif kind is Kind.VOC:
        tables = read_voc_tables(path, split)
    else:
        tables = read_coco_tables(path)
    if kind is Kind.COCO and (encoding := _encoding(path)) != "utf-8":
        mark = "a byte order mark" if encoding == "utf-8-sig" else f"text of {encoding}"
        tables.notes.mended(f"{mark}, read so")
    find_sizes(tables, images)
    exists = (lambda name: (images / name).is_file()) if images else None
    labels = mend(path, kind.value, tables, exists, proposals)
    sound = kind is Kind.COCO and not labels.report.notes and not is_packed(path)
    return replace(labels, sound=sound)


def _encoding(path: Path) -> str:
    with open_text(path) as stream:
        return stream.encoding


def class_names(first: LabelFile, *others: LabelFile) -> tuple[str, ...]:
    """Class names of labels, in their order; label ``i`` is the ``i``-th class.

    Raises:
        InputError: no classes, or another file has other names or another order (labels would differ).
    """
    if not first.classes:
        raise InputError(f"{first.path}: 'categories' is empty")
    for other in others:
        if other.classes != first.classes:
            raise InputError(
                f"{other.path}: its categories are {list(other.classes)}, but {first.path} has "
                f"{list(first.classes)}"
            )
    return first.classes
