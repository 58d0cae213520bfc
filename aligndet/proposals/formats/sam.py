"""Segment Anything: a json for each image, as SA-1B has them, or lists of its mask generator."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from aligndet.common.errors import InputError
from aligndet.common.image_table import ImageTable
from aligndet.common.json_stream import open_text
from aligndet.proposals.formats.columns import BoxTable, gather
from aligndet.proposals.store import ProposalStore

EXPECTED = (
    'expected {"image": {"file_name", "width", "height"}, "annotations": [{"bbox": [x, y, width, height], '
    '"predicted_iou"}, ...]}, or such a list of annotations'
)


def is_sam_folder(path: Path) -> bool:
    """Whether a folder holds json files and no store."""
    return path.is_dir() and any(_files(path))


def _files(folder: Path) -> list[Path]:
    names = (name for name in os.listdir(folder) if name.endswith(".json") and not name.startswith("."))
    return [folder / name for name in sorted(names)]


def read_sam(path: Path) -> ProposalStore:
    """Boxes of one json, or of a folder of them, best first by ``predicted_iou``.

    An image is called as the json says, or as the json file is, without ending, where it does not.

    Raises:
        InputError: a file that is none of these.
    """
    images, boxes = ImageTable(), BoxTable()
    for file in _files(path) if path.is_dir() else [path]:
        image, annotations = _content(file)
        size = (_side(file, image, "width"), _side(file, image, "height"))
        images.add(str(image.get("file_name") or file.stem), len(images) + 1, *size)
        for place, entry in enumerate(annotations):
            try:
                boxes.add(len(images) - 1, entry["bbox"], entry.get("predicted_iou"))
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
                raise InputError(f"{file}: annotation {place} is {str(entry)[:80]}; {EXPECTED}") from error
    rows, corners, scores = boxes.columns()
    best = np.lexsort((-np.nan_to_num(scores), rows))
    return gather(images, rows[best], corners[best], scores[best], None, {"description": "SAM proposals"})


def _content(file: Path) -> tuple[dict[str, Any], list[Any]]:
    try:
        with open_text(file) as stream:
            content = json.load(stream)
    except (ValueError, EOFError, RecursionError) as error:
        raise InputError(f"{file}: not valid json ({error}); was it copied whole?") from error
    if isinstance(content, list):
        content = {"image": {}, "annotations": content}
    image = content.get("image") if isinstance(content, dict) else None
    annotations = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(image, dict) or not isinstance(annotations, list):
        raise InputError(f"{file}: {EXPECTED}")
    return image, annotations


def _side(file: Path, image: dict[str, Any], name: str) -> int:
    value = image.get(name, -1)
    if type(value) is not int or not -1 <= value < 2**31 or value == 0:
        raise InputError(f"{file}: image has {name!r} {str(value)[:20]}; expected pixels")
    return value
