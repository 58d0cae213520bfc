"""COCO json: this project's, the official AlignDet files (``filtered_proposals``), and labelled sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aligndet.common.coco import bad_entry, stream_coco
from aligndet.common.errors import InputError
from aligndet.common.image_table import ImageTable
from aligndet.common.images import refuse_equal_ids
from aligndet.proposals.formats.columns import BoxTable, gather
from aligndet.proposals.store import ProposalStore


def read_coco(path: Path) -> ProposalStore:
    """Boxes of a COCO json; memory and time grow with the numbers in it, not with its text.

    Crowd and ``ignore`` boxes, and those without a pixel in the image, are left out. A box's ``score`` is
    kept where the file has it; with more than one category, the place of a box's category is its cluster.

    Raises:
        InputError: no COCO json, or an annotation of an image that is not listed.
    """
    images, boxes, categories, info = ImageTable(), BoxTable(), {}, {}
    seen = set()
    for key, place, value in stream_coco(path):
        seen.add(key)
        try:
            if key == "images":
                size = value.get("width", -1), value.get("height", -1)
                images.add(str(value["file_name"]), int(value["id"]), *map(int, size))
            elif key == "annotations" and not (value.get("iscrowd") or value.get("ignore")):
                category = value.get("category_id", 1)
                boxes.add(value["image_id"], value["bbox"], value.get("score"), category)
            elif key == "categories":
                categories[int(value["id"])] = str(value.get("name", value["id"]))
            elif key == "info" and isinstance(value, dict):
                info = value
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise bad_entry(path, key, place, value, error) from error
    if not {"images"} <= seen:
        raise InputError(f"{path}: expected a COCO json with lists 'images' and 'annotations'")
    skipped = info.pop("skipped", [])
    return _store(path, images, boxes, categories, info, skipped)


def _store(
    path: Path,
    images: ImageTable,
    boxes: BoxTable,
    categories: dict[int, str],
    info: dict[str, Any],
    skipped: list[dict[str, str]],
) -> ProposalStore:
    ids, corners, scores, kinds = boxes.columns()
    refuse_equal_ids(path, images)
    rows = _places(ids, images.ids)
    if (rows < 0).any():
        raise InputError(f"{path}: an annotation names image {ids[rows < 0][0]}, which is not in 'images'")
    labels = None
    if len(categories) > 1:
        labels = _places(kinds, list(categories))
        if (labels < 0).any():
            raise InputError(f"{path}: an annotation has a category_id that is not in 'categories'")
        names = list(categories.values())
        info = {**info, "clusters": {**_clusters(info), "clusters": len(names), "names": names}}
    return gather(images, rows, corners, scores, labels, info, skipped)


def _places(values: np.ndarray, listed: Sequence[int]) -> np.ndarray:
    """(n,) int64: where in `listed` each of the values stands, -1 where it does not."""
    numbers = np.array(listed, np.int64)
    if not len(numbers):
        return np.full(len(values), -1, np.int64)
    order = np.argsort(numbers, kind="stable")
    nearest = order[np.searchsorted(numbers, values, sorter=order).clip(max=len(numbers) - 1)]
    return np.where(numbers[nearest] == values, nearest, -1)


def _clusters(info: dict[str, Any]) -> dict[str, Any]:
    clusters = info.get("clusters")
    return clusters if isinstance(clusters, dict) else {}
