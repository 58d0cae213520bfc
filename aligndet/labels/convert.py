"""Label files of other kinds into COCO json."""

from __future__ import annotations

from pathlib import Path

from aligndet.common.coco import read_coco
from aligndet.common.errors import InputError
from aligndet.common.files import write_json


def convert_labels(source: Path, out: Path) -> None:
    """Write a COCO json of the labels in ``source``, which so far is a COCO json itself.

    Raises:
        InputError: another kind of labels; names what is read.
    """
    if source.is_dir() or source.suffix.lower() != ".json":
        what = "a folder" if source.is_dir() else f"a {source.suffix or 'file without ending'}"
        raise InputError(
            f"{source}: {what} of labels cannot be converted yet (YOLO and Pascal VOC are to come); "
            "expected a COCO json"
        )
    if out.resolve() == source.resolve():
        raise InputError(f"{out}: this is the source; give another name")
    write_json(out, read_coco(source))
