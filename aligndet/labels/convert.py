"""Labels of any kind into COCO json, and what a person decides where a file has two meanings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from aligndet.common.errors import InputError
from aligndet.common.labels.coco import read_coco_tables
from aligndet.common.labels.file import LabelFile
from aligndet.common.labels.kinds import Kind, kind_of
from aligndet.common.labels.mend import mend
from aligndet.common.labels.reader import inspect_labels, refuse
from aligndet.common.labels.report import LEAVE_OUT
from aligndet.common.labels.sizes import find_sizes, only_folder
from aligndet.common.labels.tables import Tables
from aligndet.common.labels.write import write_labels
from aligndet.labels.exports.kinds import read_export

Sides = tuple[float, float, float, float]


def convert_labels(
    source: Path,
    out: Path,
    images: Path | None = None,
    split: str = "",
    boxes: str = "",
    leave_out: bool = False,
) -> LabelFile:
    """Write the labels in ``source`` as a COCO json that every tool reads alike.

    Args:
        source: COCO json, YOLO or Pascal VOC, or an export of Label Studio, LabelMe, CVAT or Datumaro.
        out: COCO json to write.
        images: folder of the images; for sizes that the labels do not have.
        split: ``train`` or ``val`` of labels that hold several.
        boxes: what the numbers of ``bbox`` in a COCO json are, a key of :data:`BOXES`; empty: xywh in pixels.
        leave_out: leave out entries that would be refused.

    Raises:
        InputError: labels that cannot be read, or that have two meanings.
    """
    if out.resolve() == source.resolve():
        raise InputError(f"{out}: this is the source; give another name")
    labels = _read(source, images, split, boxes)
    refused = labels.report.refused
    refuse(source, [note for note in refused if note.mend != LEAVE_OUT] if leave_out else refused)
    write_labels(labels, {out: None})
    return labels


def _read(source: Path, images: Path | None, split: str, boxes: str) -> LabelFile:
    folder = only_folder(images)
    export = None if boxes else read_export(source, folder)
    if export is not None:
        kind, tables = f"export of {export[0]}", export[1]
        find_sizes(tables, folder)
        return mend(source, kind, tables, lambda name: folder is not None and (folder / name).is_file())
    kind_found = kind_of(source)
    if not boxes:
        return inspect_labels(source, images, split)
    if kind_found is not Kind.COCO:
        raise InputError(f"--boxes {boxes}: {source} is {kind_found.value}, whose boxes have one meaning")
    tables = read_coco_tables(source)
    find_sizes(tables, folder)
    _reinterpret(tables, BOXES[boxes])
    return mend(source, kind_found.value, tables)


def _reinterpret(tables: Tables, pixels: Callable[[Sides, tuple[int, int]], Sides]) -> None:
    """Bring boxes to xywh in pixels."""
    sizes = dict(
        zip(tables.image_keys, zip(tables.sizes[0::2], tables.sizes[1::2], strict=True), strict=True)
    )
    keys = list(tables.images_of)
    for place, number in enumerate(tables.box_images):
        size = sizes.get(keys[number], (-1, -1))
        if min(size) <= 0:
            raise InputError(
                f"{tables.where(place)}: the size of image {keys[number]} is not known; give --images"
            )
        first = 4 * place
        a, b, c, d = tables.xywh[first : first + 4]
        for side, value in enumerate(pixels((a, b, c, d), size)):
            tables.xywh[first + side] = value
        tables.areas[place] = float("nan")


def _fractions(box: Sides, size: tuple[int, int]) -> Sides:
    return box[0] * size[0], box[1] * size[1], box[2] * size[0], box[3] * size[1]


def _corners(box: Sides, size: tuple[int, int]) -> Sides:
    return box[0], box[1], box[2] - box[0], box[3] - box[1]


#: What ``bbox`` may hold, by the word of ``--boxes``.
BOXES: dict[str, Callable[[Sides, tuple[int, int]], Sides]] = {
    "fractions": _fractions,
    "corners": _corners,
    "corner-fractions": lambda box, size: _corners(_fractions(box, size), size),
    "centres": lambda box, size: (box[0] - box[2] / 2, box[1] - box[3] / 2, box[2], box[3]),
}
