"""Proposals of Detectron and detectron2: ``{"boxes", "objectness_logits", "ids", "bbox_mode"}``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from aligndet.common.errors import InputError
from aligndet.common.image_table import ImageTable
from aligndet.proposals.formats.columns import gather
from aligndet.proposals.formats.mmdet_pickle import table_of
from aligndet.proposals.formats.order import Given, needed
from aligndet.proposals.store import ProposalStore

#: What Detectron called what detectron2 calls otherwise.
OLD = {"indexes": "ids", "scores": "objectness_logits"}


def is_detectron2(content: Any) -> bool:
    """Whether an unpickled file is one of these."""
    keys = (
        {OLD.get(key, key) for key in content if isinstance(key, str)} if isinstance(content, dict) else set()
    )
    return {"boxes", "ids"} <= keys


def read_detectron2_pickle(path: Path, content: dict[str, Any], order: Given = None) -> ProposalStore:
    """Boxes of an unpickled file; best first where it has scores.

    Args:
        path: of the file, for errors.
        content: lists with an entry for each image: its id, boxes (n, 4) and scores (n,). ``bbox_mode`` is 0
            for xyxy (also where it is missing), 1 for xywh.
        order: COCO json whose images have these ids; needed unless they are names of files.

    Raises:
        InputError: lists of different lengths, another mode, or ids without ``order``.
    """
    lists = {OLD.get(key, key): value for key, value in content.items()}
    ids, boxes = lists["ids"], lists["boxes"]
    scores = lists.get("objectness_logits")
    scores = [None] * len(ids) if scores is None else scores
    mode = lists.get("bbox_mode", 0)
    if mode not in (0, 1):
        raise InputError(f"{path}: 'bbox_mode' {mode!r}; expected 0 (xyxy in pixels) or 1 (xywh in pixels)")
    if not len(ids) == len(boxes) == len(scores):
        raise InputError(
            f"{path}: {len(ids)} ids, {len(boxes)} boxes and {len(scores)} scores; expected one each"
        )
    images, rows = _images(path, [_plain(number) for number in ids], order)
    parts = []
    for place, (found, score) in enumerate(zip(boxes, scores, strict=True)):
        part = table_of(found, score, f"{path}: boxes[{place}]")
        if mode == 1:
            part[:, 2:4] += part[:, :2]
        parts.append(part[np.argsort(-part[:, 4], kind="stable")])
    every = np.concatenate([*parts, np.zeros((0, 5))])
    rows = np.repeat(rows, [len(part) for part in parts])
    info = {"description": "detectron2 proposals"}
    return gather(images, rows, every[:, :4].astype(np.float32), every[:, 4].astype(np.float32), None, info)


def _plain(number: Any) -> Any:
    return number.item() if isinstance(number, np.generic) else number


def _images(path: Path, ids: list[Any], order: Given) -> tuple[ImageTable, np.ndarray]:
    """The images, and the row of each id."""
    if order is None and ids and all(isinstance(number, str) and not number.isdigit() for number in ids):
        images = ImageTable()
        for name in ids:
            images.add(name, len(images) + 1)
        return images, np.arange(len(ids))
    followed = needed(path, order, f"names its {len(ids)} images by id")
    return followed.table, followed.rows_of(ids, path)
