"""mmdet's pickles: proposals of 3.x (``DumpProposals``, by file name) and of 2.x, and results (lists)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aligndet.common.errors import InputError
from aligndet.common.image_table import ImageTable
from aligndet.common.pickles import Record
from aligndet.proposals.formats.columns import gather
from aligndet.proposals.formats.order import Given, needed
from aligndet.proposals.store import ProposalStore


def read_mmdet_pickle(path: Path, content: Any, order: Given = None) -> ProposalStore:
    """Boxes of an mmdet proposal or results file. It has no image sizes: they are the order's, or -1.

    Args:
        path: of the file, for errors.
        content: a dictionary ``{"folder/file.jpg": boxes}``, or a list of boxes; boxes are InstanceData or a
            dictionary (``bboxes`` (n, 4) xyxy and ``scores``, maybe in ``pred_instances``), an array (n, 4)
            or (n, 5) with scores last, or a list of such arrays, one for each class.
        order: COCO json whose images a list follows; not used for a dictionary.

    Raises:
        InputError: something else, or a list without as many images.
    """
    images, entries = _named(path, content, order)
    parts = [
        _boxes(value, f"{path}: {image.file_name}") for image, value in zip(images, entries, strict=True)
    ]
    rows = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    every = np.concatenate([*parts, np.zeros((0, 5))])
    info = {"description": "mmdet proposals"}
    return gather(images, rows, every[:, :4].astype(np.float32), every[:, 4].astype(np.float32), None, info)


def _named(path: Path, content: Any, order: Given) -> tuple[ImageTable, Sequence[Any]]:
    """The images, and what the file has for each."""
    images = ImageTable()
    if isinstance(content, list) and content and all(_path_in(entry) for entry in content):
        content = {_path_in(entry): entry for entry in content}
    if isinstance(content, list):
        followed = needed(path, order, f"a list of {len(content)} entries without names").table
        if len(followed) != len(content):
            raise InputError(
                f"{path}: a list of {len(content)} entries, but {order} has {len(followed)} images; give the "
                "COCO json whose images they belong to, in the same order (--order)"
            )
        return followed, content
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a dictionary or list of boxes, got {type(content).__name__}")
    for name in content:
        if not isinstance(name, str):
            raise InputError(f"{path}: names an image {name!r}; expected the name of a file")
        images.add(name, len(images) + 1)
    return images, list(content.values())


def _path_in(entry: Any) -> str:
    """The name that an entry of mmdet 3's results has itself; empty for none."""
    name = entry.get("img_path") if isinstance(entry, dict) else None
    return name if isinstance(name, str) else ""


def _boxes(value: Any, where: str) -> np.ndarray:
    """(n, 5) xyxy and score, nan where there is none."""
    if isinstance(value, dict) and "pred_instances" in value:
        value = value["pred_instances"]
    if isinstance(value, tuple) and value and isinstance(value[0], list):
        value = value[0]  # boxes and masks
    if isinstance(value, list) and value and all(isinstance(part, np.ndarray) for part in value):
        return _of_classes(value, where)
    if isinstance(value, dict):
        boxes, scores = value.get("bboxes"), value.get("scores")
    elif isinstance(value, Record):
        boxes, scores = value.bboxes, value.scores
    else:
        boxes, scores = value, None
    return table_of(boxes, scores, where)


def _of_classes(parts: list[np.ndarray], where: str) -> np.ndarray:
    """Boxes of all classes of mmdet 2's results, best first."""
    if all(part.ndim == 1 for part in parts):
        return table_of(parts, None, where)  # a list of single boxes
    every = np.concatenate([table_of(part, None, where) for part in parts])
    return every[np.argsort(-every[:, 4], kind="stable")]


def table_of(boxes: Any, scores: Any, where: str) -> np.ndarray:
    """(n, 5) xyxy and score, nan where there is none, of boxes (n, 4) or (n, 5) and scores (n,) or None.

    Raises:
        InputError: other shapes, or no numbers.
    """
    try:
        boxes = np.asarray(boxes, dtype=np.float64)
        column = None if scores is None else np.asarray(scores, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{where}: boxes that are no numbers ({error}); expected (n, 4) or (n, 5)"
        ) from error
    boxes = boxes.reshape(0, 4) if not boxes.size else boxes
    if boxes.ndim != 2 or boxes.shape[1] not in (4, 5):
        raise InputError(f"{where}: boxes of shape {boxes.shape}; expected (n, 4) or (n, 5)")
    if column is None and boxes.shape[1] == 5:
        return boxes
    column = np.full(len(boxes), np.nan) if column is None else column
    if len(column) != len(boxes):
        raise InputError(f"{where}: {len(boxes)} boxes but {len(column)} scores")
    return np.concatenate([boxes[:, :4], column[:, None]], axis=1)
